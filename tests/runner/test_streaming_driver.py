"""The driver of a stream: what it says and when, how it is told to drain, when it gives up.

Most of it without Spark: the driver's loop looks at a stream that does as it is told.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.protocol.contracts import InputReport, RunReport, RunRequest
from kindling_airflow.runner.claims import Claim
from kindling_airflow.runner.driver import run_claimed
from kindling_airflow.runner.pipe.run_pipe import Hooks
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.runner.streaming import driver as stream_driver
from kindling_airflow.runner.streaming.inputs import NothingThereYet
from kindling_airflow.runner.streaming.report import drain_note
from kindling_airflow.runner.streaming.running import StreamFacts
from kindling_airflow.runner.streaming.stall_watch import Look
from kindling_airflow.tags.stream_settings import StreamSettings
from tests.runner.conftest import Project
from tests.runner.killed_streams import feed_and_kill, project_of
from tests.runner.streams import (
    CONTINUOUS,
    declare_events,
    drop,
    events,
    ids,
    news_in,
    take_available,
)

REQUEST = RunRequest("k1", "out", "/project", (), "/tables", stream=CONTINUOUS)
SPARK: Any = SimpleNamespace(sparkContext=SimpleNamespace(applicationId="local-1"))


@pytest.fixture(autouse=True)
def _quick_and_without_traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stream_driver, "_LOOK_SECONDS", 0.005)
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@dataclass
class StubStream:
    """A stream without a query.

    Attributes:
        settings: what its pipe says.
        ready, active: what it answers.
        failure: why it has failed.
        draining: what draining it does.
        calls: what it was told, in order.
    """

    settings: StreamSettings = StreamSettings()  # noqa: RUF009 (frozen)
    ready: bool = True
    active: bool = True
    failure: BaseException | None = None
    draining: Callable[[], bool | None] = lambda: True
    rows_in: int = 3
    rows_out: int | None = 2
    calls: list[str] = field(default_factory=list)
    expectations: tuple[Any, ...] = ()

    @property
    def facts(self) -> StreamFacts:
        return StreamFacts(
            "out", "events", "out", "/tables/out", {"format": "x"}, self.settings, lambda _e: None
        )

    def is_ready(self) -> bool:
        return self.ready

    def is_active(self) -> bool:
        return self.active

    def error(self) -> BaseException | None:
        return self.failure

    def drain(self) -> bool | None:
        self.calls.append("drain")
        return self.draining()

    def stop(self) -> None:
        self.calls.append("stop")
        self.active = False

    def progress(self) -> dict[str, Any]:
        return {"rows_in": self.rows_in, "status": "Processing new data"}

    def look(self) -> Look:
        return Look(time.monotonic(), "Processing new data", True, True, 0)


def run(
    monkeypatch: pytest.MonkeyPatch,
    stub: StubStream | Callable[[], Any],
    say: Callable[[str], Any] = lambda _line: None,
    hooks: Hooks | None = None,
    settings: StreamSettings = StreamSettings(),  # noqa: B008 (frozen)
    **changes: Any,
) -> RunReport:
    def start(*arguments: Any) -> Any:
        arguments[-1](settings)
        return stub() if callable(stub) else stub

    monkeypatch.setattr(stream_driver, "start_stream", start)
    request = replace(REQUEST, **changes)
    return stream_driver.run_stream(request, SPARK, hooks=hooks, say=say)


def ask_to_drain(_line: str = "") -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def test_a_driver_says_how_it_is_whenever_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, lines = StubStream(ready=False), []

    def say(line: str) -> None:
        lines.append(line)
        stream.ready = len(news_in(lines)) >= 2
        if news_in(lines)[-1].state == "ready":
            ask_to_drain()

    monkeypatch.setattr(stream_driver, "_BEAT_SECONDS", 0.01)
    report = run(monkeypatch, stream, say)
    states = [news.state for news in news_in(lines)]
    assert list(dict.fromkeys(states)) == ["starting", "ready", "draining"]
    assert {news.pid for news in news_in(lines)} == {os.getpid()}
    assert {news.attempt_key for news in news_in(lines)} == {"k1"}
    assert stream.calls == ["drain", "stop"]
    assert (report.status, report.rows_written, report.location) == ("published", 2, "/tables/out")
    assert report.inputs == (InputReport("events", 3),)
    assert report.extra == {
        "output": {"format": "x"},
        "stream": {"rows_in": 3, "status": "Processing new data"},
        "drained": True,
    }


def test_a_driver_says_that_it_lives_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_driver, "_BEAT_SECONDS", 0.01)
    lines: list[str] = []
    enough = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 5:
            enough.set()

    def start() -> StubStream:
        enough.wait()
        return StubStream(active=False)

    assert run(monkeypatch, start, say).status == "published"
    assert [news.state for news in news_in(lines)][:5] == ["starting"] * 5


def test_what_was_asked_before_the_query_was_there_is_done_when_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, asked = StubStream(ready=False), threading.Event()

    def start() -> StubStream:
        asked.wait()
        return stream

    def say(_line: str) -> None:
        if not asked.is_set():
            ask_to_drain()
            asked.set()

    assert run(monkeypatch, start, say).status == "published"
    assert stream.calls == ["drain", "stop"]


def test_the_signal_does_no_harm_when_the_stream_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, StubStream(active=False))
    ask_to_drain()


def test_a_stream_that_is_not_drained_in_time_is_stopped_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = StubStream(draining=lambda: False)
    report = run(monkeypatch, stream, ask_to_drain)
    assert (report.status, report.extra["drained"]) == ("published", False)
    assert report.extra["note"] == (
        "stream 'out' was not drained: it was still processing data after 300 s, and was stopped. "
        "No data is lost: the next run continues from the checkpoint; until then 'out' may lack "
        "rows. Increase stream.drain_timeout to allow more time."
    )
    assert stream.calls == ["drain", "stop"]


def test_a_stream_of_which_nobody_knows_whether_it_is_drained_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = run(monkeypatch, StubStream(draining=lambda: None), ask_to_drain)
    assert (report.status, report.extra["drained"]) == ("published", None)
    assert report.extra["note"] == (
        "stream 'out' may not be drained: with a continuous trigger, Spark does not report whether "
        "it had read everything when it was stopped. No data is lost: the next run continues from "
        "the checkpoint; until then 'out' may lack rows."
    )


def test_what_is_left_is_told_with_its_number_and_that_a_topic_gets_rows_twice() -> None:
    facts = replace(StubStream().facts, description={"format": "kafka"})
    assert drain_note(facts, True, {"lag": 5}) == ""
    assert drain_note(facts, False, {"lag": 1234}) == (
        "stream 'out' was not drained: it was still processing data after 300 s (behind by 1,234 "
        "as of its last batch), and was stopped. No data is lost: the next run continues from the "
        "checkpoint; until then 'out' may lack rows. Records that were being sent are sent again. "
        "Increase stream.drain_timeout to allow more time."
    )


def test_a_query_that_fails_while_it_drains_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise OSError("disk full")

    report = run(monkeypatch, StubStream(draining=fail), ask_to_drain)
    assert report.error is not None
    assert (report.status, report.error.message) == ("failed", "disk full")
    assert report.extra["permanent"] is False


@pytest.mark.parametrize(
    ("failure", "permanent"), [(PipeRunError("wrong"), True), (OSError("gone"), False)]
)
def test_a_query_that_fails_is_reported_with_its_last_numbers(
    monkeypatch: pytest.MonkeyPatch, failure: BaseException, permanent: bool
) -> None:
    report = run(monkeypatch, StubStream(active=False, failure=failure))
    assert report.error is not None
    assert (report.status, report.error.message) == ("failed", str(failure))
    assert report.extra["permanent"] is permanent
    assert report.extra["stream"]["rows_in"] == 3


def test_a_pipe_that_does_not_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> Any:
        raise PipeRunError("no such pipe")

    report = run(monkeypatch, start)
    assert report.error is not None
    assert (report.error.message, report.extra["permanent"]) == ("no such pipe", True)


def test_a_query_that_never_gets_ready_fails_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = StubStream(StreamSettings(ready_timeout=0.05), ready=False)
    report = run(monkeypatch, stream)
    assert report.error is not None
    assert report.extra["permanent"] is False
    assert report.error.message == (
        "pipe 'out': its query was not ready within 0.05 s: Processing new data\n"
        "  Fix: check what it is waiting for, or increase stream.ready_timeout."
    )
    assert stream.calls == ["stop"]


def test_a_start_that_hangs_fails_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def start() -> Any:
        released.wait(60)
        raise AssertionError("nobody waits for it any more")

    report = run(monkeypatch, start, settings=StreamSettings(ready_timeout=0.05))
    released.set()
    assert report.error is not None
    assert report.extra["permanent"] is False
    assert report.error.message == (
        "pipe 'out': its query was not ready within 0.05 s: it had not started\n"
        "  Fix: check what it is waiting for, or increase stream.ready_timeout."
    )


def test_a_start_that_hangs_is_given_up_when_it_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    settings = StreamSettings(drain_timeout=0.05)
    report = run(monkeypatch, lambda: released.wait(60), ask_to_drain, settings=settings)
    released.set()
    assert (report.status, report.extra["drained"]) == ("skipped", False)
    assert report.reason == (
        "it was asked to stop, and its query had not started 0.05 s later; nothing was read or "
        "written, and the next run continues from the checkpoint"
    )


def test_a_query_that_stalls_fails_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_driver, "_BEAT_SECONDS", 0.01)
    stream = StubStream(StreamSettings(stall_timeout=0.05))
    report = run(monkeypatch, stream)
    assert report.error is not None
    assert report.extra["permanent"] is False
    assert report.error.message == (
        "pipe 'out': its query has stalled: no progress for 0.05 s: Processing new data\n"
        "  Fix: check the Spark UI for what it is waiting for; increase stream.stall_timeout if a "
        "single task of a batch takes longer."
    )
    assert stream.calls == ["stop"]


def test_a_query_gives_way_to_a_newer_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_driver, "_CLAIM_SECONDS", 0.01)

    def check(_location: str) -> None:
        raise EntityError("a newer attempt has started")

    stream = StubStream()
    report = run(monkeypatch, stream, hooks=Hooks(before_publish=check))
    assert report.error is not None
    assert report.error.message == "a newer attempt has started"
    assert stream.calls == ["stop"]


def test_storage_that_does_not_answer_for_a_moment_ends_no_stream(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream_driver, "_CLAIM_SECONDS", 0.01)
    stream, looks = StubStream(), []

    def check(_location: str) -> None:
        looks.append(1)
        stream.active = len(looks) < 3
        raise OSError("time-out")

    assert run(monkeypatch, stream, hooks=Hooks(before_publish=check)).status == "published"
    said = capsys.readouterr().err.splitlines()
    assert said == ["Cannot check whether a newer attempt has started: time-out"] * 3


def test_what_takes_what_is_there_is_skipped_where_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    available = {"lifetime": "available_now", "checkpoints": ""}
    nothing = StubStream(active=False, rows_in=0)
    report = run(monkeypatch, nothing, stream=available)
    assert (report.status, report.rows_written, report.reason) == (
        "skipped",
        None,
        "'events' has no new rows",
    )
    assert run(monkeypatch, StubStream(active=False), stream=available).status == "published"
    assert run(monkeypatch, nothing).status == "published"

    def start() -> Any:
        raise NothingThereYet("'events' does not exist yet at '/tables/events'")

    report = run(monkeypatch, start, stream=available)
    assert (report.status, report.reason) == (
        "skipped",
        "'events' does not exist yet at '/tables/events'",
    )


def test_news_go_to_standard_output_at_once_and_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    request = replace(REQUEST, attempt_key="k2")
    monkeypatch.setattr(stream_driver, "start_stream", lambda *_a: StubStream(active=False))
    stream_driver.run_stream(request, SPARK)
    lines = capfd.readouterr().out.splitlines(keepends=True)
    assert len(news_in(lines)) == len(lines)
    assert all(line.endswith("}\n") for line in lines)


class TestWithSpark:
    def test_a_signal_drains_what_has_come(self, project: Project) -> None:
        declare_events(project)
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line)
            states = [news.state for news in news_in(lines)]
            if states.count("ready") == 1 and states[-1] == "ready":
                drop(project.table("events"), "1.json", events(range(5)))
                ask_to_drain()

        request = project.request("clean", stream=CONTINUOUS, attempt_order="1")
        report = run_claimed(request, project.spark, declared=project.declared, say=say)
        assert (report.status, report.inputs[0].rows, report.extra["drained"]) == (
            "published",
            5,
            True,
        )
        assert report.extra["stream"]["status"] == "Stopped"
        assert ids(project, "clean") == [0, 1, 2, 3, 4]
        assert list((project.warehouse / "_kindling" / "claims").glob("[!.]*")) == []

    def test_an_older_try_gives_way(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_driver, "_CLAIM_SECONDS", 0.2)
        declare_events(project)
        request = project.request("clean", stream=CONTINUOUS, attempt_order="1")
        newer = replace(request, attempt_key="k2", attempt_order="2")
        claims: list[Claim] = []

        def say(line: str) -> None:
            if not claims and news_in([line])[0].state == "ready":
                claims.append(Claim.claim(Storage(project.spark), newer))

        report = run_claimed(request, project.spark, declared=project.declared, say=say)
        assert report.error is not None
        assert report.error.message.startswith(
            "pipe 'clean': attempt 1 of its task does not publish, because a newer attempt has "
            "started"
        )
        assert report.extra["permanent"] is False
        assert project.spark.streams.active == []
        claims[0].release()


def test_killed_drivers_lose_nothing_and_double_nothing(project: Project, tmp_path: Path) -> None:
    """Three streams in a row of processes that are killed at odd moments, with files coming in."""
    fed = feed_and_kill(project.warehouse, tmp_path, kills=3)
    survivor = Project(project.spark, project.warehouse, project_of())
    for pipe_id in ("clean", "shops", "counts"):
        report = take_available(survivor, pipe_id)
        assert report.status in ("published", "skipped"), report.error
    assert ids(survivor, "clean") == list(range(fed))
    assert ids(survivor, "shops") == list(range(fed))
    assert sum(n for _, n in survivor.rows("counts")) == fed
