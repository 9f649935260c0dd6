"""What a deployment may decide about the translation, and what it may not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kindling_airflow.errors import TranslationError
from kindling_airflow.translator import Barrier, Closing, OnError, TranslateOptions


def refusal(*ids: Any, **options: Any) -> str:
    with pytest.raises(TranslationError) as refused:
        TranslateOptions(*(ids or ("shop", "shop_pool")), **options)
    return str(refused.value)


def test_only_the_ids_are_indispensable() -> None:
    assert dataclasses.asdict(TranslateOptions("shop", "shop_pool")) == {
        "dag_id": "shop",
        "pool": "shop_pool",
        "width": 4,
        "on_error": OnError.SKIP_DEPENDENTS,
        "barrier": Barrier.NONE,
        "group_by": "generation",
        "pools": {},
        "settings": {},
        "overrides": {},
        "assets": None,
        "closing": Closing.AS_NEEDED,
        "lifetime": None,
        "duration_seconds": None,
        "session_pool": "default_pool",
        "durations": {},
        "memory_budget": None,
    }


def test_the_least_values_are_allowed() -> None:
    settings = {"pool_slots": 1, "retries": 0, "retry_delay_seconds": 0}
    least = TranslateOptions("d", "p", width=1, settings=settings)
    assert (least.width, least.settings) == (1, settings)


def test_options_cannot_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TranslateOptions("d", "p").width = 5  # type: ignore[misc]


def test_unknown_words_are_named_with_those_there_are() -> None:
    text = refusal(on_error="skip_dependants", barrier="wall", closing=None)
    assert text == (
        "3 problems in the translation of the plan:\n"
        "1. DAG 'shop': barrier: unknown value 'wall'.\n"
        "  Fix: use one of none, generation.\n"
        "2. DAG 'shop': closing: unknown value None.\n"
        "  Fix: use one of as_needed, always.\n"
        "3. DAG 'shop': on_error: unknown value 'skip_dependants'. Did you mean "
        "'skip_dependents'?\n"
        "  Fix: use one of fail_fast, continue, skip_dependents."
    )


def test_overrides_are_settings_and_pools_have_slots() -> None:
    assert refusal(overrides={"a": 3}, pools={"heavy": 0}, settings={"retries": -1}) == (
        "3 problems in the translation of the plan:\n"
        "1. DAG 'shop': overrides: 'a' must be a mapping of settings, not 3\n"
        "  Fix: write them as a mapping, such as {'retries': 2}.\n"
        "2. DAG 'shop': pools: 'heavy' must be a whole number of at least 1, not 0\n"
        "3. DAG 'shop': retries must be a whole number of at least 0, not -1"
    )


def test_what_is_handed_over_can_change_and_the_options_do_not() -> None:
    overrides = {"a": {"retries": 1}}
    options = TranslateOptions("d", "p", overrides=overrides)
    overrides["a"]["retries"] = 2
    assert options.overrides == {"a": {"retries": 1}}


def test_all_problems_are_reported_at_once() -> None:
    settings = {"pool_slots": True, "retries": -1, "retry_delay_seconds": float("nan")}
    text = refusal(" shop", "", width=0, settings=settings)
    assert text == (
        "6 problems in the translation of the plan:\n"
        "1. DAG ' shop': dag_id must be a non-empty string without surrounding spaces: ' shop'\n"
        "2. DAG ' shop': pool must be a non-empty string without surrounding spaces: ''\n"
        "3. DAG ' shop': pool_slots must be a whole number of at least 1, not True\n"
        "4. DAG ' shop': retries must be a whole number of at least 0, not -1\n"
        "5. DAG ' shop': retry_delay_seconds must be a number of seconds from 0 to a year, not "
        "nan\n"
        "6. DAG ' shop': width must be a whole number of at least 1, not 0"
    )


@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True])
@pytest.mark.parametrize("name", ["width", "pool_slots"])
def test_slots_are_whole_numbers_from_one_on(name: str, value: object) -> None:
    said = {name: value}
    assert refusal(**(said if name == "width" else {"settings": said})) == (
        f"DAG 'shop': {name} must be a whole number of at least 1, not {value!r}"
    )


@pytest.mark.parametrize("value", [-1, 1.0, "1", False])
def test_retries_are_a_whole_number(value: object) -> None:
    assert refusal(settings={"retries": value}) == (
        f"DAG 'shop': retries must be a whole number of at least 0, not {value!r}"
    )


@pytest.mark.parametrize("value", [-0.1, float("inf"), "5", True])
def test_retry_delay_is_a_number_of_seconds(value: object) -> None:
    assert refusal(settings={"retry_delay_seconds": value}) == (
        "DAG 'shop': retry_delay_seconds must be a number of seconds from 0 to a year, "
        f"not {value!r}"
    )


@pytest.mark.parametrize("value", [None, 7, ["shop"]])
def test_ids_are_strings(value: object) -> None:
    kind = type(value).__name__
    assert refusal(value, value) == (
        "2 problems in the translation of the plan:\n"
        f"1. DAG {value!r}: dag_id must be a string, not {kind}: {value!r}\n"
        f"2. DAG {value!r}: pool must be a string, not {kind}: {value!r}"
    )
