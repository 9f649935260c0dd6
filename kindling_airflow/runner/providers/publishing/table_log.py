"""A table of immutable files, and a log whose newest entry says which of them are the table.

    <table>/_data/kindling_publish=<instance>-<attempt>-<random>/month=1/part-....parquet
    <table>/_log/0000000012.json              the table as it is after publish 12: schema and files

For storage without renames. A result is written to a folder whose name is never used again, and no
reader looks there. It is published by one file: the next entry of the log, which is created only if
it is absent, so of several drivers one has made it. The others read it and begin again from there.
So a publish has happened or it has not, wherever a driver dies.

An entry is complete in itself: a reader lists the log, and reads one file, however long the log is.

Files that a publish takes out of the table stay for a grace period, for readers that have begun,
and so do entries. Both are timed by the storage's own clock: an entry's time of change is when the
files that it removes went out of use. Folders that no entry names, of attempts that died before
they published, are deleted when they are a day old.

Knows files only, and not Spark.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Protocol

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.publishing.fence import NO_FENCES, Fences
from kindling_airflow.runner.providers.publishing.hidden_names import has_hidden_part
from kindling_airflow.runner.providers.publishing.sliced_table import (
    Group,
    partition_values,
    taken_by,
)

DATA, LOG = "_data", "_log"
PUBLISH_COLUMN = "kindling_publish"
DAY_MILLISECONDS = 24 * 3600 * 1000

_MARK = "_publishing"
_TRIES = 100
_VERSION = 1


class LogFiles(Protocol):
    """The file operations that the log needs; ``Storage`` has them for Hadoop's systems."""

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; none where there is no folder."""
        ...

    def times(self, folder: str) -> dict[str, int]:
        """Return the relative paths of the files in a folder and the folders in it.

        Each with the time of its last change in milliseconds, by the clock of the storage.
        """
        ...

    def delete(self, path: str) -> None:
        """Delete a file or a whole folder; what is not there is fine."""
        ...

    def read_text(self, path: str) -> str:
        """Return a small file's text."""
        ...

    def write_text(self, path: str, text: str) -> None:
        """Write a small file."""
        ...

    def create_if_absent(self, path: str, text: str) -> bool:
        """Create a small file unless there is one, and return whether this call has."""
        ...


@dataclass(frozen=True, slots=True)
class TableState:
    """A table after one publish.

    Attributes:
        number: of the publish; 0 before the first.
        entry: names this entry, as no other one is named; ``parent`` is that of the one before.
        attempt: who has published.
        schema: the table's columns, as a sidecar holds them.
        files: paths of its files, beneath the folder of data.
        groups: with appended files, by task instance: what each run has added.
        removed: files that are no longer in it but not deleted yet, and the publish that has
            removed each.
        fences: which attempt of each task instance has published last.
    """

    number: int = 0
    attempt: str = ""
    schema: str = ""
    files: tuple[str, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=lambda: EMPTY)
    removed: tuple[tuple[str, int], ...] = ()
    entry: str = ""
    parent: str = ""
    fences: Fences = NO_FENCES

    def dumps(self) -> str:
        """Return the entry's text; paths are beneath the table, so that any tool can use them."""
        groups = {name: json.loads(group.dumps()) for name, group in self.groups.items()}
        document = {
            "version": _VERSION,
            "number": self.number,
            "attempt": self.attempt,
            "entry": self.entry,
            "parent": self.parent,
            "fences": self.fences.to_json(),
            "files": [f"{DATA}/{name}" for name in self.files],
            "groups": groups,
            "removed": [[name, number] for name, number in self.removed],
            "schema": json.loads(self.schema),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> TableState:
        """Read an entry."""
        document: Any = json.loads(text)
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r}")
        return cls(
            number=document["number"],
            attempt=document["attempt"],
            schema=json.dumps(document["schema"], sort_keys=True),
            files=tuple(name.removeprefix(f"{DATA}/") for name in document["files"]),
            groups={n: Group.loads(json.dumps(g)) for n, g in document["groups"].items()},
            removed=tuple((name, number) for name, number in document["removed"]),
            entry=document["entry"],
            parent=document["parent"],
            fences=Fences.from_json(document.get("fences", [])),
        )

    def replaced(self, files: Sequence[str], lies_in: Callable[[str], bool]) -> TableState:
        """Return the table with files in the place of those in a part of it."""
        return self._with(files, [name for name in self.files if lies_in(name)])

    def appended(
        self,
        files: Sequence[str],
        instance: str,
        attempt: str,
        taken: Mapping[str, Sequence[str]],
        *,
        is_empty: bool,
    ) -> TableState:
        """Return the table with files in the place of those that the same run has added.

        Raises:
            EntityError: another run has taken in the same groups of the input.
        """
        others = [group for name, group in self.groups.items() if name != instance]
        for entity_id, names in taken.items():
            if set(names) & taken_by(others, entity_id):
                raise EntityError(
                    "another run has already consumed what this run has read of "
                    f"{entity_id!r}; nothing was published\n"
                    "  Fix: none needed if it is retried: it then reads the remaining rows."
                )
        before = self.groups.get(instance)
        group = Group(attempt, tuple(files), taken, is_empty)
        table = self._with(files, () if before is None else before.files)
        return replace(table, groups={**self.groups, instance: group})

    def gained(self, entity_id: str, output: TableState, instance: str) -> dict[str, Group]:
        """Return the groups of this table that no other run has taken into an output."""
        others = [group for name, group in output.groups.items() if name != instance]
        seen = taken_by(others, entity_id)
        grouped = {name for group in self.groups.values() for name in group.files}
        lone = {name: Group("", (name,)) for name in self.files if name not in grouped}
        everything = {**self.groups, **lone}
        return {n: g for n, g in everything.items() if n not in seen and not g.is_empty}

    def _with(self, files: Sequence[str], removes: Sequence[str]) -> TableState:
        gone, added = set(removes), set(files)
        kept = [name for name in self.files if name not in gone and name not in added]
        number = self.number + 1
        removed = [(name, number) for name in self.files if name in gone - added]
        return replace(
            self,
            number=number,
            files=tuple(sorted([*kept, *files])),
            removed=(*self.removed, *removed),
        )


class TableLog:
    """The log of one table.

    Args:
        files: the file operations.
        table: the table's folder.
        grace: for how many milliseconds files stay that are no longer in the table.
    """

    def __init__(self, files: LogFiles, table: str, grace: int = DAY_MILLISECONDS) -> None:
        self._files = files
        self.table = table.rstrip("/")
        self.folder = f"{self.table}/{LOG}"
        self.data = f"{self.table}/{DATA}"
        self._grace = grace

    def state(self) -> TableState | None:
        """Return the table as it is; None if nothing was published yet.

        Raises:
            EntityError: the newest entry cannot be read.
        """
        for _ in range(_TRIES):
            numbers = self._numbers()
            if not numbers:
                return None
            path = self._entry(max(numbers))
            try:
                text = self._files.read_text(path)
            except Exception:
                if max(self._numbers(), default=0) != max(numbers):
                    continue  # it was long in coming, and its entry is deleted by now
                raise
            try:
                return TableState.loads(text)
            except (ValueError, KeyError, TypeError) as error:
                raise EntityError(
                    f"table {self.table!r}: cannot read entry {path!r} of its log: "
                    f"{type(error).__name__}: {error}\n"
                    "  Fix: retry; if it stays, its driver died while it wrote the file: delete "
                    "the file, and the table is as it was before."
                ) from error
        raise EntityError(f"table {self.table!r} keeps changing; retry")

    def staged(self, publish: str) -> tuple[str, ...]:
        """Return the files of a result that is about to be published, beneath the folder of data.

        Raises:
            EntityError: it was written so long ago that it may be deleted at any time.
        """
        folder = f"{self.data}/{publish}"
        self._files.write_text(f"{folder}/{_MARK}", "")  # tells what the storage's clock says now
        times = self._files.times(folder)
        now = times.pop(_MARK, 0)
        if times and now - max(times.values()) > DAY_MILLISECONDS // 2:
            raise EntityError(
                f"table {self.table!r}: the result was written more than twelve hours ago, and was "
                "not published since; nothing was published\n  Fix: none needed if it is retried."
            )
        return tuple(f"{publish}/{name}" for name in sorted(times) if not has_hidden_part(name))

    def commit(self, plan: Callable[[TableState], TableState]) -> TableState:
        """Publish what is planned for the table as it is then, and return the new one.

        Args:
            plan: returns the next state; is called again if another driver was faster.

        Raises:
            EntityError: other drivers were faster each time, or this one has stalled for so long
                that the log has gone on and was tidied up.
        """
        for _ in range(_TRIES):
            before = self.state() or TableState()
            planned = replace(plan(before), entry=uuid.uuid4().hex, parent=before.entry)
            after = self._tidied(planned)
            if not self._files.create_if_absent(self._entry(after.number), after.dumps()):
                continue
            if not self._is_last(after):
                raise EntityError(
                    f"table {self.table!r}: this driver has stalled, and others have published "
                    "since; nothing was published\n  Fix: none needed if it is retried."
                )
            with suppress(Exception):  # it is published; the next one tidies up as well
                self.tidy(after)
            return after
        raise EntityError(f"table {self.table!r}: other drivers keep publishing; retry")

    def tidy(self, state: TableState) -> None:
        """Delete what nothing can need any more.

        In this order, so that a driver that dies forgets nothing: files, then entries.

        Args:
            state: the newest state that this driver knows.
        """
        times = self._times()
        now = times.get(state.number, 0)
        old = now - self._grace
        for name, number in state.removed:
            if times.get(number, 0) < old:
                self._files.delete(f"{self.data}/{name}")
        self._delete_orphans(state, now)
        ordered = sorted(times)
        for number, following in pairwise(ordered):
            if times[following] < old:
                self._files.delete(self._entry(number))

    def _is_last(self, state: TableState) -> bool:
        """Return whether an entry was the last one when it was created.

        Its number may have been taken long ago, by an entry that is deleted by now.
        """
        later = [number for number in self._numbers() if number > state.number]
        if not later:
            return True
        if min(later) != state.number + 1:
            return False
        following = TableState.loads(self._files.read_text(self._entry(min(later))))
        return following.parent == state.entry

    def _delete_orphans(self, state: TableState, now: int) -> None:
        """Delete the folders of attempts that died, a day after they wrote their last file.

        An attempt that publishes has written a file half a day ago at most.
        """
        named = {name.partition("/")[0] for name in state.files}
        named |= {name.partition("/")[0] for name, _ in state.removed}
        for folder in self._files.names(self.data):
            path = f"{self.data}/{folder}"
            if folder not in named:
                newest = max(self._files.times(path).values(), default=now)
                if newest < now - max(self._grace, DAY_MILLISECONDS):
                    self._files.delete(path)

    def _tidied(self, state: TableState) -> TableState:
        """Return a state without the removed files that are deleted: their entry is gone."""
        if not state.removed:
            return state
        numbers = set(self._numbers())
        kept = [
            (name, number)
            for name, number in state.removed
            if number in numbers or number == state.number
        ]
        return replace(state, removed=tuple(kept))

    def _numbers(self) -> list[int]:
        return list(_numbered(self._files.names(self.folder)))

    def _times(self) -> dict[int, int]:
        times = self._files.times(self.folder)
        return {number: times[f"{number:010d}.json"] for number in _numbered(times)}

    def _entry(self, number: int) -> str:
        return f"{self.folder}/{number:010d}.json"


def values_of(name: str) -> dict[str, str | None]:
    """Return the partition values of a file beneath the folder of data.

    >>> values_of("kindling_publish=i-a-1/day=2013-01-02/part-0.parquet")
    {'day': '2013-01-02'}
    """
    return partition_values(name.partition("/")[2])


def _numbered(names: Sequence[str] | Mapping[str, int]) -> Iterator[int]:
    for name in names:
        number, dot, kind = name.partition(".")
        if number.isdigit() and f"{dot}{kind}" == ".json":
            yield int(number)
