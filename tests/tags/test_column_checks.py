"""Columns that a declaration names and its declared schema lacks."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.data_pipes.expectations import in_range, not_null, row_count, unique
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.column_checks import pipe_column_problems, schema_problems
from kindling_airflow.tags.plan_checks import check_entities

SCHEMA = "id BIGINT, Day DATE, price STRUCT<net: INT>"


def problems(**declaration: Any) -> list[str]:
    return schema_problems(EntityMetadata("e", **{"schema": SCHEMA, **declaration}))


def of_pipe(schema: str | None = SCHEMA, entity_tags: Any = None, **declaration: Any) -> list[str]:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    entities.register_entity("e", schema=schema, tags=entity_tags)
    said = {"output_entity_id": "e", **declaration}
    return list(pipe_column_problems(pipes.register_pipe("p", **said), entities))


def test_a_schema_that_is_no_ddl_is_refused_with_each_problem() -> None:
    assert problems(schema="a INTEGR, b DECIMAL(50,2)", partition_columns=("c",)) == [
        "entity 'e': its schema 'a INTEGR, b DECIMAL(50,2)' is not valid Spark DDL: "
        f"{problem}\n  Fix: write it like 'id BIGINT NOT NULL, name STRING'."
        for problem in (
            "column 'a' has the unknown type 'INTEGR'. Did you mean 'INTEGER'?",
            "column 'b' has 50 digits in DECIMAL; Spark keeps 38 at most. Did you mean 'DECIMAL(38,2)'?",  # noqa: E501
        )
    ]


@pytest.mark.parametrize(
    ("declaration", "what"),
    [
        ({"partition_columns": ("dya",)}, "partition_columns names 'dya'"),
        ({"partition_columns": ("day",)}, "partition_columns names 'day'"),  # read as it is spelled
        ({"merge_columns": ("id", "idd")}, "merge_columns names 'idd'"),
        ({"cluster_columns": ("x",)}, "cluster_columns names 'x'"),
        ({"tags": {"interval.column": "dai"}}, "tag interval.column names 'dai'"),
    ],
)
def test_a_column_that_the_schema_lacks_is_named(declaration: dict[str, Any], what: str) -> None:
    (problem,) = problems(**declaration)
    assert problem.startswith(f"entity 'e': {what}, which is not a column of its declared schema.")
    assert problem.endswith("\n  Fix: correct the name, or add the column to the schema.")


def test_what_was_meant_is_said() -> None:
    assert "Did you mean 'Day'?" in problems(partition_columns=("Dya",))[0]


@pytest.mark.parametrize(
    "declaration",
    [
        {"partition_columns": ("Day", "id"), "merge_columns": ("ID",)},
        {"cluster_columns": ("price.net",), "tags": {"interval.column": "day"}},
        {"tags": {"interval.column": 3}},  # said elsewhere
        {"schema": None, "partition_columns": ("x",)},
        {"schema": "int", "partition_columns": ("x",)},
        {"tags": {"provider_type": "csv", "interval.column": "folder"}},
        {"tags": {"provider_type": "kafka", "interval.column": "timestamp"}},
        {"tags": {"provider_type": "shop:Avro"}, "partition_columns": ("x",)},
    ],
)
def test_columns_that_are_there_or_may_be(declaration: dict[str, Any]) -> None:
    assert problems(**declaration) == []


def test_expectations_are_about_columns_of_the_output() -> None:
    expected = [not_null("id"), unique("ID", "dya"), in_range("price.net", 0, 1), row_count(1)]
    assert "".join(of_pipe(expectations=expected)) == (
        "pipe 'p': expectation 'unique(ID, dya)' uses 'dya', which is not a column of the "
        "declared schema of 'e'. Did you mean 'Day'?\n"
        "  Fix: correct the name, or add the column to the schema."
    )
    for other in ({"schema": None}, {"schema": "a FOO"}, {"entity_tags": {"provider_type": "x:Y"}}):
        assert of_pipe(expectations=expected, **other) == []  # type: ignore[arg-type]


def test_a_watermark_is_on_a_column_of_the_driving_input() -> None:
    said = {"input_entity_ids": ["e"], "output_entity_id": "o"}
    streaming = {"processing_mode": "streaming"}
    for column, wrong in (("day", False), ("`Day`", False), ("dai", True)):
        tags = {**streaming, "stream.watermark": f"{column} 10m"}
        assert bool(of_pipe(tags=tags, **said)) is wrong
    (problem,) = of_pipe(tags={**streaming, "stream.watermark": "dai 10m"}, **said)
    assert problem.startswith("pipe 'p': tag stream.watermark names 'dai', which is not a column")
    assert of_pipe(tags={"stream.watermark": "dai 10m"}, **said) == []
    assert of_pipe(tags={**streaming, "stream.watermark": "dai 10m"}, output_entity_id="o") == []
    assert of_pipe(tags={**streaming, "stream.watermark": " "}, **said) == []


def test_a_plan_names_the_columns_of_all_its_entities_and_pipes() -> None:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    entities.register_entity("e", schema=SCHEMA, partition_columns=["x"], merge_columns=["y"])
    pipes.register_pipe("p", output_entity_id="e", expectations=[not_null("z")])
    with pytest.raises(DeclarationError) as raised:
        check_entities(pipes, entities)
    assert [text.partition(", which")[0] for text in raised.value.problems] == [
        "entity 'e': merge_columns names 'y'",
        "entity 'e': partition_columns names 'x'",
        "pipe 'p': expectation 'not_null(z)' uses 'z'",
    ]
