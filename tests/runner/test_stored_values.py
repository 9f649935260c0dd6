"""What a table of folders keeps: the order of its columns, and the values of its partitions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from kindling_airflow.data_pipes.expectations import not_null
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.files.folder_types import is_written_back
from kindling_airflow.runner.providers.interface import StreamRead, Write
from kindling_airflow.runner.providers.memory_tables import MemoryTables
from kindling_airflow.tags.intervals import IntervalSlice
from tests.runner.conftest import Project
from tests.runner.streams import STREAMING, drop, refusal, taken

pytestmark = pytest.mark.system

CITIES = "SELECT * FROM VALUES ('Bern', 1, 'x'), ('Chur', 2, 'y') AS t(city, id, name)"


@pytest.fixture
def session_zone(spark: Any) -> Iterator[Any]:
    """Sets the session's time zone, which is UTC again afterwards."""
    yield lambda zone: spark.conf.set("spark.sql.session.timeZone", zone)
    spark.conf.set("spark.sql.session.timeZone", "UTC")


def case_of(spark: Any, folder: Path, kind: str) -> Case:
    tags = {"provider_type": kind}
    return Case(spark, str(folder), tags, f"t_{folder.name}"[:60].lower(), MemoryTables())


def found(case: Case, entity: Any) -> list[tuple[Any, ...]]:
    rows = case.provider(entity).read(entity).collect()
    return sorted(map(tuple, rows), key=repr)


# The order of columns


@pytest.mark.parametrize("mode", ["append", "overwrite_interval"])
def test_columns_come_in_the_order_in_which_they_were_written(project: Project, mode: str) -> None:
    tags = {"write_mode": mode}
    if mode == "overwrite_interval":
        tags["interval.column"] = "city"
    project.entity("cities", partition_columns=["city"], tags=tags)
    project.pipe("cities", lambda: project.spark.sql(CITIES))
    project.pipe("all", lambda cities: cities.union(project.spark.sql(CITIES)), "cities")
    assert project.run("cities").rows_written == 2
    assert project.run("all").rows_written == 4
    assert project.rows("all") == [
        ("Bern", 1, "x"),
        ("Bern", 1, "x"),
        ("Chur", 2, "y"),
        ("Chur", 2, "y"),
    ]


def test_a_query_that_puts_tables_beneath_each_other_mixes_no_columns(project: Project) -> None:
    from kindling_airflow.data_pipes import DataPipes

    project.entity("cities", partition_columns=["city"])
    project.pipe("cities", lambda: project.spark.sql(CITIES))
    project.pipe("more", lambda: project.spark.sql(CITIES))
    with DataPipes.declaring_into(project.declared.pipes):
        DataPipes.view("all", sql="SELECT * FROM cities UNION ALL SELECT * FROM more")
    assert project.run("cities").rows_written == project.run("more").rows_written == 2
    report = project.run("all")
    assert report.status == "published", report.error
    assert [row[:2] for row in project.rows("all")] == [
        ("Bern", 1),
        ("Bern", 1),
        ("Chur", 2),
        ("Chur", 2),
    ]


def test_gains_come_in_the_order_in_which_they_were_written(project: Project) -> None:
    project.entity("cities", partition_columns=["city"], tags={"write_mode": "append"})
    project.entity("copy", tags={"write_mode": "append"})
    project.pipe("cities", lambda: project.spark.sql(CITIES))
    project.pipe("copy", lambda cities: cities, "cities", use_watermark=True)
    assert project.run("cities").rows_written == 2
    assert project.run("copy").rows_written == 2
    assert project.rows("copy") == [("Bern", 1, "x"), ("Chur", 2, "y")]


def test_streams_write_and_read_columns_in_their_order(project: Project) -> None:
    project.entity("events", schema="city STRING, id BIGINT", tags={"provider_type": "json"})
    project.entity("cities", partition_columns=["city"], schema="city STRING, id BIGINT")
    project.pipe("cities", lambda events: events, "events", tags=STREAMING)
    drop(project.table("events"), "1.json", [{"city": "Bern", "id": 1}])
    taken(project, "cities")
    project.pipe("batch", lambda cities: cities, "cities")
    project.pipe("stream", lambda cities: cities, "cities", tags=STREAMING)
    assert project.run("batch").rows_written == 1
    taken(project, "stream")
    for name in ("batch", "stream"):
        frame = project.spark.read.parquet(str(project.table(name)))
        assert frame.columns == ["city", "id"]
        assert [tuple(row) for row in frame.collect()] == [("Bern", 1)]


def test_a_table_of_the_catalog_comes_in_its_order_to_pipes(spark: Any, tmp_path: Path) -> None:
    case = case_of(spark, tmp_path, "table")
    entity = case.entity(partition_columns=("city", "name"))
    case.publish(entity, spark.sql(CITIES), "a")
    assert case.provider(entity).read(entity).columns == ["city", "id", "name"]
    other = spark.sql(CITIES).select("id", "name", "city")
    case.publish(entity, other, "b")
    assert case.provider(entity).read(entity).columns == ["id", "name", "city"]
    assert found(case, entity) == [(1, "x", "Bern"), (2, "y", "Chur")]
    assert spark.table(case.entity_id).columns == ["id", "city", "name"]


# Partition values that folders do not keep


@pytest.mark.parametrize("kind", ["parquet", "table"])
def test_what_folders_would_change_is_refused_with_its_number(
    spark: Any, tmp_path: Path, kind: str
) -> None:
    case = case_of(spark, tmp_path, kind)
    entity = case.entity(partition_columns=("code", "n"))
    good = spark.sql("SELECT 1 AS id, 'ok' AS code, 1 AS n")
    case.publish(entity, good, "a")
    bad = spark.sql(
        "SELECT * FROM VALUES (1, '', 1), (2, '', 2), (3, '__HIVE_DEFAULT_PARTITION__', 1), "
        "(4, 'a._COPYING_', 1), (5, repeat('/', 90), 1), (6, 'a\\u0000', 1), (7, NULL, 1), "
        "(8, '01', NULL) AS t(id, code, n)"
    )
    with pytest.raises(PipeRunError) as refused:
        case.publish(entity, bad, "b")
    assert str(refused.value) == (
        f"entity {case.entity_id!r}: {kind} cannot store values of its partition columns "
        "unchanged; nothing was published\n"
        "  - column 'code': '', which would be read as NULL (2 rows)\n"
        "  - column 'code': '__HIVE_DEFAULT_PARTITION__', which would be read as NULL (1 row)\n"
        "  - column 'code': a value with the NUL character, which folder names cannot have (1 "
        "row)\n"
        "  - column 'code': a value that ends with '._COPYING_', a folder that Spark ignores "
        "(1 row)\n"
        "  - column 'code': a value whose folder name is longer than 255 bytes (1 row)\n"
        "  Fix: remove such rows, or change these values; or remove 'code' out of "
        "partition_columns, or store the entity as iceberg."
    )
    assert found(case, entity) == [(1, "ok", 1)]
    case.publish(entity, bad.where("id > 6"), "c")
    assert found(case, entity) == [(7, None, 1), (8, "01", None)]


def test_not_null_does_not_pass_for_what_would_be_null(project: Project) -> None:
    project.entity("out", partition_columns=["code"], schema="id INT, code STRING NOT NULL")
    project.pipe(
        "out",
        lambda: project.spark.sql("SELECT 1 AS id, '' AS code"),
        expectations=[not_null("code")],
    )
    report = project.run("out")
    assert report.error is not None
    assert "column 'code': '', which would be read as NULL (1 row)" in report.error.message
    assert report.extra["permanent"] is True
    assert not project.table("out").exists()


def test_a_stream_fails_at_what_folders_would_change(project: Project) -> None:
    project.entity("events", schema="id BIGINT, code STRING", tags={"provider_type": "json"})
    project.entity("out", partition_columns=["code"])
    project.pipe("out", lambda events: events, "events", tags=STREAMING)
    drop(project.table("events"), "1.json", [{"id": 1, "code": ""}])
    told = refusal(project, "out")
    assert "column 'code': '', which would be read as NULL" in told
    assert not list(project.table("out").glob("code=*"))


def test_names_that_the_locale_lacks_are_refused(spark: Any, tmp_path: Path) -> None:
    # Under LANG=C Java writes 'x=?' for both 'x=é' and 'x=ü'. The property is what it says of it.
    system = spark._jvm.java.lang.System
    before = system.setProperty("sun.jnu.encoding", "ANSI_X3.4-1968")
    try:
        case = case_of(spark, tmp_path, "parquet")
        rows = spark.sql("SELECT * FROM VALUES (1, 'é', 'a'), (2, 'ü', 'b') AS t(id, x, `ö`)")
        for part, what in (("x", r"'x': a value with .* \(2 rows\)"), ("ö", "'ö': its name has ")):
            with pytest.raises(PipeRunError, match=what):
                case.publish(case.entity(partition_columns=(part,)), rows)
        case.publish(case.entity(), rows)
    finally:
        system.setProperty("sun.jnu.encoding", before)


@pytest.mark.parametrize(
    ("kind", "value", "type_name"),
    [
        ("parquet", "X'41'", "BINARY"),
        ("parquet", "array(1)", "ARRAY<INT>"),
        ("table", "X''", "BINARY"),
        ("table", "NULL", "VOID"),
        ("parquet", "'A' COLLATE UTF8_LCASE", "STRING COLLATE UTF8_LCASE"),
    ],
)
def test_types_that_no_folder_keeps_are_refused(
    spark: Any, tmp_path: Path, kind: str, value: str, type_name: str
) -> None:
    case = case_of(spark, tmp_path, kind)
    entity = case.entity(partition_columns=("v",))
    with pytest.raises(PipeRunError) as refused:
        case.publish(entity, spark.sql(f"SELECT 1 AS id, {value} AS v"))
    assert str(refused.value) == (
        f"entity {case.entity_id!r}: {kind} cannot store the result as it is\n"
        f"  - partition column 'v' is of type {type_name}, which folder names cannot store\n"
        "  Fix: cast, rename or remove these columns."
    )


def test_columns_that_parquet_cannot_have_are_refused_at_once(spark: Any, tmp_path: Path) -> None:
    case = case_of(spark, tmp_path, "parquet")
    rows = spark.sql(
        "SELECT array(make_interval(1)) AS v, named_struct('a', 1, 'A', 2) AS s, "
        "map('k', make_interval(1)) AS m, 1 AS _tmp_metadata_row_index"
    )
    with pytest.raises(PipeRunError) as refused:
        case.publish(case.entity(), rows)
    assert str(refused.value).splitlines()[1:-1] == [
        "  - column 'v[]' is of type INTERVAL",
        "  - column 's' has the field 'a' more than once, ignoring case",
        "  - column 'm{value}' is of type INTERVAL",
        "  - column '_tmp_metadata_row_index' has a name that is reserved by Spark",
    ]
    with pytest.raises(PipeRunError, match="all of its columns are partition columns"):
        case.publish(case.entity(partition_columns=("id",)), spark.sql("SELECT 1 AS id"))


@pytest.mark.parametrize("kind", ["parquet", "memory"])
def test_columns_without_values_and_collations_are_kept(
    spark: Any, tmp_path: Path, kind: str
) -> None:
    case = case_of(spark, tmp_path, kind)
    rows = spark.sql("SELECT NULL AS v, 'A' COLLATE UTF8_LCASE AS c, array() AS e, 1 AS id")
    case.publish(case.entity(), rows)
    read = case.provider(case.entity()).read(case.entity())
    assert read.dtypes == rows.dtypes
    assert read.where("c = 'a'").select("v", "e", "id").collect() == [(None, [], 1)]


# Instants in names of folders


# 2020-10-25, 00:30 and 01:30 in UTC: both are half past two in Zurich.
TWICE = (
    "SELECT id, timestamp_seconds(s) AS at FROM VALUES (1, 1603585800L), (2, 1603589400L), "
    "(3, -62135596800L), (4, NULL) AS t(id, s)"
)
INSTANTS = [(1, 1603585800), (2, 1603589400), (3, -62135596800), (4, None)]


@pytest.mark.parametrize("kind", ["parquet", "table"])
@pytest.mark.parametrize("written_in", ["UTC", "Europe/Zurich"])
def test_instants_come_back_whatever_the_time_zones_of_sessions(
    spark: Any, tmp_path: Path, session_zone: Any, kind: str, written_in: str
) -> None:
    case = case_of(spark, tmp_path, kind)
    entity = case.entity(partition_columns=("at",))
    session_zone(written_in)
    case.publish(entity, spark.sql(TWICE))
    for zone in ("Europe/Zurich", "Asia/Kathmandu"):
        session_zone(zone)
        rows = case.provider(entity).read(entity)
        assert rows.columns == ["id", "at"]
        seen = rows.selectExpr("id", "unix_seconds(at)").collect()
        assert sorted(map(tuple, seen)) == INSTANTS
        if kind == "table":  # for SQL beside the pipes, too
            beside = spark.table(case.entity_id).selectExpr("id", "unix_seconds(at)").collect()
            assert sorted(map(tuple, beside)) == INSTANTS


def test_a_stream_keeps_instants(project: Project, session_zone: Any) -> None:
    project.entity("events", schema="id BIGINT, s BIGINT", tags={"provider_type": "json"})
    project.entity("out", partition_columns=["at"], schema="at TIMESTAMP, id BIGINT")
    to_time = "timestamp_seconds(s) AS at"
    project.pipe("out", lambda events: events.selectExpr(to_time, "id"), "events", tags=STREAMING)
    rows = [{"id": 1, "s": 1603585800}, {"id": 2, "s": 1603589400}]
    drop(project.table("events"), "1.json", rows)
    session_zone("Europe/Zurich")
    taken(project, "out")
    session_zone("Asia/Kathmandu")
    project.pipe("batch", lambda out: out.selectExpr("id", "unix_seconds(at) AS s"), "out")
    project.pipe(
        "stream", lambda out: out.selectExpr("id", "unix_seconds(at) AS s"), "out", tags=STREAMING
    )
    assert project.run("batch").rows_written == 2
    taken(project, "stream")
    assert project.rows("batch") == project.rows("stream") == INSTANTS[:2]


def test_a_table_of_before_is_read_as_it_was_and_not_added_to(
    spark: Any, tmp_path: Path, session_zone: Any
) -> None:
    case = case_of(spark, tmp_path, "parquet")
    entity = case.entity(partition_columns=("at",), tags={"write_mode": "append"})
    session_zone("Asia/Kathmandu")
    rows = spark.sql("SELECT 1 AS id, timestamp_seconds(1603585800) AS at")
    table = tmp_path / case.entity_id
    rows.write.partitionBy("at").parquet(str(table))
    sidecar = {"version": 1, "schema": rows.schema.jsonValue()}
    (table / "_kindling.json").write_text(json.dumps(sidecar))
    read = case.provider(entity).read(entity).selectExpr("unix_seconds(at)").collect()
    assert [row[0] for row in read] == [1603585800]
    with pytest.raises(PipeRunError, match="in the time zone of the session that wrote it"):
        case.provider(entity).stage(entity, rows, Write("1", "b", "append"))
    case.publish(entity, rows, "c")
    case.provider(entity).stage(entity, rows, Write("1", "b", "append"))


# Slices


def test_slices_are_found_by_texts_and_days(spark: Any, tmp_path: Path) -> None:
    start, end = (datetime(2020, 3, day, tzinfo=timezone.utc) for day in (29, 30))
    for kind, column in (("DATE", "DATE'2020-03-29'"), ("STRING", "'2020-03-29'")):
        case = case_of(spark, tmp_path / kind, "parquet")
        entity = case.entity(partition_columns=("_day", "code"))
        part = IntervalSlice("_day", start, end)
        rows = spark.sql(
            f"SELECT id, {column} AS _day, code FROM VALUES (1, 'a/b'), (2, '%2F') AS t(id, code)"
        )
        other = spark.sql(f"SELECT 3 AS id, CAST('2020-03-30' AS {kind}) AS _day, 'x' AS code")
        case.publish(entity, rows.union(other), "a")
        provider = case.provider(entity)
        write = Write("1", "b", "overwrite_interval", part)
        provider.publish(entity, provider.stage(entity, rows.where("id = 2"), write), write)
        kept = [(row[0], row[2]) for row in found(case, entity)]
        assert kept == [(2, "%2F"), (3, "x")]
        with pytest.raises(PipeRunError, match="_day = 2020-03-30"):
            provider.stage(entity, other, write)


# Folders that others have made


@pytest.fixture(scope="module")
def one_row(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of one row: id = 7."""
    folder = tmp_path_factory.mktemp("one") / "row"
    spark.sql("SELECT 7 AS id").write.parquet(str(folder))
    return next(folder.glob("*.parquet"))


def foreign(one_row: Path, table: Path, *texts: str) -> None:
    for text in texts:
        (table / f"zip={text}").mkdir(parents=True)
        shutil.copy(one_row, table / f"zip={text}" / "part-0.parquet")


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("01234", "8000"), "string"),
        (("1234", "8000"), "int"),
        (("1", "-20", "9999999999"), "bigint"),
        (("1", "2.5"), "string"),
        (("0.5", "2.5"), "double"),
        (("1e3", "2.5"), "string"),
        (("1.50", "2.5"), "string"),
        (("2020-01-02", "1999-12-31"), "date"),
        (("2020-01-02 03%3A04%3A05",), "string"),
        (("+1", "2"), "string"),
        (("a%2Fb", "x"), "string"),
        (("99999999999999999999",), "decimal(20,0)"),
    ],
)
def test_folders_of_others_keep_their_texts(
    spark: Any, tmp_path: Path, one_row: Path, texts: tuple[str, ...], kind: str
) -> None:
    case = case_of(spark, tmp_path, "parquet")
    entity = case.entity()
    foreign(one_row, tmp_path / case.entity_id, *texts)
    rows = case.provider(entity).read(entity)
    assert dict(rows.dtypes) == {"id": "int", "zip": kind}
    shown = sorted(row[0] for row in rows.selectExpr("CAST(zip AS STRING)").collect())
    assert shown == sorted(map(unquote, texts))
    stream = case.provider(entity).read_stream(entity, StreamRead())  # type: ignore[attr-defined]
    assert dict(stream.dtypes) == {"id": "int", "zip": kind}


def test_folders_of_others_are_read_as_they_are_declared(project: Project, one_row: Path) -> None:
    foreign(one_row, project.table("raw"), "01234", "8000", "__HIVE_DEFAULT_PARTITION__")
    project.entity("raw", schema="zip STRING, id INT")
    project.pipe("out", lambda raw: raw, "raw")
    report = project.run("out")
    assert report.status == "published", report.error
    assert project.rows("out") == [("01234", 7), ("8000", 7), (None, 7)]
    project.entity("numbers", schema="id INT, zip BIGINT", tags={"provider.path": "raw"})
    project.pipe("sum", lambda numbers: numbers, "numbers")
    assert project.run("sum").rows_written == 3
    assert project.rows("sum") == [(7, 1234), (7, 8000), (7, None)]


@pytest.mark.parametrize("place", ["raw", "ra*", "raw/zip={00123,8000}"])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_text_files_in_folders_keep_the_texts_of_their_names(
    project: Project, kind: str, place: str
) -> None:
    for text in ("00123", "8000"):
        folder = project.table("raw") / f"zip={text}"
        folder.mkdir(parents=True)
        (folder / "a").write_text({"csv": "id\n7\n", "json": '{"id": 7}\n'}[kind])
    project.entity("raw", tags={"provider_type": kind, "provider.path": place})
    project.pipe("out", lambda raw: raw, "raw")
    report = project.run("out")
    assert report.status == "published", report.error
    # Where the pattern names the folders themselves, there is no column of them.
    in_names = place == "raw"
    assert project.rows("out") == [(7, "00123"), (7, "8000")] if in_names else [(7,), (7,)]


def test_guesses_that_do_not_hold_are_no_numbers() -> None:
    assert is_written_back("double", ["0.0", "-12.25", "9999999.5"])
    assert not is_written_back("double", ["0.0001"])  # Java writes 1.0E-4
    assert not is_written_back("double", ["10000000.5"])
    assert not is_written_back("double", ["0.30000000000000004"])
    assert not is_written_back("timestamp", ["2020-01-01 00:00:00"])
    assert not is_written_back("date", ["2020-1-1"])
    assert is_written_back("timestamp", [])
