"""Streams whose driving input others replace."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.tags.stream_checks import check_streams


def plan(
    kind: str, write_mode: str | None, **tags: Any
) -> tuple[list[PipeMetadata], DataEntityRegistry]:
    """Return orders -> copies, with tags of each pipe under its id."""
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    mode = {"write_mode": write_mode} if write_mode else {}
    entities.register_entity("orders", tags={"provider_type": kind, **mode}, schema="id BIGINT")
    for name, reads in (("orders", "raw"), ("copies", "orders")):
        pipes.register_pipe(
            name, input_entity_ids=[reads], output_entity_id=name, tags=tags.get(name, {})
        )
    found = [pipes.get_pipe_definition(name) for name in ("orders", "copies")]
    return [pipe for pipe in found if pipe is not None], entities


def replaced_inputs(
    pipes: list[PipeMetadata], entities: DataEntityRegistry, streams: set[str]
) -> list[str]:
    found = check_streams(pipes, entities, streams)
    return [text for text in found if "replaces rows" in text]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("delta", "append"),
        ("delta", "merge"),
        ("delta", "overwrite_interval"),
        ("iceberg", "append"),
        ("iceberg", "merge"),
        ("parquet", "append"),
        ("kafka", None),
    ],
)
def test_a_run_that_may_only_add_rows_feeds_a_stream(kind: str, mode: str | None) -> None:
    assert replaced_inputs(*plan(kind, mode), streams={"copies"}) == []


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("delta", None),
        ("delta", "overwrite"),
        ("iceberg", "overwrite"),
        ("iceberg", "overwrite_interval"),
        ("parquet", None),
        ("parquet", "overwrite_interval"),
    ],
)
def test_a_run_that_replaces_rows_does_not(kind: str, mode: str | None) -> None:
    remedy = {
        "delta": " or skip what is not added (stream.option.skipChangeCommits: true)",
        "iceberg": (
            " or skip what is not added (stream.option.streaming-skip-overwrite-snapshots: true)"
        ),
        "parquet": "",
    }[kind]
    assert replaced_inputs(*plan(kind, mode), streams={"copies"}) == [
        (
            "pipe 'copies': its driving input 'orders' is written by 'orders' with write_mode "
            f"{mode or 'overwrite'!r}, which replaces rows, and a stream cannot take back what it "
            f"has read\n  Fix: let 'orders' add rows (append){remedy}, or make 'copies' a batch "
            "pipe."
        )
    ]


@pytest.mark.parametrize(
    ("kind", "mode", "is_fine"),
    [
        ("delta", "append", True),
        ("delta", "update", False),
        ("iceberg", "complete", False),
        ("parquet", "append", True),
        ("parquet", "complete", False),
    ],
)
def test_a_stream_feeds_another_one_with_what_it_appends(
    kind: str, mode: str, is_fine: bool
) -> None:
    pipes, entities = plan(kind, None, orders={"stream.output_mode": mode})
    found = replaced_inputs(pipes, entities, {"orders", "copies"})
    assert (found == []) is is_fine
    assert all(f"with stream.output_mode {mode!r}" in text for text in found)


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("delta", "skipChangeCommits"),
        ("delta", "readChangeFeed"),
        ("iceberg", "streaming-skip-overwrite-snapshots"),
    ],
)
def test_a_stream_may_leave_out_what_is_not_added(kind: str, option: str) -> None:
    tags = {f"stream.option.{option}": True}
    assert replaced_inputs(*plan(kind, "overwrite", copies=tags), streams={"copies"}) == []


def test_what_is_no_stream_and_what_nobody_writes_is_not_looked_at() -> None:
    pipes, entities = plan("parquet", "overwrite")
    assert replaced_inputs(pipes, entities, set()) == []
    assert replaced_inputs(pipes[1:], entities, {"copies"}) == []
    lone = DataPipesRegistry().register_pipe("lone", input_entity_ids=[], output_entity_id="out")
    own = DataPipesRegistry().register_pipe(
        "own", input_entity_ids=["orders"], output_entity_id="orders"
    )
    assert replaced_inputs([lone, own], entities, {"lone", "own"}) == []
