"""A driver that is held up between its last question and its commit undoes and doubles nothing.

The question is ``Write.check``. That of an older attempt lets a newer attempt publish before it
answers: the older one then goes on to its commit, as a process does that was frozen and wakes up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.failures.retryable import is_permanent
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import Published, Write
from tests.runner.formats.format_tests import (
    Rows,
    day,
    flights,
    publish,
    slice_of_day,
    staging,
    stored,
    without_lock,
    write_of,
)

__all__ = ["without_lock"]  # a fixture

ORDER = 0x019306A07B2C700  # as of Airflow's ids of attempts
BEFORE: Rows = [(0, day(1), 0), (1, day(2), 0)]
OLD: Rows = [(1, day(2), 1), (2, day(2), 1)]
NEW: Rows = [(1, day(2), 2), (3, day(2), 2)]

SLICE = {"slice": slice_of_day(2)}
AFTER = {  # what is there when the newer attempt alone has published
    "append": sorted([*BEFORE, *NEW]),
    "merge": sorted([BEFORE[0], *NEW]),
    "overwrite": NEW,
    "overwrite_interval": sorted([BEFORE[0], *NEW]),
}
WAYS = [
    ("append", {}, ()),
    ("merge", {}, ()),
    ("overwrite", {}, ()),
    ("overwrite_interval", SLICE, ("day",)),
    ("overwrite_interval", SLICE, ()),
]
IDS = ["append", "merge", "overwrite", "slice by files", "slice in mixed files"]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an older attempt keep what it has staged, which the newer one clears away as a rule."""
    where = "kindling_airflow.runner.providers.storage.Storage.delete_attempts"
    monkeypatch.setattr(where, lambda *_arguments: None)


class Held:
    """An older attempt's question; while it is asked the first time, something else happens."""

    def __init__(self, meanwhile: Any, answer: BaseException | None = None) -> None:
        self.meanwhile, self.answer, self.asked = meanwhile, answer, 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked == 1:
            self.meanwhile()
        elif self.answer is not None:
            raise self.answer


def attempts(mode: str, more: dict[str, Any]) -> tuple[Write, Write]:
    older = write_of(1, mode, "older", order=ORDER, **more)
    return older, write_of(1, mode, "newer", order=ORDER + 1, **more)


def ended(case: Case, entity: EntityMetadata, rows: Rows, write: Write) -> Any:
    """Return the error of a publish, or what it returned."""
    try:
        return publish(case, entity, flights(case, rows), write)
    except EntityError as error:
        return error


@pytest.mark.usefixtures("without_lock", "kept")
@pytest.mark.parametrize(("mode", "more", "parts"), WAYS, ids=IDS)
def test_a_newer_attempt_stands_though_an_older_one_had_its_answer(
    case: Case, mode: str, more: dict[str, Any], parts: tuple[str, ...]
) -> None:
    entity = case.entity(merge_columns=("id",), partition_columns=parts)
    publish(case, entity, flights(case, BEFORE), write_of(0, "overwrite"))
    older, newer = attempts(mode, more)
    superseded = EntityError("a newer attempt has started")
    held = Held(lambda: publish(case, entity, flights(case, NEW), newer), superseded)
    end = ended(case, entity, OLD, replace(older, check=held))
    assert stored(case, entity) == AFTER[mode]
    if isinstance(end, Published):  # an append that finds its run's rows in the table
        assert (mode, end.rows) == ("append", 0)
    else:
        assert isinstance(end, EntityError)
        assert not is_permanent(end)


@pytest.mark.usefixtures("without_lock", "kept")
@pytest.mark.parametrize(("mode", "more", "parts"), WAYS, ids=IDS)
def test_a_table_that_has_moved_is_looked_at_again(
    case: Case, mode: str, more: dict[str, Any], parts: tuple[str, ...]
) -> None:
    """By another run: then both results are in the table, as if one by one."""
    entity = case.entity(merge_columns=("id",), partition_columns=parts)
    publish(case, entity, flights(case, BEFORE), write_of(0, "overwrite"))
    other = write_of(7, "append", order=ORDER)
    rows: Rows = [(9, day(2), 9)]
    held = Held(lambda: publish(case, entity, flights(case, rows), other))
    write, _ = attempts(mode, more)
    assert ended(case, entity, OLD, replace(write, check=held)) is None
    mine = {
        "append": [*BEFORE, *rows, *OLD],
        "merge": [BEFORE[0], *rows, *OLD],
        "overwrite": OLD,
        "overwrite_interval": [BEFORE[0], *OLD],
    }
    assert stored(case, entity) in (
        sorted(mine[mode]),
        sorted([*mine[mode], *rows]),  # as if the other run had been the later one
    )


@pytest.mark.usefixtures("without_lock", "kept")
def test_of_two_attempts_that_make_the_table_the_newer_stands(case: Case) -> None:
    entity = case.entity()
    older, newer = attempts("overwrite", {})
    superseded = EntityError("a newer attempt has started")
    held = Held(lambda: publish(case, entity, flights(case, NEW), newer), superseded)
    assert isinstance(ended(case, entity, OLD, replace(older, check=held)), EntityError)
    assert stored(case, entity) == NEW


def test_an_attempt_that_is_not_wanted_leaves_the_table(case: Case) -> None:
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, BEFORE), write_of(0, "overwrite"))
    revoked = EntityError("this attempt was revoked")

    def check() -> None:
        raise revoked

    for mode in ("append", "merge", "overwrite"):
        end = ended(case, entity, OLD, replace(attempts(mode, {})[0], check=check))
        assert end is revoked
        assert stored(case, entity) == BEFORE


def test_a_retry_of_an_attempt_that_has_published_changes_nothing(case: Case) -> None:
    """As after a commit whose answer was lost."""
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, BEFORE), write_of(0, "overwrite"))
    for mode in ("append", "merge", "overwrite"):
        write = replace(attempts(mode, {})[1], instance=f"{ord(mode[0]):016x}")
        publish(case, entity, flights(case, NEW), write)
        expected = stored(case, entity)
        publish(case, entity, flights(case, NEW), write)
        assert stored(case, entity) == expected
    assert staging(case) == []
