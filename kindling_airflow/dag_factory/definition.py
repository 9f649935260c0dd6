"""Definition files: what a deployment decides about one DAG, checked against the published schema.

``definition.schema.json`` beside this module is that schema; editors complete from it. All problems
of a file are reported at once, each with file, line and key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from kindling_airflow.errors import DefinitionError, did_you_mean
from kindling_airflow.frozen import EMPTY, FrozenDict, freeze

__all__ = ["Definition", "definition_schema", "manifest_beside", "read_document"]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """One DAG's definition, complete with defaults.

    Attributes:
        source: the file (or the name of the caller) that it comes from; for messages.
        project_root: absolute folder that goes on the import path.
        manifest: absolute path of the compiled manifest, if one is named or lies beside the
            definition.
        cron: the schedule as a cron expression, or None for a DAG without one.
        spark: arguments of the Spark provider's operator, ``conn_id`` and ``conf`` included.
    """

    source: str
    dag_id: str
    project_root: Path
    modules: tuple[str, ...] = ()
    manifest: Path | None = None
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
        return cls.from_document(read_document(path), base=path.parent, source=str(path), path=path)

    @classmethod
    def from_document(
        cls,
        document: Mapping[str, Any],
        *,
        base: Path,
        source: str,
        path: Path | None = None,
    ) -> Definition:
        """Return the definition that a document makes.

        Args:
            document: the keys of a definition file.
            base: the folder that relative paths start from.
            source: what messages call the document.
            path: its file, for line numbers and for the manifest beside it.

        Raises:
            DefinitionError: listing every problem.
        """
        plain = _plain(document)
        lines = _line_numbers(path) if path is not None else {}
        problems = [
            _located(source, lines, where, text) for where, text in (*_schema_problems(plain),)
        ]
        if not problems:
            problems = [
                _located(source, lines, where, text)
                for where, text in _meaning_problems(plain, base)
            ]
        if problems:
            raise DefinitionError(problems)
        project = plain["project"]
        project = {"path": project} if isinstance(project, str) else project
        said = {
            key: plain[key]
            for key in plain
            if key in cls.__dataclass_fields__ and key != "manifest"
        }
        said |= {
            "tags": tuple(plain.get("tags", ())),
            "pipes": tuple(plain["pipes"]) if "pipes" in plain else None,
            "pool": plain.get("pool", f"kindling_{plain['dag_id']}"),
            "spark": FrozenDict(freeze(plain.get("spark", {}))),
            "start_date": _moment(plain),
        }
        schedule = plain.get("schedule")
        return cls(
            source=source,
            project_root=(base / project["path"]).resolve(),
            modules=tuple(project.get("modules", ())),
            manifest=_manifest_path(plain, base, path),
            cron=_PRESETS.get(schedule, schedule) if schedule else None,
            **said,
        )


def read_document(path: Path) -> Mapping[str, Any]:
    """Return the YAML mapping in a file.

    Raises:
        DefinitionError: the file cannot be read, or holds no YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.load(text, _Loader)  # noqa: S506 (it is a safe loader, in C where there is one)
    except OSError as error:
        raise DefinitionError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        what = " ".join(str(getattr(error, "problem", None) or error).split())
        problem = (
            f"{path}{line}: this is no valid YAML: {what}\n"
            "  Fix: look at this line and the one before."
        )
        raise DefinitionError([problem]) from error
    if not isinstance(document, dict):
        problem = (
            f"{path}: a definition is a mapping of keys, not {type(document).__name__}\n"
            "  Fix: start with 'dag_id: ...' and 'project: ...'."
        )
        raise DefinitionError([problem])
    return document


@lru_cache(maxsize=1)
def definition_schema() -> dict[str, Any]:
    """Return the published JSON Schema of definition files."""
    text = (
        files("kindling_airflow.dag_factory").joinpath("definition.schema.json").read_text("utf-8")
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


Where = tuple[str | int, ...]


def _schema_problems(document: Mapping[str, Any]) -> Iterator[tuple[Where, str]]:
    for error in Draft202012Validator(definition_schema()).iter_errors(document):
        yield from _explained(error)


def _explained(error: ValidationError) -> Iterator[tuple[Where, str]]:
    where: Where = tuple(error.absolute_path)
    if error.validator == "oneOf" and error.context:
        deepest = [e for e in error.context if e.validator != "type"] or list(error.context)
        for inner in deepest:
            yield from _explained(inner)
    elif error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                hint = did_you_mean(str(key), known) or f" Known keys: {', '.join(known)}."
                yield (*where, key), f"unknown key {key!r}.{hint}"
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        for key in missing:
            yield where, f"key {key!r} is missing\n  Fix: add '{key}: ...'."
    elif error.validator == "type":
        wanted = error.validator_value
        wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
        hint = "\n  Fix: write it as a list: [...]." if wanted == "array" else ""
        yield where, f"must be of type {wanted}, not {error.instance!r}{hint}"
    else:
        yield where, error.message


def _meaning_problems(document: Mapping[str, Any], base: Path) -> Iterator[tuple[Where, str]]:
    """Yield what a schema cannot see."""
    timezone = document.get("timezone", "UTC")
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        yield (
            ("timezone",),
            f"unknown time zone {timezone!r}\n  Fix: use an IANA name, 'Europe/Berlin'.",
        )
    try:
        _moment({**document, "timezone": "UTC"})
    except ValueError as error:
        yield ("start_date",), f"{document['start_date']!r} is no date: {error}"
    schedule = document.get("schedule")
    if schedule is not None:
        problem = _cron_problem(_PRESETS.get(schedule, schedule))
        if problem:
            yield ("schedule",), f"{schedule!r} is no schedule: {problem}"
        elif "start_date" not in document:
            text = (
                "a schedule needs a start_date\n  Fix: add 'start_date: 2026-01-01', the first day."
            )
            yield ("schedule",), text
    project = document["project"]
    folder = base / (project if isinstance(project, str) else project["path"])
    if not folder.is_dir():
        yield (
            ("project",),
            f"the project folder {str(folder)!r} does not exist\n  Fix: correct the path.",
        )
    if "manifest" in document and not (base / document["manifest"]).is_file():
        yield (
            ("manifest",),
            f"there is no manifest {document['manifest']!r}\n  Fix: compile it first.",
        )


def _cron_problem(expression: str) -> str | None:
    if expression.startswith("@"):
        return f"unknown preset\n  Fix: use one of {', '.join(_PRESETS)}, or a cron expression."
    from croniter import croniter

    if not croniter.is_valid(expression):
        return "not a cron expression of five fields\n  Fix: for instance '0 3 * * *', or '@daily'."
    return None


def _moment(document: Mapping[str, Any]) -> datetime | None:
    said = document.get("start_date")
    if said is None:
        return None
    moment = datetime.fromisoformat(said)
    return moment.replace(tzinfo=ZoneInfo(document.get("timezone", "UTC")))


def _manifest_path(document: Mapping[str, Any], base: Path, path: Path | None) -> Path | None:
    if "manifest" in document:
        return (base / document["manifest"]).resolve()
    if path is None:
        return None
    beside = manifest_beside(path)
    return beside if beside.is_file() else None


def manifest_beside(path: Path) -> Path:
    """Return where the compiled manifest of a definition lies unless it names another place."""
    return path.with_name(path.name.split(".")[0] + ".manifest.json")


def _plain(value: Any) -> Any:
    """Return YAML values as JSON has them: dates as ISO text, keys as strings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def _located(source: str, lines: Mapping[Where, int], where: Where, text: str) -> str:
    line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), None)
    key = ".".join(map(str, where))
    return f"{source}{f':{line}' if line else ''}: {f'{key}: ' if key else ''}{text}"


def _line_numbers(path: Path) -> dict[Where, int]:
    """Return the line of each key in a YAML file."""
    lines: dict[Where, int] = {}
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, yaml.YAMLError):
        return lines
    todo: list[tuple[Where, Any]] = [((), root)]
    while todo:
        where, node = todo.pop()
        children: Sequence[tuple[Any, Any]] = ()
        if isinstance(node, yaml.MappingNode):
            children = [(key.value, (key, value)) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [(n, (value, value)) for n, value in enumerate(node.value)]
        for step, (marked, value) in children:
            lines[(*where, step)] = marked.start_mark.line + 1
            todo.append(((*where, step), value))
    return lines
