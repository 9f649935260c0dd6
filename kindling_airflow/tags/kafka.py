"""What the tags of an entity say that is a topic of Kafka, and what is wrong with them.

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

__all__ = [
    "CORRUPT_COLUMN",
    "KAFKA_TAGS",
    "KEY_TAG",
    "PARTITIONS_TAG",
    "SERVERS_TAG",
    "TOPIC_TAG",
    "kafka_problems",
    "malformed_of",
    "topic_of",
    "value_format_of",
]

CONNECTION_TAG = "provider.connection"
SERVERS_TAG = "provider.servers"
TOPIC_TAG = "provider.topic"
FORMAT_TAG = "provider.value_format"
MALFORMED_TAG = "provider.malformed"
KEY_TAG = "provider.key"
PARTITIONS_TAG = "provider.partitions"
KAFKA_TAGS = (
    *(CONNECTION_TAG, KEY_TAG, MALFORMED_TAG, PARTITIONS_TAG, SERVERS_TAG, TOPIC_TAG),
    FORMAT_TAG,
)
CORRUPT_COLUMN = "_corrupt_record"

_OPTION = "provider.option."
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_SERVERS = re.compile(r"[^\s,:/@]+:[0-9]{1,5}(,[^\s,:/@]+:[0-9]{1,5})*")
_FORMATS = ("json", "raw")
_MALFORMED = ("fail", "drop", "keep")
_OF_THE_CONNECTION = re.compile(r"(?i)kafka\.(bootstrap\.servers|sasl\..*|ssl\..*|security\..*)")
_OWN_TAGS = {
    **dict.fromkeys(("subscribe", "subscribepattern", "assign", "topic"), TOPIC_TAG),
    **dict.fromkeys(
        ("startingoffsets", "startingoffsetsbytimestamp", "startingtimestamp"),
        "stream.starting_offsets at the pipe",
    ),
}


def topic_of(entity: EntityMetadata) -> str:
    """Return the name of an entity's topic."""
    return str(entity.tags.get(TOPIC_TAG, entity.entityid))


def value_format_of(entity: EntityMetadata) -> str:
    """Return what the values of records are: ``json`` where a schema is declared, else ``raw``."""
    return str(entity.tags.get(FORMAT_TAG, "raw" if entity.schema is None else "json"))


def malformed_of(entity: EntityMetadata) -> str:
    """Return what becomes of records that are not as declared: ``fail``, ``drop`` or ``keep``."""
    return str(entity.tags.get(MALFORMED_TAG, _MALFORMED[0]))


def kafka_problems(entity: EntityMetadata) -> list[str]:
    """Return what is wrong with the tags of a topic."""
    return [f"entity {entity.entityid!r}: {problem}" for problem in _problems(entity)]


def _problems(entity: EntityMetadata) -> Iterator[str]:
    tags = entity.tags
    if CONNECTION_TAG not in tags and SERVERS_TAG not in tags:
        yield (
            "nothing says at which brokers it is\n"
            f"  Fix: name an Airflow connection ({CONNECTION_TAG}: my_connection), or write "
            f"{SERVERS_TAG}: host:9092."
        )
    servers = tags.get(SERVERS_TAG)
    if servers is not None and not _SERVERS.fullmatch(str(servers)):
        yield (
            f"tag {SERVERS_TAG} is {servers!r}\n"
            "  Fix: write hosts and ports, with commas between them: host:9092,other:9092."
        )
    topic = topic_of(entity)
    if not _TOPIC.fullmatch(topic):
        yield (
            f"{topic!r} is no name of a topic\n"
            f"  Fix: name the topic ({TOPIC_TAG}): letters, digits, '.', '_' and '-'."
        )
    partitions = tags.get(PARTITIONS_TAG, 1)
    if isinstance(partitions, bool) or not isinstance(partitions, int) or partitions < 1:
        yield f"tag {PARTITIONS_TAG} is {partitions!r}\n  Fix: write a whole number above 0."
    yield from _format_problems(entity)
    yield from _option_problems(tags)


def _format_problems(entity: EntityMetadata) -> Iterator[str]:
    kind, malformed = value_format_of(entity), malformed_of(entity)
    for tag, said, known in (
        (FORMAT_TAG, kind, _FORMATS),
        (MALFORMED_TAG, malformed, _MALFORMED),
    ):
        if said not in known:
            yield f"tag {tag} is {said!r}\n  Fix: use one of {', '.join(known)}."
    if kind == "json" and entity.schema is None:
        yield (
            f"tag {FORMAT_TAG} is 'json', and nothing says what is in the values\n"
            '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
        )
    if kind == "raw":
        yield from (
            f"tag {tag} is for values of the format json, and these are raw\n"
            "  Fix: declare the schema of the entity, or take the tag out."
            for tag in (KEY_TAG, MALFORMED_TAG)
            if tag in entity.tags
        )
    elif malformed == "keep" and f"{CORRUPT_COLUMN} STRING".lower() not in (
        " ".join(str(entity.schema).lower().replace(":", " ").split())
    ):
        yield (
            f"tag {MALFORMED_TAG} is 'keep', and no column is there to keep such records in\n"
            f"  Fix: add the column {CORRUPT_COLUMN} STRING to the declared schema."
        )


def _option_problems(tags: Mapping[str, Any]) -> Iterator[str]:
    for key in tags:
        option = key.removeprefix(_OPTION)
        if option == key:
            continue
        if _OF_THE_CONNECTION.fullmatch(option):
            yield (
                f"tag {key!r} is said another way\n"
                f"  Fix: keep it in the extra of an Airflow connection: {CONNECTION_TAG}: "
                "my_connection."
            )
        elif option.lower() in _OWN_TAGS:
            yield f"tag {key!r} is said another way\n  Fix: write {_OWN_TAGS[option.lower()]}."
