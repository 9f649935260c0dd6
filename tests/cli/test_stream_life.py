"""What ``run`` does with the streams of a plan, before anything is started."""

from __future__ import annotations

import io
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from kindling_airflow.cli.run.child_stream import ChildStream
from kindling_airflow.cli.run.running import _finish
from kindling_airflow.cli.run.stream_lifetime import read_lifetime
from kindling_airflow.cli.run.stream_run import StreamEnd, progress_of
from kindling_airflow.cli.sources.source import Project, Source
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.errors import TranslationError, WrongCallError
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.generation_executor.results import (
    ExecutionResult,
    GenerationResult,
    PipeResult,
    PipeStatus,
)
from kindling_airflow.manifest import Manifest
from tests.builders import pipes

STREAMING = {"processing_mode": "streaming"}
CLICKS = "[raw] -> clean -> alert, clean -> daily"
TAGS = {"clean": STREAMING, "alert": STREAMING}


def called(**said: Any) -> Namespace:
    return Namespace(**{"run_for": None, "available_now": False, "checkpoints": None, **said})


def source(
    strategy: str = "hybrid", drawing: str = CLICKS, tags: Any = TAGS, **definition: Any
) -> Source:
    registry = pipes(drawing, tags)
    entities = DataEntityRegistry()
    for entity_id in ("raw", "clean.out"):
        entities.register_entity(entity_id, schema="id BIGINT")
    manifest = Manifest.from_registries(registry, entities)
    plan = ExecutionPlanGenerator(manifest.pipes).generate_plan(None, strategy)
    said = {"lifetime": None, "duration": None, "checkpoints": None, **definition}
    found: Any = SimpleNamespace(**said) if definition else None
    return Source(Path("x"), plan, Project(manifest, manifest, Path()), found)


def test_a_plan_of_batch_pipes_has_no_streams() -> None:
    life = read_lifetime(source("batch", tags={}), called())
    assert (life.streams, life.is_long_running, life.catching_up) == ((), False, ())
    for said in ({"run_for": "9s"}, {"available_now": True}, {"checkpoints": "x"}):
        with pytest.raises(WrongCallError) as refused:
            read_lifetime(source("batch", tags={}), called(**said))
        option = {"run_for": "--for"}.get(*said, f"--{next(iter(said)).replace('_', '-')}")
        assert str(refused.value) == f"{option} applies to streams, and the plan has none"


def test_streams_live_until_somebody_ends_them() -> None:
    found = source()
    life = read_lifetime(found, called())
    assert life.plan is found.plan
    assert (life.streams, life.is_long_running, life.seconds) == (("clean", "alert"), True, None)
    assert (life.catching_up, life.checkpoints) == ((), "")


def test_streams_live_as_long_as_the_command_says_or_else_the_definition() -> None:
    bounded = source(lifetime="bounded", duration=3600.0)
    assert read_lifetime(bounded, called()).seconds == 3600
    assert read_lifetime(bounded, called(run_for="90s")).seconds == 90
    assert read_lifetime(source(), called(run_for="2m")).seconds == 120
    for said in ("90", "0s", ""):
        with pytest.raises(WrongCallError) as refused:
            read_lifetime(source(), called(run_for=said))
        text = f"--for {said!r}: must be a duration such as 90s or 10m"
        assert str(refused.value) == text


@pytest.mark.parametrize("strategy", ["hybrid", "config_based", "batch"])
def test_streams_that_catch_up_come_in_forward_order(strategy: str) -> None:
    life = read_lifetime(source(strategy), called(available_now=True))
    assert [g.pipe_ids for g in life.plan.generations] == [("clean",), ("alert", "daily")]
    assert life.plan.validate()
    assert (life.is_long_running, life.catching_up) == (False, ("clean", "alert"))
    from_definition = read_lifetime(source(strategy, lifetime="available_now"), called())
    assert from_definition.catching_up == ("clean", "alert")
    assert read_lifetime(source(lifetime="available_now"), called(run_for="9s")).is_long_running


def test_options_of_which_only_one_can_hold_are_a_wrong_call() -> None:
    with pytest.raises(WrongCallError) as refused:
        read_lifetime(source(), called(run_for="9s", available_now=True))
    assert str(refused.value) == "--for and --available-now exclude each other"


def test_streams_that_cannot_run_are_refused_before_anything_starts() -> None:
    tags = {**TAGS, "alert": {**STREAMING, "stream.trigger": "now"}}
    with pytest.raises(TranslationError) as refused:
        read_lifetime(source(tags=tags), called())
    assert str(refused.value).startswith("pipe 'alert': tag stream.trigger is 'now'\n  Fix: write")


def test_a_stream_that_would_end_by_itself_is_refused_where_airflow_refuses_it() -> None:
    tags = {**TAGS, "alert": {**STREAMING, "stream.trigger": "available_now"}}
    bounded = source(tags=tags, lifetime="bounded", duration=60.0)
    with pytest.raises(TranslationError) as refused:
        read_lifetime(bounded, called())
    assert refused.value.problems == (
        (
            "pipe 'alert': tag stream.trigger is 'available_now', so it would end before its input "
            "does, and the lifetime is 'bounded'\n"
            "  Fix: use lifetime 'available_now' for the whole plan, or another trigger."
        ),
    )
    with pytest.raises(TranslationError):
        read_lifetime(source(tags=tags), called())
    assert read_lifetime(bounded, called(available_now=True)).catching_up == ("clean", "alert")


def test_checkpoints_are_where_the_command_says_or_else_the_definition() -> None:
    elsewhere = source(checkpoints="s3://bucket/checkpoints")
    assert read_lifetime(elsewhere, called()).checkpoints == "s3://bucket/checkpoints"
    relative = read_lifetime(elsewhere, called(checkpoints="here")).checkpoints
    assert relative == str(Path("here").resolve())
    templated = source(checkpoints="{{ var.value.checkpoints }}")
    assert read_lifetime(templated, called(checkpoints="/x")).checkpoints == "/x"
    with pytest.raises(WrongCallError) as refused:
        read_lifetime(templated, called())
    assert str(refused.value) == (
        "the definition's checkpoints '{{ var.value.checkpoints }}' is a template, which only "
        "Airflow can render: set --checkpoints"
    )


class Session:
    """A session that notes what it is to do, and may have ended."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.ended: str | None = None

    def do(self, what: str, pipe_id: str) -> None:
        self.done.append((what, pipe_id))


def state(stream: ChildStream) -> tuple[bool, bool, str | None]:
    return stream.is_active(), stream.is_ready(), stream.error()


def test_a_stream_of_another_process_is_as_it_last_was_said_to_be() -> None:
    session = Session()
    stream = ChildStream("a", session.do, lambda: session.ended)
    assert state(stream) == (True, False, None)
    assert (stream.progress, stream.report()) == ({}, None)
    stream.take({"active": True, "ready": True, "error": None, "progress": {"batches": 3}})
    assert state(stream) == (True, True, None)
    assert stream.progress == {"batches": 3}
    stream.drain()
    stream.stop()
    assert session.done == [("drain", "a"), ("stop", "a")]
    news = {"active": False, "ready": True, "error": None, "report": {"rows_written": 3}}
    stream.take(news)
    assert state(stream) == (False, True, None)
    assert stream.report() == {"rows_written": 3}
    session.ended = "the Spark session ended with status 0"
    assert state(stream) == (False, True, None)
    stream.take({"active": False, "ready": False, "error": "ValueError: no"})
    assert state(stream) == (False, False, "ValueError: no")


def test_a_stream_whose_session_is_gone_has_failed() -> None:
    session = Session()
    stream = ChildStream("a", session.do, lambda: session.ended)
    stream.take({"active": True, "ready": True, "error": None})
    session.ended = "the Spark session ended with status -9"
    assert state(stream) == (False, True, "the Spark session ended with status -9")


def test_the_screen_shows_how_each_stream_is() -> None:
    session = Session()
    streams = {p: ChildStream(p, session.do, lambda: session.ended) for p in "abcd"}
    numbers = {"batch_id": 7, "rows_in": 12345, "rows_per_second": 99.6, "state_rows": None}
    news = {"active": True, "ready": True, "error": None}
    streams["b"].take({**news, "progress": numbers})
    streams["c"].take({**news, "active": False})
    streams["d"].take({**news, "error": "ValueError: no"})
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(progress_of(streams)())
    rows = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert rows == [
        "stream state batch rows in rows/s behind state rows idle s",
        "a starting - - - - - -",
        "b ready 7 12,345 100 - - -",
        "c ended - - - - - -",
        "d failed - - - - - -",
    ]


@pytest.mark.parametrize(("drained", "status"), [(True, 0), (None, 0), (False, 1)])
def test_a_stream_that_was_not_drained_is_a_trouble_that_was_found(
    capsys: pytest.CaptureFixture[str], drained: bool | None, status: int
) -> None:
    note = {} if drained else {"note": "stream 'alert' was not drained: it was late"}
    report = {"status": "published", "extra": {"drained": drained, **note}}
    found = PipeResult("alert", PipeStatus.SUCCESS, report=report)
    plan = source().plan
    result = ExecutionResult(plan, (GenerationResult(0, (found,)),), 1.0, "run")
    console = Console(width=100, record=True, file=io.StringIO())
    end = StreamEnd(result, interrupted=False)
    assert _finish(Namespace(json=False), console, end, Path("log")) == status
    said = console.export_text()
    assert ("alert: stream 'alert' was not drained: it was late" in said) is (not drained)
    assert _finish(Namespace(json=True), console, end, Path("log")) == status
    assert '"drained"' in capsys.readouterr().out
