"""What ``run`` tells the pipes of their run."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kindling_airflow.cli.run.run_arguments import (
    check_has_interval,
    checked_interval,
    run_name,
    run_parameters,
)
from kindling_airflow.definitions.python_objects import OBJECTS
from kindling_airflow.errors import WrongCallError


def source(params: dict[str, Any] | None = None) -> Any:
    definition = None if params is None else SimpleNamespace(params=params)
    return SimpleNamespace(path=Path("x"), definition=definition)


def test_parameters_are_json_or_else_text() -> None:
    said = ["a=1", "b=x", "c=[true, null]", 'd="1"', "e=", "f=a=b", "g=NaN", "h={"]
    assert run_parameters(source(), Namespace(params=said)) == {
        "a": 1,
        "b": "x",
        "c": [True, None],
        "d": "1",
        "e": "",
        "f": "a=b",
        "g": "NaN",
        "h": "{",
    }


def test_parameters_of_the_command_win_over_the_defaults_of_the_definition() -> None:
    params = {
        "country": "NL",
        "days": {"default": 7, "type": "integer"},
        "own": f"{OBJECTS}:_0",
    }
    assert run_parameters(source(params), Namespace(params=["country=DE"])) == {
        "country": "DE",
        "days": 7,
    }
    assert run_parameters(source(params), Namespace(params=None)) == {"country": "NL", "days": 7}


@pytest.mark.parametrize("said", ["x", "=1"])
def test_a_parameter_without_name_or_value_is_a_wrong_call(said: str) -> None:
    with pytest.raises(WrongCallError) as refused:
        run_parameters(source(), Namespace(params=[said]))
    assert str(refused.value) == f"--param {said!r}: must be KEY=VALUE"


def test_an_interval_without_offsets_is_in_utc() -> None:
    assert checked_interval(Namespace(interval=None)) is None
    assert checked_interval(Namespace(interval=["2013-01-01", "2013-01-02T00:00:00Z"])) == (
        "2013-01-01T00:00:00+00:00",
        "2013-01-02T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (["x", "2013-01-01"], "--interval: 'x' is not an ISO 8601 timestamp"),
        (
            ["2013-01-02", "2013-01-02T02:00:00+02:00"],
            "--interval 2013-01-02 2013-01-02T02:00:00+02:00: the start must be before the end",
        ),
    ],
)
def test_an_interval_is_two_moments_in_order(said: list[str], text: str) -> None:
    with pytest.raises(WrongCallError) as refused:
        checked_interval(Namespace(interval=said))
    assert str(refused.value) == text


def test_parameters_are_checked_as_airflow_checks_them() -> None:
    params = {
        "day": {"type": "string", "format": "date"},
        "days": {"default": 7, "type": "integer", "minimum": 1},
        "free": {"type": "string"},
    }
    with pytest.raises(WrongCallError) as refused:
        run_parameters(source(params), Namespace(params=["days=0", "day=soon"]))
    assert str(refused.value) == (
        "--param day=soon: violates the parameter's schema: 'soon' is not a 'date'\n"
        "--param days=0: violates the parameter's schema: 0 is less than the minimum of 1\n"
        "the definition's parameter 'free' has no default: set --param free=VALUE"
    )
    said = ["free=x", "day=2013-01-01", "more=1"]
    assert run_parameters(source(params), Namespace(params=said)) == {
        "days": 7, "free": "x", "day": "2013-01-01", "more": 1,
    }  # fmt: skip


def test_an_interval_without_offsets_is_in_the_time_zone_of_the_definition() -> None:
    """A day of Zurich, as its schedule has it; on 2026-03-29 it has 23 hours."""
    said = Namespace(interval=["2026-03-29", "2026-03-30"])
    assert checked_interval(said, ZoneInfo("Europe/Zurich")) == (
        "2026-03-28T23:00:00+00:00",
        "2026-03-29T22:00:00+00:00",
    )
    # The doubled hour: it starts before it ends on the clock, and not in time.
    twisted = Namespace(interval=["2026-10-25T02:30:00+01:00", "2026-10-25T02:45:00"])
    with pytest.raises(WrongCallError):
        checked_interval(twisted, ZoneInfo("Europe/Zurich"))


def test_a_run_is_a_new_one_unless_it_has_an_interval_or_a_name() -> None:
    now = datetime(2026, 1, 2, tzinfo=timezone.utc)
    plain = Namespace(run_id=None)
    assert run_name(source(), plain, None, now) == "run of x at 2026-01-02T00:00:00+00:00"
    interval = ("2025-12-31T23:00:00+00:00", "2026-01-01T23:00:00+00:00")
    assert run_name(source(), plain, interval, now) == (
        "run of x for 2025-12-31T23:00:00+00:00 to 2026-01-01T23:00:00+00:00"
    )
    assert run_name(source(), Namespace(run_id="mine"), interval, now) == "mine"
    with pytest.raises(WrongCallError):
        run_name(source(), Namespace(run_id=" "), None, now)


@pytest.mark.parametrize("said", ["fail", "run_after"])
def test_a_run_without_an_interval_is_refused_where_the_definition_wants_one(said: str) -> None:
    wants = SimpleNamespace(path=Path("x"), definition=SimpleNamespace(on_missing_interval=said))
    found: Any = wants
    with pytest.raises(WrongCallError) as refused:
        check_has_interval(found, None)
    assert str(refused.value) == (
        f"'x' sets on_missing_interval: {said}, and this run has no data interval, so its pipes "
        "would process all data: set --interval"
    )
    check_has_interval(found, ("2026-01-01", "2026-01-02"))
    found.definition.on_missing_interval = "full"
    check_has_interval(found, None)
    check_has_interval(source(), None)
