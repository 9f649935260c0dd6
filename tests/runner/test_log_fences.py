"""A log's entry stands on which attempts have published: none follows a later one of its task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.publishing.fence import Fences
from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR, Commit, PublishLog
from kindling_airflow.runner.providers.publishing.table_log import TableLog, TableState
from tests.runner.dying_files import DyingFiles
from tests.runner.test_table_log import TABLE, Store, files_of, log, overwrite, stage, whole

OLDER, NEWER = 0x019306A07B2C700, 0x019306A07B2C701


def test_a_later_attempt_follows_an_earlier_one_and_not_the_other_way() -> None:
    fences = Fences().passed("entity 'orders'", "i", OLDER)
    fences = fences.passed("entity 'orders'", "i", OLDER)  # its answer was lost
    fences = fences.passed("entity 'orders'", "i", NEWER)
    assert fences.orders == (("i", NEWER),)
    with pytest.raises(EntityError) as refused:
        fences.passed("entity 'orders'", "i", OLDER)
    assert str(refused.value) == (
        "entity 'orders': a later attempt of this task has published it; the result of this "
        "attempt was dropped\n  Fix: none needed: the later attempt's result stands."
    )
    assert fences.passed("entity 'orders'", "other", OLDER).orders[-1] == ("other", OLDER)
    assert fences.passed("entity 'orders'", "i", 0) == fences


def test_the_fences_of_a_thousand_task_instances_are_kept() -> None:
    fences = Fences()
    for number in range(1002):
        fences = fences.passed("", f"i{number}", NEWER)
    assert len(fences.orders) == 1000
    assert fences.orders[0] == ("i2", NEWER)
    assert Fences.from_json(fences.to_json()) == fences


def attempt(table: TableLog, name: str, order: int) -> TableState:
    def plan(before: TableState) -> TableState:
        fences = before.fences.passed(f"table {TABLE!r}", "i", order)
        return replace(whole(before, (f"{name}/part-0",), name), fences=fences)

    return table.commit(plan)


def test_an_attempt_that_stalls_right_before_its_entry_finds_the_later_one_in_it() -> None:
    store = Store()
    overwrite(store, "before", "part-0")
    for name in ("older", "newer"):
        stage(store, name, "part-0")
    store.calm()

    def meanwhile() -> None:
        store.overtaken_at = -1
        attempt(log(store), "newer", NEWER)

    store.overtaken_at, store.other = 0, meanwhile
    with pytest.raises(EntityError, match="a later attempt of this task has published"):
        attempt(log(store), "older", OLDER)
    assert files_of(store) == ["newer/part-0"]


def test_entries_without_fences_are_read() -> None:
    state = TableState(1, "a", '{"schema": {}}', ("i-a/part-0",), fences=Fences((("i", 7),)))
    text = state.dumps().replace('"fences":[["i",7]],', "")
    assert TableState.loads(text) == replace(state, fences=Fences())
    commit = Commit("a", "/staged", fences=Fences((("i", 7),)))
    assert Commit.loads(commit.dumps()) == commit
    text = commit.dumps().replace('"fences": [["i", 7]], ', "")
    assert Commit.loads(text) == replace(commit, fences=Fences())


def test_renames_too_let_no_attempt_follow_a_later_one() -> None:
    files = DyingFiles()
    table = PublishLog(files, "/w/days", pause=lambda: None, patience=1)

    def publish(name: str, order: int, instance: str = "i") -> None:
        staged = f"/w/_kindling/staging/days/{instance}-{name}"
        files.write_text(f"{staged}/part-{name}", name)
        commit = Commit(name, staged, ((f"part-{name}", f"part-{name}"),))
        table.commit(lambda: commit, instance=instance, order=order)

    publish("newer", NEWER)
    publish("other", OLDER, "another")
    with pytest.raises(EntityError, match=r"^table '/w/days': a later attempt of this task"):
        publish("older", OLDER)
    assert files.files("/w/days") == ["part-newer", "part-other"]
    assert SIDECAR not in files.files("/w/days")
