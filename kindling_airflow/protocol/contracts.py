"""The messages between an Airflow task and its Spark driver: the request and the report.

    task  -- RunRequest, one JSON argument ------------------------->  driver
    task  <-- RunStart, one marked line, when Spark is up -----------  driver
    task  <-- StreamNews, a marked line every 2 s, of a stream ------  driver
    task  -- SIGUSR1: drain, to the process that StreamNews names -->  driver
    task  <-- RunReport, one marked line, or a file (cluster mode) --  driver
    task  -- TaskClaim, a file while the driver is wanted ---------->  driver (cluster mode)

All carry the attempt's key, a fresh one for every try: a report counts only for the attempt that
asked for it, so nothing that an earlier driver left behind can make a later try green.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar, get_args

from kindling_airflow.common.immutable import EMPTY, canonical_json, freeze, thaw
from kindling_airflow.errors import ReportError

__all__ = [
    "CONTRACT_VERSION",
    "REPORT_MARKER",
    "START_MARKER",
    "STREAM_MARKER",
    "ExpectationReport",
    "InputReport",
    "RunFailure",
    "RunReport",
    "RunRequest",
    "RunStart",
    "StreamNews",
    "TaskClaim",
    "quality_lines",
    "report_in_line",
    "start_in_line",
    "stream_news_in_line",
]

CONTRACT_VERSION = 1
REPORT_MARKER = "KINDLING-REPORT "
START_MARKER = "KINDLING-START "
STREAM_MARKER = "KINDLING-STREAM "

Status = Literal["published", "skipped", "failed"]
Outcome = Literal["passed", "tolerated", "warned", "dropped", "failed"]
StreamState = Literal["starting", "ready", "draining"]
T = TypeVar("T")


M = TypeVar("M", bound="_Message")


class _Message:
    """A record that travels as one line of JSON."""

    __slots__ = ()
    what: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the message as a JSON document."""
        own: Any = self
        return {"version": CONTRACT_VERSION, **asdict(own)}

    def dumps(self) -> str:
        """Return the message as one line of JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def loads(cls: type[M], text: str) -> M:
        """Read a message.

        Raises:
            ReportError: the text is not such a message of this version.
        """
        return _build(cls, _document(text, cls.what), cls.what)


class _Line(_Message):
    """A message that a driver writes to its standard output, behind a marker."""

    __slots__ = ()
    marker: ClassVar[str]

    def line(self) -> str:
        """Return the marked line."""
        return self.marker + self.dumps()


@dataclass(frozen=True, slots=True)
class RunRequest(_Message):
    """What a driver is asked to do.

    Attributes:
        attempt_key: the id of this attempt; a fresh one each time.
        pipe_id: the pipe to run.
        project_root: the folder that goes on the driver's import path.
        modules: what to import for the declarations.
        warehouse: root of the entities' tables, a path or URI.
        plan_digest: the plan that the task was compiled from.
        run_id, dag_id, task_id, try_number: the Airflow task instance.
        interval_start, interval_end: the run's data interval, ISO 8601, or None where it has none.
        settings: what the deployment lays over the declarations that the modules make.
        parameters: what the run was started with, by name; of JSON types, and no place for secrets.
        attempt_order: orders the attempts of one task instance: a later one's is greater. With
            "" nothing is compared.
        report_path: where the driver also writes its report, because its output does not reach the
            task; or "".
        package: digest of the manifest whose package the project is taken from, in place of the
            folder; or "".
        on_missing_interval: what a run without an interval does: ``full`` (all rows, all slices),
            ``fail``, or ``run_after``, for which the task has found an interval.
        stream: how a stream runs: its ``lifetime``, and ``checkpoints``, the root of checkpoints or
            "" for the warehouse's own; empty for a batch run.
        code_digest: the project's code, as the task was compiled for it; "" where it is not known.
        code_roots: what a driver looks at for it, see
            :func:`kindling_airflow.manifest.project_code.code_roots`.
        code_drift: what a driver does that imports other code: ``warn``, ``fail`` or ``ignore``.
        claim: the claim that the task has written for this attempt: its ``path``, ``lease``
            (seconds after which it lapses unless it is renewed) and ``patience`` (seconds that the
            driver waits for a lapsed one to be renewed); empty where the driver writes its own.
        session: for a driver that pipes of several tasks share: its ``name``, its ``pipes``, and
            ``host``, where it listens; empty for a driver of one pipe.
        usual: ``runs``, earlier runs of the pipe that this one is compared with, oldest first: the
            seconds, the rows and the seconds of the data interval of each.
    """

    what: ClassVar[str] = "run request"
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
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    parameters: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    attempt_order: str = ""
    report_path: str = ""
    package: str = ""
    on_missing_interval: str = "full"
    stream: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    code_digest: str = ""
    code_roots: tuple[str, ...] = ()
    code_drift: str = "warn"
    claim: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    session: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    usual: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class TaskClaim(_Message):
    """What a task writes into a claim: enough for its next try to take up the driver.

    Attributes:
        attempt_key: the key of the request.
        report_path: where the driver writes its report.
        max_tries: Airflow's number of tries, which is raised when a task is cleared.
        plan_digest, code_digest: the plan and the project's code of the request.
        earlier: the claims that were there when the attempt began; of a stream only.
    """

    what: ClassVar[str] = "claim"
    attempt_key: str
    report_path: str
    max_tries: int = -1
    plan_digest: str = ""
    code_digest: str = ""
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunStart(_Line):
    """A driver has started: Spark's name for the run, and where its user interface is, or ""."""

    what: ClassVar[str] = "run start"
    marker: ClassVar[str] = START_MARKER
    attempt_key: str
    application_id: str
    ui_url: str = ""


@dataclass(frozen=True, slots=True)
class StreamNews(_Line):
    """The state of a stream; sent every few seconds, so that silence means a lost driver.

    Attributes:
        attempt_key: the key of the request.
        state: ``starting``, ``ready`` (it takes in data) or ``draining``.
        pid: the process to which SIGUSR1 is sent for the stream to drain.
        progress: numbers of the query: ``batch_id``, ``batches``, ``rows_in`` (since this driver
            began), ``rows_per_second``, ``input_rows_per_second``, ``lag`` (how far it is behind
            its source), ``state_rows``, ``state_bytes``, ``last_progress`` (ISO 8601),
            ``idle_seconds``, and ``status``, Spark's own words. What is not known is null.
    """

    what: ClassVar[str] = "stream news"
    marker: ClassVar[str] = STREAM_MARKER
    attempt_key: str
    state: StreamState
    pid: int
    progress: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class InputReport:
    """One input of a run; ``rows`` is None where counting would have cost a pass over the data."""

    entity_id: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ExpectationReport:
    """The outcome of one expectation.

    Attributes:
        name: the expectation.
        expects: what was expected, human-readable.
        on_violation: what was to happen otherwise, under the deployment's settings.
        outcome: ``passed`` (no violation), ``tolerated`` (not more than the declaration puts up
            with), ``warned``, ``dropped`` (the violating rows were left out) or ``failed``.
        rows: how many rows were looked at: those of the output, and for ``drop`` also those that
            were left out.
        violations: how many of them violate it; None where it is about the number of rows.
    """

    name: str
    expects: str
    on_violation: str
    outcome: Outcome
    rows: int
    violations: int | None = None


@dataclass(frozen=True, slots=True)
class RunFailure:
    """Why a pipe failed: the error's class, its text, and the traceback from the user's code on."""

    type: str
    message: str
    traceback: str = ""

    @property
    def place(self) -> str:
        """The last of the user's own lines, as ``a.py:3, in f``; "" without a traceback."""
        frames = [f"{at['file']}:{at['line']}, in {at['name']}" for at in _frames(self.traceback)]
        return frames[-1] if frames else ""


_frames = re.compile(
    r'^  File "(?P<file>[^"\n]+)", line (?P<line>[0-9]+), in (?P<name>.+)$', re.MULTILINE
).finditer


@dataclass(frozen=True, slots=True)
class RunReport(_Line):
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
        expectations: the outcome of each, in the order of the declaration; empty if the run did
            not come so far.
        extra: further facts, of JSON types.
        code_digest: the code of the project that the driver imported; "" where it is not known.
    """

    what: ClassVar[str] = "run report"
    marker: ClassVar[str] = REPORT_MARKER
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
    expectations: tuple[ExpectationReport, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    code_digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON document; this is the task's XCom."""
        document = _Message.to_json(self)
        document["inputs"] = [asdict(item) for item in self.inputs]
        document["expectations"] = [asdict(item) for item in self.expectations]
        document["extra"] = thaw(self.extra)
        return document


_REMEDY = "  Fix: use the same release of airflow-provider-kindling on workers and in the driver."


def _document(text: str, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
        canonical_json(document)  # refuses NaN and infinities, which Python reads but JSON has not
        document = freeze(document)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"the {what} is not a JSON document: {error}") from error
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is not int or version != CONTRACT_VERSION:
        raise ReportError(f"the {what} is not of version {CONTRACT_VERSION}\n{_REMEDY}")
    return dict(document)


def _build(cls: type[T], document: Any, what: str) -> T:
    """Return the record in a document; fields that this release does not know are ignored."""
    if not isinstance(document, dict):
        raise ReportError(f"the {what} must be an object, not {document!r}\n{_REMEDY}")
    found: dict[str, Any] = {}
    problems = []
    for item in fields(cls):  # type: ignore[arg-type]
        description, fits = _FITS[str(item.type)]
        if item.name not in document:
            if item.default is MISSING and item.default_factory is MISSING:
                problems.append(f"{item.name} is missing")
        elif fits(document[item.name]):
            found[item.name] = document[item.name]
        else:
            problems.append(f"{item.name} must be {description}, not {document[item.name]!r}")
    if problems:
        raise ReportError(f"the {what} is wrong: {'; '.join(problems)}\n{_REMEDY}")
    if found.get("inputs"):
        found["inputs"] = tuple(_build(InputReport, i, f"{what}'s input") for i in found["inputs"])
    if found.get("expectations"):
        found["expectations"] = tuple(
            _build(ExpectationReport, e, f"{what}'s expectation") for e in found["expectations"]
        )
    if found.get("error") is not None:
        found["error"] = _build(RunFailure, found["error"], f"{what}'s error")
    return cls(**found)


# By the fields' annotations: what a value must be, and whether it is.
_FITS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("a string", lambda v: type(v) is str),
    "str | None": ("a string or null", lambda v: v is None or type(v) is str),
    "int": ("a whole number", lambda v: type(v) is int),
    "int | None": ("a whole number or null", lambda v: v is None or type(v) is int),
    "float": ("a number", lambda v: type(v) in (int, float)),
    "Status": ("one of " + ", ".join(get_args(Status)), lambda v: v in get_args(Status)),
    "StreamState": (
        "one of " + ", ".join(get_args(StreamState)),
        lambda v: v in get_args(StreamState),
    ),
    "Outcome": ("one of " + ", ".join(get_args(Outcome)), lambda v: v in get_args(Outcome)),
    "Mapping[str, Any]": ("an object", lambda v: isinstance(v, dict)),
    "tuple[str, ...]": (
        "a list of strings",
        lambda v: type(v) is tuple and all(type(item) is str for item in v),
    ),
    "tuple[InputReport, ...]": ("a list", lambda v: type(v) is tuple),
    "tuple[ExpectationReport, ...]": ("a list", lambda v: type(v) is tuple),
    "RunFailure | None": ("an object or null", lambda v: v is None or isinstance(v, dict)),
}


def quality_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the expectations of a report, as a JSON document, that did not simply pass.

    >>> bad = {"name": "key", "expects": "id is unique", "outcome": "warned"}
    >>> quality_lines({"expectations": [{**bad, "violations": 3, "rows": 1000}]})
    ["expectation 'key' warned (id is unique): 3 of 1,000 rows (0.3 %)"]
    """
    return [
        f"expectation {item['name']!r} {item['outcome']} ({item['expects']}): {counted_text(item)}"
        for item in report.get("expectations") or ()
        if item["outcome"] != "passed"
    ]


def counted_text(item: Mapping[str, Any]) -> str:
    """Return the counts of an :class:`ExpectationReport`, as a JSON document, human-readable."""
    rows, violations = item["rows"], item["violations"]
    if violations is None:
        return f"{rows:,} rows"
    return f"{violations:,} of {rows:,} rows ({100 * violations / max(rows, 1):.3g} %)"


def report_in_line(line: str) -> str | None:
    """Return the JSON text of the report in a line of driver output, or None where there is none.

    The marker may follow other text, because user code may print without a line end.
    """
    return _behind(REPORT_MARKER, line)


def start_in_line(line: str) -> str | None:
    """Return the JSON text of the driver's start in a line of its output, or None."""
    return _behind(START_MARKER, line)


def stream_news_in_line(line: str) -> str | None:
    """Return the JSON text of a stream's news in a line of its driver's output, or None."""
    return _behind(STREAM_MARKER, line)


def _behind(marker: str, line: str) -> str | None:
    _, found, text = line.partition(marker)
    return text.strip() if found else None
