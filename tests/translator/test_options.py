"""What a deployment may decide about the translation, and what it may not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kindling_airflow.errors import TranslationError
from kindling_airflow.translator import TranslateOptions


def refusal(*ids: Any, **options: Any) -> str:
    with pytest.raises(TranslationError) as refused:
        TranslateOptions(*(ids or ("shop", "shop_pool")), **options)
    return str(refused.value)


def test_only_the_ids_are_indispensable() -> None:
    assert dataclasses.asdict(TranslateOptions("shop", "shop_pool")) == {
        "dag_id": "shop",
        "pool": "shop_pool",
        "width": 4,
        "pool_slots": 1,
        "retries": 0,
        "retry_delay_seconds": 300.0,
    }


def test_the_least_values_are_allowed() -> None:
    least = TranslateOptions("d", "p", width=1, pool_slots=1, retries=0, retry_delay_seconds=0)
    assert (least.width, least.retry_delay_seconds) == (1, 0)


def test_options_cannot_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TranslateOptions("d", "p").width = 5  # type: ignore[misc]


def test_pipe_that_its_pool_can_never_run_is_refused() -> None:
    assert TranslateOptions("shop", "p", width=3, pool_slots=3).pool_slots == 3
    assert refusal(width=2, pool_slots=3) == (
        "DAG 'shop': a pipe takes 3 slots, but pool 'shop_pool' has a width of 2: no task could "
        "ever start\n"
        "  Fix: raise the width, or lower the slots per pipe."
    )


def test_all_problems_are_reported_at_once() -> None:
    text = refusal(
        " shop", "", width=0, pool_slots=True, retries=-1, retry_delay_seconds=float("nan")
    )
    assert text == (
        "6 problems in the translation of the plan:\n"
        "1. DAG ' shop': dag_id must be a non-empty string without surrounding spaces: ' shop'\n"
        "2. DAG ' shop': pool must be a non-empty string without surrounding spaces: ''\n"
        "3. DAG ' shop': pool_slots must be a whole number of at least 1, not True\n"
        "4. DAG ' shop': retries must be a whole number of at least 0, not -1\n"
        "5. DAG ' shop': retry_delay_seconds must be a number of at least 0, not nan\n"
        "6. DAG ' shop': width must be a whole number of at least 1, not 0"
    )


@pytest.mark.parametrize("value", [0, -1, 2.0, "2", None, True])
@pytest.mark.parametrize("name", ["width", "pool_slots"])
def test_slots_are_whole_numbers_from_one_on(name: str, value: object) -> None:
    assert refusal(**{name: value}) == (
        f"DAG 'shop': {name} must be a whole number of at least 1, not {value!r}"
    )


@pytest.mark.parametrize("value", [-1, 1.0, "1", None, False])
def test_retries_are_a_whole_number(value: object) -> None:
    assert refusal(retries=value) == (
        f"DAG 'shop': retries must be a whole number of at least 0, not {value!r}"
    )


@pytest.mark.parametrize("value", [-0.1, float("inf"), "5", None, True])
def test_retry_delay_is_a_number_of_seconds(value: object) -> None:
    assert refusal(retry_delay_seconds=value) == (
        f"DAG 'shop': retry_delay_seconds must be a number of at least 0, not {value!r}"
    )


@pytest.mark.parametrize("value", [None, 7, ["shop"]])
def test_ids_are_strings(value: object) -> None:
    kind = type(value).__name__
    assert refusal(value, value) == (
        "2 problems in the translation of the plan:\n"
        f"1. DAG {value!r}: dag_id must be a string, not {kind}: {value!r}\n"
        f"2. DAG {value!r}: pool must be a string, not {kind}: {value!r}"
    )
