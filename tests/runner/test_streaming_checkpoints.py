"""A checkpoint is for one query: what would make it useless is refused before the query starts."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_pipes.expectations import satisfies
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.streaming.checkpoint import Checkpoint, Purpose, checkpoint_path
from kindling_airflow.runner.streaming.stateful_operators import stateful_operators
from tests.runner.conftest import Project
from tests.runner.dying_files import DyingFiles, Killed
from tests.runner.streams import (
    EVENTS,
    STREAMING,
    declare_events,
    drop,
    events,
    refusal,
    take_available,
    taken,
)

PURPOSE = Purpose(
    reads="'events' (json, /tables/events)",
    writes="'out' (parquet, /tables/out)",
    output_mode="append",
    by_batch=False,
    state=("aggregation by [shop] of [count(1)]",),
    spark="4.1",
)
SIDECAR = "/points/out/kindling.json"
BEGIN_ANEW = (
    "give it a new checkpoint (stream.checkpoint) and start over: it then reads from "
    "stream.starting_offsets on, so rows that it has written are written again unless its output "
    "is new as well, and its state (counts, windows, seen keys) starts empty."
)


def checkpoint(files: DyingFiles, batches: int = 0, done: int | None = None) -> Checkpoint:
    """Return a checkpoint in which so many batches have begun."""
    for name, count in (("offsets", batches), ("commits", batches if done is None else done)):
        for number in range(count):
            files.content[f"/points/out/{name}/{number}"] = ""
    return Checkpoint(files, "/points/out", "out")  # type: ignore[arg-type]


def refused(point: Checkpoint, purpose: Purpose) -> str:
    with pytest.raises(PipeRunError) as error:
        point.take(purpose)
    return str(error.value)


@pytest.fixture
def files() -> DyingFiles:
    return DyingFiles()


class TestPlace:
    def test_is_beneath_the_root_which_is_in_the_warehouse_if_nobody_says_more(self) -> None:
        assert checkpoint_path("", "/tables/", "out") == "/tables/_kindling/checkpoints/out"
        assert checkpoint_path("s3a://bucket/points/", "/tables", "a/b") == (
            "s3a://bucket/points/a/b"
        )

    @pytest.mark.parametrize("said", ["/points/out", "s3a://bucket/out"])
    def test_an_absolute_one_is_taken_as_it_is(self, said: str) -> None:
        assert checkpoint_path("/root", "/tables", said) == said


class TestPurpose:
    def test_that_has_not_changed_fits(self, files: DyingFiles) -> None:
        checkpoint(files).take(PURPOSE)
        checkpoint(files, batches=3).take(PURPOSE)
        document = json.loads(files.content[SIDECAR])
        assert (document["version"], document["pipe"]) == (1, "out")
        assert f"{SIDECAR}.part" not in files.content

    def test_as_long_as_no_batch_has_begun_there_is_nothing_to_lose(
        self, files: DyingFiles
    ) -> None:
        checkpoint(files).take(PURPOSE)
        other = replace(PURPOSE, output_mode="complete")
        checkpoint(files).take(other)
        checkpoint(files, batches=1).take(other)

    def test_what_a_driver_left_before_its_first_batch_is_taken_away(
        self, files: DyingFiles
    ) -> None:
        left = ("offsets/.0.a.tmp", "state/0/_metadata/metadata", "commits/.0.b.tmp", "metadata")
        files.content |= {f"/points/out/{name}": "" for name in left}
        checkpoint(files).take(PURPOSE)
        assert set(files.content) == {SIDECAR, "/points/out/metadata"}

    def test_where_batches_are_done_nothing_is_taken_away(self, files: DyingFiles) -> None:
        """For then it is not the first one, whatever has become of the others."""
        checkpoint(files, done=2)
        for name in ("state/0/1.delta", "commits/1"):
            files.content[f"/points/out/{name}"] = ""
        checkpoint(files).take(PURPOSE)
        assert {"/points/out/state/0/1.delta", "/points/out/commits/1"} <= set(files.content)

    def test_that_has_changed_is_refused_with_every_difference(self, files: DyingFiles) -> None:
        checkpoint(files).take(PURPOSE)
        other = Purpose(
            reads="'other' (delta, /tables/other)",
            writes="'out' (delta, /tables/out)",
            output_mode="update",
            by_batch=False,
            state=(),
            spark="4.1",
        )
        assert refused(checkpoint(files, batches=2), other) == (
            f"pipe 'out' does not match its checkpoint '/points/out' any more\n"
            "  - it reads 'other' (delta, /tables/other), and has read 'events' (json, "
            "/tables/events)\n"
            "  - it writes 'out' (delta, /tables/out), and has written 'out' (parquet, "
            "/tables/out)\n"
            "  - its output mode is 'update', and was 'append'\n"
            "  - its state is of nothing, and was of aggregation by [shop] of [count(1)]\n"
            "  Fix: revert the change to the pipe, and it continues without data loss. Or "
            f"{BEGIN_ANEW}"
        )

    def test_another_release_of_spark_may_put_the_state_into_other_words(
        self, files: DyingFiles
    ) -> None:
        checkpoint(files).take(PURPOSE)
        newer = replace(PURPOSE, spark="4.2", state=("aggregation by [shop] of [count(1L)]",))
        checkpoint(files, batches=2).take(newer)
        assert "4.2" in files.content[SIDECAR]
        text = refused(checkpoint(files, batches=2), replace(newer, spark="4.3", state=()))
        assert "its state is of nothing" in text

    def test_batches_may_be_published_another_way_when_none_is_half_done(
        self, files: DyingFiles
    ) -> None:
        checkpoint(files).take(PURPOSE)
        checked = replace(PURPOSE, by_batch=True)
        text = refused(checkpoint(files, batches=3, done=2), checked)
        assert (
            "  - batches are published in another way, and one is incomplete: with the previous "
            "expectations, the query would finish it\n"
        ) in text
        checkpoint(files, batches=3, done=3).take(checked)
        checkpoint(files, batches=4, done=3).take(checked)

    def test_what_has_gone_row_by_row_does_not_go_on_in_batches(self, files: DyingFiles) -> None:
        checkpoint(files).take(PURPOSE)
        row_by_row = replace(PURPOSE, row_by_row=True)
        checkpoint(files, batches=1).take(row_by_row)
        assert (
            "  - it runs in batches, but the checkpoint is of a continuous trigger, from which "
            "Spark cannot continue in batches\n"
        ) in refused(checkpoint(files, batches=2), PURPOSE)
        checkpoint(files, batches=2).take(row_by_row)

    def test_of_before_there_was_a_word_on_triggers_went_in_batches(
        self, files: DyingFiles
    ) -> None:
        checkpoint(files).take(PURPOSE)
        document = json.loads(files.content[SIDECAR])
        del document["purpose"]["row_by_row"]
        files.content[SIDECAR] = json.dumps(document)
        checkpoint(files, batches=2).take(PURPOSE)

    def test_of_a_query_that_no_pipe_has_run_is_unknown(self, files: DyingFiles) -> None:
        assert refused(checkpoint(files, batches=1), PURPOSE) == (
            "pipe 'out': the checkpoint '/points/out' was not created by a pipe: it has no "
            f"kindling.json\n  Fix: {BEGIN_ANEW}"
        )

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{", "JSONDecodeError: Expecting property name"),
            ('{"version": 2}', "ValueError: version 2"),
            ('{"version": 1}', "KeyError: 'purpose'"),
            ("[]", "TypeError: "),
        ],
    )
    def test_that_cannot_be_read_is_said(self, files: DyingFiles, text: str, why: str) -> None:
        files.content[SIDECAR] = text
        said = refused(checkpoint(files, batches=1), PURPOSE)
        assert said.startswith(
            f"pipe 'out': the purpose of its checkpoint cannot be read from {SIDECAR!r}: {why}"
        )
        assert said.endswith(f"\n  Fix: {BEGIN_ANEW}")

    @pytest.mark.parametrize("step", range(5))
    def test_a_driver_that_dies_while_it_notes_the_purpose_loses_nothing(
        self, files: DyingFiles, step: int
    ) -> None:
        checkpoint(files).take(PURPOSE)
        newer = replace(PURPOSE, spark="4.2")
        files.calm()
        files.dies_at = step
        point = checkpoint(files, batches=1)
        with pytest.raises(Killed) if step < 3 else nullcontext():
            point.take(newer)
        files.calm()
        assert "'append'" in refused(point, replace(newer, output_mode="update"))
        point.take(newer)
        assert "4.2" in files.content[SIDECAR]


class TestState:
    """What of a plan counts as state, in words that are the same in every process."""

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda e: e.where("id > 1").select("id"), []),
            (
                lambda e: e.withWatermark("at", "10 minutes").groupBy("shop").agg({"id": "sum"}),
                [
                    "aggregation by [shop: string] of [sum(id): bigint]",
                    "watermark on at of 10 minutes",
                ],
            ),
            (lambda e: e.dropDuplicates(["id"]), ["rows once by [id: bigint]"]),
            (lambda e: e.select("shop").distinct(), ["rows once by [shop: string]"]),
            (
                lambda e: e.withColumn("key", e["id"] % 7).groupBy("key").count(),
                ["aggregation by [key = (id % cast(7 as bigint)): bigint] of [count(1): bigint]"],
            ),
            (lambda e: e.limit(3), ["limit 3"]),
        ],
    )
    def test_is_told_in_words(
        self, spark: Any, tmp_path: Path, make: Any, words: list[str]
    ) -> None:
        stream = spark.readStream.schema(EVENTS).json(str(tmp_path))
        assert list(stateful_operators(make(stream))) == words
        again = spark.readStream.schema(EVENTS).json(str(tmp_path))
        assert list(stateful_operators(make(again))) == words

    def test_of_two_streams_that_are_joined(self, spark: Any, tmp_path: Path) -> None:
        left = spark.readStream.schema(EVENTS).json(str(tmp_path)).alias("l")
        right = spark.readStream.schema(EVENTS).json(str(tmp_path)).alias("r")
        table = spark.createDataFrame([(1,)], "id BIGINT")
        joined = left.join(right, "id", "left")
        assert list(stateful_operators(joined)) == ["left outer join of two streams on (id = id)"]
        assert list(stateful_operators(left.join(table, "id"))) == []

    def test_another_window_is_another_state(self, spark: Any, tmp_path: Path) -> None:
        from pyspark.sql import functions as F

        stream = spark.readStream.schema(EVENTS).json(str(tmp_path))
        said = [
            stateful_operators(stream.groupBy(F.window("at", length)).count())
            for length in ("5 minutes", "10 minutes", "5 minutes")
        ]
        assert said[0] == said[2] != said[1]

    @pytest.mark.parametrize("name", ["id", "at"])
    def test_another_type_is_another_state(self, spark: Any, tmp_path: Path, name: str) -> None:
        """A key's or a value's: Spark would notice with the first batch."""
        stream = spark.readStream.schema(EVENTS).json(str(tmp_path))
        other = stream.withColumn(name, stream[name].cast("string")).select("id", "at", "shop")
        other = spark.readStream.schema(other.schema).json(str(tmp_path))
        said = {
            stateful_operators(each.groupBy("id").agg({"at": "max"})) for each in (stream, other)
        }
        assert len(said) == 2

    def test_another_name_of_a_result_is_the_same_state(self, spark: Any, tmp_path: Path) -> None:
        from pyspark.sql import functions as F

        stream = spark.readStream.schema(EVENTS).json(str(tmp_path))
        said = {
            stateful_operators(stream.groupBy("shop").agg(F.sum("id").alias(name)))
            for name in ("total", "sum_of_ids")
        }
        assert len(said) == 1


class TestPipes:
    def declare(self, project: Project, function: Any, **tags: Any) -> None:
        if project.declared.pipes.get_pipe_definition("counts") is not None:
            project.declared.pipes.unregister_pipe("counts")
        complete = {**STREAMING, "stream.output_mode": "complete", **tags}
        project.pipe("counts", function, "events", tags=complete)

    def test_a_pipe_that_has_changed_is_refused_and_goes_on_when_it_is_changed_back(
        self, project: Project
    ) -> None:
        declare_events(project)
        self.declare(project, lambda events: events.groupBy("shop").count())
        drop(project.table("events"), "1.json", events(range(2)))
        taken(project, "counts")
        self.declare(project, lambda events: events.groupBy("shop").agg({"id": "max"}))
        drop(project.table("events"), "2.json", events(range(2, 5)))
        text = refusal(project, "counts")
        assert (
            "  - its state is of aggregation by [shop: string] of [max(id): bigint], and was of "
            "aggregation by [shop: string] of [count(1): bigint]\n"
        ) in text
        assert project.rows("counts") == [("a", 2)]
        self.declare(project, lambda events: events.groupBy("shop").count())
        taken(project, "counts")
        assert project.rows("counts") == [("a", 5)]
        self.declare(
            project,
            lambda events: events.groupBy("shop").agg({"id": "max"}),
            **{"stream.checkpoint": "counts_2"},
        )
        taken(project, "counts")
        assert project.rows("counts") == [("a", 4)]

    def test_a_driver_that_died_before_its_first_batch_is_not_in_the_way(
        self, project: Project
    ) -> None:
        declare_events(project)
        self.declare(project, lambda events: events.groupBy("shop").count())
        drop(project.table("events"), "1.json", events(range(2)))
        point = project.warehouse / "_kindling" / "checkpoints" / "counts"
        for left in ("offsets/.0.1234.tmp", "state/0/_metadata/metadata", "state/0/0/1.delta"):
            (point / left).parent.mkdir(parents=True, exist_ok=True)
            (point / left).write_text("half of some")
        taken(project, "counts")
        assert project.rows("counts") == [("a", 2)]

    def test_a_half_done_batch_is_done_again_and_published_once(self, project: Project) -> None:
        """As a driver leaves it that dies between the publish and Spark's note of it."""
        declare_events(project)
        self.declare(project, lambda events: events.groupBy("shop").count())
        drop(project.table("events"), "1.json", events(range(2)))
        taken(project, "counts")
        drop(project.table("events"), "2.json", events(range(2, 5)))
        taken(project, "counts")
        point = project.warehouse / "_kindling" / "checkpoints" / "counts"
        for name in ("1", ".1.crc"):
            (point / "commits" / name).unlink(missing_ok=True)
        assert take_available(project, "counts").error is None
        assert project.rows("counts") == [("a", 5)]
        assert (point / "commits" / "1").exists()

    def test_expectations_may_come_to_a_running_stream(self, project: Project) -> None:
        declare_events(project)
        self.declare(project, lambda events: events.groupBy("shop").count())
        drop(project.table("events"), "1.json", events(range(2)))
        taken(project, "counts")
        project.declared.pipes.unregister_pipe("counts")
        project.pipe(
            "counts",
            lambda events: events.groupBy("shop").count(),
            "events",
            tags={**STREAMING, "stream.output_mode": "complete"},
            expectations=[satisfies("count > 0")],
        )
        drop(project.table("events"), "2.json", events(range(2, 3)))
        assert [e.outcome for e in taken(project, "counts").expectations] == ["passed"]
