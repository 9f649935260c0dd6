"""One publish after the other, each in full: the log of a table whose files change one by one.

    <root>/_kindling/log/silver.orders/0000000012/entry.json    what publish 12 adds and removes
    <root>/_kindling/log/silver.orders/0000000012.done          ... and that it has done so

A publish is decided as soon as its entry is there: a folder that is renamed to the next number,
which only one driver can do. Then its staged files are moved into the table, and the files that
they replace are deleted. Names of files are never reused, so every step is idempotent: a driver
that finds an entry that is not done waits for its driver, and finishes the work if that one has
died.

A reader lists the files between two looks at the log. If nothing was under way, and nothing came,
it has the files of one publish, and not of two.

Knows files only, and not Spark.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeVar

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.publishing.fence import NO_FENCES, Fences

SIDECAR = "_kindling.json"

_ENTRY = "entry.json"
_DONE = ".done"
_KEPT = 100
_PAUSE_SECONDS = 0.1
_PATIENCE = 100  # pauses without progress, after which a driver is taken for dead
_TRIES = 20

T = TypeVar("T")


class Files(Protocol):
    """The file operations that publishing needs; ``Storage`` has them for Hadoop's systems."""

    def exists(self, path: str) -> bool:
        """Return whether there is a file or folder."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; none where there is no folder."""
        ...

    def files(self, folder: str) -> list[str]:
        """Return the relative paths of the files in a folder and the folders in it, sorted."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file or a whole folder; what is not there is fine."""
        ...

    def move(self, source: str, target: str) -> None:
        """Rename; raises an EntityError if ``target`` is there, or ``source`` is not."""
        ...

    def read_text(self, path: str) -> str:
        """Return a small file's text."""
        ...

    def write_text(self, path: str, text: str) -> None:
        """Write a small file."""
        ...


@dataclass(frozen=True, slots=True)
class Commit:
    """What one publish does to a table.

    Attributes:
        attempt: the attempt that publishes.
        staged: the folder of its result.
        adds: files of that folder, and where in the table they come.
        removes: files of the table that they replace.
        sidecar: the table's new sidecar; None if it stays.
        group: a file beside the table that belongs to the publish, and its text; or None.
        fences: which attempt of each task instance has published last.
    """

    attempt: str
    staged: str
    adds: tuple[tuple[str, str], ...] = ()
    removes: tuple[str, ...] = ()
    sidecar: str | None = None
    group: tuple[str, str] | None = None
    fences: Fences = NO_FENCES

    def dumps(self) -> str:
        """Return the entry's text."""
        document = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({**document, "fences": self.fences.to_json()}, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Commit:
        """Read an entry."""
        document = json.loads(text)
        return cls(
            attempt=document["attempt"],
            staged=document["staged"],
            adds=tuple((source, target) for source, target in document["adds"]),
            removes=tuple(document["removes"]),
            sidecar=document["sidecar"],
            group=None
            if document["group"] is None
            else (document["group"][0], document["group"][1]),
            fences=Fences.from_json(document.get("fences", [])),
        )


class PublishLog:
    """The log of one table.

    Args:
        files: the file operations.
        table: the table's folder.
        pause: waits between two looks at another driver's publish.
        patience: after how many looks without any progress its driver is taken for dead.
    """

    def __init__(
        self,
        files: Files,
        table: str,
        *,
        pause: Callable[[], None] = lambda: time.sleep(_PAUSE_SECONDS),
        patience: int = _PATIENCE,
    ) -> None:
        self._files = files
        self._table = table.rstrip("/")
        parent, _, name = self._table.rpartition("/")
        self.folder = f"{parent}/_kindling/log/{name}"
        self._pause = pause
        self._patience = patience

    def settled(self) -> int:
        """Return the number of the last publish, once it is done; 0 if there was none.

        A publish whose driver makes no progress is finished here.

        Raises:
            EntityError: it cannot be finished.
        """
        for _ in range(_TRIES):
            last, is_done = self._last()
            if is_done:
                return last
            left, patience = -1, self._patience
            while patience > 0 and not self._is_done(last):
                self._pause()
                remaining = self._remaining(last)
                patience, left = (
                    (patience - 1, left)
                    if remaining == left
                    else (
                        self._patience,
                        remaining,
                    )
                )
            if not self._is_done(last):
                self._finish(last)
        raise EntityError(f"table {self._table!r}: other drivers keep publishing; retry")

    def consistent(self, look: Callable[[], T]) -> T:
        """Return what a look at the table's files finds, of one publish and not of two.

        Raises:
            EntityError: the table changes all the time.
        """
        for _ in range(_TRIES):
            before = self.settled()
            try:
                found = look()
            except Exception:
                if self._last() == (before, True):
                    raise  # it was not a publish that was in the way
                continue
            if self._last() == (before, True):
                return found
        raise EntityError(f"table {self._table!r} keeps changing; retry")

    def commit(self, plan: Callable[[], Commit], *, instance: str = "", order: int = 0) -> None:
        """Decide a publish and carry it out.

        If a file cannot be moved into the table, those that were are taken out again, and the table
        is as it was.

        Args:
            plan: returns what to do; is called again if another driver was faster.
            instance: the task instance of the attempt that publishes.
            order: of the attempt.

        Raises:
            EntityError: the file system refused, other drivers publish all the time, or a later
                attempt of the task instance has published.
        """
        where = f"table {self._table!r}"
        for _ in range(_TRIES):
            last = self.settled()
            before = self._read(last).fences if last else NO_FENCES
            fences = before.passed(where, instance, order)
            number, commit = last + 1, replace(plan(), fences=fences)
            if self._decide(number, commit):
                break
        else:
            raise EntityError(f"table {self._table!r}: other drivers keep publishing; retry")
        try:
            self._bring_in(commit)
        except Exception:
            self._take_back(commit)
            self._end(number)
            raise
        if self._is_done(number):  # this driver has stalled, and was taken for dead
            return
        self._take_out(commit)
        self._end(number)
        self._files.delete(commit.staged)
        self._prune(number)

    def _last(self) -> tuple[int, bool]:
        names = self._files.names(self.folder)
        numbers = [int(name) for name in names if name.isdigit()]
        if not numbers:
            return 0, True
        return max(numbers), f"{max(numbers):010d}{_DONE}" in names

    def _decide(self, number: int, commit: Commit) -> bool:
        """Take a number; only one driver can, because a folder that is there is never replaced."""
        prepared = f"{commit.staged}-entry"
        self._files.delete(prepared)
        self._files.write_text(f"{prepared}/{_ENTRY}", commit.dumps())
        entry = self._entry(number)
        try:
            self._files.move(prepared, entry)
        except EntityError:
            self._files.delete(prepared)
            if not self._files.exists(entry):
                raise
            return False
        # Where a file system looks first and renames then, the slower of two ends in the folder.
        return self._read(number).attempt == commit.attempt

    def _bring_in(self, commit: Commit) -> None:
        for source, target in commit.adds:
            staged, final = f"{commit.staged}/{source}", f"{self._table}/{target}"
            if self._files.exists(staged):
                try:
                    self._files.move(staged, final)
                except EntityError:
                    if self._files.exists(staged):
                        raise

    def _take_out(self, commit: Commit) -> None:
        if commit.sidecar is not None:
            self._files.write_text(f"{self._table}/{SIDECAR}", commit.sidecar)
        for name in commit.removes:
            self._files.delete(f"{self._table}/{name}")
        if commit.group is not None:
            self._files.write_text(*commit.group)

    def _take_back(self, commit: Commit) -> None:
        for _, target in commit.adds:
            self._files.delete(f"{self._table}/{target}")
        if not self._files.files(self._table):
            self._files.delete(self._table)

    def _finish(self, number: int) -> None:
        """Do what a dead driver has left; every step of it may have been done already."""
        commit = self._read(number)
        self._bring_in(commit)
        if self._is_done(number):  # it lives, and others may have published since
            return
        self._take_out(commit)
        self._end(number)
        self._files.delete(commit.staged)

    def _remaining(self, number: int) -> int:
        commit = self._read(number)
        return sum(self._files.exists(f"{self._table}/{name}") for name in commit.removes) + sum(
            self._files.exists(f"{commit.staged}/{source}") for source, _ in commit.adds
        )

    def _prune(self, number: int) -> None:
        for name in self._files.names(self.folder):
            digits = name.removesuffix(_DONE)
            if digits.isdigit() and int(digits) <= number - _KEPT:
                self._files.delete(f"{self.folder}/{name}")

    def _entry(self, number: int) -> str:
        return f"{self.folder}/{number:010d}"

    def _read(self, number: int) -> Commit:
        return Commit.loads(self._files.read_text(f"{self._entry(number)}/{_ENTRY}"))

    def _is_done(self, number: int) -> bool:
        return self._files.exists(f"{self._entry(number)}{_DONE}")

    def _end(self, number: int) -> None:
        self._files.write_text(f"{self._entry(number)}{_DONE}", "")
