"""Queries as tasks: what the UI shows of them, and which of their parameters a DAG must have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.data_pipes.expectations import not_null, unique
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.task_doc import task_doc
from kindling_airflow.errors import DefinitionError
from tests.dag_factory.projects import document

SOURCE = """\
from kindling_airflow import DataPipes

DataPipes.view(
    "gold.late",
    sql_file="late.sql",
    input_entity_ids=["raw.orders"],
)
DataPipes.view("gold.count", sql="SELECT count(*) AS n FROM gold_late")
"""
QUERY = """\
SELECT '{{ not_jinja }}' AS x
FROM raw_orders
WHERE day >= :interval_start AND country = :country
"""


def compiled(folder: Path, **keys: Any) -> Compiled:
    shop = folder / "shop"
    shop.mkdir()
    (shop / "orders.py").write_text(SOURCE)
    (shop / "late.sql").write_text(QUERY)
    said = {"params": {"country": "NL"}, **keys}
    return compile_definition(Definition.from_document(document(**said), base=folder, source="x"))


def test_the_task_of_a_query_shows_it_as_it_is(tmp_path: Path) -> None:
    dag = build_dag(compiled(tmp_path))
    task = dag.get_task("gold.late")
    assert task.doc_md == (
        "Pipe `gold.late`: reads `raw.orders`; writes `gold.late`. From `late.sql`.\n\n"
        f"```sql\n{QUERY}```"
    )
    assert task.doc is None
    assert dag.get_task("gold.count").upstream_task_ids == {"gold.late"}


def test_the_request_of_a_query_has_its_inputs(tmp_path: Path) -> None:
    task: Any = build_dag(compiled(tmp_path)).get_task("gold.count")
    assert task._settings == {"pipes": {"gold.count": {"input_entity_ids": ("gold.late",)}}}


def test_a_parameter_that_the_dag_does_not_have_is_found_when_it_is_compiled(
    tmp_path: Path,
) -> None:
    with pytest.raises(DefinitionError) as refused:
        compiled(tmp_path, params={"contry": "NL"})
    assert str(refused.value) == (
        "x: pipe 'gold.late': its query uses :country, which is not a param of the DAG. "
        "Did you mean 'contry'?\n"
        "  Fix: add it to the params of the definition, or correct the query."
    )


def doc(**changes: Any) -> str:
    said = {"sql": "SELECT 1", "output_entity_id": "out", **changes}
    return task_doc(PipeMetadata("a", "a", None, **said))["doc_md"]


def test_no_query_ends_its_own_fence() -> None:
    assert doc(sql="SELECT '```' AS x -- ````") == (
        "Pipe `a`: reads nothing; writes `out`.\n\n`````sql\nSELECT '```' AS x -- ````\n`````"
    )


def test_what_is_expected_stands_above_the_query() -> None:
    expected = (not_null("a`b"), unique("id", on_violation="warn"))
    assert doc(expectations=expected) == (
        "Pipe `a`: reads nothing; writes `out`.\n\n"
        "- Expects: `` a`b is not null (else fail) ``\n"
        "- Expects: `id is unique (else warn)`\n\n"
        "```sql\nSELECT 1\n```"
    )
    function = PipeMetadata("a", "a", None, output_entity_id="out", expectations=expected)
    assert task_doc(function) == {
        "doc": (
            "Pipe a: reads nothing; writes out.\n"
            "Expects: a`b is not null (else fail)\n"
            "Expects: id is unique (else warn)"
        )
    }


def test_ids_are_shown_letter_by_letter() -> None:
    text = doc(input_entity_ids=("*b*\n# c", "`"), output_entity_id="<i>")
    assert text.startswith("Pipe `a`: reads `*b* # c`, `` ` ``; writes `<i>`.\n\n```sql\n")
