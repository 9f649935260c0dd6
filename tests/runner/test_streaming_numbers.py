"""When is a query stuck, and what are its numbers? Decided on what was seen, without Spark."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.runner.streaming.progress import ProgressCounts
from kindling_airflow.runner.streaming.running import RunningStream, StreamFacts
from kindling_airflow.runner.streaming.stall_watch import Look, StallWatch
from kindling_airflow.tags.stream_settings import StreamSettings

WAITING, PROCESSING = "Waiting for data to arrive", "Processing new data"
ASKING, PAUSING = "Getting offsets from FileStreamSource[x]", "Waiting for next trigger"


def look(
    at: float,
    message: str = PROCESSING,
    done: int = 0,
    *,
    data: bool = True,
    since: int | None = None,
) -> Look:
    return Look(at, message, data, message not in (WAITING, PAUSING), done, since)


def stuck(*looks: Look, limit: float = 10, pause: float = 0) -> bool:
    watch = StallWatch(limit, pause)
    return [watch.is_stuck(each) for each in looks][-1]


class TestStalls:
    def test_a_batch_of_which_nothing_gets_done_is_a_stall(self) -> None:
        assert not stuck(look(0), look(9.9))
        assert stuck(look(0), look(9.9), look(10))

    def test_whatever_gets_done_begins_the_time_anew(self) -> None:
        assert not stuck(look(0), look(9, done=1), look(18, done=1))
        assert stuck(look(0), look(9, done=1), look(19, done=1))

    @given(st.lists(st.sampled_from([WAITING, ASKING, PAUSING]), min_size=2))
    def test_a_source_that_has_nothing_may_be_asked_for_ever(self, messages: list[str]) -> None:
        looks = [look(100.0 * n, message, data=False) for n, message in enumerate(messages)]
        assert not stuck(*looks)

    def test_a_source_that_does_not_answer_is_a_stall(self) -> None:
        asked = [look(at, ASKING, data=False, since=7) for at in (0, 9, 10)]
        assert not stuck(*asked[:2])
        assert stuck(*asked)
        assert not stuck(*asked[:2], look(10, ASKING, data=False, since=8))
        assert not stuck(*asked[:2], look(9.5, WAITING, data=False), asked[2])

    def test_data_that_waits_is_a_stall_however_often_the_source_is_asked(self) -> None:
        assert stuck(look(0, ASKING, since=7), look(9, ASKING, since=8), look(10, ASKING, since=9))

    def test_a_source_that_has_nothing_in_between_begins_the_time_anew(self) -> None:
        assert not stuck(look(0), look(9, WAITING, data=False), look(10), look(19))

    def test_data_that_waits_while_nothing_is_done_is_a_stall(self) -> None:
        assert stuck(look(0, WAITING), look(10, WAITING))

    def test_a_query_may_wait_for_its_own_next_batch(self) -> None:
        assert not stuck(look(0, PAUSING), look(3609, PAUSING), pause=3600)
        assert stuck(look(0, PAUSING), look(3610, PAUSING), pause=3600)

    def test_work_on_the_state_without_new_data_can_stall_too(self) -> None:
        cleaning = "No new data but cleaning up state"
        assert stuck(look(0, cleaning, data=False), look(10, cleaning, data=False))

    def test_with_0_seconds_nothing_is_a_stall(self) -> None:
        assert not stuck(look(0), look(1e9), limit=0)


def batch(number: int, **more: Any) -> dict[str, Any]:
    return {
        "batchId": number,
        "timestamp": f"2026-01-01T00:00:{number:02d}.000Z",
        "numInputRows": 10,
        "durationMs": {"addBatch": 5},
        **more,
    }


def query(*batches: dict[str, Any]) -> Any:
    """Return what a query shows of its last batches, the way that Spark does."""

    def shown(document: dict[str, Any]) -> Any:
        return SimpleNamespace(
            timestamp=lambda: document["timestamp"], json=lambda: json.dumps(document)
        )

    return SimpleNamespace(
        _jsq=SimpleNamespace(recentProgress=lambda: [shown(each) for each in batches])
    )


class TestNumbers:
    def test_each_batch_counts_once_however_often_it_is_looked_at(self) -> None:
        numbers = ProgressCounts()
        for seen in (query(), query(batch(4)), query(batch(4), batch(5)), query(batch(5))):
            numbers.look(seen)
        assert (numbers.batches, numbers.rows_in) == (2, 20)
        assert numbers.progress("s")["batch_id"] == 5

    def test_rows_are_written_as_the_sink_says_and_not_as_they_come_in(self) -> None:
        numbers = ProgressCounts()
        numbers.look(
            query(batch(1, sink={"numOutputRows": 3}), batch(2, sink={"numOutputRows": 0}))
        )
        idle = batch(3, durationMs={}, sink={"numOutputRows": -1})
        numbers.look(query(idle))
        assert (numbers.rows_in, numbers.rows_out) == (30, 3)

    @pytest.mark.parametrize("sink", [{"numOutputRows": -1}, {"description": "files"}, None])
    def test_rows_that_no_sink_has_counted_are_not_known(self, sink: Any) -> None:
        numbers = ProgressCounts()
        numbers.look(query(batch(1, sink=sink), batch(2, sink={"numOutputRows": 3})))
        assert numbers.rows_out is None

    def test_a_batch_is_not_missed_because_its_number_was_seen_without_it(self) -> None:
        idle = batch(4, numInputRows=0, durationMs={}, timestamp="2026-01-01T00:00:03.000Z")
        numbers = ProgressCounts()
        numbers.look(query(idle))
        assert (numbers.batches, numbers.rows_in) == (0, 0)
        numbers.look(query(idle, batch(4)))
        assert (numbers.batches, numbers.rows_in) == (1, 10)

    def test_what_is_not_known_is_null(self) -> None:
        assert ProgressCounts(lambda: 7.0).progress("Initializing sources") == {
            "batch_id": None,
            "batches": 0,
            "rows_in": 0,
            "rows_per_second": None,
            "input_rows_per_second": None,
            "lag": None,
            "state_rows": None,
            "state_bytes": None,
            "last_progress": None,
            "idle_seconds": 0.0,
            "status": "Initializing sources",
        }

    def test_the_state_is_that_of_all_operators(self) -> None:
        states = [{"numRowsTotal": 3, "memoryUsedBytes": 100}, {"numRowsTotal": 4}]
        numbers = ProgressCounts()
        numbers.look(query(batch(1, stateOperators=states)))
        said = numbers.progress("s")
        assert (said["state_rows"], said["state_bytes"]) == (7, 100)

    @pytest.mark.parametrize(
        ("metrics", "lag"),
        [
            ({"maxOffsetsBehindLatest": "12", "avgOffsetsBehindLatest": "3.5"}, 12),
            ({"numFilesOutstanding": "3", "numBytesOutstanding": "900"}, 3),
            ({"numBytesOutstanding": "900"}, 900),
            ({}, None),
            ({"numFilesOutstanding": "unknown"}, None),
            (None, None),
        ],
    )
    def test_how_far_it_is_behind_is_said_in_the_sources_own_unit(
        self, metrics: Any, lag: int | None
    ) -> None:
        numbers = ProgressCounts()
        numbers.look(query(batch(1, sources=[{"metrics": metrics}])))
        assert numbers.progress("s")["lag"] == lag

    def test_rates_are_numbers_of_now_or_nothing(self) -> None:
        clock = [0.0]
        numbers = ProgressCounts(lambda: clock[0])
        rates = {"processedRowsPerSecond": 12.34567, "inputRowsPerSecond": float("inf")}
        numbers.look(query(batch(1, **rates)))
        said = numbers.progress("s")
        assert (said["rows_per_second"], said["input_rows_per_second"]) == (12.346, None)
        clock[0] = 31.0
        said = numbers.progress("s")
        assert (said["rows_per_second"], said["idle_seconds"]) == (None, 31.0)
        json.dumps(said, allow_nan=False)


class DyingQuery:
    """A query that has died: Spark says so before it counts as ended.

    Args:
        message: what Spark says.
        active: whether it counts as running, each time that somebody asks.
    """

    def __init__(self, message: str, *active: bool) -> None:
        self.status = {"message": message}
        self._active = list(active)
        self._jsq = SimpleNamespace(exception=lambda: SimpleNamespace(isDefined=lambda: False))

    @property
    def isActive(self) -> bool:  # noqa: N802 (as Spark calls it)
        return self._active.pop(0) if len(self._active) > 1 else self._active[0]


def is_ready(message: str, *active: bool) -> bool:
    facts = StreamFacts("out", "in", "out", "", {}, StreamSettings(), lambda _error: None)
    return RunningStream(
        facts, lambda _trigger: cast("Any", DyingQuery(message, *active)), None
    ).is_ready()


class TestReadiness:
    @pytest.mark.parametrize(
        "message", [WAITING, PROCESSING, PAUSING, "Running", "Committing epoch 3"]
    )
    def test_a_query_at_work_is_ready_unless_it_has_ended(self, message: str) -> None:
        assert is_ready(message, True)
        assert not is_ready(message, False)

    @pytest.mark.parametrize(
        "message",
        ["Initializing sources", ASKING, "Terminated with exception: no such topic", "Stopped"],
    )
    def test_a_query_that_begins_or_has_died_is_not(self, message: str) -> None:
        assert not is_ready(message, True)
        assert not is_ready(message, False)
