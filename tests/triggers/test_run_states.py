"""What the states of a run's tasks mean for its streams."""

from __future__ import annotations

import pytest

from kindling_airflow.triggers.run_states import StopRule, all_ended, ended

RULE = StopRule("stop", ("s", "t"), ("gate",), ("s",))
ALIVE = {"stop": "deferred", "s": "running", "t": "running", "gate": "success"}


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed"])
def test_what_only_a_person_brings_back_has_ended(state: str) -> None:
    assert ended({"s": state}, "s")


@pytest.mark.parametrize(
    "state", [None, "scheduled", "queued", "running", "up_for_retry", "deferred", "restarting"]
)
def test_what_goes_on_by_itself_has_not_ended(state: str | None) -> None:
    assert not ended({"s": state}, "s")


def test_of_a_run_that_nothing_is_known_of_nothing_has_ended() -> None:
    assert not all_ended({}, ["s"])
    assert RULE.reason({}) == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, ""),
        ({"stop": "success"}, "'stop' has ended"),
        ({"stop": "failed"}, "'stop' has ended"),
        ({"stop": "up_for_retry"}, ""),
        ({"t": "failed"}, "'t' failed permanently"),
        ({"t": "up_for_retry"}, ""),
        ({"t": "success"}, ""),
        ({"gate": "upstream_failed"}, "'gate' failed permanently"),
        ({"gate": "skipped"}, ""),
    ],
)
def test_reasons_to_stop(changed: dict[str, str], reason: str) -> None:
    assert RULE.reason({**ALIVE, **changed}) == reason


def test_it_waits_for_its_own_producers_alone() -> None:
    assert RULE.waits_for({**ALIVE, "t": "running"}) == ["s"]
    assert RULE.waits_for({**ALIVE, "s": "upstream_failed"}) == []


def test_a_failed_gate_leaves_no_hope_but_a_failed_stream_does() -> None:
    assert RULE.is_hopeless({**ALIVE, "gate": "failed"})
    assert not RULE.is_hopeless({**ALIVE, "t": "failed"})
