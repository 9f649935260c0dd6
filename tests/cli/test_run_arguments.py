"""What ``run`` tells the pipes of their run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.cli.run_arguments import checked_interval, run_parameters
from kindling_airflow.dag_factory.python_objects import OBJECTS
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
        "day": {"type": "string"},
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
    assert str(refused.value) == f"--param {said!r}: write KEY=VALUE"


def test_an_interval_without_offsets_is_in_utc() -> None:
    assert checked_interval(Namespace(interval=None)) is None
    assert checked_interval(Namespace(interval=["2013-01-01", "2013-01-02T00:00:00Z"])) == (
        "2013-01-01T00:00:00+00:00",
        "2013-01-02T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (["x", "2013-01-01"], "--interval: 'x' is no ISO 8601 moment"),
        (
            ["2013-01-02", "2013-01-02T02:00:00+02:00"],
            "--interval 2013-01-02 2013-01-02T02:00:00+02:00: it must start before it ends",
        ),
    ],
)
def test_an_interval_is_two_moments_in_order(said: list[str], text: str) -> None:
    with pytest.raises(WrongCallError) as refused:
        checked_interval(Namespace(interval=said))
    assert str(refused.value) == text
