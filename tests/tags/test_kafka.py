"""What the tags of a topic may say, and who may write one."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntities, DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.kafka import malformed_of, topic_of, value_format_of
from kindling_airflow.tags.plan_checks import check_entities
from kindling_airflow.tags.stream_checks import check_streams

SERVERS = {"provider.servers": "a:9092"}


def entity(schema: str | None = "id BIGINT", **tags: Any) -> EntityMetadata:
    named = {key.replace("_", ".", 1): value for key, value in tags.items()}
    return EntityMetadata(
        "orders", tags={"provider_type": "kafka", **SERVERS, **named}, schema=schema
    )


def problems(schema: str | None = "id BIGINT", **tags: Any) -> list[str]:
    return entity_tag_problems(entity(schema, **tags))


@pytest.mark.parametrize(
    ("schema", "tags"),
    [
        (None, {}),
        ("id BIGINT", {"provider_key": "id", "provider_partitions": 12}),
        ("id BIGINT", {"provider_servers": "a:9092,b.example.com:19092"}),
        ("id BIGINT", {"provider_connection": "shop_kafka", "provider_topic": "Shop_1.orders-x"}),
        ("id BIGINT, _corrupt_record  string", {"provider_malformed": "keep"}),
        ("id BIGINT", {"provider_malformed": "drop", "provider_value_format": "json"}),
        ("key BINARY, value BINARY", {"provider_value_format": "raw"}),
        (None, {"provider_option.includeHeaders": True}),
        (None, {"provider_option.kafka.max.poll.records": 10}),
    ],
)
def test_tags_that_make_sense(schema: str | None, tags: dict[str, Any]) -> None:
    assert problems(schema, **tags) == []


def test_values_are_json_where_a_schema_says_what_is_in_them() -> None:
    assert (value_format_of(entity()), value_format_of(entity(None))) == ("json", "raw")
    assert malformed_of(entity()) == "fail"
    assert (topic_of(entity()), topic_of(entity(provider_topic="x"))) == ("orders", "x")


@pytest.mark.parametrize(
    ("schema", "tags", "told"),
    [
        (
            None,
            {"provider_servers": "kafka://a:9092"},
            (
                "tag provider.servers is 'kafka://a:9092'\n"
                "  Fix: write hosts and ports, separated by commas: host:9092,other:9092."
            ),
        ),
        (
            None,
            {"provider_topic": "a b"},
            (
                "'a b' is not a valid topic name\n"
                "  Fix: name the topic (provider.topic): letters, digits, '.', '_' and '-'."
            ),
        ),
        (
            None,
            {"provider_topic": ".."},
            (
                "'..' is not a valid topic name\n"
                "  Fix: name the topic (provider.topic): letters, digits, '.', '_' and '-'."
            ),
        ),
        (
            None,
            {"provider_partitions": 0},
            "tag provider.partitions must be a whole number of at least 1, not 0",
        ),
        (
            None,
            {"provider_partitions": True},
            "tag provider.partitions must be a whole number of at least 1, not True",
        ),
        (
            None,
            {"provider_value_format": "avro"},
            "tag provider.value_format is 'avro'\n  Fix: use one of json, raw.",
        ),
        (
            "id BIGINT",
            {"provider_malformed": "skip"},
            "tag provider.malformed is 'skip'\n  Fix: use one of fail, drop, keep.",
        ),
        (
            None,
            {"provider_value_format": "json"},
            (
                "tag provider.value_format is 'json', and no schema is declared for the values\n"
                '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
            ),
        ),
        (
            None,
            {"provider_key": "id"},
            (
                "tag provider.key is for values of the format json, and these are raw\n"
                "  Fix: declare the schema of the entity, or remove the tag."
            ),
        ),
        (
            "id BIGINT",
            {"provider_malformed": "keep"},
            (
                "tag provider.malformed is 'keep', and the schema has no column for such records\n"
                "  Fix: add the column _corrupt_record STRING to the declared schema."
            ),
        ),
        (
            None,
            {"provider_option.kafka.sasl.jaas.config": "x"},
            (
                "tag 'provider.option.kafka.sasl.jaas.config' is not supported\n"
                "  Fix: keep it in the extra of an Airflow connection: provider.connection: "
                "my_connection."
            ),
        ),
        (
            None,
            {"provider_option.subscribe": "x"},
            "tag 'provider.option.subscribe' is not supported\n  Fix: set provider.topic.",
        ),
        (
            None,
            {"provider_option.startingOffsets": "latest"},
            (
                "tag 'provider.option.startingOffsets' is not supported\n  Fix: set "
                "stream.starting_offsets at the pipe."
            ),
        ),
    ],
)
def test_a_wrong_tag_says_what_would_be_right(
    schema: str | None, tags: dict[str, Any], told: str
) -> None:
    assert problems(schema, **tags) == [f"entity 'orders': {told}"]


def test_nobody_says_where_the_brokers_are() -> None:
    declared = EntityMetadata("orders", tags={"provider_type": "kafka"})
    assert entity_tag_problems(declared) == [
        (
            "entity 'orders': no brokers are configured\n"
            "  Fix: name an Airflow connection (provider.connection: my_connection), or set "
            "provider.servers: host:9092."
        )
    ]


def test_a_topic_has_no_write_mode() -> None:
    tags = {"provider_type": "kafka", **SERVERS, "write_mode": "append"}
    assert entity_tag_problems(EntityMetadata("orders", tags=tags)) == [
        (
            "entity 'orders': tag write_mode: kafka entities are written by streams only\n  Fix: "
            "remove the tag."
        )
    ]


@pytest.fixture
def declared() -> tuple[DataPipesRegistry, DataEntityRegistry]:
    """A pipe that writes a topic, and another one that writes the same topic."""
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    with DataPipes.declaring_into(pipes), DataEntities.declaring_into(entities):
        for name in ("orders", "copies"):
            tags = {"provider_type": "kafka", **SERVERS, "provider.topic": "orders"}
            DataEntities.entity(name, tags=tags)
            DataPipes.pipe(name, input_entity_ids=["raw"], output_entity_id=name)(lambda raw: raw)
        DataEntities.entity("raw", schema="value STRING", tags={"write_mode": "append"})
    return pipes, entities


def test_two_outputs_in_one_topic_are_a_problem(
    declared: tuple[DataPipesRegistry, DataEntityRegistry],
) -> None:
    pipes, entities = declared
    both = [pipes.get_pipe_definition(name) for name in ("orders", "copies")]
    with pytest.raises(DeclarationError) as raised:
        check_entities(filter(None, both), entities)
    assert str(raised.value) == (
        "entities 'orders' and 'copies' are both written to the topic 'orders'\n"
        "  Fix: give one of them another provider.topic."
    )


def test_a_batch_pipe_cannot_write_a_topic(
    declared: tuple[DataPipesRegistry, DataEntityRegistry],
) -> None:
    pipes, entities = declared
    found = list(filter(None, [pipes.get_pipe_definition("orders")]))
    assert check_streams(found, entities, ["orders"]) == []
    assert check_streams(found, entities, []) == [
        (
            "pipe 'orders': its output 'orders' is of type 'kafka', which a batch pipe cannot "
            "write: records are visible at once, and each retry sends them again\n"
            "  Fix: make it a stream (processing_mode: streaming), or let it write a table, and a "
            "stream send what is added to that."
        )
    ]
