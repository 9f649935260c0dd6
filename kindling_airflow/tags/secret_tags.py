"""Secrets in the tags of pipes and entities: tags stand in manifests, plans and pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kindling_airflow.common.redaction import is_secret_key, text_has_secret
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.storage_types import OPTION_TAG, provider_type_of

__all__ = ["secret_tag_problems"]

# What a project calls its own tags is its own affair, but these are never anything else.
_PASSWORD = re.compile(r"(?i)(passw(or)?d|passphrase|pwd|(api|access|secret|private)[._-]?key)$")
_URL_TAG = "provider.url"
_FIX = (
    "  Fix: keep it in an Airflow connection, and name that: provider.connection: my_connection; "
    "or set it in 'spark.conf' of the definition by a template, "
    '"{{ conn.my_connection.password }}".'
)


def secret_tag_problems(
    pipes: Iterable[PipeMetadata], entities: Iterable[EntityMetadata]
) -> Iterator[str]:
    """Yield the tags in whose values a secret stands, without the values.

    What the checks of an entity's type refuse on their own is left to them.
    """
    for pipe in pipes:
        yield from _problems(f"pipe {pipe.pipeid!r}", pipe.tags)
    for entity in entities:
        own = (_URL_TAG,) if provider_type_of(entity) == "jdbc" else ()
        yield from _problems(f"entity {entity.entityid!r}", entity.tags, own)


def _problems(
    where: str, tags: Mapping[str, Any], checked_elsewhere: tuple[str, ...] = ()
) -> Iterator[str]:
    for key, value in tags.items():
        if key in checked_elsewhere:
            continue
        named = _PASSWORD.search(key) is not None and not key.startswith(OPTION_TAG)
        if (named and isinstance(value, str) and value) or _holds_secret(value):
            yield f"{where}: tag {key!r} holds a secret, and tags stand in the manifest\n{_FIX}"


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(
            _holds_secret(item) or (is_secret_key(key) and isinstance(item, str) and item)
            for key, item in value.items()
        )
    if isinstance(value, (list, tuple)):
        return any(map(_holds_secret, value))
    return text_has_secret(value)
