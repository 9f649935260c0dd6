"""Streams of one session: what comes in goes out once, and what does not fit is refused."""

from __future__ import annotations

import itertools
import json
import threading
import time
from datetime import datetime
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.data_pipes.expectations import satisfies
from kindling_airflow.errors import EntityError
from kindling_airflow.generation_executor.runners import StreamHandle
from kindling_airflow.runner.pipe.run_pipe import Hooks
from kindling_airflow.runner.providers.files.provider import JsonProvider
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.parquet.provider import ParquetProvider
from kindling_airflow.runner.providers.parquet.stream import create_empty
from kindling_airflow.runner.streaming import RunningStream, running, start_stream
from kindling_airflow.runner.streaming.running import StreamFacts
from kindling_airflow.tags.stream_settings import StreamSettings, StreamTrigger
from tests.runner.conftest import Project
from tests.runner.streams import (
    AVAILABLE,
    CONTINUOUS,
    EVENTS,
    STREAMING,
    declare_events,
    drop,
    events,
    ids,
    refusal,
    started,
    take_available,
    taken,
    until,
)


def test_what_comes_in_goes_out_once_and_a_stream_goes_on_where_it_was(project: Project) -> None:
    declare_events(project)
    first = take_available(project, "clean")
    assert (first.status, first.reason) == ("skipped", "'events' has no new rows")
    assert (project.table("events").is_dir(), first.location) == (True, str(project.table("clean")))
    drop(project.table("events"), "1.json", events(range(3)))
    report = taken(project, "clean")
    assert [(i.entity_id, i.rows) for i in report.inputs] == [("events", 3)]
    assert report.rows_written is None  # Spark does not count what goes into files
    drop(project.table("events"), "2.json", events(range(3, 5)))
    assert taken(project, "clean").inputs[0].rows == 2
    assert ids(project, "clean") == [0, 1, 2, 3, 4]
    assert take_available(project, "clean").status == "skipped"


def test_a_batch_pipe_reads_what_a_stream_has_done_and_no_file_besides(project: Project) -> None:
    declare_events(project)
    drop(project.table("events"), "1.json", events(range(3)))
    taken(project, "clean")
    table = project.table("clean")
    [file] = table.glob("part-*.parquet")
    # As a driver leaves it that dies in the middle of a batch: a file that is in no log.
    (table / f"part-00099-{file.name[11:]}").write_bytes(file.read_bytes())
    project.pipe("count", lambda clean: clean.selectExpr("count(*) AS n"), "clean")
    report = project.run("count")
    assert (report.inputs[0].rows, project.rows("count")) == (3, [(3,)])


def test_runs_that_take_what_was_gained_take_a_streams_rows_once(project: Project) -> None:
    declare_events(project, write_mode="append")
    project.entity("log", tags={"write_mode": "append"})
    project.pipe("log", lambda clean: clean, "clean", use_watermark=True)
    drop(project.table("events"), "1.json", events(range(3)))
    taken(project, "clean")
    [file] = project.table("clean").glob("part-*.parquet")
    (project.table("clean") / f"part-00099-{file.name[11:]}").write_bytes(file.read_bytes())
    assert project.run("log", run_id="1").rows_written == 3
    drop(project.table("events"), "2.json", events(range(3, 5)))
    taken(project, "clean")
    assert project.run("log", run_id="2").rows_written == 2
    assert project.run("log", run_id="3").status == "skipped"
    assert ids(project, "log") == [0, 1, 2, 3, 4]


def test_a_stream_reads_the_table_of_another_one(project: Project) -> None:
    """Consumers start first: the table is made of its schema, and filled when they run already."""
    declare_events(project)
    project.entity("shops", schema="id BIGINT, shop STRING", partition_columns=["shop"])
    project.pipe("shops", lambda clean: clean.select("id", "shop"), "clean", tags=STREAMING)
    with started(project, "shops") as consumer, started(project, "clean") as producer:
        until(lambda: consumer.is_ready() and producer.is_ready())
        assert isinstance(consumer, StreamHandle)
        assert producer.error() is None
        drop(project.table("events"), "1.json", events(range(3), "007"))
        drop(project.table("events"), "2.json", events(range(3, 5), "b"))
        assert producer.drain()
        producer.stop()
        assert not producer.is_active()
        assert consumer.drain()
        assert consumer.progress()["rows_in"] == 5
        assert consumer.progress()["lag"] is None
    assert (consumer.error(), producer.error()) == (None, None)
    # The sidecar says that a shop is text, whatever its folder looks like.
    project.pipe("copy", lambda shops: shops, "shops")
    assert project.run("copy").rows_written == 5
    assert [row[1] for row in project.rows("copy")] == ["007", "007", "007", "b", "b"]


def test_a_complete_result_replaces_the_table_with_each_batch(project: Project) -> None:
    declare_events(project)
    project.entity("counts", schema="shop STRING, n BIGINT NOT NULL")
    project.pipe(
        "counts",
        lambda events: events.groupBy("shop").count().withColumnRenamed("count", "n"),
        "events",
        tags={**STREAMING, "stream.output_mode": "complete"},
        expectations=[satisfies("n > 0")],
    )
    drop(project.table("events"), "1.json", events(range(3)))
    report = taken(project, "counts")
    assert [e.outcome for e in report.expectations] == ["passed"]
    assert (report.rows_written, report.inputs[0].rows) == (1, 3)
    drop(project.table("events"), "2.json", [*events(range(3, 5)), *events(range(5, 6), "b")])
    report = taken(project, "counts")
    assert (report.rows_written, report.inputs[0].rows) == (2, 3)
    assert report.extra["stream"]["state_rows"] == 2
    assert project.rows("counts") == [("a", 5), ("b", 1)]
    staging = project.warehouse / "_kindling" / "staging" / "counts"
    assert list(staging.glob("*-*")) == []


def test_a_batch_that_breaks_an_expectation_ends_the_stream_and_is_not_published(
    project: Project,
) -> None:
    declare_events(project)
    project.pipe(
        "counts",
        lambda events: events.groupBy("shop").count(),
        "events",
        tags={**STREAMING, "stream.output_mode": "complete"},
        expectations=[satisfies("count < 3")],
    )
    drop(project.table("events"), "1.json", events(range(2)))
    taken(project, "counts")
    drop(project.table("events"), "2.json", events(range(2, 5)))
    text = refusal(project, "counts")
    assert "count < 3" in text
    assert "1 of 1 rows" in text
    assert project.rows("counts") == [("a", 2)]


def test_a_sql_pipe_streams(project: Project) -> None:
    declare_events(project)
    project.entity("big", schema="id BIGINT, place STRING")
    with DataPipes.declaring_into(project.declared.pipes):
        DataPipes.view(
            "big", sql="SELECT id, upper(shop) AS place FROM events WHERE id > 1", tags=STREAMING
        )
    drop(project.table("events"), "1.json", events(range(3)))
    taken(project, "big")
    assert project.rows("big") == [(2, "A")]


def test_other_inputs_are_tables_and_must_be_there(project: Project) -> None:
    declare_events(project)
    project.entity("shops", schema="shop STRING, city STRING")
    project.pipe(
        "places",
        lambda events, shops: events.join(shops, "shop"),
        "events",
        "shops",
        tags=STREAMING,
    )
    drop(project.table("events"), "1.json", events(range(2)))
    report = take_available(project, "places")
    assert report.error is not None
    assert report.extra["permanent"] is False
    assert report.error.message == (
        f"pipe 'places': input 'shops' does not exist yet at {str(project.table('shops'))!r}, and "
        "a stream reads a table of this type once, when it starts\n"
        "  Fix: run the pipe that writes it first, use a format that is re-read in every batch "
        "(delta), or make it the first input, which is read as a stream."
    )
    project.pipe(
        "shops", lambda: project.spark.createDataFrame([("a", "Ulm")], "shop string, city string")
    )
    assert project.run("shops").status == "published"
    assert taken(project, "places").inputs[0].rows == 2


def test_rows_of_a_rate_come_by_themselves(project: Project) -> None:
    project.entity("ticks", tags={"provider_type": "rate", "provider.option.rowsPerSecond": 50})
    project.entity("log", schema="value BIGINT")
    project.pipe("log", lambda ticks: ticks.select("value"), "ticks", tags=STREAMING)
    with started(project, "log") as stream:
        until(lambda: stream.progress()["rows_in"] > 0)
        assert stream.is_ready()
        said = stream.progress()
        assert said["batches"] >= 1
        assert isinstance(stream._trigger_began(), int)  # else no stalled source is noticed
        assert said["batch_id"] is not None
        assert said["last_progress"].endswith("Z")
        json.dumps(said, allow_nan=False)
    project.pipe("batch", lambda ticks: ticks, "ticks")
    error = project.run("batch").error
    assert error is not None
    assert error.message == (
        "entity 'ticks': rate entities can only be read as a stream\n"
        "  Fix: make it the first input of a streaming pipe (processing_mode: streaming)."
    )


class TestWatermark:
    def declare(self, project: Project, watermark: str) -> None:
        declare_events(project)
        project.entity("late", schema="start TIMESTAMP, n BIGINT NOT NULL")
        project.pipe("late", counted_by_minutes, "events", tags=watermarked(watermark))

    def test_is_put_on_the_driving_input_before_the_pipe_gets_it(self, project: Project) -> None:
        self.declare(project, "at 5m")
        drop(project.table("events"), "1.json", events(range(40)))
        taken(project, "late")
        # Windows of which a later row may still come are not in the output yet.
        assert project.rows("late") == [(moment(0), 10), (moment(10), 10), (moment(20), 10)]

    def test_needs_a_column_that_is_a_time(self, project: Project) -> None:
        self.declare(project, "shop 5m")
        assert refusal(project, "late") == (
            "pipe 'late': tag stream.watermark names column 'shop' of 'events', which is of type "
            "STRING\n  Fix: name a column of type TIMESTAMP."
        )


def watermarked(watermark: str) -> dict[str, Any]:
    return {**STREAMING, "stream.watermark": watermark}


def counted_by_minutes(events: Any) -> Any:
    from pyspark.sql import functions as F

    windows = events.groupBy(F.window("at", "10 minutes")).count()
    return windows.select(F.col("window.start").alias("start"), F.col("count").alias("n"))


def moment(minute: int) -> datetime:
    return datetime(2026, 1, 1, 0, minute)  # noqa: DTZ001 (the session's zone is UTC)


class TestRefusedResults:
    def test_a_result_that_is_no_stream(self, project: Project) -> None:
        project.entity("events", schema=EVENTS, tags={"provider_type": "json"})
        project.pipe("out", lambda events: project.spark.range(1), "events", tags=STREAMING)
        assert refusal(project, "out") == (
            "pipe 'out' returned a batch DataFrame instead of a stream: its result is not derived "
            "from "
            "'events', which is read as a stream\n"
            "  Fix: derive the result from the first input, or make the pipe a batch pipe."
        )

    def test_a_result_that_does_not_fit_its_declaration(self, project: Project) -> None:
        declare_events(project)
        project.entity("out", schema="id STRING, shop STRING")
        project.pipe("out", lambda events: events.select("id"), "events", tags=STREAMING)
        assert refusal(project, "out") == (
            "pipe 'out': its result does not match entity 'out'\n"
            "  - column 'id' is bigint, declared as string\n"
            "  - column 'shop' (string) is missing\n"
            "  Fix: change the pipe's result, or the entity's declaration."
        )
        assert not project.table("out").exists()

    def test_what_is_wrong_with_the_declaration_is_said_before_anything_is_read(
        self, project: Project
    ) -> None:
        project.entity("events", tags={"provider_type": "json"})
        project.pipe("out", lambda events: events, "events", tags=STREAMING)
        text = refusal(project, "out")
        assert "read as a stream of json files, and no schema is declared for them" in text

    def test_an_error_in_a_batch_is_the_pipes_own_without_the_plan_around_it(
        self, project: Project
    ) -> None:
        declare_events(project)
        project.pipe(
            "out", lambda events: events.selectExpr("id / 0 AS x"), "events", tags=STREAMING
        )
        drop(project.table("events"), "1.json", events(range(1)))
        text = refusal(project, "out")
        assert "DIVIDE_BY_ZERO" in text
        assert "Streaming Query" not in text


class TestSources:
    def test_csv_files_come_with_their_header_and_in_their_schema(self, project: Project) -> None:
        project.entity(
            "orders",
            schema="id BIGINT, at DATE",
            tags={"provider_type": "csv", "provider.path": "new/*"},
        )
        project.entity("log", schema="id BIGINT, at DATE")
        tags = {**STREAMING, "stream.option.maxFilesPerTrigger": 1}
        project.pipe("log", lambda orders: orders, "orders", tags=tags)
        (project.warehouse / "new").mkdir()
        (project.warehouse / "new" / "1.csv").write_text("id,at\n1,2026-01-02\n")
        (project.warehouse / "new" / "2.csv").write_text("id,at\n2,2026-01-03\n")
        report = taken(project, "log")
        assert (report.inputs[0].rows, report.extra["stream"]["batches"]) == (2, 2)
        (project.warehouse / "new" / "3.csv").write_text("id,at\nthree,2026-01-03\n")
        text = refusal(project, "log")
        assert "MALFORMED" in text

    def test_a_single_file_can_drive_a_stream(self, project: Project) -> None:
        project.entity(
            "orders", schema="id BIGINT", tags={"provider_type": "csv", "provider.path": "o.csv"}
        )
        project.entity("log", schema="id BIGINT")
        project.pipe("log", lambda orders: orders, "orders", tags=STREAMING)
        (project.warehouse / "o.csv").write_text("id\n1\n")
        assert taken(project, "log").inputs[0].rows == 1

    def test_what_has_no_schema_cannot_be_made_ready(self, project: Project) -> None:
        context = ProviderContext(project.spark, str(project.warehouse))
        numbers = EntityMetadata("numbers", "numbers")
        with pytest.raises(EntityError) as refused:
            ParquetProvider(context).make_ready(numbers)
        assert str(refused.value) == (
            f"entity 'numbers': no table at {str(project.table('numbers'))!r} yet, and no declared "
            "schema from which to create an empty one for the stream that reads it\n"
            "  Fix: declare the entity's schema, or run the pipe that writes it first."
        )
        with pytest.raises(EntityError) as refused:
            JsonProvider(context).make_ready(numbers)
        assert str(refused.value) == (
            "entity 'numbers': a stream of json files needs a declared schema, because there may "
            "be no files yet\n  Fix: declare the entity's schema."
        )

    def test_of_several_that_make_a_table_ready_at_once_one_does(self, project: Project) -> None:
        context = ProviderContext(project.spark, str(project.warehouse))
        numbers = EntityMetadata("numbers", "numbers", schema="id BIGINT")
        schema = project.spark.range(0).schema
        create_empty(context.storage, str(project.table("numbers")), schema)
        create_empty(context.storage, str(project.table("numbers")), schema)
        ParquetProvider(context).make_ready(numbers)
        assert ParquetProvider(context).read(numbers).count() == 0
        assert list((project.warehouse / "_kindling" / "staging" / "numbers").glob("[!.]*")) == []


class TestTables:
    def test_a_path_that_spark_takes_for_a_pattern_is_refused(self, project: Project) -> None:
        declare_events(project, **{"provider.path": "clean[1]"})
        assert refusal(project, "clean") == (
            f"entity 'clean': a stream cannot write to {str(project.table('clean[1]'))!r}, because "
            "Spark treats such a path as a pattern when it looks for the stream's log\n"
            "  Fix: use a path without any of the characters {}[]*?\\."
        )

    @pytest.mark.parametrize("mode", ["overwrite", "append"])
    def test_a_run_does_not_publish_to_a_table_that_a_stream_writes(
        self, project: Project, mode: str
    ) -> None:
        project.entity("events", schema=EVENTS, tags={"provider_type": "json"})
        project.entity("ticks", schema=EVENTS, tags={"provider.path": "clean"})
        project.entity("clean", schema=EVENTS, tags={"write_mode": mode})
        project.pipe("ticks", lambda events: events, "events", tags=STREAMING)
        project.pipe("clean", lambda events: events, "events")
        drop(project.table("events"), "1.json", events(range(2)))
        taken(project, "ticks")
        report = project.run("clean")
        assert report.error is not None
        assert report.extra["permanent"] is True
        assert report.error.message == (
            f"entity 'clean': the table at {str(project.table('clean'))!r} is written by a "
            "stream; a run cannot publish to it, because readers see only what is in the log of "
            "the stream\n"
            "  Fix: write the result to another location (provider.path, or a separate entity), or "
            "move the stream's table away and restart its query."
        )
        assert ids(project, "clean") == [0, 1]

    def test_a_stream_does_not_write_to_a_table_that_runs_published(self, project: Project) -> None:
        declare_events(project)
        drop(project.table("events"), "1.json", events(range(2)))
        project.declared.pipes.unregister_pipe("clean")
        project.pipe("clean", lambda events: events, "events")
        assert project.run("clean").status == "published"
        project.declared.pipes.unregister_pipe("clean")
        project.pipe("clean", lambda events: events, "events", tags=STREAMING)
        assert refusal(project, "clean") == (
            f"entity 'clean': the table at {str(project.table('clean'))!r} has rows that were not "
            "written by a stream; a stream cannot continue it, because readers would see only the "
            "rows of the stream from then on\n"
            "  Fix: use another location for the stream (provider.path, or a separate entity), or "
            "move the table away."
        )
        assert ids(project, "clean") == [0, 1]

    def test_a_table_that_was_just_made_ready_may_be_published_to(self, project: Project) -> None:
        project.entity("numbers", schema="id BIGINT")
        project.entity("out", schema="id BIGINT")
        project.pipe("out", lambda numbers: numbers, "numbers", tags=STREAMING)
        assert take_available(project, "out").status == "skipped"
        project.pipe("numbers", lambda: project.spark.range(2))
        assert project.run("numbers").status == "published"

    def test_a_stream_does_not_read_a_table_whose_files_runs_replace(
        self, project: Project
    ) -> None:
        project.entity("numbers", schema="id BIGINT")
        project.pipe("numbers", lambda: project.spark.range(2))
        assert project.run("numbers").status == "published"
        project.entity("out", schema="id BIGINT")
        project.pipe("out", lambda numbers: numbers, "numbers", tags=STREAMING)
        assert refusal(project, "out") == (
            "entity 'numbers': runs replace files of the table at "
            f"{str(project.table('numbers'))!r}; a stream that reads it would read rows again, and "
            "miss files that it was about to read\n"
            "  Fix: let its runs append (write_mode: append), or store the table as delta or "
            "iceberg."
        )

    def test_a_stream_reads_what_runs_append(self, project: Project) -> None:
        project.entity("numbers", schema="id BIGINT", tags={"write_mode": "append"})
        project.pipe("numbers", lambda: project.spark.range(2))
        project.entity("out", schema="id BIGINT")
        project.pipe("out", lambda numbers: numbers, "numbers", tags=STREAMING)
        assert project.run("numbers", run_id="1").status == "published"
        assert taken(project, "out").inputs[0].rows == 2
        assert project.run("numbers", run_id="2").status == "published"
        assert taken(project, "out").inputs[0].rows == 2
        assert ids(project, "out") == [0, 0, 1, 1]

    def test_a_table_is_written_by_the_query_that_began_it_alone(self, project: Project) -> None:
        """Spark would leave out each batch of another query whose number it knows already."""
        declare_events(project)
        drop(project.table("events"), "1.json", events(range(2)))
        taken(project, "clean")
        stream = {**AVAILABLE, "checkpoints": str(project.warehouse / "elsewhere")}
        text = refusal(project, "clean", stream=stream)
        assert text == (
            f"entity 'clean': the table at {str(project.table('clean'))!r} has 1 batches of a "
            f"checkpoint other than {str(project.warehouse / 'elsewhere' / 'clean')!r}; Spark "
            "would skip as many batches of this query, because their numbers are already in the "
            "table's log\n"
            "  Fix: restore the checkpoint, or start over with another location for the table "
            "(provider.path), or move the table away."
        )
        project.table("clean").rename(project.warehouse / "moved")
        assert taken(project, "clean", stream=stream).inputs[0].rows == 2

    def test_other_columns_are_refused(self, project: Project) -> None:
        project.entity("events", schema=EVENTS, tags={"provider_type": "json"})
        project.pipe("clean", lambda events: events, "events", tags=STREAMING)
        drop(project.table("events"), "1.json", events(range(2)))
        taken(project, "clean")
        project.declared.pipes.unregister_pipe("clean")
        project.pipe("clean", lambda events: events.drop("shop"), "events", tags=STREAMING)
        assert refusal(project, "clean") == (
            "entity 'clean': the result does not have the columns of the table, whose other rows "
            "are kept\n  - column 'shop' (string) is missing\n"
            "  Fix: move the table away and restart the stream, or keep the columns."
        )


class TestStop:
    def test_a_batch_under_way_is_given_up_and_done_by_the_next_query(
        self, project: Project
    ) -> None:
        """What stopping does to the batch is no failure of the stream."""
        declare_events(project)

        tags = {**STREAMING, "stream.output_mode": "complete"}
        calls: list[str] = []

        def before_publish(_location: str) -> None:
            calls.append("publishing")
            if len(calls) == 1:
                # Any work of Spark's that is cut off; it takes an hour.
                project.spark.range(3600).foreach(lambda _row: time.sleep(1))

        project.pipe("counts", lambda events: events.groupBy("shop").count(), "events", tags=tags)
        request = project.request("counts", stream=CONTINUOUS)
        hooks = Hooks(before_publish=before_publish)
        stream = start_stream(request, project.spark, project.declared, hooks)
        drop(project.table("events"), "1.json", events(range(3)))
        until(lambda: calls)
        stream.stop()
        assert (stream.is_active(), stream.error()) == (False, None)
        taken(project, "counts")
        assert project.rows("counts") == [("a", 3)]


class TestDrain:
    def test_takes_what_is_there_although_the_next_batch_is_an_hour_away(
        self, project: Project
    ) -> None:
        declare_events(project)
        project.declared.pipes.unregister_pipe("clean")
        tags = {**STREAMING, "stream.trigger": "1h"}
        project.pipe("clean", lambda events: events, "events", tags=tags)
        with started(project, "clean") as stream:
            until(stream.is_ready)
            drop(project.table("events"), "1.json", events(range(3)))
            assert stream.drain()
            assert (stream.is_active(), stream.error(), stream.rows_in) == (False, None, 3)
        assert ids(project, "clean") == [0, 1, 2]

    def test_takes_what_is_there_although_more_comes_all_the_time(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(running, "_PATIENCE_SECONDS", 0.5)
        declare_events(project)
        is_over = threading.Event()

        def feed() -> None:
            number = itertools.count(1)
            while not is_over.wait(0.05):
                drop(project.table("events"), f"more-{next(number)}.json", events(range(1)))

        with started(project, "clean") as stream:
            until(stream.is_ready)
            feeder = threading.Thread(target=feed)
            feeder.start()
            try:
                until(lambda: stream.progress()["batches"] > 1)
                drop(project.table("events"), "1.json", events(range(7, 9)))
                assert stream.drain()
            finally:
                is_over.set()
                feeder.join()
            assert (stream.is_active(), stream.error()) == (False, None)
        assert [n for n in ids(project, "clean") if n > 0] == [7, 8]

    def test_of_what_goes_row_by_row_nobody_can_tell(self, project: Project) -> None:
        """Spark says nothing of such a query, neither how far it is nor that it is."""
        facts = StreamFacts(
            "out", "ticks", "out", "", {}, StreamSettings(StreamTrigger("continuous", 1.0)), str
        )

        def begin(_trigger: StreamTrigger) -> Any:
            ticks = project.spark.readStream.format("rate").load()
            writer = ticks.writeStream.format("noop").trigger(continuous="1 second")
            return writer.option("checkpointLocation", str(project.table("points"))).start()

        stream = RunningStream(facts, begin, None)
        try:
            until(lambda: stream.progress()["status"].startswith("Committing epoch"))
            assert stream.is_ready()
            assert stream.drain() is None
            assert (stream.rows_in, stream.rows_out) == (None, None)
            said = stream.progress()
            assert {key for key, value in said.items() if value is not None} == {"status"}
        finally:
            stream.stop()
        assert stream.error() is None

    def test_gives_up_in_time_where_there_is_no_end_of_it(self, project: Project) -> None:
        release = threading.Event()
        declare_events(project)
        tags = {**STREAMING, "stream.output_mode": "complete", "stream.drain_timeout": "1s"}
        project.pipe("counts", lambda events: events.groupBy("shop").count(), "events", tags=tags)
        with started(project, "counts") as stream:
            until(stream.is_ready)
            stream._batches._before_publish = release.wait  # type: ignore[union-attr, assignment]
            drop(project.table("events"), "1.json", events(range(3)))
            assert not stream.drain()
            release.set()
        assert stream.error() is None
        # The batch was under way: it got done before the query ended, or is done again now.
        assert take_available(project, "counts").status in ("published", "skipped")
        assert project.rows("counts") == [("a", 3)]

    def test_a_query_that_somebody_else_stops_has_failed(self, project: Project) -> None:
        declare_events(project)
        with started(project, "clean") as stream:
            until(stream.is_ready)
            [query] = project.spark.streams.active
            query.stop()
            assert not stream.is_active()
            assert str(stream.error()) == (
                "pipe 'clean': its query was stopped from outside\n"
                "  Fix: do not stop the query in other code; the next run continues from its "
                "checkpoint."
            )
