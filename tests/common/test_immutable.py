"""Values that cannot change."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.immutable import (
    TOO_DEEP,
    FrozenDict,
    FrozenJson,
    canonical_json,
    digest_of,
    freeze,
    json_problems,
    same_json,
    thaw,
)
from tests.strategies import json_tags

REFUSAL = "this mapping is immutable; make a new one instead: {**old, key: value}"


def _or_in_place(mapping: dict[str, Any]) -> None:
    mapping |= {"a": 2}


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.__setitem__("a", 2),
        lambda m: m.__delitem__("a"),
        lambda m: m.clear(),
        lambda m: m.pop("a"),
        lambda m: m.popitem(),
        lambda m: m.setdefault("b", 2),
        lambda m: m.update(a=2),
        _or_in_place,
    ],
    ids=["setitem", "delitem", "clear", "pop", "popitem", "setdefault", "update", "ior"],
)
def test_every_way_to_change_a_frozen_mapping_is_refused(
    change: Callable[[dict[str, Any]], object],
) -> None:
    mapping = FrozenDict(a=1)
    with pytest.raises(TypeError) as refused:
        change(mapping)
    assert str(refused.value) == REFUSAL
    assert mapping == {"a": 1}


def test_frozen_mapping_is_a_dict_for_json_and_for_comparison() -> None:
    assert json.dumps(FrozenDict(a=1)) == '{"a": 1}'
    assert FrozenDict(a=1) == {"a": 1}
    assert {**FrozenDict(a=1), "b": 2} == {"a": 1, "b": 2}


def test_frozen_mapping_survives_copy_and_pickle() -> None:
    mapping = FrozenDict(a=FrozenDict(b=(1, 2)))
    assert copy.copy(mapping) is mapping
    assert copy.deepcopy(mapping) is mapping
    restored = pickle.loads(pickle.dumps(mapping))
    assert restored == mapping
    assert type(restored) is type(restored["a"]) is FrozenDict


def test_equal_frozen_mappings_have_one_hash() -> None:
    assert hash(FrozenDict(a=1, b=2)) == hash(FrozenDict(b=2, a=1))


def test_freezing_reaches_every_level_even_beneath_a_frozen_mapping() -> None:
    inner = [1, {"b": [2]}]
    frozen = freeze(FrozenDict(a=inner, c=MappingProxyType({"d": {2, 1}})))
    inner.append(3)
    assert frozen == {"a": (1, {"b": (2,)}), "c": {"d": (1, 2)}}
    assert isinstance(hash(frozen), int)


@pytest.mark.parametrize("frozen", [FrozenDict(a=1), FrozenDict(), freeze({"a": "b", "c": None})])
def test_flat_mapping_that_is_frozen_already_is_returned_as_it_is(frozen: FrozenDict) -> None:
    assert freeze(frozen) is frozen


def test_freezing_keeps_keys_that_json_would_make_one() -> None:
    assert list(freeze({"a": {1: "x", "1": "y", None: "z"}})["a"].items()) == [
        (1, "x"),
        ("1", "y"),
        (None, "z"),
    ]


def test_what_is_two_hundred_deep_can_be_frozen_and_nothing_deeper() -> None:
    value: Any = 1
    for _ in range(100):
        value = {"x": [value]}
    assert thaw(freeze(value)) == value
    loop: list[Any] = []
    loop.append(loop)
    for deeper in ([value], loop):
        with pytest.raises(ValueError, match="too deep") as refused:
            freeze(deeper)
        assert str(refused.value) == TOO_DEEP


def test_freezing_returns_what_is_no_collection_as_it_is() -> None:
    handle = object()
    assert freeze({"a": [handle]})["a"][0] is handle


def test_mapping_that_is_vouched_for_has_no_problems() -> None:
    assert json_problems("tags", {"x": FrozenJson({"a": object()})}) == []


def test_numbers_and_texts_of_json_are_no_problem_at_any_depth() -> None:
    value = {"a": [1, 1.5, True, None, "x", ("y", {"z": frozenset({1})})]}
    assert json_problems("tags", value) == []


@given(json_tags())
def test_what_has_no_problems_has_a_digest(tags: dict[str, object]) -> None:
    assert json_problems("tags", tags) == []
    assert digest_of(freeze(tags)) == digest_of(tags)


@pytest.mark.parametrize("other", [True, 1.0, "1"])
def test_json_tells_apart_what_python_does_not(other: object) -> None:
    assert same_json({"x": (1,)}, {"x": (1,)})
    assert not same_json({"x": (1,)}, {"x": (other,)})


def test_thawing_gives_what_json_has() -> None:
    assert thaw(freeze({"a": [1, {"b": [2]}]})) == {"a": [1, {"b": [2]}]}


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": [1, 2], "a": "é"}) == '{"a":"\\u00e9","b":[1,2]}'
    assert digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
    assert digest_of({}) == (
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


@given(json_tags(), st.sampled_from([0, 1, 255, 256, 257, 600]))
def test_digest_is_that_of_the_whole_text(tags: dict[str, object], length: int) -> None:
    pipes = [{"b": n, "a": "é"} for n in range(length)]
    document = {**tags, "pipes": pipes}
    whole = "sha256:" + hashlib.sha256(canonical_json(document).encode()).hexdigest()
    assert digest_of(document) == whole
    assert digest_of({**document, "pipes": iter(pipes)}) == whole


@pytest.mark.parametrize("document", [[1, 2], "a", 1.5, None, {1: "a"}, {"a": {"b": []}}])
def test_digest_of_whatever_json_can_express(document: object) -> None:
    whole = "sha256:" + hashlib.sha256(canonical_json(document).encode()).hexdigest()
    assert digest_of(document) == whole


def test_digest_refuses_what_json_does_not_have() -> None:
    for document in ({"a": [1, float("nan")]}, {"a": float("inf")}, float("nan")):
        with pytest.raises(ValueError, match="Out of range float values"):
            digest_of(document)


def test_canonical_json_refuses_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        canonical_json(float("nan"))
    with pytest.raises(TypeError, match="not JSON serializable"):
        canonical_json(object())


def test_mapping_that_is_vouched_for_is_not_walked_over_again() -> None:
    vouched = FrozenJson({"a": (1, 2)})
    assert freeze(vouched) is vouched
    assert vouched == FrozenDict(a=(1, 2)) == {"a": (1, 2)}
    with pytest.raises(TypeError) as refused:
        vouched["a"] = 2
    assert str(refused.value) == REFUSAL


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_of_a_vouched_mapping_are_equal(copied: Callable[[Any], Any]) -> None:
    vouched = FrozenJson({"a": (1, 2)})
    assert copied(vouched) == vouched
