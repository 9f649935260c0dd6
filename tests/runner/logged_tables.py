"""What holds of tables that are published by a log, wherever they are: used on disks and on S3."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.interface import ProviderContext, Write
from kindling_airflow.runner.providers.parquet.provider import ParquetProvider
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.tags.intervals import IntervalSlice, slice_of

__all__ = [
    "DAILY",
    "Killed",
    "Table",
    "at_once",
    "dies_at_every_step",
    "dying_at",
    "foreign_files",
    "stands_against_an_older_attempt",
]

DAILY = EntityMetadata(
    "daily", tags={"write_mode": "overwrite_interval"}, partition_columns=("day",)
)


class Killed(BaseException):
    """The driver is gone."""


@contextmanager
def dying_at(step: int, *, after: bool, also: tuple[tuple[Any, str], ...] = ()) -> Iterator[None]:
    """Let the driver die before, or after, one of the changes that it makes to storage.

    Args:
        step: the number of the change.
        after: whether it is made.
        also: methods of classes that count as changes.
    """
    count = iter(range(1_000_000))

    def mortal(change: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **more: Any) -> Any:
            mine = next(count)
            if mine == step and not after:
                raise Killed
            found = change(*args, **more)
            if mine == step:
                raise Killed
            return found

        return act

    with pytest.MonkeyPatch.context() as patch:
        names = ("create_if_absent", "write_text", "move", "delete")
        for kind, name in (*((Storage, name) for name in names), *also):
            patch.setattr(kind, name, mortal(getattr(kind, name)))
        yield


class Table:
    """A table of days and numbers, as tasks see it: each with its own provider."""

    def __init__(self, spark: Any, warehouse: str, entity: EntityMetadata = DAILY) -> None:
        self.spark, self.warehouse, self.entity = spark, warehouse, entity

    def provider(self) -> ParquetProvider:
        return ParquetProvider(ProviderContext(self.spark, self.warehouse))

    @property
    def location(self) -> str:
        return f"{self.warehouse}/{self.entity.entityid}"

    def frame(self, *rows: tuple[int, int]) -> Any:
        found = [(date(2013, 1, n), value) for n, value in rows]
        return self.spark.createDataFrame(found, "day DATE, value INT").coalesce(1)

    def rows(self) -> list[tuple[int, int]]:
        found = self.provider().read(self.entity).select("day", "value").collect()
        return sorted((row.day.day, row.value) for row in found)

    def write(
        self,
        mode: Any,
        rows: list[tuple[int, int]],
        *,
        day: int | None = None,
        instance: str = "i",
        attempt: str = "a",
        **more: Any,
    ) -> Callable[[], None]:
        """Stage rows, and return what publishes them."""
        write = Write(instance, attempt, mode, None if day is None else day_slice(day), **more)
        provider = self.provider()
        staged = provider.stage(self.entity, self.frame(*rows), write)
        return lambda: provider.publish(self.entity, staged, write)


def day_slice(day: int) -> IntervalSlice:
    begin, end = f"2013-01-{day:02}T00:00:00+00:00", f"2013-01-{day + 1:02}T00:00:00+00:00"
    found = slice_of(DAILY, datetime.fromisoformat(begin), datetime.fromisoformat(end))
    assert found is not None
    return found


def at_once(*publishes: Callable[[], None]) -> list[BaseException]:
    """Call each in its thread, all at once, and return what was raised."""
    errors: list[BaseException] = []
    ready = threading.Barrier(len(publishes))

    def run(publish: Callable[[], None]) -> None:
        ready.wait()
        try:
            publish()
        except EntityError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(publish,)) for publish in publishes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def foreign_files(spark: Any, location: str) -> list[str]:
    """Return the table's files as another tool finds them: in the newest file of the log."""
    storage = Storage(spark)
    newest = max(name for name in storage.names(f"{location}/_log") if name.endswith(".json"))
    entry = json.loads(storage.read_text(f"{location}/_log/{newest}"))
    return [f"{location}/{name}" for name in entry["files"]]


def dies_at_every_step(table: Table) -> None:
    """Kill drivers that replace a day at each step; each leaves the old table or the new one."""
    table.write("overwrite", [(1, 10), (2, 20)])()
    seen: list[list[tuple[int, int]]] = []
    died = True
    for step in range(60):
        if not died:
            break
        publish = table.write("overwrite_interval", [(2, 22)], day=2, attempt=f"new{step}")
        died = False
        try:
            with dying_at(step // 2, after=step % 2 == 1):
                publish()
        except Killed:
            died = True
        seen.append(table.rows())
        assert seen[-1] in ([(1, 10), (2, 20)], [(1, 10), (2, 22)])
        table.write("overwrite_interval", [(2, 22)], day=2, attempt=f"retry{step}")()
        assert table.rows() == [(1, 10), (2, 22)]
        table.write("overwrite_interval", [(2, 20)], day=2, attempt=f"back{step}")()
    assert not died
    assert [(1, 10), (2, 20)] in seen
    assert [(1, 10), (2, 22)] in seen[:-1]


def stands_against_an_older_attempt(table: Table, mode: str, day: int | None) -> None:
    """Let an attempt be held up when it asks whether it is wanted, while a later one publishes."""
    table.write("overwrite", [(1, 10), (2, 20)], instance="before")()

    def meanwhile() -> None:
        table.write(mode, [(2, 2)], day=day, attempt="newer", order=8)()

    with pytest.MonkeyPatch.context() as patch:  # the later one would clear the staged rows away
        patch.setattr(Storage, "delete_attempts", lambda *_arguments: None)
        asked: list[None] = []

        def check() -> None:
            asked.append(None)
            if len(asked) == 1:
                meanwhile()

        older = table.write(mode, [(2, 1)], day=day, attempt="older", order=7, check=check)
        with pytest.raises(EntityError, match="a later attempt of this task has published"):
            older()
    assert len(asked) == 1
    expected = {
        "append": [(1, 10), (2, 2), (2, 20)],
        "overwrite": [(2, 2)],
        "overwrite_interval": [(1, 10), (2, 2)],
    }
    assert table.rows() == expected[mode]
