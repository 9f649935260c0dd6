"""The interface of a storage format: five calls, of which a source needs three.

    describe   what and where it is, for reports and links; reads nothing
    exists     is there something to read?
    read       its rows
    stage      write a result where no reader sees it      (not a source, which is only read)
    publish    put what was staged in the table's place    (not a source)

A provider is a class. It is made with a :class:`ProviderContext` whenever the runner needs it, so
it keeps nothing between calls. What only some formats can do is a separate protocol, such as
:class:`Counts`, and what a call may have to know one day travels in a record (:class:`Write`,
:class:`Staged`), so providers stay valid when the runner learns more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kindling_airflow.common.immutable import EMPTY, thaw
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.protocol.connections import Connection, read_connection
from kindling_airflow.runner.providers.memory_tables import MemoryTables
from kindling_airflow.runner.providers.storage import Storage, location_of, reader_options
from kindling_airflow.tags.intervals import IntervalSlice, WriteMode
from kindling_airflow.tags.names import CONNECTION_TAG
from kindling_airflow.tags.stream_settings import OutputMode, StreamTrigger

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

__all__ = [
    "Counts",
    "EntityDescription",
    "EntityProvider",
    "ExplainsReads",
    "ExplainsStreams",
    "Gained",
    "Peeks",
    "ProviderContext",
    "Published",
    "ReadsGains",
    "SetsAside",
    "Staged",
    "StreamRead",
    "StreamSink",
    "StreamSource",
    "StreamWrite",
    "WritableProvider",
    "Write",
    "WriteModes",
]


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider is made with.

    Attributes:
        spark: the session.
        warehouse: root of the entities' tables, a path or URI.
        memory: where tables live that end with the session; None in a task, whose session ends
            before the next task begins.
        environment: the driver's environment, which brings connections.
    """

    spark: SparkSession
    warehouse: str
    memory: MemoryTables | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    _storage: Storage | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def storage(self) -> Storage:
        """The files, through Hadoop's file systems; one object, which knows them."""
        found = self._storage
        if found is None:
            found = Storage(self.spark)
            object.__setattr__(self, "_storage", found)
        return found

    def location_of(self, entity: EntityMetadata) -> str:
        """Return where an entity lies: its ``provider.path``, else its id, in the warehouse.

        Raises:
            EntityError: the path leaves the warehouse.
        """
        return location_of(entity, self.warehouse)

    def options_of(self, entity: EntityMetadata, **defaults: str) -> dict[str, str]:
        """Return Spark's options: the defaults, then the entity's ``provider.option.*`` tags."""
        return reader_options(entity, defaults)

    def connection_of(self, entity: EntityMetadata) -> Connection | None:
        """Return the Airflow connection that an entity names; None if it names none.

        Raises:
            EntityError: the driver does not have it.
        """
        named = entity.tags.get(CONNECTION_TAG)
        return None if named is None else read_connection(str(named), self.environment)


@dataclass(frozen=True, slots=True)
class EntityDescription:
    """What an entity is, for reports and links; never holds a secret.

    Attributes:
        location: where it lies: a path, a URI, or a name in a catalog.
        format: what it is stored as.
        details: more about it, of JSON types.
    """

    location: str
    format: str
    details: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def to_json(self) -> dict[str, Any]:
        """Return the description as it goes into the report."""
        return {"location": self.location, "format": self.format, **thaw(self.details)}


def _wanted() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Write:
    """One attempt to write an entity.

    Attributes:
        instance: names the task instance (its DAG, run and task): what its earlier attempts staged
            is garbage, and what they appended is replaced, or stands, but is not added to.
        attempt: names this attempt. Both are harmless as part of a file name.
        mode: how the table becomes the new one. Only modes that the provider can do come here.
        slice: what ``overwrite_interval`` replaces; None in a run without an interval, which
            replaces everything.
        order: the place of this attempt among those of its task instance, greater for a later one;
            0 where that is not known. Formats that can keep it in their commits let none of an
            earlier attempt follow one of a later attempt.
        check: raises if the attempt is not wanted any more; formats call it between the look at the
            table on which a commit stands, and the commit.
        taken: by input entity, what :class:`Gained` named: it is kept with what is published, so
            that no other run gets it. Only for providers that can be asked what was gained.
    """

    instance: str
    attempt: str
    mode: WriteMode = "overwrite"
    slice: IntervalSlice | None = None
    order: int = 0
    check: Callable[[], None] = field(default=_wanted, compare=False, repr=False)
    taken: Mapping[str, Sequence[str]] = field(default_factory=lambda: EMPTY)

    @property
    def replaces_all(self) -> bool:
        """Whether nothing of the table stays, its columns included."""
        by_slice = self.mode == "overwrite_interval" and self.slice is None
        return self.mode == "overwrite" or by_slice


@dataclass(frozen=True, slots=True)
class Staged:
    """A result that is written in full and not yet visible to any reader.

    Attributes:
        path: where it lies, in the provider's own words.
        rows: how many rows are really there.
        frame: these rows, as they will be read.
    """

    path: str
    rows: int
    frame: DataFrame


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish has done, where that is not simply to put all that was staged into the table.

    Attributes:
        rows: how many rows it has put there.
        note: goes into the report and the task's log.
    """

    rows: int
    note: str = ""


@runtime_checkable
class EntityProvider(Protocol):
    """What every provider can do; made with a :class:`ProviderContext`."""

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return what and where an entity is. Cheap: neither files nor databases are asked."""
        ...

    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether there is something to read."""
        ...

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the entity's rows: those of one publish, never a mixture of two."""
        ...


@runtime_checkable
class WritableProvider(EntityProvider, Protocol):
    """What a provider can do whose entities pipes write."""

    def stage(self, entity: EntityMetadata, frame: DataFrame, write: Write) -> Staged:
        """Write a result where no reader sees it, after removing leftovers of the same instance."""
        ...

    def publish(self, entity: EntityMetadata, staged: Staged, write: Write) -> Published | None:
        """Put what was staged in the place of the table, in full or not at all.

        Returns:
            None where all rows are in the table now and there is nothing to note.
        """
        ...


@runtime_checkable
class WriteModes(Protocol):
    """A provider that can do more than ``overwrite``."""

    @property
    def write_modes(self) -> Collection[str]:
        """Every value of :attr:`Write.mode` that it can do."""
        ...


@dataclass(frozen=True, slots=True)
class Gained:
    """What a table has gained, as one output sees it.

    Attributes:
        frame: the rows.
        names: names what they are, for :attr:`Write.taken`.
    """

    frame: DataFrame
    names: tuple[str, ...]


@runtime_checkable
class ReadsGains(Protocol):
    """A provider that knows what a table has gained since it was read for an output.

    Both the table and the output are its own, and are written by ``append``.
    """

    def read_gained(self, entity: EntityMetadata, output: EntityMetadata, instance: str) -> Gained:
        """Return the rows that no run but that of this task instance has taken into the output."""
        ...


@runtime_checkable
class Peeks(Protocol):
    """A provider that often knows without a Spark job that there are rows."""

    def surely_has_rows(self, entity: EntityMetadata, frame: DataFrame) -> bool:
        """Return whether what :meth:`EntityProvider.read` has returned has rows; False: unknown."""
        ...


@runtime_checkable
class ExplainsReads(Protocol):
    """A provider that explains errors that its rows have raised in the midst of a run."""

    def read_problem(self, entity: EntityMetadata, error: BaseException) -> str | None:
        """Return why a run has failed that reads an entity, and what helps.

        None where the entity has nothing to do with it, or where a retry may succeed.
        """
        ...


@runtime_checkable
class SetsAside(Protocol):
    """A provider that can keep the records aside that it leaves out of what it reads."""

    def set_aside(self, entity: EntityMetadata, instance: str) -> str:
        """Keep them where a task instance has its own, and return a note; "" if there are none."""
        ...


@runtime_checkable
class Counts(Protocol):
    """A provider that knows the number of rows without reading them."""

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int:
        """Return the number of rows of what :meth:`EntityProvider.read` has returned."""
        ...


@dataclass(frozen=True, slots=True)
class StreamRead:
    """How a streaming pipe reads its driving input.

    Attributes:
        options: of Spark's reader, over those of the entity.
        starting_offsets: where to begin without a checkpoint: the pipe's tag
            ``stream.starting_offsets``; None for what the type begins with.
    """

    options: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    starting_offsets: str | None = None


@dataclass(frozen=True, slots=True)
class StreamWrite:
    """How a streaming pipe writes its output.

    Attributes:
        name: of the query, human-readable.
        checkpoint: where the query keeps how far it is.
        output_mode: what of a batch's result is written; only what the type can do comes here.
        trigger: when the query takes its next batch.
    """

    name: str
    checkpoint: str
    output_mode: OutputMode = "append"
    trigger: StreamTrigger = StreamTrigger()  # noqa: RUF009 (frozen)


@runtime_checkable
class StreamSource(EntityProvider, Protocol):
    """A provider whose entities can be read as a stream.

    A class attribute ``fresh_in_every_batch = True`` says that a table beside a stream is re-read
    in each batch. Only such a table may be missing when the stream starts.
    """

    def make_ready(self, entity: EntityMetadata) -> None:
        """Create an entity that does not exist yet, empty, so that a stream of it can begin.

        What exists is left as it is. Several drivers may do this at once.

        Raises:
            EntityError: it does not exist, and its columns are not declared.
        """
        ...

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the entity's rows as a stream; it exists."""
        ...


@runtime_checkable
class StreamSink(EntityProvider, Protocol):
    """A provider whose format has its own streaming sink, which writes rows exactly once.

    This is the output mode ``append``; a class attribute ``native_output_modes`` may name others.
    What comes batch by batch is staged and published like the result of a run, and asks for nothing
    but :class:`WritableProvider`.
    """

    def start(self, entity: EntityMetadata, frame: DataFrame, write: StreamWrite) -> StreamingQuery:
        """Start the query that writes a stream to the entity, and return at once.

        Raises:
            EntityError: what is there cannot be written by a stream.
        """
        ...


@runtime_checkable
class ExplainsStreams(Protocol):
    """A provider that explains errors with which its format ends a stream."""

    def stream_problem(self, entity: EntityMetadata, error: Exception) -> str | None:
        """Return why a query that an entity drives has failed, and what helps.

        None where the entity has nothing to do with it, or where a retry may succeed.
        """
        ...
