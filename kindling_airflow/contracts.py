"""What crosses the wire between an Airflow task and its Spark driver: the request and the report.

    task  -- RunRequest, one JSON argument ------------------>  driver
    task  <-- RunReport, one marked line on standard output --  driver

Both carry the attempt's key, a fresh one for every try: a report counts only for the attempt that
asked for it, so nothing that an earlier driver left behind can make a later try green.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

from kindling_airflow.errors import ReportError
from kindling_airflow.frozen import EMPTY, canonical_json

__all__ = [
    "CONTRACT_VERSION",
    "REPORT_MARKER",
    "InputReport",
    "RunFailure",
    "RunReport",
    "RunRequest",
    "escape_component",
    "report_in_line",
]

CONTRACT_VERSION = 1
REPORT_MARKER = "KINDLING-REPORT "

_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]")
_LONGEST_COMPONENT = 150

Status = Literal["published", "skipped", "failed"]
T = TypeVar("T", bound="RunRequest | RunReport")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a driver is asked to do.

    Attributes:
        attempt_key: names this try of this task; a fresh one each time.
        pipe_id: the pipe to run.
        project_root: the folder that goes on the driver's import path.
        modules: what to import for the declarations.
        warehouse: root of the entities' tables, a path or URI.
        plan_digest: the plan that the task was compiled from.
        run_id, dag_id, task_id, try_number: the Airflow task instance.
        interval_start, interval_end: the run's data interval, ISO 8601, or None where it has none.
    """

    attempt_key: str
    pipe_id: str
    project_root: str
    modules: tuple[str, ...]
    warehouse: str
    plan_digest: str = ""
    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    try_number: int = 1
    interval_start: str | None = None
    interval_end: str | None = None

    def dumps(self) -> str:
        """Return the request as one line of JSON."""
        return canonical_json({"version": CONTRACT_VERSION, **asdict(self)})

    @classmethod
    def loads(cls, text: str) -> RunRequest:
        """Read a request.

        Raises:
            ReportError: the text is no request of this version.
        """
        document = _document(text, "run request")
        document["modules"] = tuple(document.get("modules") or ())
        return _build(cls, document, "run request")


@dataclass(frozen=True, slots=True)
class InputReport:
    """One input of a run; ``rows`` is None where counting would have cost a pass over the data."""

    entity_id: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class RunFailure:
    """Why a pipe failed: the error's class, its text, and the traceback from the user's code on."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a driver did.

    Attributes:
        attempt_key: the key of the request.
        pipe_id: the pipe.
        status: ``published`` (the output is in place), ``skipped`` (nothing to do) or ``failed``.
        output_entity_id, location: what was written, and where.
        rows_written: rows in the published output; None unless published.
        inputs: what was read, in the order of the declaration.
        duration_seconds: from the start of the driver's Python to the end of publishing.
        application_id: Spark's own name for the run.
        plan_digest: from the request.
        reason: why it was skipped.
        error: why it failed.
    """

    attempt_key: str
    pipe_id: str
    status: Status
    output_entity_id: str = ""
    location: str = ""
    rows_written: int | None = None
    inputs: tuple[InputReport, ...] = ()
    duration_seconds: float = 0.0
    application_id: str = ""
    plan_digest: str = ""
    reason: str = ""
    error: RunFailure | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON document; this is the task's XCom."""
        document = asdict(self)
        document["inputs"] = [asdict(item) for item in self.inputs]
        document["extra"] = dict(self.extra)
        return {"version": CONTRACT_VERSION, **document}

    def line(self) -> str:
        """Return the marked line that goes to the driver's standard output."""
        return REPORT_MARKER + canonical_json(self.to_json())

    @classmethod
    def loads(cls, text: str) -> RunReport:
        """Read a report.

        Raises:
            ReportError: the text is no report of this version.
        """
        document = _document(text, "run report")
        try:
            document["inputs"] = tuple(InputReport(**item) for item in document.get("inputs", ()))
            error = document.get("error")
            document["error"] = RunFailure(**error) if error is not None else None
        except (TypeError, AttributeError) as error:
            raise ReportError(f"the run report has unexpected fields: {error}") from error
        return _build(cls, document, "run report")


def _document(text: str, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"the {what} is no JSON document: {error}") from error
    if not isinstance(document, dict) or document.pop("version", None) != CONTRACT_VERSION:
        raise ReportError(
            f"the {what} is not of version {CONTRACT_VERSION}\n"
            "  Fix: use the same release of airflow-provider-kindling on workers and in the driver."
        )
    return document


def _build(cls: type[T], document: Mapping[str, Any], what: str) -> T:
    known = {item.name for item in fields(cls)}
    try:
        return cls(**{key: value for key, value in document.items() if key in known})
    except TypeError as error:
        raise ReportError(f"the {what} is incomplete: {error}") from error


def report_in_line(line: str) -> str | None:
    """Return the JSON text of the report in a line of driver output, or None where there is none.

    The marker may stand behind other text, because user code may print without a line end.
    """
    _, marker, text = line.partition(REPORT_MARKER)
    return text.strip() if marker else None


def escape_component(text: str, *, longest: int = _LONGEST_COMPONENT) -> str:
    """Return a string as one harmless path component; different strings give different ones.

    Unsafe characters, a leading dot or underscore (Spark hides such paths) and ``%`` are
    percent-encoded; what is longer than ``longest`` is cut and gets its digest.

    >>> escape_component("silver.orders"), escape_component("../a b"), escape_component("_x")
    ('silver.orders', '%2E.%2Fa%20b', '%5Fx')
    """
    encoded = _UNSAFE.sub(lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), text)
    if encoded[:1] in (".", "_"):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) <= longest:
        return encoded

    return (
        f"{encoded[: longest - 20].rstrip('%')}%%{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    )
