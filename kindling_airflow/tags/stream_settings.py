"""The settings of a streaming pipe's query, from its tags: no Spark needed.

    processing_mode: streaming     its driving input, the first, is read as a stream
    stream.trigger: 10s            when the query takes its next batch
    stream.watermark: at 10m       how late rows of the driving input may be, by which column
    stream.option.maxFilesPerTrigger: 100    an option of the reader of the driving input

Whether they fit the entities of a plan is for :mod:`kindling_airflow.tags.stream_checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from kindling_airflow.common.durations import seconds_of
from kindling_airflow.common.immutable import EMPTY, FrozenDict
from kindling_airflow.common.path_names import escape_component
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags import names as n
from kindling_airflow.tags.registry import REGISTRY, tag_row

__all__ = [
    "LIFETIMES",
    "STREAM_PREFIX",
    "STREAM_TAGS",
    "Lifetime",
    "OutputMode",
    "StreamSettings",
    "StreamTrigger",
    "is_stream",
    "mode_of",
    "read_settings",
]

STREAM_PREFIX = "stream."

Lifetime = Literal["continuous", "bounded", "available_now"]
LIFETIMES: tuple[Lifetime, ...] = get_args(Lifetime)
OutputMode = Literal["append", "update", "complete"]
OUTPUT_MODES: tuple[OutputMode, ...] = get_args(OutputMode)
TriggerKind = Literal["default", "processing_time", "available_now", "continuous"]
D = TypeVar("D")
T = TypeVar("T")

STREAM_TAGS = tuple(
    row.name
    for row in REGISTRY
    if row.name.startswith(STREAM_PREFIX) and not row.name.endswith(".")
)
"""The tags of a streaming pipe, those of its reader's options aside."""

SHORTEST_SILENCE = 10.0
_WRITE_A_DURATION = "  Fix: write a number of milliseconds, seconds, minutes, hours or days: "


@dataclass(frozen=True, slots=True)
class StreamTrigger:
    """When a query takes its next batch.

    Attributes:
        kind: ``default`` (as soon as the previous one has ended), ``processing_time`` (every so
            many seconds), ``available_now`` (the available data, then it ends), ``continuous``
            (row by row, with a checkpoint every so many seconds).
        seconds: of the kinds that have any.
    """

    kind: TriggerKind = "default"
    seconds: float | None = None

    def __str__(self) -> str:
        """Return when a batch is taken, human-readable."""
        every = "" if self.seconds is None else f"{self.seconds:g} s"
        texts = {
            "default": "as soon as the previous one has ended",
            "processing_time": f"every {every}",
            "available_now": "of the available data, then it ends",
            "continuous": f"row by row, with a checkpoint every {every}",
        }
        return texts[self.kind]


def _default(tag: str) -> float:
    return seconds_of(tag_row("pipe", tag).default.strip("`"))


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The settings of a streaming pipe's query.

    Attributes:
        trigger: when it takes its next batch.
        output_mode: what of a batch's result goes to the output: new rows (``append``), changed
            rows (``update``), or the whole result (``complete``).
        watermark_column, watermark_delay: the column of event times of the driving input, and how
            many seconds late a row may be; None without a watermark.
        checkpoint: its path: relative to the root of checkpoints, or absolute.
        starting_offsets: where it begins when there is no checkpoint; None for the reader's
            default.
        options: options of the driving input's reader.
        ready_timeout: seconds that it may take from its start until it is ready.
        drain_timeout: seconds that it may take to process the available data when it is to stop.
        stall_timeout: seconds without progress, while its source has more, after which it counts
            as stalled; 0 for never.
        silence_timeout: seconds without a line from its driver, after its first report, after which
            the driver is killed; until then it has ``ready_timeout``. 0 for never.
    """

    trigger: StreamTrigger = StreamTrigger()
    output_mode: OutputMode = "append"
    watermark_column: str | None = None
    watermark_delay: float | None = None
    checkpoint: str = ""
    starting_offsets: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    ready_timeout: float = _default(n.READY_TIMEOUT_TAG)
    drain_timeout: float = _default(n.DRAIN_TIMEOUT_TAG)
    stall_timeout: float = _default(n.STALL_TIMEOUT_TAG)
    silence_timeout: float = _default(n.SILENCE_TIMEOUT_TAG)

    @classmethod
    def of(cls, pipe: PipeMetadata) -> StreamSettings:
        """Return the settings of a streaming pipe.

        Raises:
            DeclarationError: its tags are not valid; lists every problem.
        """
        settings, problems = read_settings(pipe.pipeid, pipe.tags)
        if problems:
            raise DeclarationError(problems)
        return settings

    def text(self, checkpoints: str = "") -> str:
        """Return what the query does, human-readable.

        Args:
            checkpoints: the root of checkpoints; "" where it is not known.
        """
        place, root = self.checkpoint, checkpoints.rstrip("/")
        if root and not (place.startswith("/") or "://" in place):
            place = f"{root}/{place}"
        late = (
            f"; rows may be {self.watermark_delay:g} s late by {self.watermark_column}"
            if self.watermark_delay is not None
            else ""
        )
        return f"a batch {self.trigger}; writes by {self.output_mode}{late}; checkpoint {place}"


def is_stream(tags: Mapping[str, Any]) -> bool:
    """Return whether the pipe with these tags is a streaming pipe."""
    return bool(mode_of(tags) == "streaming")


def mode_of(tags: Mapping[str, Any]) -> Any:
    """Return the tag ``processing_mode`` in lower case; None without it."""
    value = tags.get(n.MODE_TAG)
    return value.lower() if isinstance(value, str) else value


def read_settings(pipe_id: str, tags: Mapping[str, Any]) -> tuple[StreamSettings, list[str]]:
    """Return a streaming pipe's settings, and what is wrong with its tags.

    Tags that cannot be read count as not set.
    """
    reading = _Reading(pipe_id, tags)
    usual = StreamSettings()
    watermark = reading.read(n.WATERMARK_TAG, _watermark, (None, None))
    settings = StreamSettings(
        trigger=reading.read(n.TRIGGER_TAG, _trigger, usual.trigger),
        output_mode=reading.read(n.OUTPUT_MODE_TAG, _output_mode, usual.output_mode),
        watermark_column=watermark[0],
        watermark_delay=watermark[1],
        checkpoint=reading.read(n.CHECKPOINT_TAG, _checkpoint, escape_component(pipe_id)),
        starting_offsets=reading.read(n.OFFSETS_TAG, _offsets, None),
        options=reading.options(),
        ready_timeout=reading.read(n.READY_TIMEOUT_TAG, _time_limit, usual.ready_timeout),
        drain_timeout=reading.read(n.DRAIN_TIMEOUT_TAG, _time_limit, usual.drain_timeout),
        stall_timeout=reading.read(n.STALL_TIMEOUT_TAG, _duration, usual.stall_timeout),
        silence_timeout=reading.read(n.SILENCE_TIMEOUT_TAG, _silence, usual.silence_timeout),
    )
    return settings, reading.problems


class _Reading:
    """One pipe's tags, with the problems of those that were read."""

    def __init__(self, pipe_id: str, tags: Mapping[str, Any]) -> None:
        self.where = f"pipe {pipe_id!r}"
        self.tags = tags
        self.problems = [
            f"{self.where}: unknown tag {key!r}.{did_you_mean(key, STREAM_TAGS)}\n"
            f"  Fix: use one of {', '.join((*STREAM_TAGS, n.STREAM_OPTION_TAGS + 'NAME'))}."
            for key in tags
            if key.startswith(STREAM_PREFIX) and key not in STREAM_TAGS and not _is_option(key)
        ]

    def read(self, tag: str, read: Callable[[Any], T], default: D) -> T | D:
        """Return a tag's value; the default where it is missing or cannot be read."""
        if tag not in self.tags:
            return default
        try:
            return read(self.tags[tag])
        except ValueError as error:
            self.problems.append(f"{self.where}: tag {tag} is {self.tags[tag]!r}\n{error}")
            return default

    def options(self) -> FrozenDict:
        """Return the reader's options as Spark takes them: as text."""
        found: dict[str, str] = {}
        for key, value in self.tags.items():
            if not _is_option(key):
                continue
            if isinstance(value, (str, int, float)):
                text = str(value)
                text = text.lower() if value in (True, False) else text
                found[key.removeprefix(n.STREAM_OPTION_TAGS)] = text
            else:
                self.problems.append(
                    f"{self.where}: tag {key} is {value!r}\n"
                    "  Fix: write text, a number, true or false."
                )
        return FrozenDict(found)


def _is_option(key: str) -> bool:
    return key.startswith(n.STREAM_OPTION_TAGS) and key != n.STREAM_OPTION_TAGS


def _duration(value: object) -> float:
    try:
        return seconds_of(value)
    except ValueError:
        raise ValueError(f"{_WRITE_A_DURATION}'30s', '10m'.") from None


def _time_limit(value: object) -> float:
    limit = _duration(value)
    if limit == 0:
        raise ValueError("  Fix: write a duration above 0, such as '10m'.")
    return limit


def _silence(value: object) -> float:
    limit = _duration(value)
    if 0 < limit < SHORTEST_SILENCE:
        raise ValueError(
            "  Fix: write '10s' or more, because a driver reports every two seconds and may be "
            "late, or '0s' for never."
        )
    return limit


def _trigger(value: object) -> StreamTrigger:
    if value in ("default", "available_now"):
        return StreamTrigger(value)
    kind, _, rest = str(value).rpartition(" ")
    try:
        seconds = seconds_of(rest)
    except ValueError:
        seconds = 0.0
    if seconds > 0 and kind == "":
        return StreamTrigger("processing_time", seconds)
    if seconds > 0 and kind == "continuous":
        return StreamTrigger("continuous", seconds)
    raise ValueError(
        "  Fix: write 'default', a duration such as '10s', 'available_now', or 'continuous 1s'."
    )


def _output_mode(value: object) -> OutputMode:
    for mode in OUTPUT_MODES:
        if value == mode:
            return mode
    raise ValueError(f"  Fix: use one of {', '.join(OUTPUT_MODES)}.")


def _watermark(value: object) -> tuple[str, float]:
    column, _, delay = str(value).rpartition(" ")
    try:
        seconds = seconds_of(delay)
    except ValueError:
        column, seconds = "", 0.0
    if not column.strip():
        raise ValueError(
            "  Fix: write a column and how late its rows may be, such as 'event_time 10m'."
        )
    return column.strip(), seconds


def _checkpoint(value: object) -> str:
    path = value.rstrip("/") if isinstance(value, str) else ""
    if not path.strip():
        raise ValueError(
            "  Fix: write a path beneath the root of checkpoints, an absolute path or a URI."
        )
    if ".." in path.split("/"):
        raise ValueError("  Fix: write a path without '..'.")
    return path


def _offsets(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise ValueError(
            "  Fix: write 'earliest', 'latest', or a position of the driving input's type: JSON "
            "for kafka, a version or a timestamp for delta."
        )
    return str(value)
