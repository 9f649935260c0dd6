"""Which inputs drive a pipe, and what becomes of a run without them."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.inputs import driving_inputs, driving_problems, skips_empty


def pipe(**said: Any) -> PipeMetadata:
    made = {"input_entity_ids": ("a", "b", "out"), "output_entity_id": "out", **said}
    return PipeMetadata("p", "p", None, **made)


@pytest.mark.parametrize(
    ("said", "driving"),
    [
        ({}, ("a",)),
        ({"driving_entity_ids": ("b",)}, ("b",)),
        ({"sql": "SELECT 1"}, ("a", "b")),
        ({"sql": "SELECT 1", "driving_entity_ids": ("b",)}, ("b",)),
        ({"input_entity_ids": ()}, ()),
    ],
)
def test_a_function_is_driven_by_its_first_input_and_a_query_by_all(
    said: dict[str, Any], driving: tuple[str, ...]
) -> None:
    assert driving_inputs(pipe(**said)) == driving


def test_empty_inputs_are_skipped_only_where_that_is_declared() -> None:
    assert not skips_empty(pipe())
    assert not skips_empty(pipe(tags={"on_empty_input": "run"}))
    assert skips_empty(pipe(tags={"on_empty_input": "skip"}))
    for value in ("run", "skip"):
        assert list(driving_problems(pipe(tags={"on_empty_input": value}))) == []


@pytest.mark.parametrize(
    ("value", "hint"), [("skp", ". Did you mean 'skip'?"), (True, ""), (None, "")]
)
def test_another_value_is_refused(value: object, hint: str) -> None:
    assert list(driving_problems(pipe(tags={"on_empty_input": value}))) == [
        f"pipe 'p': tag on_empty_input is {value!r}{hint}\n  Fix: use one of run, skip."
    ]


def test_a_query_does_not_leave_it_to_its_text_what_is_read_by_its_gains() -> None:
    query = {"sql": "SELECT 1", "use_watermark": True}
    assert list(driving_problems(pipe(**query))) == [
        (
            "pipe 'p': use_watermark on a query with several inputs ('a', 'b'), and nothing "
            "declares which of them is read by what it has gained\n"
            "  Fix: name it, for example driving_entity_ids=['a']."
        )
    ]
    assert list(driving_problems(pipe(**query, driving_entity_ids=("b",)))) == []
    assert list(driving_problems(pipe(**query, input_entity_ids=("a", "out")))) == []
