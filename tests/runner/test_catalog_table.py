"""Tables of a catalog: what is replaced, what is refused, and what a death leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import DeclarationError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import Write
from kindling_airflow.runner.providers.memory_tables import MemoryTables
from kindling_airflow.runner.providers.tables.catalog import CatalogTableProvider
from kindling_airflow.runner.schema.differences import quoted
from tests.runner.conftest import Project

pytestmark = pytest.mark.system


@pytest.fixture
def case(spark: Any, tmp_path: Path) -> Iterator[Case]:
    """An entity whose table does not exist yet."""
    name = f"orders_{uuid.uuid4().hex}"
    yield Case(spark, str(tmp_path), {"provider_type": "table"}, name, MemoryTables())
    for suffix in ("", "__kindling_new", "__kindling_previous"):
        spark.sql(f"DROP TABLE IF EXISTS {name}{suffix}")


def versions(case: Case) -> list[str]:
    folder = Path(case.warehouse) / case.entity_id
    return sorted(path.name.rpartition("-")[2] for path in folder.iterdir())


def tables(case: Case) -> list[str]:
    found = case.spark.sql(f"SHOW TABLES LIKE '{case.entity_id}*'").collect()
    return sorted(row["tableName"].removeprefix(case.entity_id) for row in found)


def test_a_pipe_writes_a_table_that_sql_can_read(project: Project) -> None:
    from kindling_airflow.runner.pipe.run_pipe import Hooks, run_pipe

    project.spark.sql("CREATE DATABASE IF NOT EXISTS kindling_test")
    project.entity("kindling_test.sales", tags={"provider_type": "table"}, schema="id BIGINT")
    project.pipe("kindling_test.sales", lambda: project.spark.range(3))
    hooks = Hooks(memory=MemoryTables())
    request = project.request("kindling_test.sales")
    report = run_pipe(request, project.spark, declared=project.declared, hooks=hooks)
    assert (report.status, report.rows_written, report.error) == ("published", 3, None)
    assert report.location == "spark_catalog.kindling_test.sales"
    assert report.extra["output"] == {
        "location": "spark_catalog.kindling_test.sales",
        "format": "table",
        "folder": str(project.table("kindling_test.sales")),
        "data": "parquet",
    }
    [row] = project.spark.sql("SELECT sum(id) AS total FROM kindling_test.sales").collect()
    assert row["total"] == 3
    project.spark.sql("DROP DATABASE kindling_test CASCADE")


def test_a_reader_that_has_begun_goes_on_in_the_publish_before(case: Case) -> None:
    entity = case.entity()
    case.publish(entity, case.spark.range(3), "a")
    begun = case.provider(entity).read(entity)
    case.publish(entity, case.spark.range(5), "b")
    assert sorted(row[0] for row in begun.collect()) == [0, 1, 2]
    assert versions(case) == ["a", "b"]
    case.publish(entity, case.spark.range(7), "c")
    assert versions(case) == ["b", "c"]


@pytest.mark.parametrize("partitioned", [False, True])
def test_columns_and_their_fields_may_have_any_name(case: Case, partitioned: bool) -> None:
    from pyspark.sql.types import ArrayType, IntegerType, StringType, StructType

    names = ("a`b", "a.b", "a%20b", "Zürich", "it's", 'x"y', "select", "a-b", "a b", "a:b>")
    inner, schema = StructType(), StructType().add("id", IntegerType())
    for name in names:
        inner = inner.add(name, IntegerType())
        schema = schema.add(name, StringType())
    schema = schema.add("all of them", ArrayType(inner))
    row = (1, *("x" for _ in names), [tuple(range(len(names)))])
    entity = case.entity(partition_columns=names if partitioned else ())
    for attempt in ("a", "b"):
        case.publish(entity, case.spark.createDataFrame([row], schema), attempt)
    found = case.provider(entity).read(entity).select(*map(quoted, schema.names))
    assert found.schema.simpleString() == schema.simpleString()
    assert found.collect() == case.spark.createDataFrame([row], schema).collect()


def test_a_dead_attempt_is_removed_by_the_next_and_others_are_left_alone(case: Case) -> None:
    entity = case.entity()
    case.publish(entity, case.spark.range(3), "a")
    case.stage(entity, case.spark.range(3), "dead")
    case.provider(entity).stage(entity, case.spark.range(1), Write("fedcba9876543210", "other"))
    case.publish(entity, case.spark.range(4), "b")
    assert versions(case) == ["a", "b", "other"]


def test_of_two_drivers_that_publish_at_once_the_later_one_stands_whole(case: Case) -> None:
    entity = case.entity()
    case.publish(entity, case.spark.range(3), "old")
    provider = case.provider(entity)
    one, two = Write("1" * 16, "one"), Write("2" * 16, "two")
    first = provider.stage(entity, case.spark.range(5), one)
    second = provider.stage(entity, case.spark.range(7), two)
    provider.publish(entity, second, two)
    provider.publish(entity, first, one)
    assert case.numbers(entity) == list(range(5))
    assert "two" in versions(case)


@pytest.mark.parametrize("moves", [0, 1])
def test_a_driver_that_dies_while_columns_change_loses_nothing(
    case: Case, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    entity = case.entity()
    case.publish(entity, case.spark.range(3), "a")
    rename = CatalogTableProvider._rename
    left = [moves]

    def dying(self: Any, old: Any, new: Any) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        rename(self, old, new)

    other = case.spark.sql("SELECT 9L AS id, 'x' AS name")
    with monkeypatch.context() as patched:
        patched.setattr(CatalogTableProvider, "_rename", dying)
        with pytest.raises(KeyboardInterrupt):
            case.publish(entity, other, "dead")
    assert case.provider(entity).exists(entity)
    assert case.numbers(entity) == [0, 1, 2]
    case.publish(entity, other, "b")
    assert case.numbers(entity) == [9]
    assert tables(case) == [""]


def test_a_table_of_others_with_the_same_columns_is_replaced_and_stays_theirs(case: Case) -> None:
    entity = case.entity()
    case.spark.sql(
        f"CREATE TABLE {case.entity_id} (id BIGINT COMMENT 'a number') USING parquet "
        "COMMENT 'ours' TBLPROPERTIES ('steward' = 'them')"
    )
    case.spark.sql(f"INSERT INTO {case.entity_id} VALUES (99)")
    assert case.numbers(entity) == [99]
    for count in (3, 5):
        case.publish(entity, case.spark.range(count), f"attempt{count}")
        assert case.numbers(entity) == list(range(count))
    [row] = case.spark.sql(f"DESCRIBE TABLE EXTENDED {case.entity_id} AS JSON").collect()
    assert '"ours"' in row[0]
    assert '"steward":"them"' in row[0]


def refusal(case: Case, **declaration: Any) -> str:
    entity = case.entity(**declaration)
    with pytest.raises(DeclarationError) as raised:
        case.stage(entity, case.spark.range(3))
    assert not (Path(case.warehouse) / case.entity_id).exists()
    return str(raised.value)


def test_a_table_of_others_with_other_columns_is_refused_before_any_work(case: Case) -> None:
    case.spark.sql(f"CREATE TABLE {case.entity_id} (id INT, name STRING) USING parquet")
    assert refusal(case) == (
        f"entity '{case.entity_id}': table 'spark_catalog.default.{case.entity_id}' was not "
        "created by this entity, and has different columns than the result: id int, name string; "
        "stored as "
        "parquet, partitioned by nothing\n"
        "  Fix: name another table in provider.table, or drop this one."
    )


def test_partitions_in_the_catalog_cannot_be_replaced_in_one_step(case: Case) -> None:
    case.spark.sql(
        f"CREATE TABLE {case.entity_id} (a INT, id BIGINT) USING parquet PARTITIONED BY (id)"
    )
    assert "keeps its partitions in the catalog and cannot be replaced in one step" in refusal(case)


def test_views_and_other_formats_are_refused(case: Case) -> None:
    case.spark.sql(f"CREATE VIEW {case.entity_id} AS SELECT 1L AS id")
    assert "is a view and cannot be replaced\n  Fix: name another table" in refusal(case)
    case.spark.sql(f"DROP VIEW {case.entity_id}")
    case.spark.sql(f"CREATE TABLE {case.entity_id} (id BIGINT) USING csv")
    assert "is stored as 'csv' and cannot be replaced\n  Fix: name another table" in refusal(case)


def test_a_view_can_be_read(case: Case) -> None:
    case.spark.sql(f"CREATE VIEW {case.entity_id} AS SELECT 1L AS id")
    assert case.numbers(case.entity()) == [1]
    case.spark.sql(f"DROP VIEW {case.entity_id}")


def test_a_temporary_view_does_not_hide_a_table(case: Case) -> None:
    entity = case.entity()
    case.spark.range(9).createOrReplaceTempView(case.entity_id)
    assert not case.provider(entity).exists(entity)
    case.publish(entity, case.spark.range(3))
    assert case.numbers(entity) == [0, 1, 2]
    case.spark.catalog.dropTempView(case.entity_id)


def test_a_catalog_that_forgets_is_refused_in_a_task(spark: Any, tmp_path: Path) -> None:
    case = Case(spark, str(tmp_path), {"provider_type": "table"}, "orders")
    assert refusal(case) == (
        "entity 'orders': the session's catalog is in memory: table "
        "'spark_catalog.default.orders' would be lost when the driver ends\n"
        "  Fix: configure a metastore (spark.sql.catalogImplementation: hive), or store the "
        "entity as parquet."
    )


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (
            {"provider.table": "lake.db.t"},
            (
                "tables of catalog 'lake' are read, not written, by provider_type 'table'\n"
                "  Fix: write it to the session catalog (spark_catalog)."
            ),
        ),
        (
            {"provider.table": ["no `such` db", "t"]},
            (
                "database not found: 'spark_catalog.no `such` db'\n"
                "  Fix: CREATE DATABASE `no ``such`` db`, or name another in provider.table."
            ),
        ),
        (
            {"provider.path": "/data/[a]"},
            (
                "its folder '/data/[a]' has glob characters in its path, which tables of Spark's "
                "catalog cannot have\n"
                "  Fix: use a warehouse or a provider.path without any of []{}*?\\."
            ),
        ),
    ],
)
def test_what_could_not_be_published_is_refused(
    spark: Any, tmp_path: Path, tags: dict[str, Any], told: str
) -> None:
    tags = {"provider_type": "table", **tags}
    case = Case(spark, str(tmp_path), tags, "orders", MemoryTables())
    assert refusal(case) == f"entity 'orders': {told}"


def test_data_may_be_orc(spark: Any, tmp_path: Path) -> None:
    tags = {"provider_type": "table", "provider.format": "orc", "provider.path": "x/y"}
    case = Case(spark, str(tmp_path), tags, f"orders_{uuid.uuid4().hex}", MemoryTables())
    entity = case.entity(partition_columns=("day",))
    case.publish(entity, spark.sql("SELECT 1 AS id, DATE '2013-01-01' AS day"))
    assert list((tmp_path / "x" / "y").glob("*/day=2013-01-01/*.orc"))
    assert case.numbers(entity) == [1]
    spark.sql(f"DROP TABLE {case.entity_id}")


ON_A_METASTORE = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from kindling_airflow.runner.providers import contract
from kindling_airflow.runner.providers.contract import Case

root = Path(sys.argv[1])
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.warehouse.dir", str(root / "spark"))
    .config("spark.hadoop.javax.jdo.option.ConnectionURL",
            f"jdbc:derby:;databaseName={root}/metastore;create=true")
    .config("spark.driver.extraJavaOptions",
            f"-Dderby.system.home={root} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    .enableHiveSupport()
    .getOrCreate()
)
rules = (  # those that ask the catalog most
    contract.rows_come_back_as_they_were_published,
    contract.a_second_publish_replaces_the_first,
    contract.a_result_may_have_other_columns_than_the_table,
    contract.partition_columns_keep_their_types,
)
for n, rule in enumerate(rules):
    rule(Case(spark, str(root / "ware 'house' ä"), {"provider_type": "table"}, f"orders_{n}"))
case = Case(spark, str(root / "x"), {"provider_type": "table"}, "theirs")
spark.sql("CREATE TABLE theirs (id BIGINT) USING parquet COMMENT 'ours'")
case.publish(case.entity(), spark.range(3))
assert case.numbers(case.entity()) == [0, 1, 2]
print("all hold")
"""


def test_the_contract_holds_on_a_hive_metastore(tmp_path: Path) -> None:
    """The catalog that outlives a driver; an embedded one, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", ON_A_METASTORE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ran.stdout.endswith("all hold\n"), ran.stderr[-4000:]
