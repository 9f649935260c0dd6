"""Columns that a query names: only those that its tables cannot have are refused."""

from __future__ import annotations

import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import FROM_QUERY, DataPipesRegistry
from kindling_airflow.data_pipes.sql_columns import unknown_columns
from kindling_airflow.data_pipes.sql_inputs import check_queries
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.column_checks import declared_columns

TABLES = {
    "t": ["id", "Day", "price", "m", "arr", "j"],
    "u": ["id", "c"],
    "w": None,
    "x.y": ["k"],
}


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT idd FROM t", "idd"),
        ("SELECT t.idd FROM t", "t.idd"),
        ("SELECT a.idd FROM t a JOIN u ON a.id=u.id", "a.idd"),
        ("SELECT id FROM t WHERE dya > 1", "dya"),
        ("SELECT id FROM t GROUP BY idd", "idd"),
        ("SELECT count(*) FROM t ORDER BY nope", "nope"),
        ("WITH q AS (SELECT id AS k FROM t) SELECT id FROM q", "id"),
        ("SELECT z.c FROM (SELECT id FROM u) z", "z.c"),
        ("SELECT s.idd FROM (SELECT idd FROM t) s", "idd"),
        ("SELECT id FROM t UNION ALL SELECT idd FROM u", "idd"),
        ("SELECT x.c FROM (SELECT id FROM t UNION SELECT c FROM u) x", "x.c"),
        ("SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.idd)", "t.idd"),
        ("SELECT id FROM t WHERE id IN (SELECT idd FROM u)", "idd"),
        ("SELECT * EXCEPT (id), nope FROM t", "nope"),
        ("FROM t SELECT nope", "nope"),
        ("SELECT `x.y`.z FROM `x.y`", "x.y.z"),
        ("SELECT t.id, w.a, t.nope FROM t JOIN w ON t.id = w.id", "t.nope"),
        ("SELECT row_number() OVER (PARTITION BY nope ORDER BY id) FROM t", "nope"),
        ("SELECT id, coalesce(foo, 1) FROM (SELECT * FROM t) s", "foo"),
        ("SELECT transform(arr, x -> x + nope) FROM t", "nope"),
        ("SELECT my_udf(nope) FROM t", "nope"),
    ],
)
def test_a_column_that_no_table_in_sight_has(sql: str, name: str) -> None:
    assert [found for found, _ in unknown_columns(sql, TABLES)] == [name]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ID, day, T.Id FROM t",
        "SELECT price.net, t.price.net, price.net.x, s.id.x FROM t JOIN t s ON true",
        "SELECT a.* FROM t a",
        "SELECT z.* FROM (SELECT price.* FROM t) z WHERE z.net = 1",
        "SELECT id AS k, k + 1 AS l FROM t WHERE l > 1 ORDER BY l",
        "SELECT transform(arr, x -> x + id), aggregate(arr, 0, (acc, x) -> acc + x) FROM t",
        "SELECT e.y, y FROM t LATERAL VIEW explode(arr) e AS y",
        "SELECT k, id FROM (SELECT id, explode(m) AS (k, v) FROM t) ORDER BY v",
        "SELECT explode(m) AS (k, v) FROM t ORDER BY k",
        "SELECT col FROM (SELECT explode(arr) FROM t)",
        "SELECT one FROM (SELECT id, day FROM t) PIVOT (count(day) FOR id IN (1 AS one, 2))",
        "SELECT v FROM t UNPIVOT (v FOR k IN (id, day))",
        "SELECT _metadata.file_path, _metadata FROM t",
        "SELECT nope FROM w",
        "SELECT nope FROM t JOIN w ON t.id = w.id",
        "SELECT q.a, id FROM range(10) q(a)",
        "SELECT a FROM VALUES (1) AS v(a)",
        "SELECT p FROM t AS q(p, a, b, c, d, e)",
        "SELECT current_date, user FROM t",
        "SELECT dateadd(DAY, 1, day), timestampdiff(HOUR, day, day), extract(YEAR FROM day) FROM t",
        "WITH RECURSIVE r(n) AS (SELECT id FROM t UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
        "WITH q(a, b) AS (SELECT id, day FROM t) SELECT a, b FROM q",
        "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE c = price)",
        "SELECT (SELECT max(c) FROM u WHERE u.id = t.id) FROM t",
        "SELECT s.x, s.day FROM (SELECT *, 1 AS x FROM t) s",
        "SELECT s.q FROM (SELECT * FROM w) s",
        "SELECT s.q FROM (SELECT * RENAME (id AS q) FROM t) s",
        "SELECT s.q FROM (SELECT * FROM t UNION SELECT * FROM t) s",
        "SELECT `count(1)` FROM (SELECT count(1) FROM t)",
        "SELECT id, row_number() OVER w AS rn FROM t WINDOW w AS (PARTITION BY id) ",
        "SELECT id FROM t, LATERAL (SELECT c FROM u WHERE u.id = day) l WHERE l.c = 1",
        "SELECT id AS a FROM t UNION SELECT id FROM u ORDER BY a",
        "SELECT /*+ BROADCAST(u) */ t.id FROM t JOIN u USING (id)",
        "SELECT make_interval(years => 1), inline(arr), some_udf(id) FROM t",
        "SELECT stack(2, 1, 2) AS (p, q) FROM t",
        "SELECT id, grouping__id FROM t GROUP BY id WITH ROLLUP",
        "SELECT max(struct(id, day)).id, named_struct('a', id).a FROM t",
        "FROM t |> WHERE id > 1 |> SELECT id AS q |> WHERE q > 1",
        "SELECT TRANSFORM(id) USING 'cat' AS (b) FROM t",
        "SELECT id, :run_id FROM t WHERE day BETWEEN :a AND :b",
        "SELECT position('a' IN j), trim(BOTH 'x' FROM j), substring(j FROM 2 FOR 3) FROM t",
        "SELECT price.net.deep.er FROM t",
        "SELECT session_window.start FROM t GROUP BY session_window(day, '5 minutes')",
        "SELECT window.start FROM (SELECT window(day, '5 minutes') FROM t)",
        "SELECT count(*) OVER w FROM t WINDOW w AS (ORDER BY day), v AS (PARTITION BY id)",
        "SELECT id FROM t VERSION AS OF 3",
        "SELECT x.p, p FROM t LATERAL VIEW inline(arr) x AS p",
        "SELECT c.v FROM t CROSS JOIN LATERAL (SELECT t.id + 1 AS v) c",
        "SELECT reduce(arr, named_struct('s', 0), (acc, x) -> named_struct('s', acc.s + x)) FROM t",
        "TABLE t",
        "WITH q AS (SELECT id FROM t) SELECT a.id, b.id FROM q a JOIN q b ON a.id = b.id",
        "SELECT filter(arr, (x, i) -> x.y > i), my_udf(id, x -> x.z) FROM t",
        "SELECT nope FROM catalog.db.t",
        "INSERT INTO t SELECT nope",
        "SELECT (",
    ],
)
def test_what_may_be_there_is_not_spoken_of(sql: str) -> None:
    assert unknown_columns(sql, TABLES) == []


def test_what_was_meant_is_said() -> None:
    assert unknown_columns("SELECT prize FROM t", TABLES) == [("prize", " Did you mean 'price'?")]


def project(sql: str, tags: dict[str, object] | None = None, **entity: object) -> DataPipesRegistry:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    said = {"schema": "id INT, amount INT", **entity}
    entities.register_entity("bronze.orders", **said)  # type: ignore[arg-type]
    pipes.register_pipe("p", sql=sql, input_entity_ids=FROM_QUERY, output_entity_id="o", tags=tags)
    check_queries(pipes, ["bronze.orders"], declared_columns(entities))
    return pipes


def test_a_query_is_read_against_the_declared_schemas() -> None:
    project("SELECT amount FROM bronze_orders")
    with pytest.raises(DeclarationError) as raised:
        project("SELECT amuont FROM bronze_orders")
    assert str(raised.value) == (
        "pipe 'p': its query names column 'amuont', which the declared schemas of its tables do "
        "not have. Did you mean 'amount'?\n"
        "  Fix: correct the name, or the schema of the entity; if Spark accepts the query, set "
        "the tag 'sql.check' to False."
    )


def test_a_query_is_not_read_against_what_is_not_declared() -> None:
    project("SELECT amuont FROM bronze_orders", schema=None)
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    entities.register_entity("a", schema="id INT", tags={"provider_type": "csv"})
    pipes.register_pipe("p", sql="SELECT x FROM a", input_entity_ids=["a"], output_entity_id="o")
    pipes.register_pipe("f", input_entity_ids=["a"], output_entity_id="q")
    check_queries(pipes, ["a"], declared_columns(entities))
    entities.register_entity("b", schema="id INT")
    pipes.register_pipe(
        "q",
        sql="SELECT x FROM b",
        input_entity_ids=["b"],
        output_entity_id="r",
        tags={"sql.check": False},
    )
    check_queries(pipes, ["a"], declared_columns(entities))


def test_a_table_that_may_be_two_entities_is_left_alone() -> None:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    for name in ("x-y", "x_y"):
        entities.register_entity(name, schema="id INT")
    pipes.register_pipe(
        "p", sql="SELECT z FROM `x-y`", input_entity_ids=["x-y"], output_entity_id="o"
    )
    with pytest.raises(DeclarationError):
        check_queries(pipes, ["x-y", "x_y"], declared_columns(entities))
