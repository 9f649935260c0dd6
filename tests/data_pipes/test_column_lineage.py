"""From which columns the columns of a query are made."""

from __future__ import annotations

import pytest

from kindling_airflow.data_pipes.column_lineage import column_sources

TABLES = {
    "silver_orders": ["day", "amount", "customer"],
    "silver.orders": ["day", "amount", "customer"],
    "customers": ["id", "name"],
    "unknown": [],
}


def told(sql: str, *columns: str) -> dict[str, str]:
    found = column_sources(sql, columns, TABLES)
    return {name: " ".join(f"{t}:{c}" for t, c in sources) for name, sources in found.items()}


def test_columns_are_followed_through_expressions_joins_and_names() -> None:
    sql = (
        "SELECT o.day, round(sum(amount), 2) AS revenue, upper(name) AS `Name` "
        "FROM silver_orders o JOIN customers ON o.customer = id GROUP BY day, name"
    )
    assert told(sql, "day", "revenue", "Name") == {
        "day": "silver_orders:day",
        "revenue": "silver_orders:amount",
        "Name": "customers:name",
    }


def test_columns_are_followed_through_named_queries_and_unions() -> None:
    sql = (
        "WITH doubled AS (SELECT day, amount * 2 AS twice FROM silver_orders) "
        "SELECT day, twice FROM doubled UNION ALL SELECT name, id FROM customers"
    )
    assert told(sql, "day", "twice") == {
        "day": "silver_orders:day customers:name",
        "twice": "silver_orders:amount customers:id",
    }


def test_a_star_is_the_columns_of_its_table() -> None:
    assert told("SELECT * FROM `silver.orders`", "day", "amount") == {
        "day": "silver.orders:day",
        "amount": "silver.orders:amount",
    }


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT count(*) AS n FROM silver_orders", "n"),
        ("SELECT 1 AS n", "n"),
        ("SELECT :region AS n FROM silver_orders", "n"),
        ("SELECT explode(array(1, 2)) AS n FROM silver_orders", "n"),
        ("SELECT * FROM unknown", "n"),
        ("SELECT n FROM elsewhere", "n"),
        ("SELECT day FROM silver_orders", "n"),
        ("FROM silver_orders |> SELECT day AS n", "n"),
        ("this is no query (", "n"),
    ],
)
def test_what_is_not_certain_is_left_out(sql: str, column: str) -> None:
    assert told(sql, column) == {}


def test_a_very_wide_result_is_left_out() -> None:
    columns = [f"c{n}" for n in range(301)]
    assert column_sources("SELECT * FROM silver_orders", columns, TABLES) == {}
