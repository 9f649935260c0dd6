"""The declarations of entities, the datasets between pipes.

Declaring is plain bookkeeping: it needs no set-up, no Spark session and no pyspark, because an
Airflow process that parses DAG files imports these declarations again and again.

    DataEntities.entity(entityid="bronze.orders", tags={"provider_type": "parquet"})

An undeclared entity is legal; it is a parquet table beneath the warehouse root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kindling_airflow.common.executions import Execution, current_execution
from kindling_airflow.common.immutable import EMPTY, FrozenDict, freeze, json_problems, same_json
from kindling_airflow.common.schema_text import schema_text
from kindling_airflow.errors import DeclarationError

__all__ = [
    "DataEntities",
    "DataEntityRegistry",
    "EntityMetadata",
    "freeze_declared",
    "id_problems",
    "is_storable",
    "list_problems",
    "tag_problems",
    "text_problems",
]


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_PLAIN = frozenset({str, int, bool, type(None)})  # JSON can express every value of these
_LISTS = ("merge_columns", "partition_columns", "cluster_columns")


@dataclass(frozen=True, slots=True)
class EntityMetadata:
    """One entity: its id, how it is stored (tags), and what its rows look like.

    Attributes:
        entityid: unique id, by convention dotted (``silver.orders``).
        name: its display name; the id when not given.
        merge_columns: columns that identify a row.
        tags: ``provider_type`` (default parquet), ``provider.path``, ``provider.option.*`` and
            your own.
        schema: a Spark DDL string (``"id BIGINT, name STRING"``), or None when any schema will do;
            may be given as a ``StructType`` of pyspark.
        partition_columns: columns that become directories, outermost first.
        cluster_columns: columns to cluster by, for formats that can.
    """

    entityid: str
    name: str = ""
    merge_columns: tuple[str, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    schema: str | None = None
    partition_columns: tuple[str, ...] = ()
    cluster_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if type(self.schema) is not str and self.schema is not None:
            object.__setattr__(self, "schema", schema_text(self.schema))
        if (
            type(self.tags) is FrozenDict
            and type(self.merge_columns) is tuple
            and type(self.partition_columns) is tuple
            and type(self.cluster_columns) is tuple
        ):
            return  # as nearly always
        freeze_declared(self, f"entity {self.entityid!r}", _LISTS)


def id_problems(what: str, value: object) -> list[str]:
    """Return what is wrong with an id: it must be a non-empty string without surrounding spaces."""
    if not isinstance(value, str):
        return [f"{what} must be a string, not {type(value).__name__}: {value!r}"]
    if not value or value != value.strip():
        return [f"{what} must be a non-empty string without surrounding spaces: {value!r}"]
    if not is_storable(value):
        return [f"{what} holds a NUL or half a surrogate pair, which cannot be stored: {value!r}"]
    return []


def is_storable(text: str) -> bool:
    """Return whether databases, file names and JSON readers take a text."""
    return (text.isascii() and "\0" not in text) or _UNSTORABLE.search(text) is None


def list_problems(what: str, value: object) -> list[str]:
    """Return what is wrong with a list of ids; a lone string is the classic mistake."""
    if not value and (type(value) is list or type(value) is tuple):
        return []
    if isinstance(value, str):
        return [
            f"{what} is the string {value!r} where a list is expected\n  Fix: write [{value!r}]"
        ]
    if not isinstance(value, (list, tuple)):
        return [f"{what} must be a list of ids, not {type(value).__name__}: {value!r}"]
    return [
        problem
        for n, item in enumerate(value)
        if type(item) is not str or not item or item != item.strip() or not is_storable(item)
        for problem in id_problems(f"{what}[{n}]", item)
    ]


def text_problems(what: str, value: object) -> list[str]:
    """Return what is wrong with a text that may be left out: it must be a string or None."""
    if value is None or isinstance(value, str):
        return []
    return [f"{what} must be a string, not {type(value).__name__}: {value!r}"]


def tag_problems(what: str, value: object) -> list[str]:
    """Return what is wrong with tags: mappings from strings to values that JSON can hold."""
    if isinstance(value, dict) and all(
        type(key) is str and type(item) in _PLAIN for key, item in value.items()
    ):
        return []  # as nearly always
    if not isinstance(value, Mapping):
        return [f"{what} must be a mapping, not {type(value).__name__}: {value!r}"]
    return json_problems(what, value)


def freeze_declared(declared: Any, where: str, lists: Iterable[str]) -> None:
    """Freeze the lists and the tags of a declaration, which may be hand-made.

    Raises:
        DeclarationError: they are no lists, or tags that JSON cannot express; lists every problem.
    """
    problems = []
    for name in lists:
        value = getattr(declared, name)
        if not isinstance(value, tuple):
            problems += (found := list_problems(f"{where}: {name}", value))
            object.__setattr__(declared, name, () if found else tuple(value))
    tags = declared.tags
    if type(tags) is not FrozenDict:
        problems += tag_problems(f"{where}: tags", tags)
    if problems:
        raise DeclarationError(problems)
    object.__setattr__(declared, "tags", freeze(tags))


class DataEntityRegistry:
    """The entities of one project, in the order of their declaration."""

    def __init__(self) -> None:
        self._entities: dict[str, EntityMetadata] = {}
        self._executions: dict[str, Execution] = {}

    def register_entity(
        self,
        entityid: str,
        *,
        name: str | None = None,
        merge_columns: Sequence[str] = (),
        tags: Mapping[str, Any] | None = None,
        schema: Any = None,
        partition_columns: Sequence[str] = (),
        cluster_columns: Sequence[str] = (),
        execution: Execution | None = None,
    ) -> EntityMetadata:
        """Declare an entity; by a further execution of the same place, in place of the one before.

        A schema is a DDL string, or a ``StructType`` of pyspark, which is kept as such a string.
        Which module is being executed :meth:`DataEntities.entity` finds out, where it is of use.

        Raises:
            DeclarationError: listing everything that is wrong, an id that is taken included.
        """
        where, schema = f"entity {entityid!r}", schema_text(schema)
        problems = id_problems("entityid", entityid)
        problems += text_problems(f"{where}: name", name)
        problems += text_problems(f"{where}: schema", schema)
        problems += list_problems(f"{where}: merge_columns", merge_columns)
        problems += list_problems(f"{where}: partition_columns", partition_columns)
        problems += list_problems(f"{where}: cluster_columns", cluster_columns)
        problems += tag_problems(f"{where}: tags", tags if tags is not None else {})
        if problems:
            raise DeclarationError(problems)
        entity = EntityMetadata(
            entityid=entityid,
            name=name or entityid,
            merge_columns=tuple(merge_columns),
            tags=freeze(tags or {}),
            schema=schema,
            partition_columns=tuple(partition_columns),
            cluster_columns=tuple(cluster_columns),
        )
        known = self._entities.get(entityid)
        is_other = known is not None and not (
            known == entity and same_json(known.tags, entity.tags)
        )
        is_again = execution is not None and execution.is_again(self._executions.get(entityid))
        if is_other and not is_again:
            problem = (
                f"entity {entityid!r} is declared twice, differently\n"
                "  Fix: keep one declaration, or give the second entity its own id."
            )
            raise DeclarationError([problem])
        if execution is not None and (known is None or is_again):
            self._executions[entityid] = execution
        self._entities[entityid] = entity
        return entity

    def get_entity_ids(self) -> list[str]:
        """Return the ids of all entities, in the order of declaration."""
        return list(self._entities)

    def get_entity_definition(self, entityid: str) -> EntityMetadata | None:
        """Return an entity's declaration, or None where there is none."""
        return self._entities.get(entityid)

    def definition_or_default(self, entityid: str) -> EntityMetadata:
        """Return an entity's declaration, or that of a plain parquet table with this id."""
        return self._entities.get(entityid) or EntityMetadata(entityid, entityid)

    def __iter__(self) -> Iterator[EntityMetadata]:
        return iter(self._entities.values())

    def __len__(self) -> int:
        return len(self._entities)


_active: ContextVar[DataEntityRegistry | None] = ContextVar("kindling_entities", default=None)


class DataEntities:
    """The front door: declares into the active registry, by default the process's own."""

    _own: ClassVar[DataEntityRegistry] = DataEntityRegistry()

    @classmethod
    def registry(cls) -> DataEntityRegistry:
        """Return the registry that declarations go to now."""
        active = _active.get()
        return DataEntities._own if active is None else active

    @classmethod
    def entity(cls, entityid: str, **declaration: Any) -> EntityMetadata:
        """Declare an entity; see :meth:`DataEntityRegistry.register_entity` for the arguments."""
        return cls.registry().register_entity(
            entityid, **declaration, execution=current_execution()
        )

    @classmethod
    def reset(cls) -> None:
        """Forget every entity that was declared in the process's own registry."""
        DataEntities._own = DataEntityRegistry()

    @classmethod
    @contextmanager
    def declaring_into(cls, registry: DataEntityRegistry) -> Iterator[DataEntityRegistry]:
        """Register every declaration in the ``with`` block in ``registry``."""
        token = _active.set(registry)
        try:
            yield registry
        finally:
            _active.reset(token)
