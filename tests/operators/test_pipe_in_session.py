"""A pipe's task in the session of its run: what it asks, what it logs, and when it does without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)
from airflow.sdk.exceptions import TaskDeferred
from structlog.testing import capture_logs

from kindling_airflow.common.pool_notes import uncounted_text
from kindling_airflow.operators import shared_driver
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import RunFailure
from kindling_airflow.triggers.session import SessionTrigger
from kindling_airflow.triggers.session_access import SessionPlace
from tests.operators.stand_in_session import KEY, TASK, Airflow, stand_in_session
from tests.operators.stand_ins import install_submit

RUNNING = {TASK: "running"}


@pytest.fixture(autouse=True)
def _deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment with a key, whose own drivers publish one row."""
    monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_SECRET", KEY)
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    monkeypatch.setattr(shared_driver, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(shared_driver, "_RECONNECT_SECONDS", 0.5)
    install_submit(tmp_path, monkeypatch, "send(rows_written=1)")


class Tried:
    """One try of the task: its outcome and what it has logged."""

    def __init__(
        self, folder: Path, airflow: Airflow, number: int = 1, note: str = "", **arguments: Any
    ) -> None:
        self.pushed: dict[str, Any] = {}
        self.operator = KindlingPipeOperator(
            task_id="task",
            pipe_id="pipe",
            project_root=str(folder),
            modules=["pipes"],
            warehouse=str(folder / "warehouse"),
            session=TASK,
            **arguments,
        )
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id="task",
            try_number=number,
            max_tries=1,
            xcom_push=self.pushed.__setitem__,
            get_task_states=airflow.get_task_states,
            xcom_pull=airflow.xcom_pull,
        )
        self.context: Any = {"ti": ti, "dag_run": SimpleNamespace(note=note)}
        self.log: list[str] = []

    def execute(self) -> Any:
        """Return what the task returns or raises."""
        return self._of(lambda: self.operator.execute(self.context))

    def resume(self, deferred: TaskDeferred, event: dict[str, Any]) -> Any:
        """Return what the task returns or raises when it is resumed."""
        method = getattr(self.operator, deferred.method_name)
        return self._of(lambda: method(self.context, event=event, **(deferred.kwargs or {})))

    def _of(self, work: Callable[[], Any]) -> Any:
        with capture_logs() as logs:
            try:
                return work()
            except (Exception, TaskDeferred) as error:
                return error
            finally:
                texts = (str(entry["event"]) for entry in logs)
                args = (entry.get("positional_args") or () for entry in logs)
                self.log += [t % a if a else t for t, a in zip(texts, args, strict=True)]

    def why_own(self) -> str:
        """Return why it started its own driver."""
        prefix = f"Session {TASK!r} does not run this pipe: "
        [text] = [line for line in self.log if line.startswith(prefix)]
        assert text.endswith(". It starts its own driver.")
        return text.removeprefix(prefix).removesuffix(". It starts its own driver.")


class TestInTheSession:
    def test_it_asks_for_what_its_own_driver_would_be_asked_for(self, tmp_path: Path) -> None:
        with stand_in_session() as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))
            result = tried.execute()
        assert (result["status"], result["rows_written"]) == ("published", 3)
        assert tried.pushed["kindling_report"] == result
        request = session.request
        assert request is not None
        assert (request.pipe_id, request.dag_id, request.task_id) == ("pipe", "dag", "task")
        assert request.attempt_key == tried.operator.request.attempt_key  # type: ignore[union-attr]

    def test_its_lines_are_in_its_log(self, tmp_path: Path) -> None:
        with stand_in_session(text="one\ntwo\n\nthree without an end") as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))
            tried.execute()
        shown = [line for line in tried.log if line in ("one", "two", "three without an end")]
        assert shown == ["one", "two", "three without an end"]

    def test_a_failed_pipe_fails_its_task_with_its_error(self, tmp_path: Path) -> None:
        failed = {"status": "failed", "error": RunFailure("ValueError", "no luck")}
        with stand_in_session(report=failed) as session:
            error = Tried(tmp_path, Airflow(RUNNING, session.place)).execute()
        assert type(error) is AirflowException
        assert str(error) == "Pipe 'pipe' failed: ValueError: no luck"
        with stand_in_session(report={**failed, "extra": {"permanent": True}}) as session:
            error = Tried(tmp_path, Airflow(RUNNING, session.place)).execute()
        assert type(error) is AirflowFailException

    def test_a_pipe_with_nothing_to_do_is_skipped(self, tmp_path: Path) -> None:
        with stand_in_session(report={"status": "skipped", "reason": "no rows"}) as session:
            error = Tried(tmp_path, Airflow(RUNNING, session.place)).execute()
        assert type(error) is AirflowSkipException

    def test_the_report_of_another_attempt_proves_nothing(self, tmp_path: Path) -> None:
        stale = {"status": "published", "attempt_key": "other"}
        with stand_in_session(report=stale) as session:
            error = Tried(tmp_path, Airflow(RUNNING, session.place)).execute()
        assert "the report received is from another attempt (other)" in str(error)

    def test_a_broken_connection_is_made_anew_and_no_line_lost(self, tmp_path: Path) -> None:
        with stand_in_session(text="one\ntwo\n", hang_ups=2) as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))
            assert tried.execute()["status"] == "published"
        assert [line for line in tried.log if line in ("one", "two")] == ["one", "two"]

    def test_a_lost_driver_fails_the_try(self, tmp_path: Path) -> None:
        with stand_in_session(hang_ups=10**6) as session:
            error = Tried(tmp_path, Airflow(RUNNING, session.place)).execute()
        assert type(error) is AirflowException
        assert str(error).startswith(
            f"the driver of session {TASK!r} was lost while this pipe ran in it: "
        )
        assert "a retry starts its own driver\n  Fix: see the log of the session's task" in str(
            error
        )

    def test_a_killed_task_cancels_its_attempt(self, tmp_path: Path) -> None:
        with stand_in_session(report=None) as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))

            def kill(message: dict[str, Any]) -> None:
                if message["do"] == "watch":
                    session.report = {"status": "failed", "error": RunFailure("E", "cancelled")}
                    session.on_ask = lambda _: None
                    tried.operator.on_kill()

            session.on_ask = kill
            tried.execute()
            [message] = session.doing("cancel")
        assert message["attempt"] == tried.operator.request.attempt_key  # type: ignore[union-attr]
        assert message["why"] == "its task was killed"


class TestWithoutASession:
    @pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed"])
    def test_one_that_has_ended_is_not_asked_for(self, tmp_path: Path, state: str) -> None:
        with stand_in_session() as session:  # what it had announced is still there
            tried = Tried(tmp_path, Airflow({TASK: state}, session.place))
            assert tried.execute()["rows_written"] == 1
            assert session.asked == []
        assert tried.why_own() == f"it has ended ({state})"

    def test_a_run_without_its_task_has_none(self, tmp_path: Path) -> None:
        tried = Tried(tmp_path, Airflow({"other": "running"}))
        assert tried.execute()["rows_written"] == 1
        assert tried.why_own() == "it has ended (it is not part of this run)"

    def test_a_deployment_without_a_key_has_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_SECRET", "")
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
        tried = Tried(tmp_path, Airflow(RUNNING))
        assert tried.execute()["rows_written"] == 1
        assert tried.why_own() == (
            "the deployment sets neither [kindling] session_secret nor a Fernet key"
        )

    def test_one_that_starts_is_waited_for(self, tmp_path: Path) -> None:
        with stand_in_session() as session:
            states = [{TASK: None}, {TASK: "scheduled"}, {TASK: "queued"}, RUNNING]
            tried = Tried(tmp_path, Airflow(states, [None, session.place]))
            assert tried.execute()["rows_written"] == 3

    def test_one_that_does_not_start_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_START_SECONDS", "0.05")
        for states, why in (
            ({TASK: "queued"}, "it is queued and does not listen yet"),
            ({TASK: None}, "it is not scheduled and does not listen yet"),
            (RUNNING, "it is running and does not listen yet"),
        ):
            tried = Tried(tmp_path, Airflow(states))
            assert tried.execute()["rows_written"] == 1
            assert tried.why_own() == why

    def test_a_driver_of_another_run_is_not_asked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_START_SECONDS", "0.05")
        with stand_in_session(attempt="another") as session:
            place = session.place
            wrong = SessionPlace("dag", "run", TASK, "session-1", place.host, place.port)
            tried = Tried(tmp_path, Airflow(RUNNING, wrong))
            assert tried.execute()["rows_written"] == 1
            assert session.asked == []

    def test_what_it_refuses_its_own_driver_does(self, tmp_path: Path) -> None:
        with stand_in_session(refuses="the session is ending") as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))
            assert tried.execute()["rows_written"] == 1
        assert tried.why_own() == "the session is ending"

    def test_the_next_driver_of_a_session_is_waited_for_by_a_first_try(
        self, tmp_path: Path
    ) -> None:
        with stand_in_session() as gone:
            dead = gone.place
        with stand_in_session(generation=2) as session:
            tried = Tried(tmp_path, Airflow(RUNNING, [dead, dead, session.place]))
            assert tried.execute()["rows_written"] == 3

    def test_a_retry_waits_for_nothing(self, tmp_path: Path) -> None:
        with stand_in_session() as gone:
            dead = gone.place
        for states, place in ((RUNNING, dead), ({TASK: "up_for_retry"}, None)):
            tried = Tried(tmp_path, Airflow(states, place), number=2)
            assert tried.execute()["rows_written"] == 1

    def test_a_retry_is_not_run_where_a_driver_has_died(self, tmp_path: Path) -> None:
        with stand_in_session(generation=2) as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place), number=2)
            assert tried.execute()["rows_written"] == 1
            assert session.asked == []
        assert tried.why_own() == (
            "its driver has died in this run, and this is another try of the pipe"
        )

    def test_a_retry_is_run_in_a_session_that_lives(self, tmp_path: Path) -> None:
        with stand_in_session() as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place), number=2)
            assert tried.execute()["rows_written"] == 3


class TestDeferral:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_WAIT_SECONDS", "0.2")

    def test_a_long_pipe_is_waited_for_in_the_triggerer(self, tmp_path: Path) -> None:
        with stand_in_session(report=None, text="one\nhalf a li") as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))
            deferred = tried.execute()
            assert type(deferred) is TaskDeferred
            trigger = deferred.trigger
            assert isinstance(trigger, SessionTrigger)
            kind, arguments = trigger.serialize()
            assert kind == "kindling_airflow.triggers.session.SessionTrigger"
            session.text += "ne\ntwo\n"
            session.report = {"status": "published"}
            event = asyncio.run(_first(SessionTrigger(**arguments)))
            assert event == {"state": "ended"}
            result = tried.resume(deferred, event)
        assert result["status"] == "published"
        lines = [line for line in tried.log if line in ("one", "half a li", "half a line", "two")]
        assert lines == ["one", "half a line", "two"]

    def test_the_tasks_timeout_counts_on_meanwhile(self, tmp_path: Path) -> None:
        with stand_in_session(report=None) as session:
            tried = Tried(
                tmp_path, Airflow(RUNNING, session.place), execution_timeout=timedelta(hours=1)
            )
            tried.context["ti"].start_date = datetime.now(timezone.utc) - timedelta(minutes=20)
            deferred = tried.execute()
        assert timedelta(minutes=30) < deferred.timeout <= timedelta(minutes=40)

    def test_what_is_stored_meanwhile_holds_no_secret(self, tmp_path: Path) -> None:
        with stand_in_session(report=None) as session:
            deferred = Tried(tmp_path, Airflow(RUNNING, session.place)).execute()
            stored = str((deferred.trigger.serialize(), deferred.kwargs))
            secret = session.place.secret()
        assert secret.hex() not in stored
        assert KEY not in stored

    def test_a_driver_that_is_lost_meanwhile_fails_the_try(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kindling_airflow.triggers.session._LOST_SECONDS", 0.1)
        monkeypatch.setattr("kindling_airflow.triggers.session._INTERVAL_SECONDS", 0.05)
        with stand_in_session(report=None) as session:
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))
            deferred = tried.execute()
        event = asyncio.run(_first(deferred.trigger))
        assert event == {"state": "lost"}
        error = tried.resume(deferred, event)
        assert type(error) is AirflowException
        assert "was lost while this pipe ran in it" in str(error)

    def test_where_deferred_tasks_take_no_slot_it_waits_in_its_worker(self, tmp_path: Path) -> None:
        with stand_in_session(report=None) as session:
            session.on_ask = lambda m: _end_after(session, m)
            note = f"When this run started: {uncounted_text('etl')}"
            tried = Tried(tmp_path, Airflow(RUNNING, session.place), note=note, pool="etl")
            assert tried.execute()["status"] == "published"

    def test_zero_means_in_the_worker(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_WAIT_SECONDS", "0")
        with stand_in_session(report=None) as session:
            session.on_ask = lambda m: _end_after(session, m)
            tried = Tried(tmp_path, Airflow(RUNNING, session.place))
            assert tried.execute()["status"] == "published"


def _end_after(session: Any, message: dict[str, Any]) -> None:
    if len(session.doing("watch")) == 3:
        session.report = {"status": "published"}


async def _first(trigger: Any) -> Any:
    async for event in trigger.run():
        await trigger.cleanup()
        return event.payload
    raise AssertionError("no event")
