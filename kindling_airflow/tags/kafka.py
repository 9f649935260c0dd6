"""The tags of an entity that is a Kafka topic, and what is wrong with them together.

provider_type: kafka
provider.connection: shop_kafka       an Airflow connection: the brokers, and how to log in
provider.topic: orders                default: the entity's id
provider.value_format: json           rows of the declared schema; raw: the records as they are
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags.names import (
    CONNECTION_TAG,
    KEY_TAG,
    MALFORMED_TAG,
    OFFSETS_TAG,
    OPTION_TAGS,
    SERVERS_TAG,
    TOPIC_TAG,
    VALUE_FORMAT_TAG,
)

__all__ = ["CORRUPT_COLUMN", "kafka_problems", "malformed_of", "topic_of", "value_format_of"]

CORRUPT_COLUMN = "_corrupt_record"

_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_SERVERS = re.compile(r"[^\s,:/@]+:[0-9]{1,5}(,[^\s,:/@]+:[0-9]{1,5})*")
_OF_THE_CONNECTION = re.compile(r"(?i)kafka\.(bootstrap\.servers|sasl\..*|ssl\..*|security\..*)")
_OPTIONS_WITH_TAGS = {
    **dict.fromkeys(("subscribe", "subscribepattern", "assign", "topic"), TOPIC_TAG),
    **dict.fromkeys(
        ("startingoffsets", "startingoffsetsbytimestamp", "startingtimestamp"),
        f"{OFFSETS_TAG} at the pipe",
    ),
}


def topic_of(entity: EntityMetadata) -> str:
    """Return the name of an entity's topic."""
    return str(entity.tags.get(TOPIC_TAG, entity.entityid))


def value_format_of(entity: EntityMetadata) -> str:
    """Return what the values of records are: ``json`` where a schema is declared, else ``raw``."""
    return str(entity.tags.get(VALUE_FORMAT_TAG, "raw" if entity.schema is None else "json"))


def malformed_of(entity: EntityMetadata) -> str:
    """Return what happens to records that are not as declared: ``fail``, ``drop`` or ``keep``."""
    return str(entity.tags.get(MALFORMED_TAG, "fail"))


def kafka_problems(entity: EntityMetadata) -> Iterator[str]:
    """Yield what is wrong with the tags of a topic."""
    tags = entity.tags
    if CONNECTION_TAG not in tags and SERVERS_TAG not in tags:
        yield (
            "no brokers are configured\n"
            f"  Fix: name an Airflow connection ({CONNECTION_TAG}: my_connection), or set "
            f"{SERVERS_TAG}: host:9092."
        )
    servers = tags.get(SERVERS_TAG)
    if servers is not None and not _SERVERS.fullmatch(str(servers)):
        yield (
            f"tag {SERVERS_TAG} is {servers!r}\n"
            "  Fix: write hosts and ports, separated by commas: host:9092,other:9092."
        )
    topic = topic_of(entity)
    if not _TOPIC.fullmatch(topic):
        yield (
            f"{topic!r} is not a valid topic name\n"
            f"  Fix: name the topic ({TOPIC_TAG}): letters, digits, '.', '_' and '-'."
        )
    yield from _format_problems(entity)
    yield from _option_problems(tags)


def _format_problems(entity: EntityMetadata) -> Iterator[str]:
    kind = value_format_of(entity)
    if kind == "json" and entity.schema is None:
        yield (
            f"tag {VALUE_FORMAT_TAG} is 'json', and no schema is declared for the values\n"
            '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
        )
    if kind == "raw":
        yield from (
            f"tag {tag} is for values of the format json, and these are raw\n"
            "  Fix: declare the schema of the entity, or remove the tag."
            for tag in (KEY_TAG, MALFORMED_TAG)
            if tag in entity.tags
        )
    elif malformed_of(entity) == "keep" and f"{CORRUPT_COLUMN} STRING".lower() not in (
        " ".join(str(entity.schema).lower().replace(":", " ").split())
    ):
        yield (
            f"tag {MALFORMED_TAG} is 'keep', and the schema has no column for such records\n"
            f"  Fix: add the column {CORRUPT_COLUMN} STRING to the declared schema."
        )


def _option_problems(tags: Mapping[str, Any]) -> Iterator[str]:
    for key in tags:
        option = key.removeprefix(OPTION_TAGS)
        if option == key:
            continue
        if _OF_THE_CONNECTION.fullmatch(option):
            yield (
                f"tag {key!r} is not supported\n"
                f"  Fix: keep it in the extra of an Airflow connection: {CONNECTION_TAG}: "
                "my_connection."
            )
        elif option.lower() in _OPTIONS_WITH_TAGS:
            tag = _OPTIONS_WITH_TAGS[option.lower()]
            yield f"tag {key!r} is not supported\n  Fix: set {tag}."
