"""A log of immutable files: a publish has happened or it has not, wherever a driver dies."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.publishing.table_log import (
    DAY_MILLISECONDS,
    TableLog,
    TableState,
    values_of,
)

TABLE = "lake/orders"
SCHEMA = '{"schema": {"fields": []}, "version": 1}'
HOUR = 3600 * 1000


class Killed(BaseException):
    """The driver is gone, as by kill -9."""


class Store:
    """Objects in memory, with a clock; a driver dies, or is overtaken, at a step of its own."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.changed: dict[str, int] = {}
        self.now = 10 * DAY_MILLISECONDS
        self.requests = self.steps = 0
        self.dies_at = self.overtaken_at = -1
        self.other: Callable[[], None] = lambda: None

    def calm(self) -> None:
        self.steps, self.dies_at, self.overtaken_at = 0, -1, -1

    def names(self, folder: str) -> list[str]:
        self.requests += 1
        inside = (p[len(folder) + 1 :] for p in self.objects if p.startswith(f"{folder}/"))
        return sorted({name.partition("/")[0] for name in inside})

    def times(self, folder: str) -> dict[str, int]:
        self.requests += 1
        size = len(folder) + 1
        return {p[size:]: self.changed[p] for p in self.objects if p.startswith(f"{folder}/")}

    def delete(self, path: str) -> None:
        for found in [p for p in self.objects if p == path or p.startswith(f"{path}/")]:
            self._step()
            self.objects.pop(found, None)

    def read_text(self, path: str) -> str:
        self.requests += 1
        return self.objects[path]

    def write_text(self, path: str, text: str) -> None:
        self._step()
        self._put(path, text)

    def create_if_absent(self, path: str, text: str) -> bool:
        self._step()
        if path in self.objects:
            return False
        self._put(path, text)
        return True

    def _put(self, path: str, text: str) -> None:
        self.objects[path], self.changed[path] = text, self.now

    def _step(self) -> None:
        self.requests += 1
        step, self.steps = self.steps, self.steps + 1
        if step == self.overtaken_at:
            self.other()
        if step == self.dies_at:
            raise Killed


def log(store: Store, grace: int = DAY_MILLISECONDS) -> TableLog:
    return TableLog(store, TABLE, grace)


def stage(store: Store, publish: str, *names: str) -> None:
    for name in names:
        store.write_text(f"{TABLE}/_data/{publish}/{name}", "rows")


def overwrite(store: Store, publish: str, *names: str, grace: int = DAY_MILLISECONDS) -> TableState:
    """Publish a whole table."""
    stage(store, publish, *names)
    table = log(store, grace)
    files = table.staged(publish)
    return table.commit(lambda before: whole(before, files, publish))


def whole(before: TableState, files: tuple[str, ...], attempt: str) -> TableState:
    after = before.replaced(files, lambda _name: True)
    return TableState(after.number, attempt, SCHEMA, after.files, {}, after.removed)


def append(
    store: Store,
    instance: str,
    attempt: str,
    *names: str,
    taken: dict[str, list[str]] | None = None,
) -> TableState:
    """Publish what a run adds."""
    publish = f"{instance}-{attempt}"
    stage(store, publish, *names)
    table = log(store)
    files = table.staged(publish)

    def plan(before: TableState) -> TableState:
        schema = before.schema or SCHEMA
        after = before.appended(files, instance, attempt, taken or {}, is_empty=not files)
        return TableState(after.number, attempt, schema, after.files, after.groups, after.removed)

    return table.commit(plan)


def files_of(store: Store) -> list[str]:
    state = log(store).state()
    assert state is not None
    assert all(f"{TABLE}/_data/{name}" in store.objects for name in state.files)
    return list(state.files)


def test_a_table_without_an_entry_is_not_there() -> None:
    store = Store()
    stage(store, "i-a", "part-0")
    assert log(store).state() is None


def test_an_entry_is_the_table() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0", "part-1", "_SUCCESS", ".part-0.crc")
    assert files_of(store) == ["i-a/part-0", "i-a/part-1"]
    overwrite(store, "i-b", "part-0")
    assert files_of(store) == ["i-b/part-0"]


def test_an_entry_names_files_as_other_tools_find_them() -> None:
    store = Store()
    overwrite(store, "i-a", "day=1/part-0")
    entry = json.loads(store.objects[f"{TABLE}/_log/0000000001.json"])
    assert entry["files"] == ["_data/i-a/day=1/part-0"]
    assert entry["number"] == 1


def test_a_slice_is_replaced_by_the_values_of_folders() -> None:
    store = Store()
    overwrite(store, "i-a", "day=1/part-0", "day=2/part-0")
    stage(store, "i-b", "day=2/part-0")
    table = log(store)
    files = table.staged("i-b")
    table.commit(lambda before: before.replaced(files, lambda name: values_of(name)["day"] == "2"))
    assert files_of(store) == ["i-a/day=1/part-0", "i-b/day=2/part-0"]


def test_a_run_adds_its_rows_once() -> None:
    store = Store()
    append(store, "run1", "a", "part-0")
    append(store, "run2", "a", "part-0")
    append(store, "run1", "b", "part-0", "part-1")
    assert files_of(store) == ["run1-b/part-0", "run1-b/part-1", "run2-a/part-0"]


def test_two_runs_do_not_take_in_the_same() -> None:
    store = Store()
    append(store, "run1", "a", "part-0", taken={"in": ["g1"]})
    with pytest.raises(EntityError, match="another run has already consumed"):
        append(store, "run2", "a", "part-0", taken={"in": ["g1", "g2"]})
    append(store, "run1", "b", "part-0", taken={"in": ["g1"]})
    append(store, "run2", "b", "part-0", taken={"in": ["g2"]})
    assert len(files_of(store)) == 2


def test_what_a_table_has_gained_is_what_no_other_run_has_taken() -> None:
    source = TableState(files=("x/lone",)).appended(["g1/p"], "g1", "a", {}, is_empty=False)
    source = source.appended([], "g2", "a", {}, is_empty=True)
    assert set(source.gained("in", TableState(), "run")) == {"g1", "x/lone"}
    output = TableState().appended(["o/p"], "run1", "a", {"in": ["g1"]}, is_empty=False)
    assert set(source.gained("in", output, "run2")) == {"x/lone"}
    assert set(source.gained("in", output, "run1")) == {"g1", "x/lone"}


def test_an_entry_comes_back_as_it_was() -> None:
    state = TableState(3, "a", SCHEMA, ("i-a/p",), {}, (("i-b/p", 2),))
    state = state.appended(["i-c/p"], "run", "c", {"in": ["g"]}, is_empty=False)
    assert TableState.loads(state.dumps()) == state


def test_what_cannot_be_read_is_an_error_and_not_an_older_table() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0")
    for text in ("", "{", '{"version": 2}', "[]"):
        store.objects[f"{TABLE}/_log/0000000002.json"] = text
        with pytest.raises(EntityError, match="cannot read entry 'lake/orders/_log/0000000002"):
            log(store).state()


def test_a_driver_that_dies_at_any_step_leaves_the_old_table_or_the_new_one() -> None:
    seen = set()
    for step in range(100):
        store = Store()
        for publish in ("i-y", "i-z", "i-a"):  # what the first left can be deleted
            overwrite(store, publish, "part-0", "part-1")
            store.now += 2 * DAY_MILLISECONDS
        stage(store, "i-b", "part-0", "part-1")
        store.calm()
        store.dies_at = step
        try:
            overwrite(store, "i-b", "part-0", "part-1")
            break
        except Killed:
            store.calm()
        seen.add(tuple(files_of(store)))
        overwrite(store, "i-c", "part-0")  # the retry
        assert files_of(store) == ["i-c/part-0"]
        store.now += 2 * DAY_MILLISECONDS
        for n in range(2):
            overwrite(store, f"i-d{n}", "part-0")
            store.now += 2 * DAY_MILLISECONDS
        kept = {path for path in store.objects if "/_data/" in path and "part-" in path}
        assert kept == {f"{TABLE}/_data/i-d{n}/part-0" for n in range(2)}
    assert seen == {tuple(f"i-{x}/part-{n}" for n in range(2)) for x in "ab"}


def test_of_two_drivers_at_any_step_both_results_are_kept() -> None:
    overtaken = 0
    for step in range(100):
        store = Store()
        append(store, "run0", "a", "part-0")
        store.calm()
        store.overtaken_at = step
        done: list[int] = []

        def other(store: Store = store, done: list[int] = done) -> None:
            done.append(1)
            store.overtaken_at = -1
            append(store, "run2", "a", "part-0")

        store.other = other
        append(store, "run1", "a", "part-0")
        if not done:
            break
        overtaken += 1
        assert files_of(store) == ["run0-a/part-0", "run1-a/part-0", "run2-a/part-0"]
    assert overtaken > 2


def test_files_stay_for_readers_that_have_begun() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0")
    begun = files_of(store)
    store.now += DAY_MILLISECONDS - 1
    overwrite(store, "i-b", "part-0")
    store.now += DAY_MILLISECONDS - 1
    overwrite(store, "i-c", "part-0")
    assert all(f"{TABLE}/_data/{name}" in store.objects for name in begun)
    store.now += 2
    overwrite(store, "i-d", "part-0")
    assert not any(f"{TABLE}/_data/{name}" in store.objects for name in begun)
    assert f"{TABLE}/_data/i-b/part-0" in store.objects


def test_a_file_that_is_deleted_is_forgotten() -> None:
    store = Store()
    for n in range(20):
        state = overwrite(store, f"i-{n}", "part-0")
        store.now += DAY_MILLISECONDS
    assert len(state.removed) <= 4
    assert len(store.names(f"{TABLE}/_log")) <= 5


def test_orphans_are_deleted_after_a_day() -> None:
    store = Store()
    stage(store, "i-dead", "part-0", "_SUCCESS")
    overwrite(store, "i-a", "part-0")
    assert f"{TABLE}/_data/i-dead/part-0" in store.objects
    store.now += DAY_MILLISECONDS + 1
    overwrite(store, "i-b", "part-0")
    assert store.names(f"{TABLE}/_data") == ["i-a", "i-b"]


def test_a_result_that_may_be_deleted_is_not_published() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0")
    stage(store, "i-frozen", "part-0")
    store.now += DAY_MILLISECONDS // 2 + 1
    with pytest.raises(EntityError, match="written more than twelve hours ago"):
        log(store).staged("i-frozen")
    assert log(store).staged("i-empty") == ()


def overtaken_for_days(begun: int) -> Store:
    """Return a store in which the next driver to create an entry has stalled right before."""
    store = Store()
    for n in range(begun):
        overwrite(store, f"i-{n}", "part-0")
    stage(store, "frozen", "part-0")
    store.calm()

    def meanwhile() -> None:
        store.overtaken_at = -1
        for n in range(8):
            overwrite(store, f"o-{n}", "part-0")
            store.now += 2 * DAY_MILLISECONDS

    store.overtaken_at, store.other = 0, meanwhile
    return store


def frozen(store: Store) -> TableState:
    return log(store).commit(lambda before: whole(before, ("frozen/part-0",), "frozen"))


@pytest.mark.parametrize("begun", [0, 1, 2, 3])
def test_a_driver_that_wakes_up_after_days_does_not_believe_that_it_has_published(
    begun: int,
) -> None:
    store = overtaken_for_days(begun)
    with pytest.raises(EntityError, match="this driver has stalled"):
        frozen(store)
    assert files_of(store) == ["o-7/part-0"]


def test_a_driver_whose_entry_was_followed_at_once_has_published() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0")

    class Followed(Store):
        def create_if_absent(self, path: str, text: str) -> bool:
            created = super().create_if_absent(path, text)
            append(store, "run2", "a", "part-0")
            return created

    followed = Followed()
    followed.__dict__ = store.__dict__
    log(followed).commit(lambda before: whole(before, ("i-b/part-0",), "b"))
    assert log(store).state().files == ("i-b/part-0", "run2-a/part-0")  # type: ignore[union-attr]


def test_a_long_log_is_read_by_two_requests() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0")
    last = log(store).state()
    assert last is not None
    for number in range(2, 10_001):
        state = TableState(number, "x", SCHEMA, last.files)
        store._put(f"{TABLE}/_log/{number:010d}.json", state.dumps())
    store.requests = 0
    found = log(store).state()
    assert found is not None
    assert found.number == 10_000
    assert store.requests == 2


def test_old_entries_are_deleted() -> None:
    store = Store()
    for n in range(200):
        overwrite(store, f"i-{n}", "part-0")
    assert len(store.names(f"{TABLE}/_log")) == 200
    store.now += 2 * DAY_MILLISECONDS
    overwrite(store, "i-b", "part-0")
    store.now += 2 * DAY_MILLISECONDS
    overwrite(store, "i-c", "part-0")
    assert len(store.names(f"{TABLE}/_log")) < 5


def test_an_entry_that_is_deleted_before_it_is_read_is_not_the_table() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0")

    class Slow(Store):
        def read_text(self, path: str) -> str:
            if path.endswith("0000000001.json") and not self.names(f"{TABLE}/_log")[1:]:
                overwrite(store, "i-b", "part-0")
                raise OSError("no such file")
            return super().read_text(path)

    slow = Slow()
    slow.__dict__ = store.__dict__
    found = log(slow).state()
    assert found is not None
    assert found.files == ("i-b/part-0",)


def test_an_entry_that_the_storage_refuses_is_an_error() -> None:
    store = Store()
    overwrite(store, "i-a", "part-0")

    class Broken(Store):
        def read_text(self, path: str) -> str:
            raise OSError(f"cannot read {path}")

    broken = Broken()
    broken.__dict__ = store.__dict__
    with pytest.raises(OSError, match="cannot read"):
        log(broken).state()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["overwrite", "append", "wait"]),
            st.integers(0, 3),
            st.integers(-1, 12),
        ),
        max_size=25,
    )
)
def test_any_history_is_that_of_the_publishes_that_have_happened(
    history: list[tuple[str, int, int]],
) -> None:
    store, model, seen = Store(), dict[str, list[str]](), 0
    for n, (what, run, dies_at) in enumerate(history):
        if what == "wait":
            store.now += DAY_MILLISECONDS // 2 * (run + 1)
            continue
        store.calm()
        store.dies_at = dies_at
        publish, before = f"{run}-{n}", log(store).state()
        try:
            overwrite(store, publish, "p") if what == "overwrite" else append(
                store, str(run), str(n), "p"
            )
        except Killed:
            store.calm()
        after = log(store).state()
        numbers = (before.number if before else 0, after.number if after else 0)
        if numbers[1] > numbers[0]:
            model = {} if what == "overwrite" else model
            model[str(run) if what == "append" else "whole"] = [f"{publish}/p"]
            seen += 1
        if seen:
            assert files_of(store) == sorted(name for names in model.values() for name in names)
