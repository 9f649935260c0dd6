"""Reads the source of a command: definition, project, manifest, plan or records."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.cli.sources.memory_budget import read_budget, with_budget
from kindling_airflow.cli.stdout import printed_to_stderr
from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.common.wording import first_of
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
    from kindling_airflow.translator.streams import Streaming

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Project:
    """The declarations behind a plan.

    Attributes:
        base: the declarations of the modules.
        manifest: the declarations with the settings applied.
        root: the folder that the modules are imported from, if known.
    """

    base: Manifest
    manifest: Manifest
    root: Path | None


@dataclass(frozen=True, slots=True)
class Source:
    """The content of a source.

    Attributes:
        path: its path.
        plan: its plan.
        project: the declarations; None where the source is a plan.
        definition: the definition, where the source is one, with the strategy and the further
            settings of the command.
        chosen: whether the command selects pipes.
    """

    path: Path
    plan: ExecutionPlan
    project: Project | None = None
    definition: Definition | None = None
    chosen: bool = False

    def streaming(self) -> Streaming | None:
        """Return the streams of its plan under the definition's lifetime; None if it has none."""
        from kindling_airflow.translator.streams import streaming_part

        lifetime = None if self.definition is None else self.definition.lifetime
        return streaming_part(self.plan, lifetime)


def existing_path(name: str) -> Path:
    """Return the path of a file or folder that exists.

    Raises:
        WrongCallError: it does not exist.
    """
    path = Path(name)
    if not path.exists():
        raise WrongCallError(f"file or folder not found: {name!r}")
    return path


def read_source(
    name: str, args: argparse.Namespace, *, fresh: bool = False, seconds: float | None = None
) -> Source:
    """Return the content of a source, planned by the options of the command.

    Args:
        name: a path.
        args: the command's arguments.
        fresh: import a definition's project even if its manifest is up to date, and compile it
            completely.
        seconds: the time limit of an import that Airflow would make, too.

    Raises:
        WrongCallError: the path does not exist, or an option does not apply to it.
        KindlingAirflowError: the content is invalid.
    """
    path = existing_path(name)
    budget = _option(args, "memory_budget")
    budget = None if budget is None else read_budget(budget)
    with printed_to_stderr():
        source = _read(path, args, fresh, seconds)
    if not source.plan.pipe_ids:
        raise SourceError([_no_pipes(source)])
    if fresh and source.definition is None:
        from kindling_airflow.cli.sources.full_checks import check_in_full

        check_in_full(source.plan, None if source.project is None else source.project.manifest)
    return source if budget is None else replace(source, plan=with_budget(source.plan, budget))


def _read(path: Path, args: argparse.Namespace, fresh: bool, seconds: float | None) -> Source:
    if path.is_dir():
        from kindling_airflow.manifest.harvest import harvest

        manifest = harvest(path, args.modules or (), seconds=seconds)
        return _planned(path, manifest, args, path.resolve())
    if path.suffix in (".yaml", ".yml"):
        return _of_definition(path, args, fresh, seconds)
    document = _read_json(path)
    if isinstance(document, Mapping) and "generations" in document:
        return _of_plan(path, document, args)
    if args.modules:
        raise WrongCallError(
            f"{str(path)!r} is not a project folder, so it has no modules to import: omit --module"
        )
    if isinstance(document, list):
        from kindling_airflow.cli.sources.records import manifest_of_records

        return _planned(path, manifest_of_records(path, document), args, None)
    if not isinstance(document, Mapping) or not {"schema_version", "pipes"} & document.keys():
        problem = f"{path}: this JSON is not a manifest, a plan or a list of records"
        if isinstance(document, Mapping) and not {"pipeid", "entityid"}.isdisjoint(document):
            problem += "\n  Fix: put the record into a list: [{...}]."
        raise SourceError([problem])
    try:
        manifest = Manifest.from_json(document)
    except ManifestError as error:
        raise ManifestError(f"{path}: {problem}" for problem in error.problems) from error
    from kindling_airflow.cli.sources.manifest_project import project_of

    return _planned(path, manifest, args, project_of(path, manifest, args))


def _no_pipes(source: Source) -> str:
    """Return the problem of a source without pipes."""
    project = source.project
    if project is None or project.root is None or project.base.pipes:
        return f"{source.path}: no pipes found\n  Fix: declare or select at least one."
    place = f"no pipes found in {str(source.path if source.path.is_dir() else project.root)!r}"
    if source.definition is not None:
        place = f"{source.path}: {place}"
    if not project.base.modules:
        return (
            f"{place}: it contains no Python modules\n"
            "  Fix: name the folder of the modules; packages in it need an __init__.py."
        )
    return (
        f"{place}: its modules declare none: {first_of(project.base.modules, _SHOWN)}\n"
        "  Fix: declare some with @DataPipes.pipe or DataPipes.view; packages need an __init__.py."
    )


def _planned(
    path: Path, base: Manifest, args: argparse.Namespace, project_root: Path | None
) -> Source:
    from kindling_airflow.definitions.compile import plan_of
    from kindling_airflow.definitions.settings_file import read_settings

    files = [Path(name) for name in _option(args, "settings") or ()]
    manifest = base.with_settings(read_settings(project_root, files))
    plan = plan_of(manifest, strategy=_option(args, "strategy") or "batch", **_selection_of(args))
    return Source(path, plan, Project(base, manifest, project_root), chosen=_selects(args))


def definition_in(path: Path, args: argparse.Namespace) -> Definition:
    """Return the definition in a file.

    Raises:
        WrongCallError: the command names modules.
        DefinitionError: the file is invalid.
    """
    from kindling_airflow.definitions.definition import Definition

    if args.modules:
        raise WrongCallError("a definition lists its own modules: omit --module")
    return Definition.from_file(path)


def _of_definition(
    path: Path, args: argparse.Namespace, fresh: bool, seconds: float | None
) -> Source:
    from kindling_airflow.cli.sources.full_checks import check_package_files
    from kindling_airflow.definitions.compile import compile_definition, plan_definition, plan_of
    from kindling_airflow.manifest.harvest import harvest

    definition = definition_in(path, args)
    more = (Path(name).resolve() for name in _option(args, "settings") or ())
    definition = replace(
        definition,
        settings=(*definition.settings, *more),
        strategy=_option(args, "strategy") or definition.strategy,
    )
    if fresh:
        manifest = harvest(
            definition.project_root,
            definition.modules,
            seconds=None if seconds is None or _has_current_manifest(definition) else seconds,
        )
        compiled = compile_definition(definition, manifest)
        if _option(args, "in_airflow"):
            from kindling_airflow.dag_factory.factory import try_out

            try_out(compiled)
        planned: Planned = compiled
        check_package_files(definition, manifest)
    else:
        planned = plan_definition(definition)
    plan = planned.plan
    if _selects(args):  # among the definition's pipes, never others
        plan = plan_of(
            planned.manifest,
            strategy=planned.definition.strategy,
            pipes=plan.pipe_ids,
            **_selection_of(args),
        )
    project = Project(planned.base, planned.manifest, definition.project_root)
    return Source(path, plan, project, definition, _selects(args))


def _has_current_manifest(definition: Definition) -> bool:
    """Return whether Airflow would read a compiled manifest instead of importing the project."""
    from kindling_airflow.definitions.project_manifests import current_manifest

    try:
        return current_manifest(definition) is not None
    except ManifestError:  # it has to be compiled again
        return False


def _of_plan(path: Path, document: Mapping[str, Any], args: argparse.Namespace) -> Source:
    options = ("settings", "select", "exclude", "strategy", "memory_budget")
    given = ["--module"] if args.modules else []
    given += [f"--{o.replace('_', '-')}" for o in options if _option(args, o)]
    if given:
        raise WrongCallError(f"{str(path)!r} is a plan, which {', '.join(given)} cannot change")
    try:
        plan = ExecutionPlan.from_json(document)
        plan.validate()
    except KindlingAirflowError as error:
        problems = problems_of(error)
        raise PlanValidationError(f"{path}: {problem}" for problem in problems) from error
    return Source(path, plan)


def _selects(args: argparse.Namespace) -> bool:
    return any(_selection_of(args).values())


def _selection_of(args: argparse.Namespace) -> dict[str, Any]:
    return {key: _option(args, key) or () for key in ("select", "exclude")}


def _option(args: argparse.Namespace, name: str) -> Any:
    """Return an option; None where the command does not have it."""
    return getattr(args, name, None)


def read_durations(args: argparse.Namespace) -> dict[str, float] | None:
    """Return the content of the file of ``--durations``, or None without one.

    Raises:
        WrongCallError: the file does not exist.
        SourceError: it does not hold a JSON object.
    """
    if not args.durations:
        return None
    path = Path(args.durations)
    if not path.is_file():
        raise WrongCallError(f"file not found: {args.durations!r}")
    found = _read_json(path)
    if not isinstance(found, dict):
        raise SourceError([f"{path}: durations must be a JSON object of pipe ids and seconds"])
    return found


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"duplicate key {key!r} in one object")
        seen.add(key)


def _read_json(path: Path) -> Any:
    try:
        with collector_paused():
            text = path.read_text(encoding="utf-8")
            found = json.loads(text)
            if isinstance(found, list):  # records, which are written by hand
                json.loads(text, object_pairs_hook=_check_keys)
            return found
    except OSError as error:
        raise SourceError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SourceError([f"{path}: invalid JSON: {error}"]) from error
