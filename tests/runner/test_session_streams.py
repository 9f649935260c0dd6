"""Streams of a session that runs several: started, watched and ended by an executor."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import PipeRunError, PipeTimeoutError
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.generation_executor import (
    GenerationExecutor,
    ReportingStream,
    StreamHandle,
    StreamStarter,
)
from kindling_airflow.runner.session.runner import SessionPipeRunner
from kindling_airflow.runner.session.streams import SessionStreams
from tests.runner.conftest import Project
from tests.runner.streams import EVENTS, STREAMING, declare_events, drop, events, until

pytestmark = pytest.mark.system

FAST = {**STREAMING, "stream.trigger": "100ms"}


def runner_of(project: Project, **more: Any) -> SessionPipeRunner:
    return SessionPipeRunner(project.spark, project.declared, str(project.warehouse), **more)


def slow(events: Any) -> Any:
    """Take eight seconds for each row."""
    from pyspark.sql import functions as F

    late = F.udf(lambda number: time.sleep(8) or number, "bigint")
    return events.select(late("id").alias("id"))


def test_an_executor_runs_two_streams_and_a_batch_pipe_beside_them(
    project: Project, tmp_path: Path
) -> None:
    declare_events(project)
    project.pipe("copy", lambda clean: clean, "clean", tags=FAST)
    project.pipe("number", lambda clean: clean.groupBy().count(), "clean")
    drop(project.table("events"), "1.json", events(range(5)))
    runner = runner_of(project, checkpoints=str(tmp_path / "far"))
    assert isinstance(runner, StreamStarter)
    plan = ExecutionPlanGenerator(project.declared.pipes).generate_plan(None, "config_based")
    with GenerationExecutor(runner).execute_streaming(plan, {"drain_timeout": 120}) as execution:
        assert list(execution.streaming_queries) == ["copy", "clean"]
        for handle in execution.streaming_queries.values():
            assert isinstance(handle, StreamHandle)
            assert isinstance(handle, ReportingStream)
        drop(project.table("events"), "2.json", events(range(5, 8)))
    assert execution.result is not None
    assert execution.result.all_succeeded
    assert [row[0] for row in project.rows("copy")] == list(range(8))
    found = execution.result.pipe_result("copy")
    assert found is not None
    assert (found.report.status, found.report.inputs[0].entity_id) == ("published", "clean")
    assert (found.report.inputs[0].rows, found.report.rows_written) == (8, None)
    assert found.report.extra["stream"]["rows_in"] == 8
    assert {path.name for path in (tmp_path / "far").iterdir()} == {"clean", "copy"}


def test_what_others_are_told_of_a_stream_ends_with_its_report(project: Project) -> None:
    declare_events(project)
    drop(project.table("events"), "1.json", events(range(3)))
    told: list[Any] = []
    streams = SessionStreams(runner_of(project), Path(__file__).parent, told.append)
    streams.serve({"call": 1, "do": "start", "pipe_id": "clean"})
    assert told[-1] == {"call": 1, "failed": None}
    until(lambda: any(said.get("ready") for said in list(told)))
    streams.serve({"call": 2, "do": "drain", "pipe_id": "clean"})
    streams.serve({"call": 3, "do": "stop", "pipe_id": "clean"})
    answers = [said for said in told if "call" in said]
    assert [said["failed"] for said in answers] == [None] * 3
    last = told[told.index(answers[-1]) - 1]
    assert (last["stream"], last["active"], last["error"]) == ("clean", False, None)
    assert last["report"]["inputs"][0]["rows"] == 3
    streams.serve({"call": 4, "do": "start", "pipe_id": "clen"})
    assert told[-1]["failed"].startswith("PipeRunError: the project does not declare pipe 'clen'.")
    assert "Did you mean 'clean'?" in told[-1]["failed"]


def test_a_stream_that_fails_says_why_and_is_not_active(project: Project) -> None:
    declare_events(project)
    project.pipe(
        "broken", lambda clean: clean.selectExpr("assert_true(id < 2, 'too far')"), "clean",
        tags=FAST,
    )  # fmt: skip
    drop(project.table("events"), "1.json", events(range(3)))
    runner = runner_of(project)
    assert runner.catch_up("clean").status == "published"
    told: list[Any] = []
    streams = SessionStreams(runner, Path(__file__).parent, told.append)
    streams.serve({"call": 1, "do": "start", "pipe_id": "broken"})
    until(lambda: any(said.get("error") for said in list(told)))
    news = next(said for said in told if said.get("error"))
    assert not news["active"]
    assert "too far" in news["error"]


def test_a_stream_that_stalls_has_failed(project: Project, monkeypatch: Any) -> None:
    """Its only task sleeps longer than nothing may get done."""
    monkeypatch.setattr("kindling_airflow.runner.session.stream._LOOK_SECONDS", 0.1)

    project.entity("events", schema=EVENTS, tags={"provider_type": "json"})
    project.pipe("slow", slow, "events", tags={**FAST, "stream.stall_timeout": "2s"})
    drop(project.table("events"), "1.json", events(range(1)))
    stream = runner_of(project).start("slow")
    try:
        until(lambda: stream.error() is not None)
        error = stream.error()
        assert isinstance(error, PipeTimeoutError)
        assert str(error).startswith("the query has stalled: no progress for 2 s: Processing")
        assert stream.is_active()
    finally:
        stream.stop()
    assert stream.error() is error


def test_a_stream_that_does_not_drain_in_time_says_so(project: Project) -> None:
    project.entity("events", schema=EVENTS, tags={"provider_type": "json"})
    project.pipe("slow", slow, "events", tags={**FAST, "stream.drain_timeout": "1s"})
    drop(project.table("events"), "1.json", events(range(1)))
    stream = runner_of(project).start("slow")
    try:
        until(stream.is_ready)
        with pytest.raises(PipeTimeoutError, match=r"^it was still processing data after 1 s; the"):
            stream.drain()
    finally:
        stream.stop()
    assert stream.error() is None


def test_a_catch_up_takes_what_is_new_and_is_skipped_without(project: Project) -> None:
    declare_events(project)
    runner = runner_of(project)
    drop(project.table("events"), "1.json", events(range(3)))
    first, again = runner.catch_up("clean"), runner.catch_up("clean")
    assert (first.status, first.inputs[0].rows) == ("published", 3)
    assert (again.status, again.reason) == ("skipped", "'events' has no new rows")
    with pytest.raises(PipeRunError):
        runner.start("nobody")
