"""Definitions: what a deployment decides about one DAG, checked in full.

``definition.schema.json`` beside this module says which keys there are; editors complete from it.
All problems of a definition are reported at once, each with file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kindling_airflow.dag_factory.schema_check import as_json, definition_schema, schema_problems
from kindling_airflow.dag_factory.yaml_file import (
    DefinitionFile,
    Problem,
    located,
    read_definition_file,
)
from kindling_airflow.errors import DefinitionError, GraphValidationError
from kindling_airflow.execution_strategy import strategy_by_name
from kindling_airflow.frozen import EMPTY, FrozenDict, freeze

__all__ = ["DEFINITION_SUFFIX", "Definition", "definition_schema", "manifest_beside"]

DEFINITION_SUFFIX = ".kindling.yaml"

_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_YEARS = range(1970, 2100)  # what cron expressions and every database can count with
_LONGEST_POOL = 256


@dataclass(frozen=True, slots=True)
class Definition:
    """One DAG's definition, complete with defaults.

    Attributes:
        source: the file (or the name of the caller) that it comes from; for messages.
        project_root: absolute folder that goes on the import path.
        manifest: absolute path of the compiled manifest, if one is named or lies beside the
            definition.
        package: zip that drivers and executors take the project from: an absolute path or a URI.
        pipes: the pipes of the DAG by id; None for all of the project.
        select, exclude: which of them, in the grammar of :mod:`kindling_airflow.selection`.
        settings: files with layers of settings over the declarations, later ones win.
        cron: the schedule as a cron expression, or None for a DAG without one.
        spark: arguments of the Spark provider's operator, ``conn_id`` and ``conf`` included; the
            properties in ``conf`` are text, as spark-submit takes them.
    """

    source: str
    dag_id: str
    project_root: Path
    modules: tuple[str, ...] = ()
    manifest: Path | None = None
    package: str | None = None
    description: str | None = None
    doc_md: str | None = None
    cron: str | None = None
    start_date: datetime | None = None
    timezone: str = "UTC"
    catchup: bool = False
    max_active_runs: int = 1
    tags: tuple[str, ...] = ()
    owner: str | None = None
    strategy: str = "batch"
    pipes: tuple[str, ...] | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    settings: tuple[Path, ...] = ()
    pool: str = ""
    width: int = 4
    pool_slots: int = 1
    retries: int = 0
    retry_delay_seconds: float = 300.0
    warehouse: str | None = None
    spark: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @classmethod
    def from_file(cls, path: Path) -> Definition:
        """Read a definition file.

        Raises:
            DefinitionError: it cannot be read, is no YAML, or breaks the schema; lists every
                problem.
        """
        return cls.from_read_file(read_definition_file(path))

    @classmethod
    def from_read_file(cls, read: DefinitionFile) -> Definition:
        """Return the definition in a file that has been read; relative paths start beside it.

        Raises:
            DefinitionError: listing every problem.
        """
        keys, base = _checked(read.keys, read.path.parent, read.source, read), read.path.parent
        return _definition(keys, base, read.source, _found_manifest(keys, base, read.path))

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
        keys = _checked(document, base, source)
        return _definition(keys, base, source, _found_manifest(keys, base))


def manifest_beside(path: Path) -> Path:
    """Return where the compiled manifest of a definition lies unless it names another place."""
    return path.with_name(path.name.removesuffix(DEFINITION_SUFFIX) + ".manifest.json")


def _checked(
    document: Mapping[str, Any], base: Path, source: str, read: DefinitionFile | None = None
) -> dict[str, Any]:
    """Return the keys of a document as JSON has them; raises if anything is wrong with it."""
    keys, problems = as_json(document)
    problems += read.problems if read is not None else ()
    flawed = {where for where, _ in problems}
    problems += [problem for problem in schema_problems(keys) if problem[0] not in flawed]
    wrong = {where[0] for where, _ in problems if where}
    sound = {key: value for key, value in keys.items() if key not in wrong}
    problems += _meaning_problems(sound, keys, base)
    if problems:
        lines = read.lines if read is not None else {}
        raise DefinitionError(located(source, lines, problem) for problem in problems)
    return keys


def _definition(
    keys: Mapping[str, Any], base: Path, source: str, manifest: Path | None
) -> Definition:
    project = keys["project"]
    project = {"path": project} if isinstance(project, str) else project
    schedule = keys.get("schedule")
    plain = Definition.__dataclass_fields__.keys() & keys.keys()
    said = {key: freeze(keys[key]) for key in sorted(plain)}
    said |= {
        "source": source,
        "project_root": (base / project["path"]).resolve(),
        "modules": tuple(project.get("modules", ())),
        "manifest": manifest,
        "package": _place(base, keys["package"]) if "package" in keys else None,
        "cron": None if schedule is None else _PRESETS.get(schedule, schedule),
        "start_date": _moment(keys),
        "select": _listed(keys.get("select", ())),
        "exclude": _listed(keys.get("exclude", ())),
        "settings": tuple((base / name).resolve() for name in _listed(keys.get("settings", ()))),
        "pool": keys.get("pool", _default_pool(keys)),
        "spark": _spark(keys.get("spark", {})),
    }
    return Definition(**said)


def _place(base: Path, said: str) -> str:
    """Return a URI as it is, and a path as an absolute one."""
    return said if "://" in said else str((base / said).resolve())


def _listed(said: str | Sequence[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)


def _spark(said: Mapping[str, Any]) -> FrozenDict:
    conf = {"conf": {k: _property(v) for k, v in said["conf"].items()}} if "conf" in said else {}
    return FrozenDict(freeze({**said, **conf}))


def _property(value: Any) -> str:
    """Return a Spark property as spark-submit takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _found_manifest(keys: Mapping[str, Any], base: Path, path: Path | None = None) -> Path | None:
    if "manifest" in keys:
        return (base / str(keys["manifest"])).resolve()
    beside = None if path is None else manifest_beside(path)
    return beside if beside is not None and beside.is_file() else None


def _meaning_problems(
    sound: Mapping[str, Any], given: Collection[str], base: Path
) -> Iterator[Problem]:
    """Yield what a schema cannot see: of the sound keys, and of the lack of others."""
    yield from _time_problems(sound, given)
    if "project" in sound:
        project = sound["project"]
        folder = base / (project if isinstance(project, str) else project["path"])
        if not _is_folder(folder):
            text = f"the project folder {str(folder)!r} does not exist\n  Fix: correct the path."
            yield ("project",), text
    if "strategy" in sound:
        try:
            strategy_by_name(sound["strategy"])
        except GraphValidationError as error:
            yield ("strategy",), str(error)
    if "dag_id" in sound and "pool" not in given and len(_default_pool(sound)) > _LONGEST_POOL:
        text = "too long to name a pool after it\n  Fix: shorten it, or name the 'pool'."
        yield ("dag_id",), text


def _time_problems(sound: Mapping[str, Any], given: Collection[str]) -> Iterator[Problem]:
    zone = sound.get("timezone", "UTC")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        text = f"unknown time zone {zone!r}\n  Fix: use an IANA name, such as 'Europe/Berlin'."
        yield ("timezone",), text
    try:
        moment = _moment({**sound, "timezone": "UTC"})
    except ValueError as error:
        yield ("start_date",), f"{sound['start_date']!r} is no date: {error}"
    else:
        if moment is not None and moment.year not in _YEARS:
            text = f"{sound['start_date']!r} is not between {_YEARS[0]} and {_YEARS[-1]}"
            yield ("start_date",), text
    schedule = sound.get("schedule")
    if schedule is not None:
        problem = _cron_problem(schedule)
        if problem:
            yield ("schedule",), f"{schedule!r} is no schedule: {problem}"
        elif "start_date" not in given:
            text = (
                "a schedule needs a start_date\n  Fix: add 'start_date: 2026-01-01', a first day."
            )
            yield ("schedule",), text


def _cron_problem(schedule: str) -> str | None:
    expression = _PRESETS.get(schedule, schedule)
    if expression.startswith("@"):
        return f"unknown preset\n  Fix: use one of {', '.join(_PRESETS)}, or a cron expression."
    from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]

    chance = re.search(r"\br\b", expression.lower())  # croniter draws such a field by lot
    if len(expression.split()) != 5 or chance or not croniter.is_valid(expression):
        return "not a cron expression of five fields\n  Fix: for instance '0 3 * * *', or '@daily'."
    try:
        croniter(expression, datetime(2026, 1, 1, tzinfo=timezone.utc)).get_next()
    except CroniterBadDateError:
        return "no day fits it\n  Fix: correct the day or the month."
    return None


def _moment(keys: Mapping[str, Any]) -> datetime | None:
    said = keys.get("start_date")
    if said is None:
        return None
    zone = ZoneInfo(keys.get("timezone", "UTC"))
    moment = datetime.fromisoformat(re.sub("Z$", "+00:00", said))
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _default_pool(keys: Mapping[str, Any]) -> str:
    return f"kindling_{keys['dag_id']}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file system takes
        return False
