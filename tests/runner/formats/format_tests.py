"""What holds of Delta and of Iceberg alike: the contract, and each write mode with its faults."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, EntityError, PipeRunError
from kindling_airflow.runner.failures.retryable import is_permanent
from kindling_airflow.runner.providers.contract import RULES, Case
from kindling_airflow.runner.providers.interface import Published, Write
from kindling_airflow.runner.providers.publishing import staging as staging_area
from kindling_airflow.runner.providers.session_properties import check_jars
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.tags.intervals import IntervalSlice

Rows = list[tuple[Any, ...]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(
    rule: Callable[[Case], None], spark: Any, stored_in: dict[str, Any], warehouse: str
) -> None:
    rule(Case(spark, f"{warehouse} 'of' ä", stored_in))


def day(n: int) -> date:
    return date(2013, 1, n)


def slice_of_day(n: int, column: str = "day") -> IntervalSlice:
    start = datetime(2013, 1, n, tzinfo=timezone.utc)
    return IntervalSlice(column, start, start + timedelta(days=1))


def write_of(run: int, mode: Any, attempt: str = "a", **more: Any) -> Write:
    return Write(f"{run:016x}", f"{attempt}{run}", mode, **more)


def flights(case: Case, rows: Rows) -> Any:
    return case.spark.createDataFrame(rows, "id BIGINT, day DATE, n INT")


def publish(case: Case, entity: EntityMetadata, frame: Any, write: Write) -> Published | None:
    staged = case.provider(entity).stage(entity, frame, write)
    return case.provider(entity).publish(entity, staged, write)


def stored(case: Case, entity: EntityMetadata) -> Rows:
    rows = case.provider(entity).read(entity).collect()
    return sorted((tuple(row) for row in rows), key=repr)


def staging(case: Case) -> list[str]:
    return Storage(case.spark).names(f"{case.warehouse}/_kindling/staging/{case.entity_id}")


def day_run(
    case: Case, entity: EntityMetadata, n: int, rows: Rows, attempt: str = "a", run: int = 0
) -> None:
    write = write_of(run or n, "overwrite_interval", attempt, slice=slice_of_day(n))
    publish(case, entity, flights(case, rows), write)


@pytest.mark.parametrize("parts", [("day",), ()], ids=["partitioned", "in mixed files"])
def test_a_slice_is_replaced_and_all_else_stays(case: Case, parts: tuple[str, ...]) -> None:
    entity = case.entity(partition_columns=parts)
    both = [(1, day(1), 10), (2, day(2), 20)]
    publish(case, entity, flights(case, both), write_of(0, "overwrite"))
    day_run(case, entity, 2, [(2, day(2), 21), (3, day(2), 30)])
    expected = [(1, day(1), 10), (2, day(2), 21), (3, day(2), 30)]
    assert stored(case, entity) == expected
    day_run(case, entity, 2, [(2, day(2), 21), (3, day(2), 30)], "retry")
    assert stored(case, entity) == expected
    day_run(case, entity, 2, [], "rerun")
    assert stored(case, entity) == [(1, day(1), 10)]
    assert staging(case) == []


def test_the_first_slices_make_the_table(case: Case) -> None:
    entity = case.entity(partition_columns=("day",))
    day_run(case, entity, 2, [(2, day(2), 20)])
    day_run(case, entity, 1, [(1, day(1), 10)])
    assert stored(case, entity) == [(1, day(1), 10), (2, day(2), 20)]


def test_without_an_interval_everything_is_replaced(case: Case) -> None:
    entity = case.entity(partition_columns=("day",))
    day_run(case, entity, 2, [(2, day(2), 20)])
    publish(case, entity, flights(case, [(9, day(9), 9)]), write_of(7, "overwrite_interval"))
    assert stored(case, entity) == [(9, day(9), 9)]


def test_slices_may_be_hours_of_a_timestamp(case: Case) -> None:
    entity = case.entity()
    start = datetime(2013, 1, 1, 5, tzinfo=timezone.utc)
    rows = "SELECT * FROM VALUES (1, TIMESTAMP'2013-01-01T05:00:00Z'), (2, {}) AS t(id, at)"
    every = case.spark.sql(rows.format("TIMESTAMP'2013-01-01T06:00:00Z'"))
    publish(case, entity, every, write_of(0, "overwrite"))
    part = IntervalSlice("at", start, start + timedelta(hours=1))
    new = case.spark.sql("SELECT 7 AS id, TIMESTAMP'2013-01-01T05:59:59.999999Z' AS at")
    publish(case, entity, new, write_of(1, "overwrite_interval", slice=part))
    assert case.numbers(entity) == [2, 7]


def test_rows_outside_of_the_slice_are_refused(case: Case) -> None:
    entity = case.entity(partition_columns=("day",))
    day_run(case, entity, 2, [(2, day(2), 20)])
    with pytest.raises(PipeRunError) as raised:
        day_run(case, entity, 2, [(1, day(2), 0), (2, day(3), 0), (3, None, 0)], "b")
    assert str(raised.value) == (
        "entity 'contract_orders': the result has rows outside the run's slice (day in "
        "[2013-01-02T00:00:00+00:00, 2013-01-03T00:00:00+00:00)): day = 2013-01-03, null\n"
        "  Fix: remove such rows, or read the slice only (interval.read: slice)."
    )
    assert stored(case, entity) == [(2, day(2), 20)]


def test_an_append_counts_once_however_often_it_is_tried(case: Case) -> None:
    entity = case.entity()
    for run in (1, 2):
        for attempt in ("a", "retry", "rerun"):
            rows = flights(case, [(run, day(run), run)])
            publish(case, entity, rows, write_of(run, "append", attempt))
    assert stored(case, entity) == [(1, day(1), 1), (2, day(2), 2)]
    assert staging(case) == []


def test_an_append_that_adds_nothing_says_so(case: Case) -> None:
    entity = case.entity()
    first = flights(case, [(1, day(1), 1)])
    assert publish(case, entity, first, write_of(1, "append")) is None
    other = flights(case, [(1, day(1), 1), (2, day(1), 2)])
    assert publish(case, entity, other, write_of(1, "append", "again")) == Published(
        0,
        "entity 'contract_orders': this run has already appended its rows, which are kept; the 2 "
        "rows of this attempt were not added",
    )
    assert publish(case, entity, other, write_of(2, "append")) is None
    assert [row[0] for row in stored(case, entity)] == [1, 1, 2]


def test_rows_are_merged_by_their_keys(case: Case) -> None:
    entity = case.entity(merge_columns=("id", "day"))
    publish(case, entity, flights(case, [(1, day(1), 1), (2, day(1), 2)]), write_of(1, "merge"))
    for attempt in ("a", "retry"):
        rows = [(2, day(1), 20), (2, day(2), 3)]
        publish(case, entity, flights(case, rows), write_of(2, "merge", attempt))
        assert stored(case, entity) == [(1, day(1), 1), (2, day(1), 20), (2, day(2), 3)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [(None, day(1), 1), (3, day(1), 1)],
            (
                "rows are merged by id, and the result has nulls there: (null)\n"
                "  Fix: remove or fill such rows."
            ),
        ),
        (
            [(3, day(1), 1), (3, day(2), 1), (4, day(2), 1)],
            (
                "rows are merged by id, and the result has more than one row for the same key: "
                "(3)\n  Fix: keep one row per key, or add columns to merge_columns."
            ),
        ),
    ],
)
def test_keys_that_are_null_or_come_twice_are_refused(case: Case, rows: Rows, told: str) -> None:
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "merge"))
    with pytest.raises(PipeRunError) as raised:
        publish(case, entity, flights(case, rows), write_of(2, "merge"))
    assert str(raised.value) == f"entity 'contract_orders': {told}"
    assert stored(case, entity) == [(1, day(1), 1)]


MODES: list[tuple[str, dict[str, Any]]] = [
    ("append", {}),
    ("merge", {}),
    ("overwrite_interval", {"slice": slice_of_day(2)}),
]


@pytest.mark.parametrize(("mode", "more"), MODES, ids=[mode for mode, _ in MODES])
def test_other_columns_are_refused_with_the_difference(
    case: Case, mode: str, more: dict[str, Any]
) -> None:
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "overwrite"))
    other = case.spark.sql("SELECT 2L AS id, DATE'2013-01-02' AS day, '2' AS n, 5 AS new")
    with pytest.raises(PipeRunError) as raised:
        publish(case, entity, other, write_of(2, mode, **more))
    assert str(raised.value) == (
        "entity 'contract_orders': the result does not have the columns of the table, whose other "
        "rows are kept\n"
        "  - column 'n' is string, declared as int\n"
        "  - column 'new' (int) is not declared\n"
        "  Fix: keep the columns, have new ones added (provider.new_columns: add), or have the "
        "whole table rewritten (write_mode: overwrite)."
    )
    assert stored(case, entity) == [(1, day(1), 1)]


@pytest.mark.parametrize(("mode", "more"), MODES, ids=[mode for mode, _ in MODES])
def test_new_columns_are_added_where_that_is_allowed(
    tagged: Callable[..., Case], mode: str, more: dict[str, Any]
) -> None:
    case = tagged(**{"provider.new_columns": "add"})
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "overwrite"))
    other = case.spark.sql("SELECT 5 AS new, 2L AS id, DATE'2013-01-02' AS day, 2 AS n")
    publish(case, entity, other, write_of(2, mode, **more))
    found = case.provider(entity).read(entity).select("id", "n", "new")
    assert sorted(map(tuple, found.collect())) == [(1, 1, None), (2, 2, 5)]


def test_what_a_dead_attempt_has_staged_is_removed_and_of_others_kept(case: Case) -> None:
    entity = case.entity()
    rows = flights(case, [(1, day(1), 1)])
    provider = case.provider(entity)
    provider.stage(entity, rows, write_of(1, "append", "dead"))
    provider.stage(entity, rows, write_of(2, "append", "other"))
    publish(case, entity, rows, write_of(1, "append", "next"))
    assert staging(case) == ["0000000000000002-other2"]


def side_by_side(*calls: Callable[[], None]) -> list[BaseException]:
    failed: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


@pytest.fixture
def without_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let publishes meet, as they do where the file system is not this machine's own."""
    monkeypatch.setattr("kindling_airflow.runner.providers.storage.Storage.local_path", _nowhere)


def _nowhere(_self: Any, _path: str) -> None:
    return None


@pytest.mark.usefixtures("without_lock")
@pytest.mark.parametrize("exists", [True, False], ids=["a table", "no table yet"])
def test_runs_of_different_slices_publish_side_by_side(case: Case, exists: bool) -> None:
    entity = case.entity(partition_columns=("day",))
    days = range(1, 4)
    if exists:
        every = [(n, day(n), 0) for n in days]
        publish(case, entity, flights(case, every), write_of(0, "overwrite"))
    failed = side_by_side(
        *(lambda n=n: day_run(case, entity, n, [(n, day(n), n)]) for n in days)  # type: ignore[misc]
    )
    assert failed == []
    assert stored(case, entity) == [(n, day(n), n) for n in days]


@pytest.mark.usefixtures("without_lock")
def test_the_same_slice_written_twice_at_once_is_one_of_the_two(case: Case) -> None:
    """By two runs; of two tries of one run only the newer stages and publishes: its fence."""
    entity = case.entity(partition_columns=("day",))
    day_run(case, entity, 1, [(0, day(1), 0)])
    one, two = [(1, day(1), 1), (2, day(1), 1)], [(3, day(1), 2)]
    failed = side_by_side(
        lambda: day_run(case, entity, 1, one, run=11), lambda: day_run(case, entity, 1, two, run=12)
    )
    assert failed == []
    assert stored(case, entity) in (one, two)


@pytest.mark.usefixtures("without_lock")
def test_merges_and_appends_side_by_side_lose_nothing(case: Case) -> None:
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, [(0, day(1), 0), (9, day(1), 9)]), write_of(9, "merge"))
    failed = side_by_side(
        lambda: publish(case, entity, flights(case, [(0, day(1), 1)]), write_of(1, "merge")),
        lambda: publish(case, entity, flights(case, [(5, day(1), 5)]), write_of(2, "append")),
        lambda: publish(case, entity, flights(case, [(9, day(1), 8)]), write_of(3, "merge")),
    )
    assert failed == []
    assert stored(case, entity) == [(0, day(1), 1), (5, day(1), 5), (9, day(1), 8)]


def test_publishes_on_one_disk_wait_for_each_other(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a rename replaces files, two commits at once would lose one of them."""
    if "provider.catalog" in case.tags:
        pytest.skip("a catalog lets in one of two commits, so nothing waits")
    entity = case.entity(partition_columns=("day",))
    kind: Any = type(case.provider(entity))
    inside, most = [0], [0]
    write_once = kind._write

    def counted(self: Any, *arguments: Any) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        write_once(self, *arguments)
        inside[0] -= 1

    monkeypatch.setattr(kind, "_write", counted)
    days = range(1, 4)
    failed = side_by_side(
        *(lambda n=n: day_run(case, entity, n, [(n, day(n), n)]) for n in days)  # type: ignore[misc]
    )
    assert (failed, most) == ([], [1])
    assert stored(case, entity) == [(n, day(n), n) for n in days]


def test_others_that_are_in_the_way_each_time_are_an_error_that_heals(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    entity = case.entity()
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "overwrite"))
    provider: Any = case.provider(entity)
    staged = provider.stage(entity, flights(case, [(1, day(1), 1)]), write_of(2, "append"))
    pauses: list[float] = []
    monkeypatch.setattr(staging_area, "time", SimpleNamespace(sleep=pauses.append))

    def meet(*_: Any) -> None:
        raise ValueError("another run was here")

    monkeypatch.setattr(type(provider), "_write", meet)
    monkeypatch.setattr(type(provider), "_is_conflict", staticmethod(lambda _error: True))
    with pytest.raises(EntityError) as raised:
        provider.publish(entity, staged, write_of(2, "append"))
    assert str(raised.value) == (
        "entity 'contract_orders': other runs published it concurrently, 15 times in a row; this "
        "result was not published: ValueError: another run was here\n"
        "  Fix: let fewer runs write it concurrently, or partition it by its interval column, so "
        "that they do not touch the same files."
    )
    assert len(pauses) == 14
    assert max(pauses) <= 5
    assert not is_permanent(raised.value)


def test_without_the_jars_the_error_says_how_to_have_them(case: Case, kind: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        check_jars(case.spark, kind, "org.example.NoSuchClass")
    assert str(raised.value) == (
        f"provider_type {kind!r}: its jars are not on the driver's class path\n"
        f"  Fix: fetch them with 'airflow kindling jars {kind}', which prints the setting "
        "spark.jars for the definition."
    )
