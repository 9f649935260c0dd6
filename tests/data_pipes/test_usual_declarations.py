"""The short way in which a manifest's pipes are registered, against the full one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import DeclarationError

_IDS = st.sampled_from(
    [
        "a",
        "a.b",
        "a_b",
        "_a",
        "a_",
        "class",
        "class_",
        "1a",
        "_1a",
        ".",
        "",
        " a",
        "a b",
        "ä",
        "A-b",
    ]
)
_VALUES = st.one_of(_IDS, st.none(), st.integers(), st.lists(_IDS | st.integers(), max_size=2))
_ENTRIES = st.fixed_dictionaries(
    {"pipeid": _IDS | st.integers(), "output_entity_id": _IDS | st.none()},
    optional={
        "name": _VALUES,
        "input_entity_ids": st.lists(_IDS | st.integers(), max_size=4) | _VALUES,
        "tags": st.dictionaries(_IDS | st.integers(), _VALUES, max_size=2)
        | st.just({"quality.examples": -1})
        | _VALUES,
        "use_watermark": st.booleans(),
        "later": _VALUES,
    },
)


@given(_ENTRIES)
def test_what_goes_the_short_way_is_what_the_full_way_makes(entry: dict[str, Any]) -> None:
    short, full = DataPipesRegistry(), DataPipesRegistry()
    if short.register_usual(entry):
        full.register_pipe(**entry)
        assert list(short) == list(full)
    else:
        assert len(short) == 0


@given(st.lists(_IDS, max_size=4))
def test_inputs_that_share_an_argument_never_go_the_short_way(inputs: list[str]) -> None:
    entry = {"pipeid": "p", "output_entity_id": "o", "input_entity_ids": inputs}
    try:
        DataPipesRegistry().register_pipe(**entry)  # type: ignore[arg-type]
    except DeclarationError:
        assert not DataPipesRegistry().register_usual(entry)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"input_entity_ids": ["bronze.orders", "ref_data.fx", "x1"]},
        {"tags": {"layer": "gold", "deep": {"x": [1]}}, "name": "Orders", "function": {}},
    ],
)
def test_usual_pipes_go_the_short_way(more: dict[str, Any]) -> None:
    registry = DataPipesRegistry()
    entry = {"pipeid": "a/b", "output_entity_id": "silver.orders", **more}
    assert registry.register_usual(entry)
    assert not registry.register_usual(entry)  # an id that is taken is for the full way
