"""What an error says helps is possible with the entity as it is declared."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.publishing.staging import check_columns
from tests.runner.conftest import Project

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("stored", "result", "tags", "remedy"),
    [
        (
            "id INT",
            "id STRING, new INT",
            {},
            (
                "keep the columns, have new ones added (provider.new_columns: add), or have the "
                "whole table rewritten (write_mode: overwrite)."
            ),
        ),
        (
            "id INT",
            "id STRING, new INT",
            {"provider.new_columns": "add"},
            "keep the columns, or have the whole table rewritten (write_mode: overwrite).",
        ),
        (
            "id INT, gone INT",
            "id INT",
            {},
            "keep the columns, or have the whole table rewritten (write_mode: overwrite).",
        ),
    ],
)
def test_columns_that_cannot_be_added_are_not_to_be(
    spark: Any, stored: str, result: str, tags: dict[str, str], remedy: str
) -> None:
    schemas = [spark.createDataFrame([], schema).schema for schema in (stored, result)]
    with pytest.raises(PipeRunError) as raised:
        check_columns(EntityMetadata("out", tags={"provider_type": "delta", **tags}), *schemas)
    assert str(raised.value).endswith(f"\n  Fix: {remedy}")


def test_a_parquet_table_of_appends_is_replaced_by_another_mode(project: Project) -> None:
    project.entity("out", tags={"write_mode": "append"})
    columns = ["id"]
    project.pipe("out", lambda: project.spark.range(1).toDF(*columns))
    assert project.run("out").error is None
    columns[:] = ["other"]
    error = project.run("out", run_id="later").error
    assert error is not None
    assert error.message.endswith(
        "\n  Fix: have the whole table rewritten (write_mode: overwrite), or keep the columns."
    )


def test_what_a_csv_source_has_no_tag_for_is_not_named(project: Project) -> None:
    (project.warehouse / "src" / "day=1").mkdir(parents=True)
    (project.warehouse / "src" / "day=1" / "a.csv").write_text("id\n1\n")
    project.entity("src", tags={"provider_type": "csv"}, schema="id INT")
    project.pipe("out", lambda src: src, "src")
    error = project.run("out").error
    assert error is not None
    assert error.message == (
        "entity 'src': the stored columns do not match its declared schema\n"
        "  - column 'day' (int) is not declared\n"
        "  Fix: correct the declared schema, or rewrite the entity."
    )


def test_what_is_set_already_is_not_named(project: Project) -> None:
    project.spark.range(1).write.parquet(str(project.warehouse / "src"))
    project.entity("src", tags={"provider.extra_columns": "ignore"}, schema="id INT, name STRING")
    project.pipe("out", lambda src: src, "src")
    error = project.run("out").error
    assert error is not None
    assert error.message.endswith("\n  Fix: correct the declared schema, or rewrite the entity.")
