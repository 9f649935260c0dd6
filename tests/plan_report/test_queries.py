"""Reports of plans with queries show them."""

from __future__ import annotations

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.plan_report import explain, plan_page
from kindling_airflow.plan_report.page_data import page_data

SQL = "\n    SELECT '</script>' AS x\t-- \x1b[31m\n      FROM a_out\n"


def plan(**query: str) -> ExecutionPlan:
    pipes = DataPipesRegistry()
    pipes.register_pipe("a", output_entity_id="a.out")
    pipes.register_pipe("b", input_entity_ids=["a.out"], output_entity_id="b.out", **query)
    return ExecutionPlanGenerator(pipes).generate_batch_plan()


def test_explanation_ends_with_the_query() -> None:
    found = explain(plan(sql=SQL), "b")
    assert (found.sql, found.sql_file) == (SQL, None)
    assert found.to_json()["sql"] == SQL
    assert found.text().endswith(
        "\n\nQuery:\n  SELECT '</script>' AS x     -- \\x1b[31m\n    FROM a_out"
    )
    assert "\n\nQuery (b.sql):\n" in explain(plan(sql="SELECT 1", sql_file="b.sql"), "b").text()


def test_explanation_of_a_function_says_nothing_of_queries() -> None:
    assert "Query" not in explain(plan(sql=SQL), "a").text()


def test_page_shows_the_query_as_text() -> None:
    a, b = page_data(plan(sql=SQL, sql_file="b\n.sql"), None)["pipes"]
    assert (b["sqlTitle"], b["sql"]) == (
        "Query (b\\n.sql)",
        "SELECT '</script>' AS x     -- \\x1b[31m\n  FROM a_out",
    )
    assert "sql" not in a
    assert page_data(plan(sql=SQL), None)["pipes"][1]["sqlTitle"] == "Query"
    assert "SELECT '</script>" not in plan_page(plan(sql=SQL))


def test_another_query_is_another_plan() -> None:
    assert plan(sql="SELECT 1").digest != plan(sql="SELECT 2").digest
