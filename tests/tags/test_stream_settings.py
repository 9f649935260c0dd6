"""What a streaming pipe's tags say of its query."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.common.durations import seconds_of
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.stream_settings import StreamSettings, StreamTrigger, is_stream


def settings(tags: dict[str, Any], pipe_id: str = "clean") -> StreamSettings:
    return StreamSettings.of(PipeMetadata(pipe_id, pipe_id, None, tags))


def problem(tag: str, value: Any) -> str:
    with pytest.raises(DeclarationError) as refused:
        settings({tag: value})
    (text,) = refused.value.problems
    return str(text)


def test_a_pipe_streams_if_its_tag_says_so() -> None:
    assert is_stream({"processing_mode": "streaming"})
    assert not is_stream({"processing_mode": "batch"})
    assert not is_stream({})


def test_what_is_not_said_has_a_default() -> None:
    assert settings({}, "silver/orders") == StreamSettings(
        trigger=StreamTrigger("default"),
        output_mode="append",
        watermark_column=None,
        watermark_delay=None,
        checkpoint="silver%2Forders",
        starting_offsets=None,
        options={},
        ready_timeout=600.0,
        drain_timeout=300.0,
        stall_timeout=600.0,
        silence_timeout=180.0,
    )


def test_all_of_it_can_be_said() -> None:
    tags = {
        "processing_mode": "streaming",
        "stream.trigger": "10s",
        "stream.output_mode": "update",
        "stream.watermark": "event time 10m",
        "stream.checkpoint": "s3a://lake/checkpoints/clean/",
        "stream.starting_offsets": 12,
        "stream.option.maxFilesPerTrigger": 100,
        "stream.option.latestFirst": True,
        "stream.option.fileNameOnly": "no",
        "stream.ready_timeout": "2m",
        "stream.drain_timeout": "1h",
        "stream.stall_timeout": "0s",
        "stream.silence_timeout": "30m",
    }
    assert settings(tags) == StreamSettings(
        trigger=StreamTrigger("processing_time", 10.0),
        output_mode="update",
        watermark_column="event time",
        watermark_delay=600.0,
        checkpoint="s3a://lake/checkpoints/clean",
        starting_offsets="12",
        options={"maxFilesPerTrigger": "100", "latestFirst": "true", "fileNameOnly": "no"},
        ready_timeout=120.0,
        drain_timeout=3600.0,
        stall_timeout=0.0,
        silence_timeout=1800.0,
    )


@pytest.mark.parametrize(
    ("said", "trigger", "text"),
    [
        ("default", StreamTrigger("default"), "as soon as the previous one has ended"),
        ("250ms", StreamTrigger("processing_time", 0.25), "every 0.25 s"),
        ("available_now", StreamTrigger("available_now"), "of the available data, then it ends"),
        (
            "continuous 1s",
            StreamTrigger("continuous", 1.0),
            "row by row, with a checkpoint every 1 s",
        ),
    ],
)
def test_a_trigger_says_when_a_batch_is_taken(said: str, trigger: StreamTrigger, text: str) -> None:
    found = settings({"stream.trigger": said}).trigger
    assert found == trigger
    assert str(found) == text


@pytest.mark.parametrize("said", ["once", "0s", "continuous", "continuous 0s", "every 10s", 10])
def test_other_triggers_are_refused(said: Any) -> None:
    assert problem("stream.trigger", said) == (
        f"pipe 'clean': tag stream.trigger is {said!r}\n"
        "  Fix: write 'default', a duration such as '10s', 'available_now', or 'continuous 1s'."
    )


def test_other_output_modes_are_refused() -> None:
    assert problem("stream.output_mode", "merge") == (
        "pipe 'clean': tag stream.output_mode is 'merge'\n"
        "  Fix: use one of append, update, complete."
    )


@pytest.mark.parametrize("said", ["event_time", "10m", "event_time 10", " 10m", 10])
def test_a_watermark_is_a_column_and_a_duration(said: Any) -> None:
    assert problem("stream.watermark", said) == (
        f"pipe 'clean': tag stream.watermark is {said!r}\n"
        "  Fix: write a column and how late its rows may be, such as 'event_time 10m'."
    )


@pytest.mark.parametrize("said", ["", "  ", "/", 3])
def test_a_checkpoint_is_a_path(said: Any) -> None:
    assert problem("stream.checkpoint", said) == (
        f"pipe 'clean': tag stream.checkpoint is {said!r}\n"
        "  Fix: write a path beneath the root of checkpoints, an absolute path or a URI."
    )


def test_a_checkpoint_stays_beneath_its_root() -> None:
    assert problem("stream.checkpoint", "a/../../b") == (
        "pipe 'clean': tag stream.checkpoint is 'a/../../b'\n  Fix: write a path without '..'."
    )


@pytest.mark.parametrize("said", ["", True, 1.5, ("earliest",)])
def test_starting_offsets_are_text_or_a_version(said: Any) -> None:
    assert problem("stream.starting_offsets", said) == (
        f"pipe 'clean': tag stream.starting_offsets is {said!r}\n"
        "  Fix: write 'earliest', 'latest', or a position of the driving input's type: JSON for "
        "kafka, a version or a timestamp for delta."
    )


def test_options_are_plain_values() -> None:
    assert problem("stream.option.maxFilesPerTrigger", ("100",)) == (
        "pipe 'clean': tag stream.option.maxFilesPerTrigger is ('100',)\n"
        "  Fix: write text, a number, true or false."
    )


@pytest.mark.parametrize("tag", ["ready_timeout", "drain_timeout"])
def test_time_limits_are_durations_above_0(tag: str) -> None:
    assert problem(f"stream.{tag}", "0m") == (
        f"pipe 'clean': tag stream.{tag} is '0m'\n  Fix: write a duration above 0, such as '10m'."
    )
    assert problem(f"stream.{tag}", 600) == (
        f"pipe 'clean': tag stream.{tag} is 600\n"
        "  Fix: write a number of milliseconds, seconds, minutes, hours or days: '30s', '10m'."
    )


def test_a_driver_may_be_silent_for_ever_or_for_longer_than_it_is_between_two_lines() -> None:
    assert settings({"stream.silence_timeout": "0s"}).silence_timeout == 0.0
    assert settings({"stream.silence_timeout": "10s"}).silence_timeout == 10.0
    assert problem("stream.silence_timeout", "9s") == (
        "pipe 'clean': tag stream.silence_timeout is '9s'\n"
        "  Fix: write '10s' or more, because a driver reports every two seconds and may be late, "
        "or '0s' for never."
    )


def test_unknown_tags_are_named_and_all_problems_come_at_once() -> None:
    with pytest.raises(DeclarationError) as refused:
        settings({"stream.triger": "10s", "stream.option.": "x", "stream.stall_timeout": "soon"})
    known = (
        "stream.trigger, stream.output_mode, stream.watermark, stream.checkpoint, "
        "stream.starting_offsets, stream.ready_timeout, stream.drain_timeout, "
        "stream.silence_timeout, stream.stall_timeout, stream.option.NAME"
    )
    assert refused.value.problems == (
        (
            "pipe 'clean': tag stream.stall_timeout is 'soon'\n"
            "  Fix: write a number of milliseconds, seconds, minutes, hours or days: '30s', '10m'."
        ),
        (
            "pipe 'clean': unknown tag 'stream.option.'. Did you mean 'stream.checkpoint'?\n"
            f"  Fix: use one of {known}."
        ),
        (
            "pipe 'clean': unknown tag 'stream.triger'. Did you mean 'stream.trigger'?\n"
            f"  Fix: use one of {known}."
        ),
    )


def test_durations() -> None:
    texts = ["0s", "1ms", "90s", "1m", "2h", "1d"]
    assert [seconds_of(text) for text in texts] == [0.0, 0.001, 90.0, 60.0, 7200.0, 86_400.0]
    for text in ("", "1", "m", "01s", "1.5s", "-1s", "1w", 60, None):
        with pytest.raises(ValueError, match="not a duration"):
            seconds_of(text)


def test_what_a_query_does_can_be_said_in_a_line() -> None:
    assert settings({}).text() == (
        "a batch as soon as the previous one has ended; writes by append; checkpoint clean"
    )
    late = settings({"stream.trigger": "10s", "stream.watermark": "at 90s"})
    assert late.text("s3a://lake/points/") == (
        "a batch every 10 s; writes by append; rows may be 90 s late by at; "
        "checkpoint s3a://lake/points/clean"
    )
    for place in ("/own/place", "s3a://own/place"):
        assert (
            settings({"stream.checkpoint": place}).text("/points").endswith(f"checkpoint {place}")
        )
