"""What a query names: tables and parameters, and texts that are no queries."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes.sql_flaws import comma_problems
from kindling_airflow.data_pipes.sql_query import (
    Query,
    TableName,
    bare_query,
    query_problems,
    query_text,
    read_query,
)

REMEDY = "  Fix: write one query: SELECT, WITH ... SELECT, FROM ... SELECT or VALUES."


def tables(sql: str) -> list[str]:
    query = read_query(sql)
    assert query.problems == ()
    return [".".join(table.parts) for table in query.tables]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1", []),
        ("VALUES (1), (2)", []),
        ("SELECT * FROM a", ["a"]),
        ("FROM a SELECT x", ["a"]),
        ("FROM a |> WHERE x > 1 |> SELECT x", ["a"]),
        ("(SELECT * FROM b) UNION ALL (SELECT * FROM a EXCEPT SELECT * FROM c)", ["b", "a", "c"]),
        ("SELECT * FROM b x JOIN a y ON x.i = y.i LEFT ANTI JOIN c USING (i)", ["b", "a", "c"]),
        ("SELECT * FROM a, a", ["a"]),
        ("SELECT * FROM a AS b JOIN b AS a ON a.i = b.i", ["a", "b"]),
        # Subqueries, wherever they may stand.
        (
            "SELECT (SELECT max(i) FROM b) FROM a HAVING count(*) > (SELECT 1 FROM c)",
            ["b", "a", "c"],
        ),
        ("SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.i = a.i)", ["a", "b"]),
        ("SELECT * FROM a WHERE i IN (WITH z AS (SELECT i FROM b) SELECT i FROM z)", ["a", "b"]),
        ("SELECT * FROM a ORDER BY (SELECT 1 FROM b)", ["a", "b"]),
        # WITH: what it names is no input, but only where it can be seen.
        ("WITH a AS (SELECT 1) SELECT * FROM a", []),
        ("WITH A AS (SELECT * FROM B) SELECT * FROM a", ["B"]),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a x JOIN a y ON x.i = y.i", ["a"]),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM c) SELECT * FROM a, b", ["b", "c"]),
        ("WITH a AS (WITH b AS (SELECT * FROM c) SELECT * FROM b) SELECT * FROM a, b", ["c", "b"]),
        ("SELECT * FROM a JOIN (WITH a AS (SELECT 1 AS i) SELECT * FROM a) x ON true", ["a"]),
        ("WITH a(x, y) AS (SELECT * FROM b) SELECT x FROM a", ["b"]),
        ("WITH a AS (SELECT * FROM b) (SELECT * FROM a) UNION (SELECT * FROM a)", ["b"]),
        (
            (
                "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) "
                "SELECT * FROM r JOIN a ON a.i = r.n"
            ),
            ["a"],
        ),
        (
            (
                "WITH a AS (SELECT 1), b AS (SELECT * FROM a) "
                "SELECT (SELECT count(*) FROM b WHERE EXISTS (SELECT 1 FROM a JOIN c ON true))"
            ),
            ["c"],
        ),
        # What stands in FROM and is no table.
        ("SELECT * FROM range(10) JOIN explode(array(1)) ON true", []),
        ("SELECT * FROM VALUES (1), (2) AS t(i) JOIN a ON a.i = t.i", ["a"]),
        ("SELECT k FROM a LATERAL VIEW explode(xs) t AS k", ["a"]),
        ("SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.i = a.i)", ["a", "b"]),
        ("SELECT * FROM a, LATERAL explode(a.xs)", ["a"]),
        ("SELECT * FROM explode(collection => (SELECT max(xs) FROM a))", ["a"]),
        # What may follow a table's name.
        ("SELECT * FROM a PIVOT (sum(x) FOR y IN (1, 2)) AS p", ["a"]),
        ("SELECT * FROM a TABLESAMPLE (10 PERCENT) b", ["a"]),
        ("SELECT /*+ BROADCAST(b) */ * FROM a JOIN b USING (i)", ["a", "b"]),
        # How names are written.
        ("SELECT * FROM `ref-data.2024`", ["ref-data.2024"]),
        ("SELECT * FROM `a``b`", ["a`b"]),
        ("SELECT * FROM Bronze_Orders", ["Bronze_Orders"]),
        ("SELECT * FROM bronze.orders", ["bronze.orders"]),
        ("SELECT * FROM lake.bronze.Orders", ["lake.bronze.Orders"]),
        ("SELECT * FROM parquet.`/x/y`", ["parquet./x/y"]),
        ("SELECT 'FROM b' AS t -- FROM c\nFROM a /* JOIN d */", ["a"]),
    ],
)
def test_tables_are_those_that_the_query_does_not_make_itself(sql: str, found: list[str]) -> None:
    assert tables(sql) == found


def test_tables_come_in_the_order_of_the_text_with_their_first_line() -> None:
    sql = "WITH x AS (\n  SELECT * FROM c\n)\nSELECT *\nFROM b JOIN x ON true\nJOIN C ON true"
    assert read_query(sql).tables == (TableName(("c",), 2), TableName(("b",), 5))


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT * FROM a WHERE t >= :interval_start AND t < :interval_end", 2),
        ("SELECT :a, (SELECT :b FROM x WHERE i > :a) LIMIT :n", 3),
        ("SELECT x::INT, CAST(y AS STRUCT<a: INT>), ':c' FROM t -- :d", 0),
        ("SELECT filter(xs, x -> x > :n) FROM t", 1),
        ("SELECT ? FROM t", 0),
    ],
)
def test_parameters_are_names_behind_colons_where_values_stand(sql: str, found: int) -> None:
    assert len(read_query(sql).parameters) == found


def test_parameters_are_sorted_and_named_once() -> None:
    assert read_query("SELECT :b, :a, :b, :B").parameters == ("B", "a", "b")


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("INSERT INTO t SELECT 1", "'INSERT'"),
        ("  -- new\n/* one */ drop TABLE t", "'drop'"),
        ("(DELETE FROM t)", "'DELETE'"),
        ("BEGIN SELECT 1; END", "'BEGIN'"),
        (";", "';'"),
    ],
)
def test_statements_are_refused_by_their_first_word(sql: str, word: str) -> None:
    problem = f"its query begins with {word}\n{REMEDY}"
    assert query_problems(sql) == [problem]
    assert read_query(sql) == Query(problems=(problem,))


@pytest.mark.parametrize("sql", ["", " \n", "-- nothing", "/* nothing */", "(("])
def test_a_text_without_a_word_is_empty(sql: str) -> None:
    assert query_problems(sql) == [f"sql is empty\n{REMEDY}"]


def test_a_query_is_a_string() -> None:
    assert query_problems(b"SELECT 1") == ["sql must be a string, not bytes: b'SELECT 1'"]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
    ],
)
def test_what_is_more_than_a_query_is_refused(sql: str) -> None:
    assert read_query(sql) == Query(problems=(f"its text is not a single query\n{REMEDY}",))


def test_a_statement_behind_from_is_refused() -> None:
    assert read_query("FROM a INSERT INTO t SELECT * INSERT INTO u SELECT *").problems


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("SELECT a,\nFROM b\nWHERE )", ", line 3, near ')'"),
        ("SELECT 'open", ""),
        ("SELECT " + "(" * 5_000, ""),
    ],
)
def test_a_syntax_error_says_where(sql: str, where: str) -> None:
    (problem,) = read_query(sql).problems
    assert problem == (
        f"its query is not valid SQL{where}\n"
        "  Fix: correct the query; if Spark accepts it, name its inputs in "
        "input_entity_ids and set the tag 'sql.check' to False."
    )


def test_a_table_that_an_expression_names_is_refused() -> None:
    query = read_query("SELECT * FROM IDENTIFIER(:table) JOIN a ON true JOIN identifier('b')")
    assert query.problems == (
        (
            "its query names a table by an expression, from which no input can be derived\n"
            "  Fix: name the table itself."
        ),
    )


def test_a_query_is_shown_without_what_indents_all_of_it() -> None:
    assert query_text("\r\n    SELECT *\r\n\tFROM a\r\n") == "SELECT *\n    FROM a"


def test_a_query_is_only_looked_at_where_there_is_no_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    assert query_problems("SELECT 1") == []
    with pytest.raises(ImportError):
        read_query("SELECT 1")


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fall_over(text: str) -> None:
    query = read_query(f"SELECT {text}")
    assert query.problems or all(table.line >= 1 for table in query.tables)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(NAMES)
def test_any_name_in_backquotes_comes_back_as_it_is(name: str) -> None:
    quoted = name.replace("`", "``")
    assert [table.parts for table in read_query(f"SELECT * FROM `{quoted}`").tables] == [(name,)]


class TestFlaws:
    @pytest.mark.parametrize(
        ("sql", "where"),
        [
            ("SELECT a, FROM t", "line 1, before FROM"),
            ("SELECT a,\n  b,\nFROM t WHERE x", "line 2, before FROM"),
            ("SELECT a, b, FROM t JOIN u ON 1 = 1", "line 1, before FROM"),
            ("SELECT a, FROM (SELECT 1)", "line 1, before FROM"),
            ("SELECT a, FROM `x` WHERE b IN (SELECT c FROM u)", "line 1, before FROM"),
            ("WITH q AS (SELECT a, FROM t) SELECT * FROM q", "line 1, before FROM"),
            ("SELECT (1, 2,) FROM t", "line 1, before )"),
            ("SELECT f(a,) FROM t", "line 1, before )"),
            ("SELECT f(, a) FROM t", "line 1, before A"),
            ("SELECT a FROM t WHERE b IN (1, 2,)", "line 1, before )"),
            ("SELECT a FROM t ORDER BY a,", "line 1, at its end"),
            ("SELECT a FROM t,", "line 1, at its end"),
            ("SELECT a FROM t, WHERE a", "line 1, before WHERE"),
            ("SELECT a,, b FROM t", "line 1, before ,"),
            ("SELECT , a FROM t", "line 1, before A"),
            ("SELECT a, UNION SELECT b", "line 1, before UNION"),
            ("SELECT a FROM t GROUP BY a, ORDER BY a", "line 1, before ORDER BY"),
        ],
    )
    def test_a_comma_too_many_is_refused(self, sql: str, where: str) -> None:
        (problem,) = read_query(sql).problems
        assert problem == f"its query has an extra comma, {where}\n  Fix: remove it."

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT id, order FROM t",  # words of clauses are names in Spark, too
            "SELECT a, group, limit FROM t",
            "SELECT a, union FROM t",
            "SELECT id, from FROM t",
            "SELECT ',' , `,` FROM t -- , \n",
            "SELECT a, (SELECT max(x) FROM u) FROM t /* , */",
            "SELECT * FROM t, LATERAL explode(x)",
        ],
    )
    def test_commas_that_have_their_place(self, sql: str) -> None:
        assert read_query(sql).problems == ()
        assert comma_problems("SELECT a, from x FROM t") == []

    @pytest.mark.parametrize(
        ("sql", "shown"),
        [
            ("SELECT {{ a }} FROM t", "line 1: '{{ a }}'"),
            ("SELECT a\nFROM {{ t }}", "line 2: '{{ t }}'"),
            ("SELECT a FROM t {% if x %} WHERE 1 {% endif %}", "line 1: '{% if x %}'"),
            ("SELECT a FROM t WHERE d = '{{ ds }}'", "line 1: '{{ ds }}'"),
            ("SELECT a FROM t WHERE d = '{{ data_interval_start'", "line 1: '{{'"),
            ("SELECT '{{params.day}}'", "line 1: '{{params.day}}'"),
            ("SELECT {{", "line 1: '{{'"),
        ],
    )
    def test_a_template_is_refused_because_queries_are_not_templated(
        self, sql: str, shown: str
    ) -> None:
        first = read_query(sql).problems[0]
        assert first == (
            f"its query has a template, {shown}. Queries are not templated\n"
            "  Fix: use a parameter: :interval_start, :interval_end, :run_id, or one of the run's "
            "params."
        )

    @pytest.mark.parametrize(
        "sql", ["SELECT '{{name}}', '{% x %}', '{' FROM t", "-- {{ ds }}\nSELECT 1 /* {{ ds }} */"]
    )
    def test_braces_of_one_s_own_are_text(self, sql: str) -> None:
        assert read_query(sql).problems == ()

    @pytest.mark.parametrize(
        ("sql", "tables"),
        [
            ("TABLE x", ["x"]),
            ("table X UNION ALL TABLE `y.z`", ["X", "y.z"]),
            ("WITH a AS (TABLE x) TABLE a", ["x"]),
            ("TABLE x ORDER BY a LIMIT 1", ["x"]),
            ("SELECT * FROM (TABLE x) JOIN y ON true", ["x", "y"]),
            ("SELECT table FROM t", ["t"]),
            ("SELECT * FROM f(table x) JOIN t ON true", ["x", "t"]),  # what a table function takes
        ],
    )
    def test_table_stands_for_all_of_a_table(self, sql: str, tables: list[str]) -> None:
        assert [".".join(table.parts) for table in read_query(sql).tables] == tables

    @pytest.mark.parametrize(
        ("sql", "bare"),
        [
            ("SELECT 1; -- the end", "SELECT 1"),
            ("SELECT 1 ;;\n/* the\nend; */ ; ", "SELECT 1"),
            ("SELECT ';' -- one\n; -- the end;", "SELECT ';' -- one"),
            ("SELECT 1 -- no end;", "SELECT 1 -- no end;"),
            ("SELECT 1; SELECT 2; -- x", "SELECT 1; SELECT 2"),
            ('SELECT `;`, "a\\";"; --', 'SELECT `;`, "a\\";"'),
            (";", ""),
        ],
    )
    def test_what_is_behind_the_last_semicolon_is_not_of_the_query(
        self, sql: str, bare: str
    ) -> None:
        assert bare_query(sql) == bare
