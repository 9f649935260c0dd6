"""What a stream sees of a table that runs write, and what it leaves in one that it writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import StreamRead, StreamWrite
from kindling_airflow.tags.stream_settings import StreamTrigger
from tests.runner.formats.format_tests import (
    Rows,
    day,
    flights,
    publish,
    side_by_side,
    slice_of_day,
    stored,
    write_of,
)

SCHEMA = "id BIGINT, day DATE, n INT"
SKIP = {
    "delta": {"skipChangeCommits": "true"},
    "iceberg": {
        "streaming-skip-overwrite-snapshots": "true",
        "streaming-skip-delete-snapshots": "true",
    },
}
TAGS = {
    "delta": ("version ", "the pipe's tag stream.option.skipChangeCommits"),
    "iceberg": (
        "snapshot ",
        (
            "the pipe's tags stream.option.streaming-skip-overwrite-snapshots and "
            "stream.option.streaming-skip-delete-snapshots"
        ),
    ),
}


class Stream:
    """A stream from one table of a warehouse into another, run until it has taken what is there."""

    def __init__(self, case: Case, into: Case, checkpoint: Path) -> None:
        self.case, self.into, self.checkpoint = case, into, checkpoint
        self.source = case.entity(partition_columns=("day",), merge_columns=("id",), schema=SCHEMA)
        self.sink = into.entity()

    def frame(self, begin: str | None = None, **options: str) -> Any:
        provider: Any = self.case.provider(self.source)
        provider.make_ready(self.source)
        return provider.read_stream(self.source, StreamRead(options, begin))

    def start(self, frame: Any) -> Any:
        provider: Any = self.into.provider(self.sink)
        trigger = StreamTrigger("available_now")
        write = StreamWrite("copy", str(self.checkpoint), trigger=trigger)
        return provider.start(self.sink, frame, write)

    def run(self, begin: str | None = None, **options: str) -> Rows:
        """Take what is there; return what the sink has then."""
        query = self.start(self.frame(begin, **options))
        query.awaitTermination()
        return stored(self.into, self.sink)

    def problem(self, **options: str) -> str | None:
        """Run a stream that must fail; return what the source's provider says of it."""
        with pytest.raises(StreamingQueryException) as raised:
            self.run(**options)
        provider: Any = self.case.provider(self.source)
        return provider.stream_problem(self.source, raised.value)

    def append(self, run: int, attempt: str = "a") -> None:
        rows = flights(self.case, [(run, day(run), run)])
        publish(self.case, self.source, rows, write_of(run, "append", attempt))


@pytest.fixture
def stream(case: Case, kind: str, tmp_path: Path) -> Stream:
    """A stream whose tables do not exist yet; the schema of the one that it reads is declared."""
    into = Case(case.spark, case.warehouse, {"provider_type": kind}, "copied")
    return Stream(case, into, tmp_path / "check point")


def rows_of(*days: int) -> Rows:
    return [(n, day(n), n) for n in days]


def test_each_appended_row_comes_once_however_often_the_append_is_tried(stream: Stream) -> None:
    assert stream.run() == []
    for run in (1, 2):
        stream.append(run)
    assert stream.run() == rows_of(1, 2)
    stream.append(2, "again")
    stream.append(3)
    assert stream.run() == rows_of(1, 2, 3)


def test_a_batch_that_is_done_again_changes_nothing(stream: Stream) -> None:
    """A driver that dies between the sink's commit and the checkpoint's repeats its last batch."""
    for run in (1, 2):
        stream.append(run)
        stream.run()
    commits = sorted(p for p in (stream.checkpoint / "commits").iterdir() if p.name.isdigit())
    last = max(commits, key=lambda path: int(path.name))
    last.unlink()
    (last.parent / f".{last.name}.crc").unlink(missing_ok=True)
    assert stream.run() == rows_of(1, 2)
    assert last.exists()


CHANGES: dict[str, tuple[str, Rows, dict[str, Any]]] = {
    "overwrite": ("overwrite", rows_of(8, 9), {}),
    "a slice replaced": ("overwrite_interval", [(7, day(2), 7)], {"slice": slice_of_day(2)}),
    "a slice emptied": ("overwrite_interval", [], {"slice": slice_of_day(2)}),
    "a first slice": ("overwrite_interval", rows_of(5), {"slice": slice_of_day(5)}),
    "rows merged": ("merge", [(2, day(2), 20), (6, day(6), 6)], {}),
    "new rows merged": ("merge", rows_of(6), {}),
}
ADDS_ONLY = {
    "delta": {"a first slice": rows_of(5), "new rows merged": rows_of(6)},
    "iceberg": {"new rows merged": rows_of(6)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_the_stream_or_is_left_out(stream: Stream, kind: str, change: str) -> None:
    """Only what adds rows and nothing else is taken in."""
    stream.append(1)
    stream.append(2)
    assert stream.run() == rows_of(1, 2)
    mode, rows, more = CHANGES[change]
    publish(stream.case, stream.source, flights(stream.case, rows), write_of(8, mode, **more))
    expected = rows_of(1, 2)
    if change in ADDS_ONLY[kind]:
        expected += ADDS_ONLY[kind][change]
        assert stream.run() == expected
        return
    told = stream.problem()
    what, options = TAGS[kind]
    assert told is not None
    number = told.partition(f"({what}")[2].partition(")")[0]
    assert number.isdigit()
    assert told == (
        f"entity 'contract_orders': rows of the table were replaced or deleted ({what}{number}); a "
        "stream cannot retract rows that it has read\n"
        "  Fix: only append rows to it (write_mode: append); or skip such commits, and the new "
        f"rows in them ({options}); or start with the table as it is now, with a new output and a "
        "new checkpoint (stream.checkpoint)."
    )
    assert stored(stream.into, stream.sink) == expected
    if change not in ("overwrite", "a slice emptied"):  # one of each kind of commit
        return
    stream.append(4)
    assert stream.run(**SKIP[kind]) == [*expected, *rows_of(4)]


def test_an_empty_table_is_made_of_the_declared_schema_by_any_number_at_once(
    stream: Stream,
) -> None:
    provider: Any = stream.case.provider(stream.source)
    failed = side_by_side(*[lambda: provider.make_ready(stream.source)] * 3)
    assert failed == []
    found = provider.read(stream.source)
    assert (found.dtypes, found.count()) == (
        [("id", "bigint"), ("day", "date"), ("n", "int")],
        0,
    )
    stream.append(1)
    provider.make_ready(stream.source)
    assert stored(stream.case, stream.source) == rows_of(1)
    assert list((Path(stream.case.warehouse) / "contract_orders").rglob("day=2013-01-01"))


def test_without_a_declared_schema_there_is_no_empty_table(case: Case) -> None:
    provider: Any = case.provider(case.entity())
    with pytest.raises(EntityError) as raised:
        provider.make_ready(case.entity())
    assert str(raised.value) == (
        "entity 'contract_orders': there is no table yet, and no declared schema from which to "
        "create an empty one\n"
        "  Fix: declare the entity's schema, or write the table before a stream reads it."
    )


def test_a_stream_begins_where_it_is_told_to(stream: Stream, kind: str, tmp_path: Path) -> None:
    stream.append(1)
    between = datetime.now(timezone.utc)
    stream.append(2)
    begins = [between.isoformat()] + (["1", "latest"] if kind == "delta" else [])
    for n, begin in enumerate(begins):
        stream.checkpoint = tmp_path / f"from {n}"
        stream.sink = Case(
            stream.case.spark, stream.case.warehouse, stream.case.tags, f"from_{n}"
        ).entity()
        assert stream.run(begin) == ([] if begin == "latest" else rows_of(2)), begin


def test_other_columns_of_a_stream_are_refused_or_added(
    stream: Stream, tagged: Callable[..., Case]
) -> None:
    stream.append(1)
    stream.run()
    changed = stream.frame().selectExpr("n AS new", "day", "id", "n")
    with pytest.raises(PipeRunError) as raised:
        stream.start(changed)
    assert str(raised.value) == (
        "entity 'copied': the result does not have the columns of the table, whose other rows are "
        "kept"
        "\n  - column 'new' (int) is not declared\n"
        "  Fix: keep the columns, have new ones added (provider.new_columns: add), or have the "
        "whole table rewritten (write_mode: overwrite)."
    )
    adding = tagged(**{"provider.new_columns": "add"})
    stream.into = Case(adding.spark, adding.warehouse, adding.tags, "copied")
    stream.sink = stream.into.entity()
    stream.append(2)
    stream.start(stream.frame().selectExpr("n AS new", "day", "id", "n")).awaitTermination()
    found = stream.into.provider(stream.sink).read(stream.sink).select("id", "n", "new")
    assert sorted(map(tuple, found.collect())) == [(1, 1, None), (2, 2, 2)]


def test_a_table_that_is_made_anew_ends_the_stream(stream: Stream) -> None:
    stream.append(1)
    stream.run()
    location = stream.case.provider(stream.source).describe(stream.source).location
    (Path(stream.case.warehouse) / "contract_orders").rename(f"{location} of before")
    stream.append(2)
    told = stream.problem()
    assert told == (
        "entity 'contract_orders': the table was replaced, or no longer has the history that the "
        "stream's checkpoint refers to\n"
        "  Fix: start with the table as it is now, with a new output and a new checkpoint "
        "(stream.checkpoint)."
    )


def test_a_table_beside_a_stream_is_read_anew_in_each_batch(stream: Stream, tmp_path: Path) -> None:
    """So that it need not be there, or full, when the stream begins."""
    names = Case(stream.case.spark, stream.case.warehouse, stream.case.tags, "names")
    side: EntityMetadata = names.entity(schema="id BIGINT, name STRING")
    provider: Any = names.provider(side)
    provider.make_ready(side)
    assert provider.fresh_in_every_batch
    joined = stream.frame().join(provider.read(side), "id").select("id", "name")
    writer = joined.writeStream.format("memory").queryName("joined").outputMode("append")
    query = writer.option("checkpointLocation", str(tmp_path / "joined")).start()
    try:
        for n in (1, 2):
            name = stream.case.spark.sql(f"SELECT {n}L AS id, 'name {n}' AS name")
            publish(names, side, name, write_of(n, "append"))
            stream.append(n)
            query.processAllAvailable()
        found = stream.case.spark.table("joined").collect()
    finally:
        query.stop()
    assert sorted(map(tuple, found)) == [(1, "name 1"), (2, "name 2")]
