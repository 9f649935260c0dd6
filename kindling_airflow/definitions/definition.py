"""Definitions: what a deployment decides about one DAG, checked in full.

``definition.schema.json`` beside this module says which keys there are; editors complete from it.
All problems of a definition are reported at once, each with file, line and key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kindling_airflow.common.amounts import bytes_of
from kindling_airflow.common.immutable import EMPTY, freeze
from kindling_airflow.common.shared_ids import DEFAULT_POOL
from kindling_airflow.definitions.checks import meaning_problems
from kindling_airflow.definitions.python_objects import set_aside
from kindling_airflow.definitions.schema_check import as_json, dag_arguments, schema_problems
from kindling_airflow.definitions.secrets import hides_secrets_of, secret_problems
from kindling_airflow.definitions.times import (
    ASSETS,
    CONTINUOUS,
    cron_of,
    duration_of,
    every_of,
    partitions_of,
    start_of,
    time_problems,
    updates_of,
)
from kindling_airflow.definitions.yaml_file import (
    DefinitionFile,
    Problem,
    Where,
    located,
    read_definition_file,
)
from kindling_airflow.errors import (
    DefinitionError,
    GraphValidationError,
    PackageError,
    ProblemsError,
)
from kindling_airflow.tags.stream_settings import Lifetime
from kindling_airflow.translator import asset_namespace
from kindling_airflow.translator.task_settings import TASK_KEYS, merged

DEFINITION_SUFFIX = ".kindling.yaml"
DEFINITION_SUFFIXES = (DEFINITION_SUFFIX, ".kindling.yml")

_LONGEST_POOL = 256


@dataclass(frozen=True, slots=True)
class Definition:
    """One DAG's definition, complete with defaults.

    Attributes:
        source: the file (or the name of the caller) that it comes from; for messages.
        project_root: absolute folder that goes on the import path.
        manifest: absolute path of the compiled manifest, if one is named or is beside the
            definition.
        package: zip that drivers and executors take the project from: an absolute path or a URI.
        pipes: the pipes of the DAG by id; None for all of the project.
        select, exclude: which of them, in the grammar of :mod:`kindling_airflow.selection`.
        settings: files with layers of settings over the declarations, later ones win.
        cron: the schedule as a cron expression, or None for a DAG without one.
        every: the length of the schedule's intervals, or None.
        partitions: the cron expression of the partitions that runs are for, or None.
        updates: ``all`` or ``any`` and the assets whose updates start a run, or None.
        follows_inputs: whether updates of what the plan reads and does not write start a run.
        continuous: whether a run starts as the one before is over; None if no schedule
            is set.
        on_missing_interval: what a run without a data interval does.
        params: the parameters of a run, as they are given.
        dag_run: what holds for a run as a whole, as it is given.
        dag_arguments: arguments that are passed on to Airflow's DAG as they are.
        durations: the file of the pipes' durations from which priorities follow, or None.
        pools: the slots of further pools.
        session_pool: the pool of the tasks of shared sessions.
        memory_budget: the bytes for entities that several pipes of a session read, or None.
        task: the settings of every pipe's task, one layer of
            :class:`~kindling_airflow.translator.TaskSettings`.
        overrides: further layers, by pattern over the pipe ids.
        assets: what the identifiers of the entities' assets begin with, or None for no assets.
        catalog: the catalog of the Iceberg tables that name no place themselves, or it with the
            connection that has its address and account.
        lifetime: the lifetime of the streams of a run, where it is set.
        duration: how many seconds those of a bounded run live.
        checkpoints: the root of the streams' checkpoints, or None for the default.
        objects: what ``kindling_objects:_<n>`` stands for in a definition from Python.
        folder: the folder that relative paths start from.
        lines: the line of each key in the file, by its way from the root.
    """

    source: str
    dag_id: str
    project_root: Path
    modules: tuple[str, ...] = ()
    manifest: Path | None = None
    package: str | None = None
    cron: str | None = None
    start_date: datetime | None = None
    timezone: str = "UTC"
    catchup: bool = False
    max_active_runs: int = 1
    tags: tuple[str, ...] = ()
    every: timedelta | None = None
    partitions: str | None = None
    updates: tuple[str, tuple[str, ...]] | None = None
    follows_inputs: bool = False
    continuous: bool | None = None
    on_missing_interval: str = "full"
    params: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    dag_run: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    dag_arguments: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    strategy: str = "batch"
    pipes: tuple[str, ...] | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    settings: tuple[Path, ...] = ()
    pool: str = ""
    width: int = 4
    durations: Path | None = None
    pools: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    session_pool: str = DEFAULT_POOL
    memory_budget: int | None = None
    on_error: str = "skip_dependents"
    barrier: str = "none"
    group_by: str = "generation"
    task: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    assets: str | None = "warehouse"
    catalog: str | Mapping[str, str] | None = None
    warehouse: str | None = None
    lifetime: Lifetime | None = None
    duration: float | None = None
    checkpoints: str | None = None
    objects: tuple[Any, ...] = ()
    folder: Path | None = None
    lines: Mapping[Where, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def spark(self) -> Mapping[str, Any]:
        """Arguments of the Spark provider's operator for every pipe; properties are text."""
        found: Mapping[str, Any] = self.task.get("spark", EMPTY)
        return found

    def layers(self) -> dict[Where, Mapping[str, Any]]:
        """Return the layers of task settings by where they stand: of all pipes, then overrides."""
        return {(): self.task, **{("overrides", k): own for k, own in self.overrides.items()}}

    def runs_continuously(self, lifetime: str | None) -> bool:
        """Return whether a run starts as soon as the one before it has ended.

        Continuous streams do so unless the definition has a schedule or ``schedule: null``; they
        restart by themselves after any end.

        Args:
            lifetime: of its streams; None if it has none.
        """
        return lifetime == "continuous" if self.continuous is None else self.continuous

    def located(self, problem: Problem) -> str:
        """Return a problem's text behind the source, the line and the key that it is about."""
        return self.without_secrets(located(self.source, self.lines, problem))

    def without_secrets(self, text: str) -> str:
        """Return a text that is about the definition without the secrets in it."""
        return hides_secrets_of(
            {"task": self.task, "overrides": self.overrides, "dag_run": self.dag_run}
        )(text)

    @classmethod
    def from_file(cls, path: Path) -> Definition:
        """Read a definition file.

        Raises:
            DefinitionError: it cannot be read, is not YAML, or breaks the schema; lists every
                problem.
        """
        return cls.from_read_file(read_definition_file(path))

    @classmethod
    def from_read_file(
        cls, read: DefinitionFile, more: Mapping[str, Any] | None = None
    ) -> Definition:
        """Return the definition in a file that has been read; relative paths start beside it.

        Args:
            read: the file.
            more: keys from elsewhere that take the place of the file's.

        Raises:
            DefinitionError: listing every problem.
        """
        base = read.path.parent
        document, objects = set_aside({**read.keys, **(more or {})})
        keys = _checked(document, base, read.source, read)
        manifest = _found_manifest(keys, base, read.path)
        return replace(_definition(keys, base, read.source, manifest, objects), lines=read.lines)

    @classmethod
    def from_checked_file(cls, read: DefinitionFile) -> Definition:
        """Return the definition in a file whose bytes are known to be free of problems."""
        document, objects = set_aside(read.keys)
        keys, _ = as_json(document)
        found = _definition(keys, read.path.parent, read.source, manifest_of(read), objects)
        return replace(found, lines=read.lines)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, base: Path, source: str) -> Definition:
        """Return the definition that a document makes.

        Args:
            document: the keys of a definition file.
            base: the folder that relative paths start from.
            source: what messages call the document.

        Raises:
            DefinitionError: listing every problem.
        """
        plain, objects = set_aside(document)
        keys = _checked(plain, base, source)
        return _definition(keys, base, source, _found_manifest(keys, base), objects)


def manifest_beside(path: Path) -> Path:
    """Return where the compiled manifest of a definition lies unless it names another place."""
    return path.with_name(bare_name(path) + ".manifest.json")


def manifest_of(read: DefinitionFile) -> Path | None:
    """Return where the compiled manifest of a definition lies: as named, or beside it if there."""
    return _found_manifest(read.keys, read.path.parent, read.path)


@contextmanager
def wrapped(definition: Definition) -> Iterator[None]:
    """Name a definition in every problem that is found on the way from it to its DAG.

    Raises:
        DefinitionError: in place of every other error that lists problems.
    """
    try:
        yield
    except (ProblemsError, OSError) as error:
        found = error.problems if isinstance(error, ProblemsError) else [error]
        raise DefinitionError(
            definition.without_secrets(f"{definition.source}: {problem}") for problem in found
        ) from error


def check_package(definition: Definition, manifest: str, sources: Mapping[str, str]) -> None:
    """Refuse a package of another state of the project; one behind a URI is the driver's to check.

    Args:
        definition: the definition, with or without a package.
        manifest: the digest of the project's manifest.
        sources: SHA-256 of the project's files.

    Raises:
        PackageError: the package is missing, or of another state.
    """
    if definition.package is None or "://" in definition.package:
        return
    from kindling_airflow.deployment.project_package import package_problems, read_info

    path = Path(definition.package)
    problems = package_problems(path, read_info(path), manifest, sources)
    if problems:
        raise PackageError(problems)


def bare_name(path: Path) -> str:
    """Return the name of a definition file without what all of them end in."""
    ending = next((ending for ending in DEFINITION_SUFFIXES if path.name.endswith(ending)), "")
    return path.name.removesuffix(ending)


def _checked(
    document: Mapping[str, Any], base: Path, source: str, read: DefinitionFile | None = None
) -> dict[str, Any]:
    """Return the keys of a document as JSON has them; raises if anything is wrong with it."""
    keys, problems = as_json(document)
    problems += read.problems if read is not None else ()
    flawed = {where for where, _ in problems}
    problems += [problem for problem in schema_problems(keys) if problem[0] not in flawed]
    wrong = {where[0] for where, _ in problems if where}
    valid = {key: value for key, value in keys.items() if key not in wrong}
    problems += _meaning_problems(valid, keys, base)
    problems += secret_problems(valid)
    if problems:
        lines, hide = read.lines if read is not None else {}, hides_secrets_of(keys)
        raise DefinitionError(hide(located(source, lines, problem)) for problem in problems)
    return keys


def _definition(
    keys: Mapping[str, Any],
    base: Path,
    source: str,
    manifest: Path | None,
    objects: tuple[Any, ...],
) -> Definition:
    project = keys["project"]
    project = {"path": project} if isinstance(project, str) else project
    schedule = keys.get("schedule")
    plain = Definition.__dataclass_fields__.keys() & keys.keys()
    arguments = {key: freeze(keys[key]) for key in sorted(plain)}
    arguments |= {
        "source": source,
        "project_root": (base / project["path"]).resolve(),
        "modules": tuple(project.get("modules", ())),
        "manifest": manifest,
        "package": _place(base, keys["package"]) if "package" in keys else None,
        "cron": cron_of(schedule),
        "every": every_of(schedule),
        "partitions": partitions_of(schedule),
        "updates": updates_of(schedule),
        "follows_inputs": schedule == ASSETS,
        "continuous": schedule == CONTINUOUS if "schedule" in keys else None,
        "duration": duration_of(keys.get("duration")),
        "memory_budget": bytes_of(keys["memory_budget"]) if "memory_budget" in keys else None,
        "start_date": start_of(keys),
        "select": _listed(keys.get("select", ())),
        "exclude": _listed(keys.get("exclude", ())),
        "settings": tuple((base / name).resolve() for name in _listed(keys.get("settings", ()))),
        "durations": (base / keys["durations"]).resolve() if "durations" in keys else None,
        "pool": keys.get("pool", _default_pool(keys)),
        "task": freeze(merged({}, {key: keys[key] for key in TASK_KEYS if key in keys})),
        "assets": _assets(keys),
        "dag_arguments": freeze({key: keys[key] for key in dag_arguments() if key in keys}),
        "objects": objects,
        "folder": base.absolute(),
    }
    return Definition(**arguments)


def _place(base: Path, place: str) -> str:
    """Return a URI as it is, and a path as an absolute one."""
    return place if "://" in place else str((base / place).resolve())


def _listed(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _assets(keys: Mapping[str, Any]) -> str | None:
    assets = keys.get("assets", True)
    if isinstance(assets, str):
        return assets.rstrip("/") or "warehouse"
    return asset_namespace(keys.get("warehouse")) if assets else None


def _found_manifest(keys: Mapping[str, Any], base: Path, path: Path | None = None) -> Path | None:
    if "manifest" in keys:
        return (base / str(keys["manifest"])).resolve()
    beside = None if path is None else manifest_beside(path)
    return beside if beside is not None and beside.is_file() else None


def _meaning_problems(
    valid: Mapping[str, Any], given: Collection[str], base: Path
) -> Iterator[Problem]:
    """Yield what a schema cannot see: problems of the valid keys, and missing keys."""
    yield from time_problems(valid, given)
    yield from meaning_problems(valid, given, valid.get("pool") or _default_pool(valid))
    if "project" in valid:
        project = valid["project"]
        folder = base / (project if isinstance(project, str) else project["path"])
        if not _is_folder(folder):
            text = f"the project folder {str(folder)!r} does not exist\n  Fix: correct the path."
            yield ("project",), text
    if "strategy" in valid:
        from kindling_airflow.execution_strategy import strategy_by_name

        try:
            strategy_by_name(valid["strategy"])
        except GraphValidationError as error:
            yield ("strategy",), str(error)
    if "dag_id" in valid and "pool" not in given and len(_default_pool(valid)) > _LONGEST_POOL:
        text = "too long to name a pool after it\n  Fix: shorten it, or name the 'pool'."
        yield ("dag_id",), text


def _default_pool(keys: Mapping[str, Any]) -> str:
    return f"kindling_{keys.get('dag_id', '')}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file system takes
        return False
