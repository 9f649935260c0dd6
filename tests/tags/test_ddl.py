"""DDL, read without Spark."""

from __future__ import annotations

import pytest

from kindling_airflow.tags.ddl import read_ddl
from tests.tags.ddl_texts import READ, REFUSED, TEXTS_OF_A_LENGTH


@pytest.mark.parametrize("ddl", [*READ, *TEXTS_OF_A_LENGTH])
def test_what_spark_reads_has_no_problem(ddl: str) -> None:
    assert read_ddl(ddl).problems == ()


@pytest.mark.parametrize("ddl", REFUSED)
def test_what_spark_refuses_has_one(ddl: str) -> None:
    assert read_ddl(ddl).problems != ()


def test_the_columns_are_those_of_the_table_not_of_its_structs() -> None:
    ddl = "`a b` INT, c: STRUCT<d: INT, e: ARRAY<STRING>> NOT NULL COMMENT 'f, g INT', H DATE"
    assert read_ddl(ddl).columns == ("a b", "c", "H")
    assert read_ddl("int").columns is None
    assert read_ddl("").columns == ()


@pytest.mark.parametrize(
    ("ddl", "problem"),
    [
        ("a INTEGR", "column 'a' has the unknown type 'INTEGR'. Did you mean 'INTEGER'?"),
        ("a TEXT", "column 'a' has the unknown type 'TEXT'. Did you mean 'STRING'?"),
        ("a QQQ", "column 'a' has the unknown type 'QQQ'."),
        (
            "a DECIMAL(50,2)",
            "column 'a' has 50 digits in DECIMAL; Spark keeps 38 at most. Did you mean 'DECIMAL(38,2)'?",  # noqa: E501
        ),
        ("a DEC(5,6)", "column 'a' has 6 digits after the point in DEC, and 5 in all"),
        ("a DECIMAL(1,2,3)", "column 'a': DECIMAL takes a precision and a scale"),
        (
            "a STRUCT<b: ARRAY<FLOT>>",
            "field a.b has the unknown type 'FLOT'. Did you mean 'FLOAT'?",
        ),
        ("a INT > b", "it cannot be read at '> b'"),
        ("array<int> x", "it cannot be read at 'x'"),
        ("a ARRAY", "column 'a' has type ARRAY without <...>, as in ARRAY<INT>"),
        ("a VARCHAR", "column 'a' has type VARCHAR without a length, as in VARCHAR(10)"),
        ("a INT(3)", "column 'a': type INT takes no length"),
        ("a INT, b", "column 'b' has no type"),
        ("a INT,", "it ends too early, after 'a INT ,'"),
        ("a INT, A STRING", "column 'A' is declared twice"),
        ("a INT b STRING", "column 'a': 'b' after its type is not valid"),
        ("a INT NOT", "column 'a': NOT without NULL"),
        ("a INT COMMENT b", "column 'a': COMMENT without a text in quotes"),
        ("a INT, ,b INT", "it cannot be read at ', b INT'"),
        (f"a {'ARRAY<' * 5000}INT{'>' * 5000}", "it is nested too deep"),
    ],
)
def test_the_problem_says_where_and_what_was_meant(ddl: str, problem: str) -> None:
    assert read_ddl(ddl).problems == (problem,)


def test_all_unknown_types_are_found_at_once() -> None:
    assert len(read_ddl("a INTEGR, b DECIMAL(50), c STRIN, d ARRAY<DTE>").problems) == 4
