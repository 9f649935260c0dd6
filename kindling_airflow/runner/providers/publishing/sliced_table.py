"""What a publish changes in a table that is not replaced as a whole: which files come, which go.

    replaced(table, staged, lies_in)    the files of one slice, or of all
    appended(table, staged, group)      the files of one run: its *group*

    <root>/silver.orders/day=2013-01-02/run-<instance>-part-....parquet
    <root>/_kindling/groups/silver.orders/<instance>.json       a group: its files, what it took in

A group is named by the task instance, so a retry or a re-run replaces what its earlier attempt has
appended. It also keeps which groups of its driving input it was made of: the watermark. What a run
has not yet taken in is what no group of another run has.

Knows files only, and not Spark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.publishing.hidden_names import (
    has_hidden_part,
    is_hidden,
)
from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR, Commit, Files

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
_PREFIX = "run-"


@dataclass(frozen=True, slots=True)
class Group:
    """What one run has appended.

    Attributes:
        attempt: the attempt that did.
        files: its files in the table.
        taken: by input entity, the groups that it was made of.
        is_empty: whether its files have no rows: nothing that could be taken in.
    """

    attempt: str
    files: tuple[str, ...] = ()
    taken: Mapping[str, Sequence[str]] = field(default_factory=lambda: EMPTY)
    is_empty: bool = False

    def dumps(self) -> str:
        """Return the group as its file holds it."""
        taken = {entity_id: list(names) for entity_id, names in self.taken.items()}
        empty = {"is_empty": True} if self.is_empty else {}
        document = {"attempt": self.attempt, "files": list(self.files), "taken": taken, **empty}
        return json.dumps(document, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Group:
        """Read a group."""
        document = json.loads(text)
        return cls(
            document["attempt"],
            tuple(document["files"]),
            document["taken"],
            document.get("is_empty", False),
        )


class SlicedTable:
    """The files of one table."""

    def __init__(self, files: Files, table: str) -> None:
        self._files = files
        self.folder = table.rstrip("/")
        parent, _, name = self.folder.rpartition("/")
        self._groups = f"{parent}/_kindling/groups/{name}"

    def replaced(
        self,
        staged: str,
        attempt: str,
        sidecar: str | None,
        lies_in: Callable[[Mapping[str, str | None]], bool | None],
    ) -> Commit:
        """Return a commit that puts a result in the place of a slice.

        Args:
            staged: the folder of the result.
            attempt: the attempt.
            sidecar: the table's new sidecar; None if it stays.
            lies_in: whether the partition with these values is part of the slice; None if only
                partitions further in decide it.
        """
        found = self._data_files(staged)
        return Commit(
            attempt=attempt,
            staged=staged,
            adds=tuple((name, name) for name in found),
            removes=tuple(self._in_slice("", {}, lies_in)),
            sidecar=sidecar,
        )

    def appended(
        self,
        staged: str,
        attempt: str,
        sidecar: str | None,
        instance: str,
        taken: Mapping[str, Sequence[str]],
        *,
        is_empty: bool = False,
    ) -> Commit:
        """Return a commit that adds a result, in place of what the same task instance has added.

        Raises:
            EntityError: another run has taken in the same groups of the input.
        """
        groups = self.groups() if taken else self._group(instance)
        others = {name: group for name, group in groups.items() if name != instance}
        for entity_id, names in taken.items():
            twice = set(names) & taken_by(others.values(), entity_id)
            if twice:
                raise EntityError(
                    f"table {self.folder!r}: another run has already consumed what this run has "
                    "read of "
                    f"{entity_id!r}; nothing was published\n"
                    "  Fix: none needed if it is retried: it then reads the remaining rows."
                )
        found = self._data_files(staged)
        adds = tuple((name, _named_for(instance, name)) for name in found)
        group = Group(attempt, tuple(target for _, target in adds), taken, is_empty)
        before = groups.get(instance)
        kept = {target for _, target in adds}
        return Commit(
            attempt=attempt,
            staged=staged,
            adds=adds,
            removes=() if before is None else tuple(f for f in before.files if f not in kept),
            sidecar=sidecar,
            group=(f"{self._groups}/{instance}.json", group.dumps()),
        )

    def groups(self) -> dict[str, Group]:
        """Return the groups by their names."""
        names = [n.removesuffix(".json") for n in self._files.names(self._groups)]
        return {name: group for n in names for name, group in self._group(n).items()}

    def gained(
        self,
        entity_id: str,
        output: SlicedTable,
        instance: str,
        files: Sequence[str] | None = None,
    ) -> dict[str, Group]:
        """Return the groups of this table that no other run has taken into an output.

        A file that is part of no group counts as a group by itself. A group without rows has
        nothing to take in; what its run adds when it is run again is yet to be taken.

        Args:
            entity_id: this table's entity.
            output: the table that takes in.
            instance: the task instance that asks: what it took in itself is read again.
            files: those that count; None for all that are in the folder.
        """
        others = [group for name, group in output.groups().items() if name != instance]
        seen = taken_by(others, entity_id)
        groups = self.groups()
        grouped = {name for group in groups.values() for name in group.files}
        found = self._data_files(self.folder) if files is None else files
        lone = [name for name in found if name not in grouped]
        everything = {**groups, **{name: Group("", (name,)) for name in lone}}
        return {n: g for n, g in everything.items() if n not in seen and not g.is_empty}

    def forget_groups(self) -> None:
        """Forget all groups, because the table was replaced."""
        self._files.delete(self._groups)

    def sidecar(self) -> str | None:
        """Return the text of the table's sidecar; None if there is none."""
        path = f"{self.folder}/{SIDECAR}"
        return self._files.read_text(path) if self._files.exists(path) else None

    def _group(self, name: str) -> dict[str, Group]:
        path = f"{self._groups}/{name}.json"
        return {name: Group.loads(self._files.read_text(path))} if self._files.exists(path) else {}

    def _data_files(self, folder: str) -> list[str]:
        return [name for name in self._files.files(folder) if not has_hidden_part(name)]

    def _in_slice(
        self,
        path: str,
        values: Mapping[str, str | None],
        lies_in: Callable[[Mapping[str, str | None]], bool | None],
    ) -> Iterator[str]:
        """Walk down the partitions, no further than needed."""
        verdict = lies_in(values)
        if verdict is False:
            return
        if verdict:
            for name in self._data_files(f"{self.folder}{path}"):
                yield f"{path}/{name}".lstrip("/")
            return
        for name in self._files.names(f"{self.folder}{path}"):
            if "=" in name and not is_hidden(name):
                inner = {**values, **partition_values(name)}
                yield from self._in_slice(f"{path}/{name}", inner, lies_in)


def taken_by(groups: Any, entity_id: str) -> set[str]:
    """Return which groups of an entity other groups were made of."""
    return {name for group in groups for name in group.taken.get(entity_id, ())}


def partition_values(path: str) -> dict[str, str | None]:
    """Return the values that the folders of a path stand for.

    >>> partition_values("code=a%2Fb/day=2013-01-02/part-0.parquet")
    {'code': 'a/b', 'day': '2013-01-02'}
    """
    pairs = [part.partition("=") for part in path.split("/") if "=" in part]
    return {unquote(key): None if text == NULL_FOLDER else unquote(text) for key, _, text in pairs}


def _named_for(instance: str, path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_PREFIX}{instance}-{name}"
