"""Readers beside a writer, and what drivers leave that die at any step: one publish and not two."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.contract import Case
from tests.runner.formats.format_tests import (
    day,
    flights,
    publish,
    slice_of_day,
    staging,
    stored,
    write_of,
)
from tests.runner.logged_tables import Killed, dying_at

READERS_SEE = 6


def foreign(case: Case, entity: EntityMetadata) -> Any:
    """Return the table as Spark finds it by its place, without this package."""
    where = case.provider(entity).describe(entity).location
    if "provider.catalog" in case.tags:
        return case.spark.table(where)
    if case.tags["provider_type"] == "delta":
        return case.spark.read.format("delta").load(where)
    return case.spark.read.format("iceberg").load(where)


def test_readers_see_one_publish_while_a_slice_and_a_table_are_replaced(case: Case) -> None:
    entity = case.entity(partition_columns=("day",))

    def rows(n: int) -> Any:
        return flights(case, [(1, day(2), n), (2, day(2), n)])

    publish(case, entity, rows(0), write_of(0, "overwrite"))
    done = threading.Event()
    seen: list[tuple[str, list[int]]] = []
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                own = case.provider(entity).read(entity).select("n").collect()
                seen.append(("own", [row.n for row in own]))
                other = foreign(case, entity).select("n").collect()
                seen.append(("foreign", [row.n for row in other]))
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        n = 0
        while reader.is_alive() and (len(seen) < READERS_SEE or n < 3):
            n += 1
            publish(case, entity, rows(2 * n), write_of(n, "overwrite"))
            slice_ = write_of(n, "overwrite_interval", "s", slice=slice_of_day(2))
            publish(case, entity, rows(2 * n + 1), slice_)
    finally:
        done.set()
        reader.join()
    assert errors == []
    assert all(len(values) == 2 and len(set(values)) == 1 for _, values in seen)
    assert {who for who, _ in seen} == {"own", "foreign"}


def test_a_reader_that_has_begun_goes_on_in_its_version(case: Case) -> None:
    entity = case.entity()
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(0, "overwrite"))
    begun = case.provider(entity).read(entity)
    begun.limit(0).collect()  # plans it, as a pipe does before it writes
    publish(case, entity, flights(case, [(2, day(1), 2)]), write_of(1, "overwrite"))
    assert sorted(row.id for row in begun.collect()) in ([1], [2])


@pytest.mark.parametrize("mode", ["append", "overwrite_interval"])
def test_a_driver_that_dies_at_any_step_leaves_one_of_the_two_tables(case: Case, mode: str) -> None:
    """Between the changes of its publish; Iceberg's append is three of the table's metadata."""
    entity = case.entity(partition_columns=("day",))
    publish(case, entity, flights(case, [(0, day(1), 0)]), write_of(0, "overwrite"))
    kind: Any = type(case.provider(entity))
    also = [(kind, "_write")]
    also += [(kind, name) for name in ("_table", "_newest") if hasattr(kind, name)]
    expected = [(0, day(1), 0)]
    part = {} if mode == "append" else {"slice": slice_of_day(2)}
    died, deaths = True, 0
    for step in range(60):
        if not died:
            break
        run, died = step + 1, False
        new = (run, day(2), step)
        before = expected if mode == "append" else expected[:1]
        rows = flights(case, [new])
        try:
            with dying_at(step // 2, after=step % 2 == 1, also=tuple(also)):
                publish(case, entity, rows, write_of(run, mode, "first", **part))
        except Killed:
            died = True
            deaths += 1
        after = sorted([*before, new], key=repr)  # as stored rows are
        assert stored(case, entity) in (expected, after)
        publish(case, entity, rows, write_of(run, mode, "retry", **part))
        expected = after
        assert stored(case, entity) == expected
    assert not died
    is_one_commit = mode == "overwrite_interval" and case.tags["provider_type"] == "delta"
    assert deaths >= (4 if is_one_commit else 6)  # before and after two steps, or three
    assert staging(case) == []
