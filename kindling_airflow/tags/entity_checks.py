"""Checks the tags of one entity: how it is stored, written and sliced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator

from kindling_airflow.common.variables import variable_problem
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags.interval_checks import entity_interval_problems
from kindling_airflow.tags.names import (
    CONNECTION_TAG,
    OPTION_TAGS,
    PATH_TAG,
    PROVIDER_TYPE_TAG,
    SERVERS_TAG,
    TABLE_TAG,
    TOPIC_TAG,
    URL_TAG,
)
from kindling_airflow.tags.paths import is_absolute, path_problem
from kindling_airflow.tags.registry import value_problems
from kindling_airflow.tags.storage_types import (
    STORAGE_TYPES,
    StorageType,
    is_class_reference,
    provider_type_of,
    registered_types,
    storage_type_of,
)
from kindling_airflow.tags.unknown_tags import likely_tag, unknown_tag_problems

__all__ = ["WRITE_THE_VALUE", "entity_tag_problems", "names_secret"]

WRITE_THE_VALUE = "write the value; what differs between deployments belongs in a settings file"
_WITHOUT_VARIABLES = (PATH_TAG, TABLE_TAG, URL_TAG, SERVERS_TAG, TOPIC_TAG)
_SECRET_OPTION = re.compile(
    r"(?i)(pass(word|wd|phrase|code)?|pwd|secret|token|credential)s?$"
    r"|(access|account|api|private|secret)[._-]?key$"
)


def names_secret(option: str) -> bool:
    """Return whether an option's name means that its value is a secret."""
    return _SECRET_OPTION.search(option) is not None


def entity_tag_problems(entity: EntityMetadata) -> list[str]:
    """Return what is wrong with the tags of an entity that set how it is stored and written.

    What a type from another distribution does with its tags is not known here.
    """
    known = storage_type_of(entity)
    found = [*_type_problems(provider_type_of(entity))] if known is None else []
    if known is not None:
        found += _storage_problems(entity, known)
    modes = None if known is None else known.write_modes if known.is_written else ()
    found += entity_interval_problems(entity, modes)
    found += unknown_tag_problems("entity", entity.tags, custom_provider=known is None)
    found += [
        f"tag {key!r} names a secret, and tags are stored in the manifest\n"
        f"  Fix: keep it in an Airflow connection and name that: {CONNECTION_TAG}: my_connection."
        for key in entity.tags
        if key.startswith(OPTION_TAGS) and names_secret(key)
    ]
    return [f"entity {entity.entityid!r}: {text}" for text in found]


def _type_problems(kind: str) -> Iterator[str]:
    if is_class_reference(kind):
        return
    registered = registered_types()
    entries = registered.get(kind, [])
    if len(entries) > 1:
        yield (
            f"{PROVIDER_TYPE_TAG} {kind!r} is registered more than once: "
            f"{', '.join(entry.value for entry in entries)}\n"
            "  Fix: uninstall one of the distributions, or write the class: "
            f"{PROVIDER_TYPE_TAG}: {entries[0].value!r}."
        )
    elif not entries:
        names = sorted({*STORAGE_TYPES, *registered})
        yield (
            f"unknown {PROVIDER_TYPE_TAG} {kind!r}.{did_you_mean(kind, names)}\n"
            f"  Fix: use one of {', '.join(names)}, or 'package.module:Class'."
        )


def _storage_problems(entity: EntityMetadata, known: StorageType) -> Iterator[str]:
    """Yield what is wrong with the tags of an entity of a built-in type."""
    kind, tags = provider_type_of(entity), entity.tags
    if tags:
        yield from _foreign_tags(entity, kind, known)
        yield from value_problems("entity", tags, known.tags, kind)
        path = str(tags.get(PATH_TAG, "x"))
        if PATH_TAG in known.tags and not is_absolute(path) and (text := path_problem(path)):
            yield text
        for tag in _WITHOUT_VARIABLES:
            if tag in known.tags and (text := variable_problem(tags.get(tag)) or ""):
                yield f"tag {tag}: {text}\n  Fix: {WRITE_THE_VALUE}."
    yield from known.problems(entity)
    yield from _partition_problems(known, entity.partition_columns)


def _foreign_tags(entity: EntityMetadata, kind: str, known: StorageType) -> Iterator[str]:
    """Yield the ``provider.*`` tags that a type does not have."""
    names = [*known.tags, *([f"{OPTION_TAGS}NAME"] if known.takes_options else [])]
    for key in entity.tags:
        is_option = key.startswith(OPTION_TAGS) and key != OPTION_TAGS and known.takes_options
        if not key.startswith("provider.") or key in known.tags or is_option:
            continue
        what = f"{PROVIDER_TYPE_TAG} {kind!r} has no tag {key!r}"
        if not names:
            yield f"{what}, nor any other\n  Fix: remove the tag."
            continue
        likely = likely_tag("entity", key) or ""
        hint = did_you_mean(key, names if likely.startswith("provider.") else [likely, *names])
        yield f"{what}.{hint}\n  Fix: use one of {', '.join(names)}."


def _partition_problems(known: StorageType, names: Collection[str]) -> Iterator[str]:
    for name, count in Counter(name.lower() for name in names).items():
        if count > 1:
            yield (
                f"partition_columns has {name!r} {count} times; upper and lower case are the same\n"
                "  Fix: name each column once."
            )
    for name in names if known.partitions_are_folders else ():
        if name.startswith("."):
            yield (
                f"partition column {name!r} begins with a dot; Spark ignores folders with such "
                "names, so all rows would be lost\n"
                "  Fix: rename the column."
            )
