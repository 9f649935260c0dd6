"""Streaming pipes over tables of a format: killed, repeated, refused, as the runner runs them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kindling_airflow.data_pipes.expectations import satisfies
from kindling_airflow.runner.providers.contract import Case
from tests.runner.conftest import Project
from tests.runner.formats.format_tests import write_of
from tests.runner.killed_streams import feed_and_kill, project_of
from tests.runner.streams import (
    STREAMING,
    declare_events,
    drop,
    events,
    refusal,
    take_available,
    taken,
)

KILLS = int(os.environ.get("KINDLING_TEST_KILLS", "1"))  # each at a moment of its own


def rows_in(project: Project, kind: str, name: str) -> list[tuple[Any, ...]]:
    case = Case(project.spark, str(project.warehouse), {"provider_type": kind}, name)
    rows = case.provider(case.entity()).read(case.entity()).collect()
    return sorted((tuple(row) for row in rows), key=repr)


def test_killed_streams_lose_nothing_and_double_nothing(
    project: Project, kind: str, tmp_path: Path
) -> None:
    """From files into a table, and from there into another one, and by MERGE into a third."""
    fed = feed_and_kill(project.warehouse, tmp_path, KILLS, kind)
    survivor = Project(project.spark, project.warehouse, project_of(kind))
    for pipe_id in ("clean", "shops", "counts"):
        report = take_available(survivor, pipe_id)
        assert report.status in ("published", "skipped"), report.error
    for name in ("clean", "shops"):
        found = rows_in(project, kind, name)
        assert sorted(row[0] for row in found) == list(range(fed)), name
    counted = rows_in(project, kind, "counts")
    assert sum(n for _, n in counted) == fed
    assert len(counted) == len({shop for shop, _ in counted})


def test_a_batch_that_is_merged_again_changes_nothing(project: Project, kind: str) -> None:
    """A driver that dies between the publish and the checkpoint repeats its last batch."""
    declare_events(project, provider_type=kind)
    project.entity(
        "counts",
        schema="shop STRING, n BIGINT",
        merge_columns=["shop"],
        tags={"provider_type": kind},
    )
    project.pipe(
        "counts",
        lambda events: events.groupBy("shop").count().withColumnRenamed("count", "n"),
        "events",
        tags={**STREAMING, "stream.output_mode": "update"},
    )
    drop(project.table("events"), "1.json", [*events(range(3)), *events(range(3, 4), "b")])
    taken(project, "counts")
    drop(project.table("events"), "2.json", events(range(4, 6)))
    assert taken(project, "counts").inputs[0].rows == 2
    assert rows_in(project, kind, "counts") == [("a", 5), ("b", 1)]
    commits = project.warehouse / "_kindling" / "checkpoints" / "counts" / "commits"
    last = max((p for p in commits.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    last.unlink()
    (commits / f".{last.name}.crc").unlink(missing_ok=True)
    take_available(project, "counts")
    assert last.exists()
    assert rows_in(project, kind, "counts") == [("a", 5), ("b", 1)]


def test_a_table_that_was_overwritten_fails_the_stream_for_good_and_says_why(
    project: Project, kind: str
) -> None:
    tags = {"provider_type": kind}
    project.entity("orders", schema="id BIGINT", tags=tags)
    project.entity("copies", schema="id BIGINT", tags=tags)
    project.pipe("copies", lambda orders: orders, "orders", tags=STREAMING)
    case = Case(project.spark, str(project.warehouse), tags, "orders")
    provider, entity = case.provider(case.entity()), case.entity()
    assert take_available(project, "copies").status == "skipped"
    for run, mode in enumerate(("append", "overwrite"), 1):
        write = write_of(run, mode)
        staged = provider.stage(entity, project.spark.range(run), write)
        provider.publish(entity, staged, write)
        if mode == "append":
            assert taken(project, "copies").inputs[0].rows == 1
    told = refusal(project, "copies")
    assert "entity 'orders': rows of the table were replaced or deleted (" in told
    assert "skip" in told
    assert rows_in(project, kind, "copies") == [(0,)]


def test_a_stream_that_checks_what_it_adds_goes_batch_by_batch(project: Project, kind: str) -> None:
    declare_events(project, provider_type=kind)
    project.entity("copies", schema="id BIGINT", tags={"provider_type": kind})
    project.pipe(
        "copies",
        lambda clean: clean.select("id"),
        "clean",
        tags=STREAMING,
        expectations=[satisfies("id < 5")],
    )
    drop(project.table("events"), "1.json", events(range(3)))
    taken(project, "clean")
    assert [e.outcome for e in taken(project, "copies").expectations] == ["passed"]
    drop(project.table("events"), "2.json", events(range(3, 6)))
    taken(project, "clean")
    assert "id < 5" in refusal(project, "copies")
    assert rows_in(project, kind, "copies") == [(0,), (1,), (2,)]
