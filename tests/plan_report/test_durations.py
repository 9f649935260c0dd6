"""Durations: given ones over tags over the default, and sums of them that are exact."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.errors import ForecastError
from kindling_airflow.plan_report import durations_of
from kindling_airflow.plan_report.durations import Ticks, seconds_text
from tests.builders import plan

FIX = "\n  Fix: give the seconds that it takes, about; only the ratios matter."


def hints(**seconds: Any) -> dict[str, dict[str, Any]]:
    return {pipe_id: {"duration_hint": hint} for pipe_id, hint in seconds.items()}


class TestSources:
    def test_given_wins_over_the_tag_and_the_tag_over_the_default(self) -> None:
        made = plan("a -> b -> c", tags=hints(a=5, b=6))
        found = durations_of(made, {"a": 0.5}, default=2)
        assert found == {"a": 0.5, "b": 6.0, "c": 2.0}
        assert list(found) == ["a", "b", "c"]

    def test_without_anything_each_pipe_takes_a_second(self) -> None:
        assert durations_of(plan("a -> b")) == {"a": 1.0, "b": 1.0}

    def test_figures_of_other_pipes_are_ignored(self) -> None:
        assert durations_of(plan("a"), {"a": 3, "elsewhere": "soon"}) == {"a": 3.0}

    def test_cannot_be_changed(self) -> None:
        with pytest.raises(TypeError):
            durations_of(plan("a"))["a"] = 2  # type: ignore[index]


class TestProblems:
    def test_all_are_listed(self) -> None:
        made = plan("a -> b -> c -> d", tags=hints(a="soon", b=0, c=7))
        with pytest.raises(ForecastError) as refused:
            durations_of(made, {"b": 3, "d": float("nan"), "c": None}, default=-1)  # type: ignore[dict-item]
        assert refused.value.problems == (
            f"pipe 'a': tag duration_hint must be a positive number of seconds, not 'soon'{FIX}",
            f"pipe 'c': the given duration must be a positive number of seconds, not None{FIX}",
            f"pipe 'd': the given duration must be a positive number of seconds, not nan{FIX}",
            f"the default duration must be a positive number of seconds, not -1{FIX}",
        )

    def test_wrong_default_is_one_problem_even_where_it_serves(self) -> None:
        with pytest.raises(ForecastError) as refused:
            durations_of(plan("a, b"), default=0)
        assert str(refused.value) == (
            f"the default duration must be a positive number of seconds, not 0{FIX}"
        )

    def test_sum_beyond_every_number_is_refused(self) -> None:
        with pytest.raises(ForecastError) as refused:
            durations_of(plan("a, b"), {"a": 1e308, "b": 1e308})
        assert str(refused.value) == (
            "the durations add up to more than 1e+300 seconds\n  Fix: give durations in seconds."
        )


class TestTicks:
    @given(st.dictionaries(st.text(max_size=3), st.floats(1e-9, 1e9), max_size=9))
    def test_sums_are_exact(self, seconds: dict[str, float]) -> None:
        ticks = Ticks.of(seconds)
        exact = sum(map(Fraction, seconds.values()))
        assert Fraction(sum(ticks.by_pipe.values()), ticks.per_second) == exact
        assert ticks.seconds(sum(ticks.by_pipe.values())) == float(exact)
        assert ticks.seconds(sum(ticks.by_pipe.values()), 3) == float(exact / 3)

    @given(st.floats(5e-324, 1e300))
    def test_one_duration_comes_back_as_it_was(self, seconds: float) -> None:
        ticks = Ticks.of({"a": seconds, "b": 1.0})
        assert ticks.seconds(ticks.by_pipe["a"]) == seconds

    def test_of_nothing(self) -> None:
        assert Ticks.of({}) == Ticks({}, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.00012, "0.00012 s"),
        (1, "1 s"),
        (119.94, "119.9 s"),
        (120, "2 min 0 s"),
        (7_199, "119 min 59 s"),
        (7_200, "2 h 0 min"),
        (172_800, "2 d 0 h"),
        (1e10, "115,740 d 18 h"),
        (3e12, "3e+12 s"),
    ],
)
def test_times_are_told_in_units_that_fit(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
