"""Which runs are unusual, by the tags of their pipe and its last runs."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.common.spread import Spread
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.tags.unusual import (
    PastRun,
    UnusualRules,
    is_unusually_long,
    past_runs,
    unusual_duration,
    unusual_problems,
    unusual_rows,
)

DAY = 86_400.0


def past(*rows: int | None, seconds: float = 20.0, interval: float = DAY) -> tuple[PastRun, ...]:
    return tuple(PastRun(seconds, n, interval) for n in rows)


def pipe(tags: dict[str, Any]) -> PipeMetadata:
    registry = DataPipesRegistry()
    registry.register_pipe(
        "a", name="a", execute=print, tags=tags, input_entity_ids=[], output_entity_id="a"
    )
    found = registry.get_pipe_definition("a")
    assert found is not None
    return found


DEFAULT = UnusualRules.of({})


def test_a_tenth_of_the_usual_rows_is_unusual() -> None:
    found = unusual_rows(DEFAULT, past(1000, 1010, 990, 1005, 995), 100, DAY)
    assert found is not None
    assert (found.action, found.text) == (
        "warn",
        "unusually few rows: 100; usual are 1,000 (median of 5 runs, median deviation 5.0)",
    )


def test_many_times_the_usual_rows_are_unusual() -> None:
    found = unusual_rows(DEFAULT, past(1000, 1010, 990, 1005, 995), 10_000, DAY)
    assert found is not None
    assert found.text.startswith("unusually many rows: 10,000; ")


@pytest.mark.parametrize("rows", [500, 1000, 1500])
def test_half_of_the_median_more_or_less_is_usual_however_small_the_spread(rows: int) -> None:
    assert unusual_rows(DEFAULT, past(*[1000] * 9), rows, DAY) is None


def test_pipes_that_vary_much_may_vary_as_much() -> None:
    rules = UnusualRules.of({"unusual.share": "0.01"})
    varied = past(100, 500, 1000, 1500, 1900)
    assert unusual_rows(rules, varied, 4000, DAY) is None
    assert unusual_rows(rules, past(999, 1000, 1001, 1000, 1002), 1100, DAY) is not None


def test_with_fewer_runs_than_the_least_nothing_is_unusual() -> None:
    assert unusual_rows(DEFAULT, past(1000, 1000, 1000, 1000), 0, DAY) is None
    assert unusual_rows(DEFAULT, past(1000, 1000, 1000, 1000, None), 0, DAY) is None


def test_only_the_last_runs_count() -> None:
    rules = UnusualRules.of({"unusual.runs": 3, "unusual.min_runs": 3})
    assert unusual_rows(rules, past(*[10] * 30, 1000, 1000, 1000), 1000, DAY) is None


def test_runs_of_another_interval_are_not_compared() -> None:
    months = past(*[30_000] * 9, interval=30 * DAY)
    assert unusual_rows(DEFAULT, months, 1000, DAY) is None
    assert unusual_rows(DEFAULT, months, 1000, 28 * DAY) is not None
    assert unusual_rows(DEFAULT, months, 1000, 0) is None
    assert unusual_rows(DEFAULT, past(*[30_000] * 9, interval=0), 1000, 0) is not None


def test_a_long_run_is_unusual_and_a_short_one_is_not() -> None:
    runs = past(*[1] * 5)
    found = unusual_duration(DEFAULT, runs, 45.04, DAY)
    assert found is not None
    assert found.text == (
        "unusually long: 45.0 s; usual are 20.0 s (median of 5 runs, median deviation 0.0)"
    )
    assert unusual_duration(DEFAULT, runs, 1.0, DAY) is None


def test_a_task_that_still_runs_is_compared_too() -> None:
    usual = Spread(20.0, 0.0, 5)
    assert is_unusually_long(usual, 31.0)
    assert not is_unusually_long(usual, 30.0)
    assert not is_unusually_long(Spread(20.0, 0.0, 4), 1000.0)


def test_ten_seconds_more_are_usual_however_short_the_runs() -> None:
    assert unusual_duration(DEFAULT, past(*[1] * 5, seconds=0.5), 10.5, DAY) is None


def test_tags_turn_it_off_or_into_a_failure() -> None:
    off = UnusualRules.of({"unusual.rows": "off", "unusual.duration": "off"})
    fail = UnusualRules.of({"unusual.rows": "fail", "unusual.duration": "fail"})
    runs = past(*[1000] * 5)
    assert unusual_rows(off, runs, 0, DAY) is None
    assert unusual_duration(off, runs, 1000, DAY) is None
    for found in (unusual_rows(fail, runs, 0, DAY), unusual_duration(fail, runs, 1000, DAY)):
        assert found is not None
        assert found.action == "fail"


def test_earlier_runs_are_those_of_the_request() -> None:
    assert past_runs({"runs": [[1.5, None, 0], [2.0, 7, 60.0]]}) == (
        PastRun(1.5, None, 0),
        PastRun(2.0, 7, 60.0),
    )
    assert past_runs({}) == ()


def test_wrong_tags_are_reported_at_once() -> None:
    wrong = {"unusual.rows": "wran", "unusual.share": -1, "unusual.runs": 2}
    assert list(unusual_problems(pipe(wrong))) == [
        (
            "pipe 'a': tag unusual.rows is 'wran'. Did you mean 'warn'?\n"
            "  Fix: use one of off, warn, fail."
        ),
        "pipe 'a': tag unusual.share must be a number above 0, not -1",
        "pipe 'a': tag unusual.runs must be a whole number from 3 to 50, not 2",
    ]


def test_fewer_runs_than_the_least_are_a_problem() -> None:
    assert list(unusual_problems(pipe({"unusual.runs": "4"}))) == [
        (
            "pipe 'a': tag unusual.min_runs is 5, but only 4 runs are looked at, so no run "
            "could be unusual\n  Fix: set unusual.runs to at least as many."
        )
    ]
    assert list(unusual_problems(pipe({"unusual.runs": 10, "layer": "gold"}))) == []
    assert list(unusual_problems(pipe({"layer": "gold"}))) == []
