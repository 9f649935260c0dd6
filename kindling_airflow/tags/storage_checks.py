"""Checks the tags of an entity for its storage type, beyond each tag's own value.

The functions are named by the rows of :mod:`kindling_airflow.tags.storage_types`. Their texts begin
with what is wrong; whose it is goes in front.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.redaction import without_secrets
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags.names import (
    CATALOG_TAG,
    CONNECTION_TAG,
    DRIVER_TAG,
    MALFORMED_TAG,
    OPTION_TAGS,
    PATH_TAG,
    QUERY_TAG,
    TABLE_TAG,
    URL_TAG,
)
from kindling_airflow.tags.paths import table_name_of

__all__ = [
    "delta_offsets_problem",
    "iceberg_offsets_problem",
    "iceberg_problems",
    "jdbc_problems",
    "kafka_offsets_problem",
    "keeps_aside",
    "source_problems",
    "table_problems",
]

_LONGEST_NAME = 3  # catalog, database, table
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+")
_LONGEST_PART = 255
_SHORTEST_ICEBERG_NAME = 2  # catalog, table
_ICEBERG_METADATA_TABLES = frozenset(
    (
        *("all_data_files", "all_delete_files", "all_entries", "all_files", "all_manifests"),
        *("data_files", "delete_files", "entries", "files", "history", "manifests"),
        *("metadata_log_entries", "partitions", "position_deletes", "refs", "snapshots"),
    )
)
_SECRET_IN_URL = re.compile(
    r"(?i)(//[^/?;]*:[^/?;]*@|:thin:[^/@]*/[^@]*@|[?&;,(](user|password|passwd|pwd|token)=)"
)
_OPTIONS_WITH_TAGS = {
    "url": URL_TAG,
    "dbtable": TABLE_TAG,
    "query": QUERY_TAG,
    "driver": DRIVER_TAG,
}
_PARTITION_OPTIONS = ("lowerBound", "numPartitions", "partitionColumn", "upperBound")
_USE_CONNECTION = f"an Airflow connection: {CONNECTION_TAG}: my_connection."
_MODE = f"{OPTION_TAGS}mode"
_MODES = ("FAILFAST", "PERMISSIVE")


def jdbc_problems(entity: EntityMetadata) -> Iterator[str]:
    """Yield what is wrong with the table, the URL and the options of a database's table."""
    tags = entity.tags
    if (TABLE_TAG in tags) == (QUERY_TAG in tags):
        yield (
            f"a jdbc entity has either {TABLE_TAG} or {QUERY_TAG}\n"
            "  Fix: name the table, or write the query that the database is to execute."
        )
    if URL_TAG not in tags and CONNECTION_TAG not in tags:
        yield (
            "no database is configured\n"
            f"  Fix: name an Airflow connection ({CONNECTION_TAG}: my_connection), or set "
            f"{URL_TAG}."
        )
    url = str(tags.get(URL_TAG, "jdbc:"))
    if not url.startswith("jdbc:"):
        yield (
            f"tag {URL_TAG} {without_secrets(url)!r} is not a JDBC URL\n"
            "  Fix: write it like 'jdbc:postgresql://host:5432/shop'."
        )
    if _SECRET_IN_URL.search(url):  # without the URL: this text goes where secrets must not be
        yield (
            f"tag {URL_TAG} holds a user or a password, and tags are stored in the manifest\n"
            f"  Fix: keep them in {_USE_CONNECTION}"
        )
    options = {key.removeprefix(OPTION_TAGS).lower(): key for key in tags}
    options = {name: key for name, key in options.items() if key.startswith(OPTION_TAGS)}
    for name, tag in _OPTIONS_WITH_TAGS.items():
        if name in options:
            yield f"tag {options[name]!r} is not supported\n  Fix: set {tag}."
    if "user" in options:
        yield (
            f"tag {options['user']!r} is not supported\n  Fix: keep the user in {_USE_CONNECTION}"
        )
    missing = [name for name in _PARTITION_OPTIONS if name.lower() not in options]
    if missing and options.keys() & {"lowerbound", "partitioncolumn", "upperbound"}:
        yield (
            f"a read in parts needs {', '.join(_PARTITION_OPTIONS)}; missing: "
            f"{', '.join(missing)}\n"
            f"  Fix: add {OPTION_TAGS}{missing[0]}, or remove the others."
        )


def table_problems(entity: EntityMetadata) -> Iterator[str]:
    """Yield what is wrong with the name of a catalog's table."""
    parts, name = table_name_of(entity), entity.tags.get(TABLE_TAG)
    is_short = 1 <= len(parts) <= _LONGEST_NAME
    if name is None and not (is_short and all(map(_PLAIN_NAME.fullmatch, parts))):
        yield (
            "its id is not a valid name of a catalog table\n"
            f"  Fix: name the table: {TABLE_TAG}: database.table."
        )
    elif not (is_short and all(part.strip() for part in parts)):
        yield (
            f"tag {TABLE_TAG} {thaw(name)!r} is not a valid table name\n"
            "  Fix: write [catalog.][database.]table, or a list of these names."
        )


def iceberg_problems(entity: EntityMetadata) -> Iterator[str]:
    """Yield what is wrong with the place of an Iceberg table."""
    name, path = entity.tags.get(TABLE_TAG), entity.tags.get(PATH_TAG)
    if CONNECTION_TAG in entity.tags and CATALOG_TAG not in entity.tags and name is None:
        yield (
            f"tag {CONNECTION_TAG} names the connection of a catalog, and none is configured\n"
            f"  Fix: name the catalog: {CATALOG_TAG}: lake; or remove {CONNECTION_TAG}."
        )
    if CATALOG_TAG in entity.tags:
        yield from _catalog_problems(entity)
        return
    if name is None:
        folder = entity.entityid if path is None else str(path).rstrip("/").rpartition("/")[2]
        if folder.lower() in _ICEBERG_METADATA_TABLES:
            yield (
                f"an Iceberg table cannot be in a folder {folder!r}, which is the name of one of "
                "its metadata tables\n"
                f"  Fix: use another folder: {PATH_TAG}: {folder}_table."
            )
        return
    if path is not None:
        yield (
            f"the catalog of {TABLE_TAG} determines the location of an Iceberg table\n"
            f"  Fix: remove one of {TABLE_TAG} and {PATH_TAG}."
        )
    parts = table_name_of(entity)
    if len(parts) < _SHORTEST_ICEBERG_NAME or not all(part.strip() for part in parts):
        yield (
            f"tag {TABLE_TAG} {thaw(name)!r} is not a valid name of a catalog table\n"
            "  Fix: write catalog.database.table, or a list of these names."
        )


def _catalog_problems(entity: EntityMetadata) -> Iterator[str]:
    """Yield what is wrong with a table whose name follows from the entity's id."""
    for tag in (PATH_TAG, TABLE_TAG):
        if tag in entity.tags:
            yield (
                f"the catalog of {CATALOG_TAG} determines the name and location of the table\n"
                f"  Fix: remove one of {CATALOG_TAG} and {tag}."
            )
    longest = max(map(len, table_name_of(entity)))
    if longest > _LONGEST_PART and TABLE_TAG not in entity.tags:
        yield (
            f"the name of its table in the catalog would have {longest} characters, more than "
            f"{_LONGEST_PART}\n"
            f"  Fix: name the table: {TABLE_TAG}: catalog.database.table, in place of "
            f"{CATALOG_TAG}."
        )


def keeps_aside(entity: EntityMetadata) -> bool:
    """Return whether malformed records of a source are kept aside, rather than failing the run."""
    return entity.tags.get(MALFORMED_TAG) == "aside"


def source_problems(entity: EntityMetadata) -> Iterator[str]:
    """Yield what is wrong with how a CSV or JSON source handles malformed records."""
    for tag, value in entity.tags.items():
        if tag.lower() != _MODE:
            continue
        mode = str(value).upper()
        if mode == "DROPMALFORMED":
            yield (
                f"tag {tag} is {value!r}, which loses malformed records without a trace\n"
                f"  Fix: keep them aside, where they are counted: {MALFORMED_TAG}: aside."
            )
        elif mode not in _MODES:
            yield (
                f"tag {tag} is {value!r}, which Spark would take for 'PERMISSIVE'."
                f"{did_you_mean(mode, _MODES)}\n  Fix: use one of {', '.join(_MODES)}."
            )
        elif keeps_aside(entity):
            yield (
                f"tags {MALFORMED_TAG} and {tag} both specify what happens to malformed records\n"
                f"  Fix: remove {tag}."
            )


def kafka_offsets_problem(offsets: str) -> str | None:
    """Return what is wrong with a place in a topic."""
    if offsets in ("earliest", "latest") or _is_json_object(offsets):
        return None
    return (
        "not a position in a topic\n"
        """  Fix: write 'earliest', 'latest', or JSON such as '{"orders": {"0": 23}}'."""
    )


def delta_offsets_problem(offsets: str) -> str | None:
    """Return what is wrong with a version of a Delta table."""
    is_version = re.fullmatch(r"0|[1-9][0-9]{0,17}", offsets) is not None
    if offsets in ("earliest", "latest") or is_version or _is_timestamp(offsets):
        return None
    return (
        "not a version of a table\n"
        "  Fix: write 'earliest', 'latest', a version such as '12', or a timestamp such as "
        "'2026-01-31T06:00:00Z'."
    )


def iceberg_offsets_problem(offsets: str) -> str | None:
    """Return what is wrong with a point in the history of an Iceberg table."""
    if _is_timestamp(offsets):
        return None
    return "not a timestamp\n  Fix: write a timestamp such as '2026-01-31T06:00:00Z'."


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _is_timestamp(text: str) -> bool:
    try:
        iso_datetime(text)
    except ValueError:
        return False
    return True
