"""Which pipes can run as streams: by their tags, and by what they read and write."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.data_pipes.expectations import not_null
from kindling_airflow.tags.storage_types import STORAGE_TYPES
from kindling_airflow.tags.stream_checks import check_streams, stream_problems

STREAM = {"processing_mode": "streaming"}


def stream(
    *inputs: str, output: str = "out", tags: dict[str, Any] | None = None, **declared: Any
) -> PipeMetadata:
    return DataPipesRegistry().register_pipe(
        "clean",
        input_entity_ids=list(inputs),
        output_entity_id=output,
        tags={**STREAM, **(tags or {})},
        **declared,
    )


def entities(**declared: dict[str, Any]) -> DataEntityRegistry:
    """Return entities, each of a type, with further keys of its declaration."""
    registry = DataEntityRegistry()
    for name, said in {"src": {"kind": "delta"}, "out": {"kind": "delta"}, **declared}.items():
        own = dict(said)
        kind, tags = own.pop("kind", None), own.pop("tags", {})
        registry.register_entity(
            name, tags={**tags, **({"provider_type": kind} if kind else {})}, **own
        )
    return registry


def problems(pipe: PipeMetadata, **declared: dict[str, Any]) -> list[str]:
    found = stream_problems(pipe, entities(**declared))
    assert all(text.startswith("pipe 'clean': ") for text in found)
    return [text.removeprefix("pipe 'clean': ") for text in found]


@pytest.mark.parametrize("kind", ["delta", "iceberg", "parquet"])
def test_a_sound_stream(kind: str) -> None:
    src = {"kind": kind, "schema": "id BIGINT"}
    assert problems(stream("src", "other"), src=src, out={"kind": kind}) == []


def test_tags_that_make_no_sense_are_found_with_the_rest() -> None:
    assert problems(stream(tags={"stream.output_mode": "all"})) == [
        "tag stream.output_mode is 'all'\n  Fix: use one of append, update, complete.",
        "is a stream without an input\n  Fix: name what drives it in input_entity_ids.",
    ]


def test_a_batch_pipe_is_no_stream_of_a_streaming_plan() -> None:
    assert problems(stream("src", tags={"processing_mode": "batch"})) == [
        (
            "tag processing_mode is 'batch', and every pipe of a streaming plan is a stream\n"
            "  Fix: use strategy 'hybrid' or 'config_based', or remove the tag."
        )
    ]


def test_what_is_for_batch_pipes_is_refused() -> None:
    pipe = stream("src", tags={"interval.read": "slice"}, use_watermark=True)
    assert problems(pipe) == [
        (
            "use_watermark is for batch pipes: a stream's checkpoint holds what it has read\n"
            "  Fix: remove it; stream.watermark sets how late rows may be."
        ),
        "tag 'interval.read' is for batch pipes: a stream has no interval\n  Fix: remove the tag.",
    ]


def test_secrets_have_no_place_in_options() -> None:
    assert problems(stream("src", tags={"stream.option.sasl.password": "x"})) == [
        (
            "tag 'stream.option.sasl.password' names a secret, and tags are stored in the "
            "manifest\n"
            "  Fix: keep it in an Airflow connection, and name that in the entity's "
            "provider.connection."
        )
    ]


def test_the_first_input_alone_drives() -> None:
    assert problems(stream("src", "other", driving_entity_ids=["src"])) == []
    assert problems(stream("src", "other", driving_entity_ids=["other"])) == [
        (
            "a stream is driven by its first input alone, 'src'\n"
            "  Fix: remove driving_entity_ids, and put the driving input first."
        )
    ]


def test_no_stream_is_driven_by_its_own_output() -> None:
    assert problems(stream("src", output="src")) == [
        ("is driven by its own output 'src', and would never end\n  Fix: put another input first.")
    ]
    assert problems(stream("src", "out")) == []


def test_the_driving_input_must_be_of_a_type_that_streams() -> None:
    names = ", ".join(name for name, each in STORAGE_TYPES.items() if each.source is not None)
    assert "delta" in names
    assert "jdbc" not in names
    assert problems(stream("src"), src={"kind": "jdbc"}) == [
        (
            "its driving input 'src' is of type 'jdbc', which cannot be read as a stream\n"
            f"  Fix: put first an entity of one of {names}."
        )
    ]
    assert problems(stream("src", "db"), db={"kind": "jdbc"}) == []


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_stream_of_files_needs_a_schema(kind: str) -> None:
    assert problems(stream("src"), src={"kind": kind}) == [
        (
            f"its driving input 'src' is read as a stream of {kind} files, and no schema is "
            'declared for them\n  Fix: declare the schema of the entity: schema: "id BIGINT, at '
            'TIMESTAMP".'
        )
    ]
    assert problems(stream("src"), src={"kind": kind, "schema": "id BIGINT"}) == []


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("inputs", [("src",), ("other", "src")])
def test_no_stream_keeps_malformed_records_aside(kind: str, inputs: tuple[str, ...]) -> None:
    src = {"kind": kind, "schema": "id BIGINT", "tags": {"provider.malformed": "aside"}}
    assert problems(stream(*inputs), src=src, other={"kind": "delta"}) == [
        (
            "its input 'src' has provider.malformed: aside, and malformed records are kept aside "
            "only where a batch pipe reads them\n"
            "  Fix: remove provider.malformed, or let a batch pipe read the entity."
        )
    ]


def test_what_nobody_declares_is_a_stream_of_parquet_files() -> None:
    (text,) = problems(stream("nowhere"))
    assert text.startswith("its driving input 'nowhere' is read as a stream of parquet files")


def test_the_output_must_be_of_a_type_that_a_stream_can_write() -> None:
    names = ", ".join(name for name, each in STORAGE_TYPES.items() if each.stream_modes)
    assert problems(stream("src"), out={"kind": "table"}) == [
        (
            f"its output 'out' is of type 'table', which no stream can write\n"
            f"  Fix: store it as one of {names}."
        )
    ]


def test_a_source_as_an_output_is_said_elsewhere() -> None:
    assert problems(stream("src"), out={"kind": "jdbc"}) == []


def test_parquet_cannot_be_updated() -> None:
    pipe = stream("src", tags={"stream.output_mode": "update"})
    assert problems(pipe, out={"kind": "parquet"}) == [
        (
            "its output 'out' is of type 'parquet', which a stream cannot write by 'update': it "
            "cannot replace single rows\n"
            "  Fix: set stream.output_mode to one of append, complete, or store it as another "
            "type."
        )
    ]


def test_an_update_needs_a_key() -> None:
    pipe = stream("src", tags={"stream.output_mode": "update"})
    assert problems(pipe) == [
        (
            "its output 'out' is written by 'update', and it has no merge_columns to identify a "
            "row\n"
            "  Fix: name the columns of the key in the entity's merge_columns."
        )
    ]
    assert problems(pipe, out={"kind": "delta", "merge_columns": ["id"]}) == []


def test_output_mode_and_write_mode_have_to_agree() -> None:
    appended = {"kind": "delta", "tags": {"write_mode": "append"}}
    assert problems(stream("src"), out=appended) == []
    assert problems(stream("src", tags={"stream.output_mode": "complete"}), out=appended) == [
        (
            "its output 'out' has write_mode: append, and stream.output_mode 'complete' writes it "
            "by 'overwrite'\n  Fix: make the two agree, or remove write_mode."
        )
    ]


def test_expectations_need_a_moment_before_publication() -> None:
    pipe = stream("src", expectations=[not_null("id")])
    assert problems(pipe, out={"kind": "delta"}) == []
    assert problems(pipe, out={"kind": "parquet"}) == [
        (
            "its expectations cannot be checked: rows go into parquet as they come, and a batch "
            "is not held back before its publication\n"
            "  Fix: store 'out' as delta or iceberg, use stream.output_mode: complete, or let a "
            "batch pipe check what it reads."
        )
    ]
    whole = stream("src", tags={"stream.output_mode": "complete"}, expectations=[not_null("id")])
    assert problems(whole, out={"kind": "parquet"}) == []


def test_row_by_row_spark_knows_few_types() -> None:
    text = (
        "tag stream.trigger is 'continuous 1s', and row by row Spark reads only kafka and rate, "
        "and writes only kafka\n  Fix: use a duration such as '1s', or 'default'."
    )
    assert problems(stream("src", tags={"stream.trigger": "continuous 1s"})) == [text]


def test_types_of_other_distributions_are_not_judged() -> None:
    own = {"kind": "shop.entities:Queue"}
    tags = {"stream.starting_offsets": "monday", "stream.output_mode": "update"}
    assert problems(stream("src", tags=tags), src=own, out=own) == []


def test_row_by_row_from_kafka_or_a_rate_to_kafka() -> None:
    pipe = stream("src", tags={"stream.trigger": "continuous 1s"})
    for source in ("kafka", "rate", "shop.entities:Queue"):
        assert problems(pipe, src={"kind": source}, out={"kind": "kafka"}) == []
    (text,) = problems(pipe, src={"kind": "delta"}, out={"kind": "kafka"})
    assert text.startswith("tag stream.trigger is 'continuous 1s', and row by row Spark reads only")


def test_row_by_row_no_stall_is_ever_found() -> None:
    tags = {"stream.trigger": "continuous 1s", "stream.stall_timeout": "5m"}
    kinds: dict[str, Any] = {"src": {"kind": "rate"}, "out": {"kind": "kafka"}}
    (text,) = problems(stream("src", tags=tags), **kinds)
    assert text == (
        "tag stream.stall_timeout is '5m', and row by row Spark does not report a query's "
        "progress, so stalls are never detected\n"
        "  Fix: remove it, or set stream.trigger to a duration such as '1s', or 'default'."
    )
    assert problems(stream("src", tags={**tags, "stream.stall_timeout": "0s"}), **kinds) == []


def test_kafka_has_changed_rows_without_a_key_and_no_whole_results() -> None:
    changed = stream("src", tags={"stream.output_mode": "update"})
    assert problems(changed, out={"kind": "kafka"}) == []
    whole = stream("src", tags={"stream.output_mode": "complete"})
    assert problems(whole, out={"kind": "kafka"}) == [
        (
            "its output 'out' is of type 'kafka', which a stream cannot write by 'complete'\n"
            "  Fix: set stream.output_mode to one of append, update, or store it as another type."
        )
    ]


OFFSETS = {
    "kafka": (
        ["earliest", "latest", '{"orders": {"0": 23}}'],
        ["12", "monday", "[1]", "{"],
        (
            "not a position in a topic\n"
            """  Fix: write 'earliest', 'latest', or JSON such as '{"orders": {"0": 23}}'."""
        ),
    ),
    "delta": (
        ["earliest", "latest", "0", 12, "2026-01-31", "2026-01-31T06:00:00Z"],
        ["monday", "01", '{"a": 1}'],
        (
            "not a version of a table\n"
            "  Fix: write 'earliest', 'latest', a version such as '12', or a timestamp such as "
            "'2026-01-31T06:00:00Z'."
        ),
    ),
    "iceberg": (
        ["2026-01-31", "2026-01-31T06:00:00+01:00"],
        ["earliest", "12"],
        "not a timestamp\n  Fix: write a timestamp such as '2026-01-31T06:00:00Z'.",
    ),
    "parquet": ([], ["earliest"], "a stream of parquet has no offsets\n  Fix: remove the tag."),
}


@pytest.mark.parametrize("kind", OFFSETS)
def test_where_a_stream_begins_depends_on_the_type(kind: str) -> None:
    right, wrong, text = OFFSETS[kind]
    src = {"kind": kind, "schema": "id BIGINT"}
    for said in right:
        assert problems(stream("src", tags={"stream.starting_offsets": said}), src=src) == []
    for said in wrong:
        found = problems(stream("src", tags={"stream.starting_offsets": said}), src=src)
        assert found == [f"tag stream.starting_offsets is {said!r}: {text}"]


def two(first: dict[str, Any], second: dict[str, Any]) -> list[PipeMetadata]:
    registry = DataPipesRegistry()
    return [
        registry.register_pipe(
            name, input_entity_ids=["src"], output_entity_id=f"{name}.out", tags={**STREAM, **tags}
        )
        for name, tags in (("a", first), ("b", second))
    ]


def declared() -> DataEntityRegistry:
    return entities(**{"a.out": {"kind": "delta"}, "b.out": {"kind": "delta"}})


def test_two_streams_have_two_checkpoints() -> None:
    pipes = two({"stream.checkpoint": "/x/y"}, {"stream.checkpoint": "x/y"})
    assert check_streams(pipes, declared(), ["a", "b"]) == []
    pipes = two({"stream.checkpoint": "x/y"}, {"stream.checkpoint": "x/./y/"})
    assert check_streams(pipes, declared(), ["a", "b"]) == [
        (
            "pipes 'a' and 'b' have the same checkpoint 'x/./y', and two queries on one would stop "
            "each other\n"
            "  Fix: give each its own stream.checkpoint, or none: the default is unique."
        )
    ]


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_what_is_written_by_a_pipe_that_starts_later_needs_a_schema(kind: str) -> None:
    registry = DataPipesRegistry()
    for name, reads in (("a", ["src"]), ("b", ["src", "a.out", "b.out"]), ("c", ["a.out"])):
        registry.register_pipe(
            name, input_entity_ids=reads, output_entity_id=f"{name}.out", tags=STREAM
        )
    known = entities(**{f"{name}.out": {"kind": kind} for name in "abc"})
    text = (
        "pipe '{}': its input 'a.out' is written by 'a', which starts when this stream is ready, "
        "and no schema is declared for it until then\n"
        '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
    )
    found = check_streams(registry, known, "abc", consumers_first=True)
    assert found == [text.format("b"), text.format("c")]
    assert check_streams(registry, known, "abc") == []
    said = {f"{name}.out": {"kind": kind, "schema": "id BIGINT"} for name in "abc"}
    assert check_streams(registry, entities(**said), "abc", consumers_first=True) == []


def test_what_is_written_by_a_pipe_that_starts_later_is_no_table_that_is_read_once() -> None:
    registry = DataPipesRegistry()
    for name, reads, tags in (
        ("a", ["src"], {}),
        ("b", ["src", "a.out"], STREAM),
        ("c", ["a.out", "src", "c.out"], STREAM),
    ):
        registry.register_pipe(
            name, input_entity_ids=reads, output_entity_id=f"{name}.out", tags=tags
        )
    stored = {"kind": "parquet", "schema": "id BIGINT", "tags": {"write_mode": "append"}}
    known = entities(**{f"{name}.out": stored for name in "abc"})
    text = (
        "pipe 'b': its input 'a.out' is written by 'a', which starts when this stream is ready, "
        "and parquet is read as a table once, before that\n"
        "  Fix: store the entity as delta or iceberg, make it the first input, or run 'a' in "
        "another plan."
    )
    assert check_streams(registry, known, "bc", consumers_first=True) == [text]
    assert check_streams(registry, known, "bc") == []
    own = entities(**{"a.out": {"kind": "shop.entities:Queue"}, "b.out": stored, "c.out": stored})
    assert check_streams(registry, own, "bc", consumers_first=True) == []


def test_what_a_stream_writes_does_not_say_what_it_has_gained() -> None:
    registry = DataPipesRegistry()
    for name, reads, more in (
        ("s", ["src"], {"tags": STREAM}),
        ("b", ["s.out", "src"], {"use_watermark": True}),
        ("c", ["src", "s.out"], {"use_watermark": True}),
        ("d", ["src", "s.out"], {"use_watermark": True, "driving_entity_ids": ["s.out"]}),
    ):
        registry.register_pipe(name, input_entity_ids=reads, output_entity_id=f"{name}.out", **more)
    known = entities(**{"s.out": {"kind": "delta"}})
    text = (
        "pipe '{}': use_watermark reads what runs have added to 's.out', but it is written by the "
        "stream 's', whose batches belong to no run\n"
        "  Fix: make the pipe a stream (processing_mode: streaming), which reads what is new, or "
        "remove use_watermark."
    )
    assert check_streams(registry, known, ["s"]) == [text.format("b"), text.format("d")]


def test_tags_of_streams_are_out_of_place_on_batch_pipes() -> None:
    pipes = two({}, {"processing_mode": "batch", "stream.trigger": "10s"})
    assert check_streams(pipes, declared(), ["a"]) == [
        (
            "pipe 'b': tag 'stream.trigger' is for streams, and this is a batch pipe\n"
            "  Fix: add the tag processing_mode: streaming, or remove this one."
        )
    ]


@pytest.mark.parametrize("streams", [[], ["b"]])
def test_a_mode_that_there_is_not_is_found_whatever_the_strategy(streams: list[str]) -> None:
    """A plan of strategy streaming or batch does not ask the tag."""
    assert check_streams(two({}, {"processing_mode": "stream"}), declared(), streams) == [
        (
            "pipe 'b': tag processing_mode is 'stream'. Did you mean 'streaming'?\n"
            "  Fix: use one of batch, streaming."
        )
    ]


def test_tags_of_streams_wait_where_a_plan_runs_them_as_batch_pipes() -> None:
    assert check_streams(two({"stream.trigger": "10s"}, {}), declared(), []) == []
