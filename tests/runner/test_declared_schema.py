"""A declared schema is a promise: kept by what is written, and looked for in what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.runner.schema.differences import declared_schema
from tests.runner.conftest import Project
from tests.tags.ddl_texts import READ, REFUSED, TEXTS_OF_A_LENGTH

pytestmark = pytest.mark.system

NESTED = "id BIGINT, place STRUCT<city: STRING, zip: INT>, items ARRAY<STRUCT<sku: STRING, n: INT>>"


def error_of(project: Project, pipe_id: str) -> str:
    report = project.run(pipe_id)
    assert report.status == "failed"
    assert report.error is not None
    return report.error.message


def write(project: Project, schema: str, query: str) -> None:
    project.entity("out", schema=schema)
    project.pipe("out", lambda: project.spark.sql(query))


def test_a_nested_difference_says_where(project: Project) -> None:
    write(
        project,
        NESTED,
        "SELECT 1L AS id, named_struct('city', 'x', 'ZIP', 1) AS place, "
        "array(named_struct('sku', 1, 'count', 2)) AS items",
    )
    assert error_of(project, "out") == (
        "pipe 'out': its result does not match entity 'out'\n"
        "  - column 'place.zip' is spelled 'ZIP'\n"
        "  - column 'items[].sku' is int, declared as string\n"
        "  - column 'items[].n' (int) is missing\n"
        "  - column 'items[].count' (int) is not declared\n"
        "  Fix: change the pipe's result, or the entity's declaration."
    )


def test_a_struct_type_is_declared_as_the_ddl_that_makes_it_again(project: Project) -> None:
    from pyspark.sql import types as t

    inner = t.StructType(
        [
            t.StructField("city", t.StringType(), nullable=False),
            t.StructField("a`b c", t.LongType()),
        ]
    )
    plain = [
        *(t.BooleanType(), t.ByteType(), t.ShortType(), t.IntegerType(), t.LongType()),
        *(t.FloatType(), t.DoubleType(), t.DecimalType(38, 9), t.StringType(), t.BinaryType()),
        *(t.DateType(), t.TimestampType(), t.TimestampNTZType(), t.VarcharType(3), t.CharType(2)),
        *(t.DayTimeIntervalType(0, 1), t.YearMonthIntervalType(), t.VariantType()),
        *(inner, t.ArrayType(inner), t.MapType(t.StringType(), t.ArrayType(inner))),
    ]
    fields = [t.StructField(f"c {n}", kind) for n, kind in enumerate(plain)]
    text = 'it\'s \\n "so" `x`'
    fields.append(t.StructField("Id", t.LongType(), False, {"comment": text}))
    schema = t.StructType(fields)
    project.entity("out", schema=schema)
    entity = project.declared.entities.get_entity_definition("out")
    assert t.StructType.fromDDL(entity.schema) == schema


def test_columns_and_their_fields_are_written_in_the_declared_order(project: Project) -> None:
    write(
        project,
        NESTED,
        "SELECT array(named_struct('n', 2, 'sku', 'a')) AS items, "
        "named_struct('zip', 1, 'city', 'x') AS place, 1L AS id",
    )
    assert project.run("out").error is None
    table = project.spark.read.parquet(str(project.table("out")))
    assert table.dtypes == [
        ("id", "bigint"),
        ("place", "struct<city:string,zip:int>"),
        ("items", "array<struct<sku:string,n:int>>"),
    ]
    [row] = table.collect()
    assert (row.place.city, row.place.zip, row["items"][0].sku, row["items"][0].n) == (
        *("x", 1),
        *("a", 2),
    )


@pytest.mark.parametrize(
    ("schema", "good", "bad", "declared"),
    [
        ("a INT NOT NULL", "1", "CAST(NULL AS INT)", "int NOT NULL"),
        (
            "a STRUCT<x: INT NOT NULL>",
            "IF(rand() > 2, NULL, named_struct('x', 1))",
            "named_struct('x', CAST(NULL AS INT))",
            "NOT NULL inside",
        ),
        (
            "a ARRAY<STRUCT<x: INT NOT NULL>>",
            "array(named_struct('x', 1), NULL)",
            "array(named_struct('x', 1), named_struct('x', CAST(NULL AS INT)))",
            "NOT NULL inside",
        ),
        (
            "a MAP<STRING, STRUCT<x: INT NOT NULL>>",
            "map('k', named_struct('x', 1))",
            "map('k', named_struct('x', CAST(NULL AS INT)))",
            "NOT NULL inside",
        ),
        (
            "a STRUCT<x: INT NOT NULL> NOT NULL",
            "named_struct('x', 1)",
            "IF(rand() < 2, NULL, named_struct('x', 1))",
            "struct<x:int> NOT NULL",
        ),
    ],
    ids=["column", "field", "element", "value", "both"],
)
def test_a_null_that_is_declared_impossible_fails_the_write(
    project: Project, schema: str, good: str, bad: str, declared: str
) -> None:
    rows = [good]
    project.entity("out", schema=schema)
    project.pipe(
        "out",
        lambda: project.spark.sql(
            " UNION ALL ".join(f"SELECT IF(rand() < 2, {row}, NULL) AS a" for row in rows)
            if rows != [good]
            else f"SELECT {good} AS a UNION ALL SELECT {good}"
        ),
    )
    assert project.run("out").error is None
    rows.append(bad)
    told = error_of(project, "out")
    assert (
        f"pipe 'out': its result has a null in column 'a', which entity 'out' declares as "
        f"{declared}\n  Fix: remove or fill such rows, or allow nulls in the declaration."
    ) in told
    assert len(project.rows("out")) == 2


def test_columns_that_allow_nulls_may_hold_them(project: Project) -> None:
    write(project, "a INT, b STRUCT<x: INT>", "SELECT CAST(NULL AS INT) AS a, NULL AS b")
    assert "column 'b' is void, declared as struct<x:int>" in error_of(project, "out")
    project.declared.pipes.unregister_pipe("out")
    project.pipe(
        "out",
        lambda: project.spark.sql("SELECT CAST(NULL AS INT) AS a, CAST(NULL AS STRUCT<x: INT>) b"),
    )
    assert project.run("out").rows_written == 1


def test_a_stored_table_that_does_not_fit_is_not_read_as_nulls(
    project: Project, tmp_path: Path
) -> None:
    stored = tmp_path / "stored"
    project.spark.sql("SELECT 1 AS id, 'x' AS nme").write.parquet(str(stored))
    project.entity("src", tags={"provider.path": str(stored)}, schema="id INT, name STRING")
    project.pipe("out", lambda src: src, "src")
    assert error_of(project, "out") == (
        "entity 'src': the stored columns do not match its declared schema\n"
        "  - column 'name' (string) is missing\n"
        "  - column 'nme' (string) is not declared. Did you mean 'name'?\n"
        "  Fix: correct the declared schema, or rewrite the entity; extra columns can be ignored "
        "with provider.extra_columns: ignore."
    )


def test_a_stored_table_is_read_in_the_declared_order(project: Project, tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    project.spark.sql("SELECT 1 AS b, 'x' AS a, 2 AS more").write.parquet(str(stored))
    tags = {"provider.path": str(stored), "provider.extra_columns": "ignore"}
    project.entity("src", tags=tags, schema="a STRING NOT NULL, b INT")
    seen: list[Any] = []
    project.pipe("out", lambda src: seen.append(src.dtypes) or src, "src")
    report = project.run("out")
    assert report.error is None
    assert seen == [[("a", "string"), ("b", "int")]]
    assert [(i.entity_id, i.rows) for i in report.inputs] == [("src", 1)]


@pytest.mark.parametrize("ddl", [*READ, *TEXTS_OF_A_LENGTH])
def test_spark_reads_what_is_taken_for_ddl_without_it(spark: Any, ddl: str) -> None:
    assert declared_schema(EntityMetadata("e", schema=ddl)) is not None


@pytest.mark.parametrize("ddl", REFUSED)
def test_spark_refuses_what_is_refused_without_it(spark: Any, ddl: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        spark.createDataFrame([], declared_schema(EntityMetadata("e", schema=ddl)))
    assert len(str(raised.value)) < 600  # and nothing of Java's stack


def test_texts_of_a_length_are_texts_that_are_not_longer(project: Project) -> None:
    schema = "code CHAR(3), name VARCHAR(5) NOT NULL, tags ARRAY<STRUCT<t: VARCHAR(2)>>"
    row = "SELECT '{}' AS code, '{}' AS name, array(named_struct('t', '{}'), NULL) AS tags"
    write(project, schema, row.format("ab", "äöüßé", "xy"))
    assert project.run("out").status == "published"
    (found,) = project.rows("out")
    assert (found[0], found[1], found[2][0]["t"]) == ("ab", "äöüßé", "xy")  # nothing is padded
    project.pipe("again", lambda out: out, "out")
    assert project.run("again").status == "published"


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("SELECT 'abcd' AS code, 'a' AS name, map('k', 'v') AS m", "code"),
        ("SELECT NULL AS code, '123456' AS name, map('k', 'v') AS m", "name"),
        ("SELECT 'a' AS code, 'a' AS name, map('k', 'vvv') AS m", "m"),
        ("SELECT 'a' AS code, 'a' AS name, map('kkk', 'v') AS m", "m"),
    ],
)
def test_a_longer_text_fails_the_pipe(project: Project, row: str, column: str) -> None:
    schema = "code CHAR(3), name VARCHAR(5) NOT NULL, m MAP<VARCHAR(2), VARCHAR(2)>"
    write(project, schema, row.replace("NULL AS code", "CAST(NULL AS STRING) AS code"))
    assert f"a value in column {column!r} that is longer than entity 'out' declares" in error_of(
        project, "out"
    )
    assert not project.table("out").exists()


def test_csv_files_with_texts_of_a_length_are_read(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,n\nabc,1\n")
    tags = {"provider_type": "csv", "provider.path": str(tmp_path / "a.csv")}
    project.entity("raw", schema="code VARCHAR(3), n INT", tags=tags)
    project.pipe("out", lambda raw: raw, "raw")
    assert project.run("out").status == "published"
    assert project.rows("out") == [("abc", 1)]
