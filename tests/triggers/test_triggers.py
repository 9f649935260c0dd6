"""What gates and the stop wait for, with an Airflow that answers as a test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.execution_time.xcom import XCom
from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from kindling_airflow.operators.ready_gate import ReadyGateOperator
from kindling_airflow.operators.stop_streams import StopStreamsOperator
from kindling_airflow.triggers.polling import RunTrigger
from kindling_airflow.triggers.ready import ReadyTrigger
from kindling_airflow.triggers.stop import StopTrigger

STREAMS = ["a", "b"]


class Airflow:
    """The states of a run, look by look; the last stays. And who has said that it is ready."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks: list[Mapping[str, str | None] | Exception] = [{}]
        self.ready: set[str] = set()
        self.asked: list[str] | None = []
        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", self.states)
        monkeypatch.setattr(XCom, "get_one", self.xcom)
        monkeypatch.setattr("kindling_airflow.triggers.polling._INTERVAL_SECONDS", 0.0)

    def states(self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None) -> Any:
        assert (dag_id, run_ids) == ("dag", ["run"])
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        self.asked = task_ids
        wanted = look if task_ids is None else {k: v for k, v in look.items() if k in task_ids}
        return {"run": wanted} if look else {}

    def xcom(self, *, key: str, dag_id: str, task_id: str, run_id: str) -> Any:
        assert (key, dag_id, run_id) == ("kindling_ready", "dag", "run")
        return "2026-01-01" if task_id in self.ready else None


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    return Airflow(monkeypatch)


def fired(trigger: RunTrigger) -> TriggerEvent:
    """Return what a trigger fires, once it has been through what a triggerer does with it."""
    place, arguments = trigger.serialize()
    module, _, name = place.rpartition(".")
    again: RunTrigger = getattr(import_module(module), name)(**arguments)

    async def first() -> TriggerEvent:
        return await anext(again.run())

    return asyncio.run(asyncio.wait_for(first(), 20))


def gate(deadline: float | None = None) -> ReadyTrigger:
    return ReadyTrigger("dag", "run", STREAMS, deadline, "stop", earlier=["sink"])


def run(
    a: str | None, b: str | None, stop: str = "deferred", sink: str = "running"
) -> dict[str, str | None]:
    return {"a": a, "b": b, "stop": stop, "sink": sink}


class TestReady:
    def test_all_that_run_have_said_so(self, airflow: Airflow) -> None:
        airflow.looks, airflow.ready = [run("running", "running")], {"a", "b"}
        assert isinstance(fired(gate()), TaskSuccessEvent)

    def test_one_that_has_ended_well_was_ready(self, airflow: Airflow) -> None:
        airflow.looks, airflow.ready = [run("success", "running")], {"b"}
        assert isinstance(fired(gate()), TaskSuccessEvent)

    def test_one_that_said_so_in_a_try_before_is_not(self, airflow: Airflow) -> None:
        airflow.ready = {"a", "b"}
        airflow.looks = [run("up_for_retry", "running"), run("queued", "running")]
        event = fired(gate(time.time() - 1))
        assert event.payload == {"status": "late", "streams": {"a": "up_for_retry"}}

    @pytest.mark.parametrize("state", ["failed", "upstream_failed", "skipped", "removed"])
    def test_one_that_cannot_become_so_fails_it_at_once(self, airflow: Airflow, state: str) -> None:
        airflow.looks = [run(None, "queued"), run("running", state, stop="success")]
        assert fired(gate()).payload == {"status": "failed", "streams": {"b": state}}

    @pytest.mark.parametrize("state", ["failed", "upstream_failed"])
    def test_one_before_that_has_failed_for_good_fails_it_at_once(
        self, airflow: Airflow, state: str
    ) -> None:
        airflow.ready = {"a", "b"}
        airflow.looks = [
            run("running", "queued", sink="up_for_retry"),
            run("running", "running", sink=state),
        ]
        assert fired(gate()).payload == {"status": "gone", "streams": {"sink": state}}

    @pytest.mark.parametrize("state", ["success", "up_for_retry", "skipped"])
    def test_one_before_that_has_not_is_no_reason(self, airflow: Airflow, state: str) -> None:
        airflow.looks, airflow.ready = [run("running", "running", sink=state)], {"a", "b"}
        assert isinstance(fired(gate()), TaskSuccessEvent)

    def test_when_stop_was_asked_for_nobody_waits(self, airflow: Airflow) -> None:
        airflow.looks = [run("running", None), run("running", "running", stop="success")]
        assert isinstance(fired(gate()), TaskSkippedEvent)

    def test_an_airflow_without_answers_is_asked_again(self, airflow: Airflow) -> None:
        airflow.ready = {"a", "b"}
        airflow.looks = [RuntimeError("no API server"), {}, run("running", "running")]
        assert isinstance(fired(gate()), TaskSuccessEvent)

    def test_its_time_is_over_even_if_there_are_no_answers(self, airflow: Airflow) -> None:
        airflow.looks = [RuntimeError("no API server")]
        assert fired(gate(time.time() - 1)).payload == {
            "status": "unknown",
            "streams": {"a": None, "b": None},
        }

    def test_with_many_streams_it_asks_for_the_whole_run(self, airflow: Airflow) -> None:
        many = [f"s{n}" for n in range(100)]
        airflow.looks = [dict.fromkeys((*many, "stop"), "success")]
        assert isinstance(fired(ReadyTrigger("dag", "run", many, None, "x")), TaskSkippedEvent)
        assert airflow.asked is None
        airflow.looks = [run("success", "success")]
        assert isinstance(fired(gate()), TaskSuccessEvent)
        assert airflow.asked == ["a", "b", "sink", "stop"]


class TestStop:
    def test_it_ends_with_the_last_stream(self, airflow: Airflow) -> None:
        airflow.looks = [{"a": "success", "b": "up_for_retry"}, {"a": "success", "b": "failed"}]
        assert isinstance(fired(StopTrigger("dag", "run", STREAMS)), TaskSuccessEvent)
        assert len(airflow.looks) == 1

    def test_it_ends_when_the_time_is_over(self, airflow: Airflow) -> None:
        airflow.looks = [{"a": "running", "b": "running"}]
        trigger = StopTrigger("dag", "run", STREAMS, time.time() - 1)
        assert isinstance(fired(trigger), TaskSuccessEvent)


def deferred(operator: Any, **context: Any) -> TaskDeferred:
    ti = SimpleNamespace(dag_id="dag", run_id="run")
    with pytest.raises(TaskDeferred) as caught:
        operator.execute({"ti": ti, **context})
    return caught.value


class TestOperators:
    def test_a_gate_waits_with_a_deadline(self) -> None:
        before = time.time()
        operator = ReadyGateOperator(
            task_id="gate",
            streams=STREAMS,
            earlier=("sink",),
            stop_task_id="stop",
            timeout_seconds=60,
        )
        _, arguments = deferred(operator).trigger.serialize()
        assert before + 60 <= arguments.pop("deadline") <= time.time() + 60
        assert arguments == {
            "dag_id": "dag",
            "run_id": "run",
            "streams": STREAMS,
            "stop_task_id": "stop",
            "earlier": ["sink"],
        }

    @pytest.mark.parametrize(
        ("event", "text"),
        [
            (
                {"status": "late", "streams": {"a": "running", "b": None}},
                (
                    "Not ready within 60 s: 'a' (running), 'b' (not started). Their producers "
                    "are not started.\n"
                    "  Fix: see their logs; a pool with too few free slots keeps them from "
                    "starting; raise stream.ready_timeout to allow more time."
                ),
            ),
            (
                {"status": "unknown", "streams": {"a": None, "b": None}},
                (
                    "No readiness known within 60 s: 'a', 'b'. Airflow did not return the states "
                    "of this run; their producers are not started.\n"
                    "  Fix: see the triggerer's errors in the log above. A new run continues "
                    "from the checkpoints."
                ),
            ),
            (
                {"status": "gone", "streams": {"sink": "failed"}},
                (
                    "Failed permanently after the readiness deadline: 'sink' (failed). Its "
                    "producers are not started, and the other streams stop.\n"
                    "  Fix: correct the error in its log. A new run continues from the "
                    "checkpoints."
                ),
            ),
            (
                {"status": "failed", "streams": {"b": "failed"}},
                (
                    "Cannot become ready: 'b' (failed). Their producers are not started.\n"
                    "  Fix: correct the errors in their logs. A new run continues from the "
                    "checkpoints."
                ),
            ),
        ],
    )
    def test_a_gate_fails_for_good_and_says_why(self, event: Any, text: str) -> None:
        operator = ReadyGateOperator(
            task_id="gate", streams=STREAMS, stop_task_id="stop", timeout_seconds=60
        )
        method = getattr(operator, deferred(operator).method_name)
        with pytest.raises(AirflowFailException) as caught:
            method({}, event=event)
        assert str(caught.value) == text

    def test_the_time_of_streams_counts_from_the_start_of_the_run(self) -> None:
        from datetime import datetime, timezone

        began = datetime(2026, 1, 1, tzinfo=timezone.utc)
        operator = StopStreamsOperator(task_id="stop", streams=STREAMS, after_seconds=3600)
        raised = deferred(operator, dag_run=SimpleNamespace(start_date=began))
        assert raised.trigger.serialize()[1]["deadline"] == began.timestamp() + 3600

    def test_without_a_time_it_waits_for_ever(self) -> None:
        operator = StopStreamsOperator(task_id="stop", streams=STREAMS)
        assert deferred(operator).trigger.serialize()[1]["deadline"] is None
