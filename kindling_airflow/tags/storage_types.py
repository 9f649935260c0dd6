"""Which ways of storing an entity there are, and what their tags may say: no Spark needed.

The provider classes live on the Spark side; what is wrong with an entity's tags is known here
already, so that it is found when a plan is compiled. An entity's ``provider_type`` is

- one of the built-in types,
- the name of an entry point that another distribution registers, or
- ``package.module:Class``, which needs no registration and so works from a project's own modules.

    [project.entry-points."kindling_airflow.entity_providers"]
    avro = "shop_entities.avro:AvroProvider"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.redaction import without_secrets
from kindling_airflow.common.variables import variable_problem
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import did_you_mean
from kindling_airflow.tags.interval_checks import entity_interval_problems
from kindling_airflow.tags.intervals import WRITE_MODES
from kindling_airflow.tags.kafka import KAFKA_TAGS, kafka_problems
from kindling_airflow.tags.source_tags import MALFORMED_TAG, source_problems
from kindling_airflow.tags.unknown_tags import likely_tag, word_problems

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "BUILT_IN_TYPES",
    "CONNECTION_TAG",
    "ENTRY_POINT_GROUP",
    "OPTION_TAG",
    "PATH_TAG",
    "ProviderType",
    "is_absolute",
    "is_class_reference",
    "names_secret",
    "path_problem",
    "provider_type_of",
    "registered_types",
    "table_name_of",
    "tag_problems_of",
]

ENTRY_POINT_GROUP = "kindling_airflow.entity_providers"
OPTION_TAG = "provider.option."
PATH_TAG = "provider.path"
CONNECTION_TAG = "provider.connection"

_SCHEME = re.compile(r"[^/]*:/")  # also of file:/data, as Hadoop writes a path of this machine
_CLASS_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_LONGEST_FILE_NAME = 255
_LONGEST_NAME = 3  # catalog, database, table
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+")
_SECRET_OPTION = re.compile(
    r"(?i)(pass(word|wd|phrase|code)?|pwd|secret|token|credential)s?$"
    r"|(access|account|api|private|secret)[._-]?key$"
)
_SECRET_IN_URL = re.compile(
    r"(?i)(//[^/?;]*:[^/?;]*@|:thin:[^/@]*/[^@]*@|[?&;,(](user|password|passwd|pwd|token)=)"
)
_OPTIONS_WITH_TAGS = {
    "url": "provider.url",
    "dbtable": "provider.table",
    "query": "provider.query",
    "driver": "provider.driver",
}
_WITHOUT_VARIABLES = (
    *(PATH_TAG, "provider.table", "provider.url"),
    *("provider.servers", "provider.topic"),
)
_CHOICES = {
    "extra_columns": ("fail", "ignore"),
    "format": ("orc", "parquet"),
    "new_columns": ("fail", "add"),
}
_ICEBERGS_OWN = frozenset(
    (
        *("all_data_files", "all_delete_files", "all_entries", "all_files", "all_manifests"),
        *("data_files", "delete_files", "entries", "files", "history", "manifests"),
        *("metadata_log_entries", "partitions", "position_deletes", "refs", "snapshots"),
    )
)
_READ_BY_FOLDERS = ("parquet", "table")  # other formats know their files from a log
_SHORTEST_ICEBERG_NAME = 2  # catalog, table
_PARTITION_OPTIONS = ("lowerBound", "numPartitions", "partitionColumn", "upperBound")


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One built-in way of storing an entity.

    Attributes:
        tags: the tags that it knows, ``provider.option.*`` aside.
        is_written: whether pipes can write it; else it is a source.
        takes_options: whether it knows ``provider.option.*``.
        write_modes: what its tag ``write_mode`` may be; of a type that pipes write as streams
            alone, nothing.
        streams_from: whether a streaming pipe can be driven by it.
        streams_into: the output modes in which a streaming pipe can write it.
        appends_by_batch: whether a stream appends each batch as a whole, so that it can be checked
            before.
    """

    tags: tuple[str, ...]
    is_written: bool = True
    takes_options: bool = True
    write_modes: tuple[str, ...] = ("overwrite",)
    streams_from: bool = False
    streams_into: tuple[str, ...] = ()
    appends_by_batch: bool = False


BUILT_IN_TYPES: Mapping[str, ProviderType] = {
    "csv": ProviderType((MALFORMED_TAG, PATH_TAG), is_written=False, streams_from=True),
    "delta": ProviderType(
        ("provider.extra_columns", "provider.new_columns", PATH_TAG),
        write_modes=WRITE_MODES,
        streams_from=True,
        streams_into=("append", "update", "complete"),
        appends_by_batch=True,
    ),
    "iceberg": ProviderType(
        ("provider.extra_columns", "provider.new_columns", PATH_TAG, "provider.table"),
        write_modes=WRITE_MODES,
        streams_from=True,
        streams_into=("append", "update", "complete"),
        appends_by_batch=True,
    ),
    "jdbc": ProviderType(
        (
            CONNECTION_TAG,
            "provider.driver",
            "provider.extra_columns",
            "provider.query",
            "provider.table",
            "provider.url",
        ),
        is_written=False,
    ),
    "json": ProviderType((MALFORMED_TAG, PATH_TAG), is_written=False, streams_from=True),
    "kafka": ProviderType(
        KAFKA_TAGS, write_modes=(), streams_from=True, streams_into=("append", "update")
    ),
    "memory": ProviderType((), takes_options=False),
    "parquet": ProviderType(
        ("provider.extra_columns", PATH_TAG),
        write_modes=("overwrite", "overwrite_interval", "append"),
        streams_from=True,
        streams_into=("append", "complete"),
    ),
    "rate": ProviderType((), is_written=False, streams_from=True),
    "table": ProviderType(
        ("provider.extra_columns", "provider.format", PATH_TAG, "provider.table")
    ),
}


def provider_type_of(entity: EntityMetadata) -> str:
    """Return how an entity is stored: its tag ``provider_type``, default ``parquet``."""
    return str(entity.tags.get("provider_type", "parquet"))


def is_class_reference(kind: str) -> bool:
    """Tell whether a provider type names a class: ``package.module:Class``."""
    return _CLASS_REFERENCE.fullmatch(kind) is not None


def names_secret(option: str) -> bool:
    """Tell whether an option's name says that its value is a secret."""
    return _SECRET_OPTION.search(option) is not None


def registered_types() -> dict[str, list[EntryPoint]]:
    """Return the entry points of installed distributions by name; more than one is ambiguous."""
    from importlib.metadata import entry_points  # costs more than most plans: only on demand

    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(entry.name, {})[entry.value] = entry
    return {
        name: [by_value[value] for value in sorted(by_value)] for name, by_value in found.items()
    }


def is_absolute(path: str) -> bool:
    """Tell whether a ``provider.path`` is taken as it is, wherever the warehouse is."""
    return path.startswith("/") or _SCHEME.match(path) is not None


def path_problem(path: str) -> str:
    """Return what is wrong with a relative ``provider.path``; "" if nothing is."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    remedy = "  Fix: use a path beneath the warehouse root, or an absolute path or URI."
    if ".." in parts:
        return f"tag {PATH_TAG} {path!r} leaves the warehouse\n{remedy}"
    if not parts:
        return f"tag {PATH_TAG} {path!r} is the warehouse itself\n{remedy}"
    if "_kindling" in parts:
        return f"tag {PATH_TAG} {path!r} lies in '_kindling', where results are staged\n{remedy}"
    if any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_FILE_NAME for part in parts):
        return (
            f"tag {PATH_TAG} {path!r} has a name of more than {_LONGEST_FILE_NAME} bytes\n{remedy}"
        )
    return ""


def table_name_of(entity: EntityMetadata) -> tuple[str, ...]:
    """Return the parts of a catalog table's name: the tag ``provider.table``, else the id.

    A text is split at its dots; a list of names is taken as it is.
    """
    said = entity.tags.get("provider.table", entity.entityid)
    parts = said if isinstance(said, (list, tuple)) else str(said).split(".")
    return tuple(str(part) for part in parts)


def tag_problems_of(entity: EntityMetadata) -> list[str]:
    """Return what is wrong with the tags of an entity that say how it is stored and written.

    What a type from another distribution does with its tags is not known here.
    """
    where = f"entity {entity.entityid!r}"
    kind = provider_type_of(entity)
    known = BUILT_IN_TYPES.get(kind)
    if known is None:
        return [
            *_type_problems(where, kind),
            *_word_problems(where, entity, own_provider=True),
            *_secret_problems(where, entity),
            *entity_interval_problems(entity, None),
        ]
    problems = [] if not entity.tags else _unknown_tags(where, kind, known, entity.tags)
    path = entity.tags.get(PATH_TAG)
    if path is not None and PATH_TAG in known.tags and not is_absolute(str(path)):
        wrong = path_problem(str(path))
        problems += [f"{where}: {wrong}"] if wrong else []
    for tag, values in _CHOICES.items():
        said = entity.tags.get(f"provider.{tag}", values[0])
        if f"provider.{tag}" in known.tags and said not in values:
            problems.append(
                f"{where}: tag provider.{tag} is {said!r}\n  Fix: use one of {_listed(values)}."
            )
    if kind == "jdbc":
        problems += _jdbc_problems(where, entity.tags)
    elif kind == "table":
        problems += _table_problems(where, entity)
    elif kind == "iceberg":
        problems += _iceberg_problems(where, entity)
    elif kind == "kafka":
        problems += kafka_problems(entity)
    elif kind in ("csv", "json"):
        problems += source_problems(entity)
    if entity.partition_columns:
        problems += _partition_problems(where, kind, entity.partition_columns)
    modes = known.write_modes if known.is_written else ()
    problems += entity_interval_problems(entity, modes)
    for tag in _WITHOUT_VARIABLES:
        if tag in known.tags and (text := variable_problem(entity.tags.get(tag))):
            problems.append(
                f"{where}: tag {tag}: {text}\n"
                "  Fix: write the value; what differs between deployments goes into a file of "
                "settings."
            )
    problems += _word_problems(where, entity)
    return problems + _secret_problems(where, entity)


def _word_problems(where: str, entity: EntityMetadata, own_provider: bool = False) -> list[str]:
    found = word_problems("entity", entity.tags, own_provider) if entity.tags else ()
    return [f"{where}: {text}" for text in found]


def _type_problems(where: str, kind: str) -> list[str]:
    if is_class_reference(kind):
        return []
    registered = registered_types()
    entries = registered.get(kind, [])
    if len(entries) == 1:
        return []
    if entries:
        meanings = ", ".join(entry.value for entry in entries)
        problem = (
            f"{where}: provider_type {kind!r} is registered more than once: {meanings}\n"
            "  Fix: uninstall one of the distributions, or write the class: "
            f"provider_type: {entries[0].value!r}."
        )
        return [problem]
    names = sorted({*BUILT_IN_TYPES, *registered})
    problem = (
        f"{where}: unknown provider_type {kind!r}.{did_you_mean(kind, names)}\n"
        f"  Fix: use one of {_listed(names)}, or 'package.module:Class'."
    )
    return [problem]


def _unknown_tags(where: str, kind: str, known: ProviderType, tags: Mapping[str, Any]) -> list[str]:
    problems = []
    for key in tags:
        if not key.startswith("provider.") or key in known.tags:
            continue
        if known.takes_options and key.startswith(OPTION_TAG) and key != OPTION_TAG:
            continue
        names = [*known.tags, *([f"{OPTION_TAG}NAME"] if known.takes_options else [])]
        likely = likely_tag("entity", key) or ""
        hint = did_you_mean(key, names if likely.startswith("provider.") else [likely, *names])
        problems.append(
            f"{where}: provider_type {kind!r} has no tag {key!r}.{hint}\n"
            f"  Fix: use one of {_listed(names)}."
            if names
            else f"{where}: provider_type {kind!r} has no tag {key!r}, nor any other\n"
            "  Fix: take the tag out."
        )
    return problems


def _secret_problems(where: str, entity: EntityMetadata) -> list[str]:
    return [
        f"{where}: tag {key!r} names a secret, and tags stand in the manifest\n"
        f"  Fix: keep it in an Airflow connection and name that: {CONNECTION_TAG}: my_connection."
        for key in entity.tags
        if key.startswith(OPTION_TAG) and names_secret(key)
    ]


def _jdbc_problems(where: str, tags: Mapping[str, Any]) -> list[str]:
    problems = []
    if ("provider.table" in tags) == ("provider.query" in tags):
        problems.append(
            f"{where}: a jdbc entity has either provider.table or provider.query\n"
            "  Fix: name the table, or write the query that the database is to answer."
        )
    if "provider.url" not in tags and CONNECTION_TAG not in tags:
        problems.append(
            f"{where}: nothing says which database it is in\n"
            f"  Fix: name an Airflow connection ({CONNECTION_TAG}: my_connection), or write "
            "provider.url."
        )
    url = str(tags.get("provider.url", "jdbc:"))
    if not url.startswith("jdbc:"):
        problems.append(
            f"{where}: tag provider.url {without_secrets(url)!r} is no JDBC URL\n"
            "  Fix: write it like 'jdbc:postgresql://host:5432/shop'."
        )
    if _SECRET_IN_URL.search(url):
        problems.append(  # without the URL: this text goes where secrets must not be
            f"{where}: tag provider.url holds a user or a password, and tags stand in the manifest"
            f"\n  Fix: keep them in an Airflow connection: {CONNECTION_TAG}: my_connection."
        )
    said = {key.removeprefix(OPTION_TAG).lower(): key for key in tags if key.startswith(OPTION_TAG)}
    problems += [
        f"{where}: tag {said[option]!r} is said another way\n  Fix: write {tag}."
        for option, tag in _OPTIONS_WITH_TAGS.items()
        if option in said
    ]
    if "user" in said:
        problems.append(
            f"{where}: tag {said['user']!r} is said another way\n"
            f"  Fix: keep the user in an Airflow connection: {CONNECTION_TAG}: my_connection."
        )
    missing = [name for name in _PARTITION_OPTIONS if name.lower() not in said]
    split = said.keys() & {"lowerbound", "partitioncolumn", "upperbound"}
    if split and missing:
        problems.append(
            f"{where}: a read in parts needs {', '.join(_PARTITION_OPTIONS)}; missing: "
            f"{', '.join(missing)}\n"
            f"  Fix: add {OPTION_TAG}{missing[0]}, or take the others out."
        )
    return problems


def _partition_problems(where: str, kind: str, names: Collection[str]) -> list[str]:
    times = Counter(name.lower() for name in names)
    problems = [
        f"{where}: partition_columns has {name!r} {n} times; upper and lower case are the same\n"
        "  Fix: name each column once."
        for name, n in times.items()
        if n > 1
    ]
    if kind in _READ_BY_FOLDERS:
        problems += [
            f"{where}: partition column {name!r} begins with a dot; Spark passes over folders with "
            "such names, so all rows would be lost\n"
            "  Fix: rename the column."
            for name in names
            if name.startswith(".")
        ]
    return problems


def _table_problems(where: str, entity: EntityMetadata) -> list[str]:
    parts, said = table_name_of(entity), entity.tags.get("provider.table")
    if said is None:
        if len(parts) <= _LONGEST_NAME and all(_PLAIN_NAME.fullmatch(part) for part in parts):
            return []
        problem = (
            f"{where}: its id is no name of a table in a catalog\n"
            "  Fix: name the table: provider.table: database.table."
        )
        return [problem]
    if 1 <= len(parts) <= _LONGEST_NAME and all(part.strip() for part in parts):
        return []
    problem = (
        f"{where}: tag provider.table {thaw(said)!r} is no name of a table\n"
        "  Fix: write [catalog.][database.]table, or a list of these names."
    )
    return [problem]


def _iceberg_problems(where: str, entity: EntityMetadata) -> list[str]:
    said, path = entity.tags.get("provider.table"), entity.tags.get(PATH_TAG)
    if said is None:
        name = entity.entityid if path is None else str(path).rstrip("/").rpartition("/")[2]
        if name.lower() not in _ICEBERGS_OWN:
            return []
        problem = (
            f"{where}: no Iceberg table can be in a folder {name!r}, because each has tables of "
            "its own of such names\n"
            f"  Fix: give it another one: {PATH_TAG}: {name}_table."
        )
        return [problem]
    problems = []
    if path is not None:
        problems.append(
            f"{where}: the catalog of provider.table decides where an Iceberg table lies\n"
            f"  Fix: take out one of provider.table and {PATH_TAG}."
        )
    parts = table_name_of(entity)
    if len(parts) < _SHORTEST_ICEBERG_NAME or not all(part.strip() for part in parts):
        problems.append(
            f"{where}: tag provider.table {thaw(said)!r} is no name of a table in a catalog\n"
            "  Fix: write catalog.database.table, or a list of these names."
        )
    return problems


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
