"""What a command works on: definition, project, manifest, plan or records -> manifest and plan."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.cli.memory_budget import read_budget, with_budget
from kindling_airflow.cli.own_output import printed_to_stderr
from kindling_airflow.common.bulk import collector_paused
from kindling_airflow.common.short_lists import first_of
from kindling_airflow.errors import (
    KindlingAirflowError,
    ManifestError,
    PlanValidationError,
    SourceError,
    WrongCallError,
    problems_of,
)
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.manifest import Manifest

if TYPE_CHECKING:
    from kindling_airflow.definitions.compile import Planned
    from kindling_airflow.definitions.definition import Definition

__all__ = ["Project", "Source", "read_durations", "read_source"]


_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Project:
    """The declarations behind a plan.

    Attributes:
        base: as they stand.
        manifest: under the settings.
        root: the folder that the project's modules are imported from, where it is known.
    """

    base: Manifest
    manifest: Manifest
    root: Path | None


@dataclass(frozen=True, slots=True)
class Source:
    """What a source holds.

    Attributes:
        path: where it was read from.
        plan: the plan.
        project: the declarations; None where the source is a plan, which has all it needs.
        definition: the definition, where the source is one; as its file says, but for the
            strategy and further settings of the command.
        chosen: whether the command has chosen among the pipes.
    """

    path: Path
    plan: ExecutionPlan
    project: Project | None = None
    definition: Definition | None = None
    chosen: bool = False


def read_source(
    name: str, called: argparse.Namespace, *, fresh: bool = False, seconds: float | None = None
) -> Source:
    """Return what a source holds, planned as the command was told to.

    Args:
        name: a path.
        called: the command's arguments.
        fresh: import a definition's project even where its manifest is up to date, and compile
            it to the end.
        seconds: how long an import that Airflow would make, too, may take.

    Raises:
        WrongCallError: there is nothing of this name, or an option does not go with it.
        KindlingAirflowError: something is wrong with what is there.
    """
    path = Path(name)
    if not path.exists():
        raise WrongCallError(f"there is no {name!r}")
    budget = None if (said := _said(called, "memory_budget")) is None else read_budget(said)
    with printed_to_stderr():
        source = _read(path, called, fresh, seconds)
    if not source.plan.pipe_ids:
        raise SourceError([_nothing_in(source)])
    if fresh and source.definition is None:
        from kindling_airflow.cli.full_checks import check_in_full

        check_in_full(source.plan, None if source.project is None else source.project.manifest)
    if budget is not None:
        return replace(source, plan=with_budget(source.plan, budget))
    return source


def _read(path: Path, called: argparse.Namespace, fresh: bool, seconds: float | None) -> Source:
    if path.is_dir():
        from kindling_airflow.manifest.harvest import harvest

        manifest = harvest(path, called.modules or (), seconds=seconds)
        return _planned(path, manifest, called, path.resolve())
    if path.suffix in (".yaml", ".yml"):
        return _of_definition(path, called, fresh, seconds)
    document = _read_json(path)
    if isinstance(document, Mapping) and "generations" in document:
        return _of_plan(path, document, called)
    if called.modules:
        raise WrongCallError(
            f"{str(path)!r} is no project folder, so there are no modules to import; leave out "
            "--module"
        )
    if isinstance(document, list):
        from kindling_airflow.cli.records import manifest_of_records

        return _planned(path, manifest_of_records(path, document), called, None)
    if not isinstance(document, Mapping) or not {"schema_version", "pipes"} & document.keys():
        raise SourceError([_no_source(path, document)])
    try:
        manifest = Manifest.from_json(document)
    except ManifestError as error:
        raise ManifestError(f"{path}: {problem}" for problem in error.problems) from error
    from kindling_airflow.cli.manifest_project import project_of

    return _planned(path, manifest, called, project_of(path, manifest, called))


def _no_source(path: Path, document: object) -> str:
    """Return that a JSON document is none of ours."""
    problem = f"{path}: this JSON is neither a manifest, nor a plan, nor a list of records"
    if isinstance(document, Mapping) and not {"pipeid", "entityid"}.isdisjoint(document):
        return f"{problem}\n  Fix: put the record into a list: [{{...}}]."
    return problem


def _nothing_in(source: Source) -> str:
    """Return why there are no pipes in a source."""
    project = source.project
    if project is None or project.root is None or project.base.pipes:
        return f"{source.path}: there are no pipes in it\n  Fix: declare or choose at least one."
    place = f"nothing was found in {str(source.path if source.path.is_dir() else project.root)!r}"
    if source.definition is not None:
        place = f"{source.path}: {place}"
    if not project.base.modules:
        return (
            f"{place}: no modules of Python lie there\n"
            "  Fix: name the folder that they lie in; packages beneath it need an __init__.py."
        )
    return (
        f"{place}: its modules declare no pipes: {first_of(project.base.modules, _SHOWN)}\n"
        "  Fix: declare some with @DataPipes.pipe or DataPipes.view; packages beneath it need an "
        "__init__.py."
    )


def _planned(
    path: Path, base: Manifest, called: argparse.Namespace, project_root: Path | None
) -> Source:
    from kindling_airflow.definitions.compile import plan_of
    from kindling_airflow.definitions.settings_file import read_settings

    files = [Path(name) for name in _said(called, "settings") or ()]
    manifest = base.with_settings(read_settings(project_root, files))
    plan = plan_of(
        manifest,
        strategy=_said(called, "strategy") or "batch",
        select=_said(called, "select") or (),
        exclude=_said(called, "exclude") or (),
    )
    return Source(path, plan, Project(base, manifest, project_root), chosen=_chooses(called))


def _of_definition(
    path: Path, called: argparse.Namespace, fresh: bool, seconds: float | None
) -> Source:
    from kindling_airflow.cli.packaging import check_package_files
    from kindling_airflow.definitions.compile import compile_definition, plan_definition
    from kindling_airflow.definitions.definition import Definition
    from kindling_airflow.manifest.harvest import harvest

    if called.modules:
        raise WrongCallError("a definition names its modules itself; leave out --module")
    definition = Definition.from_file(path)
    more = (Path(name).resolve() for name in _said(called, "settings") or ())
    definition = replace(
        definition,
        settings=(*definition.settings, *more),
        strategy=_said(called, "strategy") or definition.strategy,
    )
    if fresh:
        manifest = harvest(
            definition.project_root,
            definition.modules,
            seconds=None if seconds is None or _spares_imports(definition) else seconds,
        )
        compiled = compile_definition(definition, manifest)
        if _said(called, "in_airflow"):
            from kindling_airflow.dag_factory.factory import try_out

            try_out(compiled)
        planned: Planned = compiled
        check_package_files(definition, manifest)
    else:
        planned = plan_definition(definition)
    project = Project(planned.base, planned.manifest, definition.project_root)
    plan = _narrowed(planned, called) if _chooses(called) else planned.plan
    return Source(path, plan, project, definition, _chooses(called))


def _chooses(called: argparse.Namespace) -> bool:
    return bool(_said(called, "select") or _said(called, "exclude"))


def _narrowed(planned: Planned, called: argparse.Namespace) -> ExecutionPlan:
    """Return the plan of what the command chooses among the pipes of a definition, never others.

    Raises:
        SelectionError: the choice matches none of them, or leaves none.
    """
    from kindling_airflow.definitions.compile import plan_of

    return plan_of(
        planned.manifest,
        strategy=planned.definition.strategy,
        pipes=planned.plan.pipe_ids,
        select=_said(called, "select") or (),
        exclude=_said(called, "exclude") or (),
    )


def _spares_imports(definition: Definition) -> bool:
    """Return whether Airflow would read a compiled manifest in place of importing the project."""
    from kindling_airflow.definitions.project_manifests import current_manifest

    try:
        return current_manifest(definition) is not None
    except ManifestError:  # it is to be made anew
        return False


def _of_plan(path: Path, document: Mapping[str, Any], called: argparse.Namespace) -> Source:
    options = ("modules", "settings", "select", "exclude", "strategy", "memory_budget")
    given = [o.replace("_", "-") for o in options if _said(called, o)]
    if given:
        raise WrongCallError(
            f"{str(path)!r} is a plan, in which all is decided: {', '.join(given)} cannot change it"
        )
    try:
        plan = ExecutionPlan.from_json(document)
        plan.validate()
    except KindlingAirflowError as error:
        problems = problems_of(error)
        raise PlanValidationError(f"{path}: {problem}" for problem in problems) from error
    return Source(path, plan)


def _said(called: argparse.Namespace, option: str) -> Any:
    return getattr(called, option, None)


def read_durations(called: argparse.Namespace) -> dict[str, float] | None:
    """Return the durations in the file that the command was told of, or None without one.

    Raises:
        WrongCallError: there is no such file.
        SourceError: it is no JSON object.
    """
    if not called.durations:
        return None
    path = Path(called.durations)
    if not path.is_file():
        raise WrongCallError(f"there is no {called.durations!r}")
    found = _read_json(path)
    if not isinstance(found, dict):
        raise SourceError([f"{path}: durations are a JSON object from pipe id to seconds"])
    return found


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"the key {key!r} is given twice in one object")
        seen.add(key)


def _read_json(path: Path) -> Any:
    try:
        with collector_paused():
            text = path.read_text(encoding="utf-8")
            found = json.loads(text)
            if isinstance(found, list):  # records, which people write
                json.loads(text, object_pairs_hook=_check_keys)
            return found
    except OSError as error:
        raise SourceError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SourceError([f"{path}: this is no JSON document: {error}"]) from error
