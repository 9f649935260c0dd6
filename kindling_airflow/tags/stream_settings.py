"""What a streaming pipe's tags say of its query, read once: no Spark needed.

    processing_mode: streaming     its driving input, the first, is read as a stream
    stream.trigger: 10s            when the query takes its next batch
    stream.watermark: at 10m       how late rows of the driving input may be, by which column
    stream.option.maxFilesPerTrigger: 100    an option of the reader of the driving input

What is wrong with them for the entities of a plan is found in
:mod:`kindling_airflow.tags.stream_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from kindling_airflow.common.immutable import EMPTY, FrozenDict
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError, did_you_mean
from kindling_airflow.protocol.contracts import escape_component

__all__ = [
    "LIFETIMES",
    "MODE_TAG",
    "OPTION_TAG",
    "OUTPUT_MODES",
    "STREAM_TAGS",
    "Lifetime",
    "OutputMode",
    "StreamSettings",
    "StreamTrigger",
    "is_stream",
    "mode_of",
    "read_settings",
    "seconds_of",
]

MODE_TAG = "processing_mode"
PREFIX = "stream."
OPTION_TAG = "stream.option."

Lifetime = Literal["continuous", "bounded", "available_now"]
LIFETIMES: tuple[Lifetime, ...] = get_args(Lifetime)
OutputMode = Literal["append", "update", "complete"]
OUTPUT_MODES: tuple[OutputMode, ...] = get_args(OutputMode)
TriggerKind = Literal["default", "processing_time", "available_now", "continuous"]
D = TypeVar("D")
T = TypeVar("T")

STREAM_TAGS = (
    *("stream.trigger", "stream.output_mode", "stream.watermark", "stream.checkpoint"),
    *("stream.starting_offsets", "stream.ready_timeout", "stream.drain_timeout"),
    *("stream.stall_timeout", "stream.silence_timeout"),
)
"""The tags of a streaming pipe, those of its reader's options aside."""

SHORTEST_SILENCE = 10.0
_DURATION = re.compile(r"(0|[1-9][0-9]{0,8})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_WRITE_A_DURATION = "  Fix: write a number of milliseconds, seconds, minutes, hours or days: "


@dataclass(frozen=True, slots=True)
class StreamTrigger:
    """When a query takes its next batch.

    Attributes:
        kind: ``default`` (as soon as the one before is done), ``processing_time`` (every so many
            seconds), ``available_now`` (what is there, then it ends), ``continuous`` (row by row,
            with a checkpoint every so many seconds).
        seconds: of the kinds that have any.
    """

    kind: TriggerKind = "default"
    seconds: float | None = None

    def __str__(self) -> str:
        """Return when a batch is taken, for people."""
        every = "" if self.seconds is None else f"{self.seconds:g} s"
        texts = {
            "default": "as soon as the one before is done",
            "processing_time": f"every {every}",
            "available_now": "of what is there, then it ends",
            "continuous": f"row by row, with a checkpoint every {every}",
        }
        return texts[self.kind]


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What a streaming pipe says of its query.

    Attributes:
        trigger: when it takes its next batch.
        output_mode: what of a batch's result goes to the output: new rows (``append``), changed
            rows (``update``), or the whole result (``complete``).
        watermark_column, watermark_delay: the column of event times of the driving input, and how
            many seconds late a row may be; None without a watermark.
        checkpoint: where it keeps how far it is: relative to the root of checkpoints, or absolute.
        starting_offsets: where it begins when there is no checkpoint; None for the reader's
            default.
        options: options of the driving input's reader.
        ready_timeout: seconds that it may take from its start until it is ready.
        drain_timeout: seconds that it may take to finish what is there when it is to stop.
        stall_timeout: seconds without progress, while its source has more, after which it counts
            as stalled; 0 for never.
        silence_timeout: seconds without a line from its driver, once that has told how it is, after
            which the driver is killed; until then it has ``ready_timeout``. 0 for never.
    """

    trigger: StreamTrigger = StreamTrigger()
    output_mode: OutputMode = "append"
    watermark_column: str | None = None
    watermark_delay: float | None = None
    checkpoint: str = ""
    starting_offsets: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    ready_timeout: float = 600.0
    drain_timeout: float = 300.0
    stall_timeout: float = 600.0
    silence_timeout: float = 180.0

    @classmethod
    def of(cls, pipe: PipeMetadata) -> StreamSettings:
        """Return the settings of a streaming pipe.

        Raises:
            DeclarationError: its tags make no sense; lists every problem.
        """
        settings, problems = read_settings(pipe.pipeid, pipe.tags)
        if problems:
            raise DeclarationError(problems)
        return settings

    def text(self, checkpoints: str = "") -> str:
        """Return what the query does, for people.

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
    """Tell whether the pipe with these tags is a streaming pipe."""
    return bool(mode_of(tags) == "streaming")


def mode_of(tags: Mapping[str, Any]) -> Any:
    """Return what the tag ``processing_mode`` says, in lower case; None without it."""
    said = tags.get(MODE_TAG)
    return said.lower() if isinstance(said, str) else said


def seconds_of(text: object) -> float:
    """Return a duration in seconds.

    >>> seconds_of("10s"), seconds_of("1m"), seconds_of("250ms"), seconds_of("0s")
    (10.0, 60.0, 0.25, 0.0)

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"no duration: {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


def read_settings(pipe_id: str, tags: Mapping[str, Any]) -> tuple[StreamSettings, list[str]]:
    """Return a streaming pipe's settings, and what is wrong with its tags.

    What cannot be read is as if it were not said.
    """
    reading = _Reading(pipe_id, tags)
    watermark = reading.read("stream.watermark", _watermark, None)
    settings = StreamSettings(
        trigger=reading.read("stream.trigger", _trigger, StreamTrigger()),
        output_mode=reading.read("stream.output_mode", _output_mode, "append"),
        watermark_column=None if watermark is None else watermark[0],
        watermark_delay=None if watermark is None else watermark[1],
        checkpoint=reading.read("stream.checkpoint", _checkpoint, escape_component(pipe_id)),
        starting_offsets=reading.read("stream.starting_offsets", _offsets, None),
        options=reading.options(),
        ready_timeout=reading.read("stream.ready_timeout", _time_limit, 600.0),
        drain_timeout=reading.read("stream.drain_timeout", _time_limit, 300.0),
        stall_timeout=reading.read("stream.stall_timeout", _duration, 600.0),
        silence_timeout=reading.read("stream.silence_timeout", _silence, 180.0),
    )
    return settings, reading.problems


class _Reading:
    """One pipe's tags, with what is wrong with those that were read."""

    def __init__(self, pipe_id: str, tags: Mapping[str, Any]) -> None:
        self.where = f"pipe {pipe_id!r}"
        self.tags = tags
        self.problems = [
            f"{self.where}: unknown tag {key!r}.{did_you_mean(key, STREAM_TAGS)}\n"
            f"  Fix: use one of {', '.join((*STREAM_TAGS, OPTION_TAG + 'NAME'))}."
            for key in tags
            if key.startswith(PREFIX) and key not in STREAM_TAGS and not _is_option(key)
        ]

    def read(self, tag: str, read: Callable[[Any], T], default: D) -> T | D:
        """Return what a tag says; the default where it is missing or cannot be read."""
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
                said = str(value)
                found[key[len(OPTION_TAG) :]] = said.lower() if value in (True, False) else said
            else:
                self.problems.append(
                    f"{self.where}: tag {key} is {value!r}\n"
                    "  Fix: write text, a number, true or false."
                )
        return FrozenDict(found)


def _is_option(key: str) -> bool:
    return key.startswith(OPTION_TAG) and key != OPTION_TAG


def _duration(said: object) -> float:
    try:
        return seconds_of(said)
    except ValueError:
        raise ValueError(f"{_WRITE_A_DURATION}'30s', '10m'.") from None


def _time_limit(said: object) -> float:
    limit = _duration(said)
    if limit == 0:
        raise ValueError("  Fix: write a duration above 0, such as '10m'.")
    return limit


def _silence(said: object) -> float:
    limit = _duration(said)
    if 0 < limit < SHORTEST_SILENCE:
        raise ValueError(
            "  Fix: write '10s' or more, because a driver says every two seconds how it is and may "
            "be late, or '0s' for never."
        )
    return limit


def _trigger(said: object) -> StreamTrigger:
    if said in ("default", "available_now"):
        return StreamTrigger(said)
    kind, _, rest = str(said).rpartition(" ")
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


def _output_mode(said: object) -> OutputMode:
    for mode in OUTPUT_MODES:
        if said == mode:
            return mode
    raise ValueError(f"  Fix: use one of {', '.join(OUTPUT_MODES)}.")


def _watermark(said: object) -> tuple[str, float]:
    column, _, delay = str(said).rpartition(" ")
    try:
        seconds = seconds_of(delay)
    except ValueError:
        column, seconds = "", 0.0
    if not column.strip():
        raise ValueError(
            "  Fix: write a column and how late its rows may be, such as 'event_time 10m'."
        )
    return column.strip(), seconds


def _checkpoint(said: object) -> str:
    path = said.rstrip("/") if isinstance(said, str) else ""
    if not path.strip():
        raise ValueError(
            "  Fix: write a path beneath the root of checkpoints, an absolute path or a URI."
        )
    if ".." in path.split("/"):
        raise ValueError("  Fix: write a path without '..'.")
    return path


def _offsets(said: object) -> str:
    if isinstance(said, bool) or not isinstance(said, (str, int)) or not str(said).strip():
        raise ValueError(
            "  Fix: write 'earliest', 'latest', or where the driving input's type begins: JSON for "
            "kafka, a version or a time for delta."
        )
    return str(said)
