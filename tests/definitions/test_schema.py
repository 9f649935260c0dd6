"""The published schema: valid, described throughout, and of one mind with what is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.dag_factory.task_group import kindling_task_group
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.schema_check import definition_schema, resolved, schema_problems
from kindling_airflow.definitions.yaml_file import read_definition_file
from kindling_airflow.errors import DefinitionError
from kindling_airflow.translator.task_settings import TASK_KEYS
from tests.dag_factory.projects import compiled, document


def properties(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every key of a mapping and of those in it, each as the schema has it in the end."""
    for name, said in schema.get("properties", {}).items():
        inner = resolved(said)
        yield f"{where}{name}", inner
        yield from properties(inner, f"{where}{name}.")
    more = schema.get("additionalProperties", {})
    if isinstance(more, dict) and "$ref" in more:
        yield from properties(resolved(more), f"{where}*.")


def test_the_schema_is_a_valid_one_of_its_draft() -> None:
    schema = definition_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("name", "schema"), properties(definition_schema()))
def test_every_key_is_described(name: str, schema: dict[str, Any]) -> None:
    assert schema["description"].endswith(".")


def test_overrides_know_all_that_can_be_said_of_all_pipes_and_two_keys_more() -> None:
    schema = definition_schema()
    override = resolved(schema["properties"]["overrides"]["additionalProperties"])
    assert set(override["properties"]) == {*TASK_KEYS, "pool", "priority"}
    assert set(TASK_KEYS) == set(schema["$defs"]["task"]["properties"])
    for key in TASK_KEYS:
        assert resolved(override["properties"][key]) == resolved(schema["properties"][key])


@pytest.mark.parametrize(("name", "schema"), properties(definition_schema()))
def test_every_pattern_says_in_words_what_it_wants(name: str, schema: dict[str, Any]) -> None:
    assert ("pattern" in schema) == ("$comment" in schema)


def test_an_unknown_key_is_refused_at_every_level_that_has_keys_of_its_own() -> None:
    levels = [definition_schema(), *(inner for _, inner in properties(definition_schema()))]
    named = [schema for schema in levels if "properties" in schema]
    assert len(named) > 10
    assert all(schema["additionalProperties"] is False for schema in named)


def test_a_new_key_of_the_dag_is_a_row_of_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked, passed on to Airflow and refused by task groups without any other code."""
    schema = definition_schema()
    row = {
        "type": "boolean",
        "x-level": "dag",
        "x-dag-argument": True,
        "description": "Whether templates become objects.",
    }
    monkeypatch.setitem(schema["properties"], "render_template_as_native_obj", row)
    dag = build_dag(compiled(tmp_path, "a", render_template_as_native_obj=True))
    assert dag.render_template_as_native_obj is True
    with pytest.raises(DefinitionError) as wrong:
        compiled(tmp_path, "a", render_template_as_native_obj="yes")
    assert (
        str(wrong.value) == "here: render_template_as_native_obj: must be true or false, not 'yes'"
    )
    with DAG("mine", schedule=None), pytest.raises(DefinitionError) as refused:
        kindling_task_group(
            "plan.json", group_id="group", base=tmp_path, render_template_as_native_obj=True
        )
    assert str(refused.value) == (
        "kindling_task_group 'group': 'render_template_as_native_obj' is a DAG-level key\n  Fix: "
        "set it on the DAG."
    )


# Anything that JSON or YAML can say, under names that are known and under others.

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.sampled_from(["shop", "@daily", "0 3 * * *", "2026-01-01", "UTC", "batch", "*/5 * * * *"])
)
NAMES = st.text(max_size=5) | st.sampled_from(
    [name.rpartition(".")[2] for name, _ in properties(definition_schema())]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=6) | st.dictionaries(
    NAMES, VALUES, max_size=3
).map(lambda keys: document(**keys))


def refused(make: Callable[[], object]) -> tuple[str, ...]:
    """Return the problems of what is made; any other error is the test's."""
    try:
        assert make()
    except DefinitionError as error:
        return error.problems
    return ()


@given(DOCUMENTS)
@settings(max_examples=300)
def test_only_definition_errors_come_out_of_a_document(keys: dict[str, Any]) -> None:
    nowhere = Path("/nowhere")
    found = refused(lambda: Definition.from_document(keys, base=nowhere, source="here"))
    assert found
    assert all(problem.startswith("here: ") for problem in found)


@given(st.text(alphabet="* 0123456789/,-?#LWRHJAN@daily()", max_size=20) | st.text(max_size=20))
@settings(max_examples=300)
def test_only_definition_errors_come_out_of_a_schedule(schedule: str) -> None:
    keys = document(schedule=schedule, start_date="2026-01-01", project="/")
    found = refused(lambda: Definition.from_document(keys, base=Path("/"), source="here"))
    assert all(problem.startswith("here: schedule: ") for problem in found)


@given(st.text(alphabet="ab:-[]{}&*<! \n\"'#|>%@`?,~=\t\\", max_size=40) | st.binary(max_size=40))
@settings(max_examples=300)
def test_only_definition_errors_come_out_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = refused(lambda: read_definition_file(path, "here"))
    assert all(problem.startswith("here:") for problem in found)


@given(DOCUMENTS)
@settings(max_examples=100)
def test_the_words_leave_out_no_problem_that_the_schema_sees(keys: dict[str, Any]) -> None:
    strict = Draft202012Validator(definition_schema())
    assert strict.is_valid(keys) or list(schema_problems(keys))
