"""What a task reads of its pipe's last runs, and leaves for the next ones."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from kindling_airflow.common.run_figures import HISTORY_KEY, RunFigures, window_document
from kindling_airflow.operators.run_history import keep_run, past_of, read_past
from kindling_airflow.protocol.contracts import RunRequest

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
PAST = (RunFigures("old", "2026-01-01T00:00:00+00:00", 4.0, rows=7, interval_seconds=86_400.0),)
REPORT = {"duration_seconds": 5.0, "rows_written": 8, "extra": {}}


def instance(answer: object = None, **more: Any) -> Any:
    """A task instance that finds this XCom, or raises it."""
    asked: list[dict[str, Any]] = []
    pushed: dict[str, Any] = {}

    def xcom_pull(**arguments: Any) -> Any:
        asked.append(arguments)
        if isinstance(answer, Exception):
            raise answer
        return answer

    given = {"task_id": "a", "run_id": "new", "map_index": -1, "start_date": None, **more}
    return SimpleNamespace(
        **given, xcom_pull=xcom_pull, xcom_push=pushed.__setitem__, asked=asked, pushed=pushed
    )


def request(**more: Any) -> RunRequest:
    return RunRequest("key", "a", "/p", (), "/lake", **more)


def test_one_request_finds_the_newest_window_of_an_earlier_run() -> None:
    ti = instance(window_document("a", PAST))
    assert read_past(ti, "a") == PAST
    assert ti.asked == [
        {"task_ids": "a", "key": HISTORY_KEY, "map_indexes": -1, "include_prior_dates": True}
    ]


def test_the_run_itself_and_another_pipe_do_not_count() -> None:
    assert read_past(instance(window_document("a", PAST), run_id="old"), "a") == ()
    assert read_past(instance(window_document("b", PAST)), "a") == ()
    assert read_past(instance(None), "a") == ()


def test_a_history_that_cannot_be_read_or_stored_stops_nothing() -> None:
    assert read_past(instance(RuntimeError("the API server is away")), "a") == ()

    def refuse(*_: object) -> None:
        raise RuntimeError("the API server is away")

    ti = instance()
    ti.xcom_push = refuse
    keep_run(ti, None, request(), REPORT, PAST)


def test_the_driver_gets_seconds_rows_and_interval() -> None:
    assert past_of(PAST) == {"runs": ((4.0, 7, 86_400.0),)}
    assert past_of(()) == {}


def test_a_run_is_added_under_its_logical_date_or_the_time_it_was_due() -> None:
    day = timezone(timedelta(hours=1))
    for run, at in (
        (SimpleNamespace(logical_date=NOON.astimezone(day), run_after=None), NOON.isoformat()),
        (SimpleNamespace(logical_date=None, run_after=NOON), NOON.isoformat()),
        (None, ""),
    ):
        ti = instance(start_date=datetime.now(timezone.utc) - timedelta(seconds=60))
        interval = {
            "interval_start": "2026-01-02T00:00:00+00:00",
            "interval_end": "2026-01-02T06:00:00+00:00",
        }
        keep_run(ti, run, request(**interval), REPORT, ())
        (found,) = ti.pushed[HISTORY_KEY]["runs"]
        assert (found["run_id"], found["at"], found["rows"]) == ("new", at, 8)
        assert found["interval_seconds"] == 6 * 3600
        assert found["task_seconds"] >= 60
