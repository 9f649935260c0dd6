"""Missing pools appear, existing ones stay; proved with the scheduler's own code on SQLite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.plugins_manager import get_plugin_info

from kindling_airflow.dag_factory.factory import kindling_dag
from kindling_airflow.plugin import KindlingPlugin, asset_listener, pool_listener, preload
from kindling_airflow.plugin.pool_listener import needed_pools, provide_pools
from kindling_airflow.pools.needs import PoolNeed
from tests.dag_factory.projects import document, write_definition, write_project

MADE = "Created by airflow-provider-kindling; tune its slots freely."

NO_KINDLING = """\
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("no_kindling", schedule=None):
    EmptyOperator(task_id="a", pool="not_ours")
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program saw; it takes a while, so it runs once for all tests."""
    folder = tmp_path_factory.mktemp("scheduler")
    dags = folder / "dags"
    write_project(dags / "shop", "a -> b")
    for dag_id, more in {
        "shop": "width: 3\n",
        "tuned": "pool: tuned_pool\nwidth: 2\n",
        "in_default_pool": "pool: default_pool\n",
        "late": "pool: late_pool\n",
        "overridden": ("width: 3\npools: {jdbc: 2}\noverrides: {b: {pool: jdbc, pool_slots: 2}}\n"),
        "forbidden": "pool: forbidden_pool\nwidth: 2\n",
        "heavy": "pool: small_pool\nwidth: 4\npool_slots: 3\n",
    }.items():
        write_definition(dags / f"{dag_id}.kindling.yaml", f"dag_id: {dag_id}\n{more}")
    (dags / "kindling_dags.py").write_text(
        "from kindling_airflow import load_dags  # airflow, dag\n"
        "globals().update(load_dags(__file__))\n"
    )
    (dags / "no_kindling.py").write_text(NO_KINDLING)
    done = subprocess.run(
        [sys.executable, "-m", "tests.plugin.real_scheduler", str(dags)],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_a_missing_pool_is_created_with_the_dags_width(seen: dict[str, Any]) -> None:
    assert "kindling_shop" not in seen["before"]
    assert seen["after"]["kindling_shop"] == [3, MADE, True]


def test_then_the_scheduler_queues_the_tasks(seen: dict[str, Any]) -> None:
    assert seen["shop"] == {"a": "queued", "b": None}


def test_an_existing_pool_is_never_changed(seen: dict[str, Any]) -> None:
    assert seen["before"]["tuned_pool"] == seen["end"]["tuned_pool"] == [7, "ours", True]
    assert seen["before"]["default_pool"] == seen["end"]["default_pool"]
    assert seen["again"] == ["more"]
    assert seen["end"]["kindling_shop"] == [3, MADE, True]


def test_pools_of_other_peoples_tasks_are_none_of_ours(seen: dict[str, Any]) -> None:
    assert set(seen["end"]) == {
        "default_pool",
        "tuned_pool",
        "kindling_shop",
        "late_pool",
        "more",
        "raced",
        "raced_too",
        "small_pool",
    }


def test_the_schedulers_own_form_of_a_dag_says_which_pools_it_needs(seen: dict[str, Any]) -> None:
    assert seen["needed"] == {
        "shop": {"kindling_shop": [3, 1]},
        "tuned": {"tuned_pool": [2, 1]},
        "in_default_pool": {"default_pool": [1, 1]},
        "no_kindling": {},
        "overridden": {"jdbc": [2, 2], "kindling_overridden": [3, 1]},
    }


def test_tasks_that_are_ready_before_their_pool_only_wait(seen: dict[str, Any]) -> None:
    assert seen["late"] == {
        "without": {"pool": False, "states": {"a": "scheduled", "b": None}},
        "with": {"pool": True, "states": {"a": "queued", "b": None}},
    }


def test_two_schedulers_at_once_make_each_pool_once(seen: dict[str, Any]) -> None:
    assert seen["race"] == {"met": True}
    assert (seen["end"]["raced"][0], seen["end"]["raced_too"][0]) == (5, 6)


MISSING = (
    "When this run started: Pool 'forbidden_pool' does not exist, so its tasks stay scheduled. "
    "Fix: run 'airflow kindling pools --apply', or create it with 2 slots under Admin > Pools."
)
TOO_SMALL = (
    "When this run started: Pool 'small_pool' has 2 slots, but a task takes 3, so it stays "
    "scheduled. Fix: give the pool more slots, or the task fewer."
)


def test_where_nothing_may_be_created_the_runs_note_says_what_is_missing(
    seen: dict[str, Any],
) -> None:
    forbidden = seen["forbidden"]
    assert "forbidden_pool" not in forbidden["pools"]
    assert forbidden["states"] == {"a": "scheduled", "b": None}
    assert forbidden["notes"]["forbidden"] == [MISSING, MISSING]  # said once


def test_a_pool_too_small_for_a_task_stands_below_what_the_note_has_already(
    seen: dict[str, Any],
) -> None:
    assert seen["forbidden"]["notes"]["heavy"] == [f"Started by hand.\n\n{TOO_SMALL}"]
    assert seen["forbidden"]["pools"]["small_pool"] == [2, "", False]


class TestCommand:
    """``pools`` on the same database, after all that has happened to it."""

    def test_it_says_what_is_missing_or_too_small(self, seen: dict[str, Any]) -> None:
        status, document = seen["command"][0]
        assert status == 1
        assert {pool["pool"]: pool["state"] for pool in document["pools"]} == {
            "default_pool": "ok",
            "forbidden_pool": "missing",
            "jdbc": "missing",
            "kindling_overridden": "missing",
            "kindling_shop": "ok",
            "late_pool": "ok",
            "small_pool": "too small",
            "tuned_pool": "ok",
        }
        assert (document["created"], document["problems"]) == ([], [])
        jdbc = next(pool for pool in document["pools"] if pool["pool"] == "jdbc")
        assert jdbc == {
            "pool": "jdbc",
            "state": "missing",
            "slots": None,
            "wanted": 2,
            "least": 2,
            "dags": ["overridden"],
        }

    def test_it_creates_what_is_missing_and_leaves_what_exists(self, seen: dict[str, Any]) -> None:
        (_, before), (first, applied), (second, again) = seen["command"][:3]
        assert applied["created"] == ["forbidden_pool", "jdbc", "kindling_overridden"]
        assert (first, second, again["created"]) == (1, 1, [])  # one is too small still
        slots = [{p["pool"]: p["slots"] for p in said["pools"]} for said in (before, applied)]
        kept = {name: n for name, n in slots[0].items() if n is not None}
        assert slots[1] == {
            **kept,
            "forbidden_pool": 2,
            "jdbc": 2,
            "kindling_overridden": 3,
        }

    def test_people_get_a_table_and_what_to_do(self, seen: dict[str, Any]) -> None:
        lines = [line.split() for line in seen["command"][3].splitlines()]
        assert lines[0] == ["pool", "needed", "by", "wanted", "slots", "state"]
        assert ["jdbc", "overridden", "2", "2", "ok"] in lines
        assert "Pool 'small_pool' has 2 slots, but a task takes 3" in seen["command"][3]

    def test_stored_dags_and_folders_are_where_it_looks(self, seen: dict[str, Any]) -> None:
        assert seen["stored"] == [
            *("forbidden", "heavy", "in_default_pool", "late", "overridden", "shop", "tuned")
        ]
        assert [Path(folder).name for folder in seen["folders"]] == ["dags"]


# What needs no database.


def test_a_dag_as_it_was_parsed_says_the_same(tmp_path: Path) -> None:
    write_project(tmp_path / "shop")
    small = kindling_dag(tmp_path, **document(pool="small", width=9))
    assert needed_pools(small) == (PoolNeed("small", "shop", 9, 1),)


@pytest.mark.parametrize("dag", [None, SimpleNamespace()])
def test_a_run_without_a_dag_needs_nothing(dag: object) -> None:
    before = threading.active_count()
    pool_listener.on_dag_run_running(dag_run=SimpleNamespace(dag=dag), msg="")  # type: ignore[arg-type]
    assert threading.active_count() == before
    assert needed_pools(dag) == ()


class Flaky:
    """A database that is away for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self, *_: Any) -> Any:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("database is locked")
        return {"p": 1}


NEED = PoolNeed("p", "dag", 1, 1)


def test_a_database_that_is_away_for_a_while_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create, pauses = Flaky(failures=4), []
    monkeypatch.setattr(pool_listener.database, "create_missing", create)
    monkeypatch.setattr(pool_listener.database, "existing_pools", Flaky(failures=0))
    monkeypatch.setattr(pool_listener.time, "sleep", pauses.append)
    provide_pools([NEED])
    assert (create.calls, pauses) == (5, [1, 2, 3, 4])


def test_a_database_that_stays_away_ends_the_thread_with_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool_listener.database, "create_missing", Flaky(failures=99))
    monkeypatch.setattr(pool_listener.database, "existing_pools", Flaky(failures=99))
    monkeypatch.setattr(pool_listener.time, "sleep", lambda _: None)
    provide_pools([NEED], 1)
    failed = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in failed] == [
        "Pools ['p'] could not be created or read",
        "The list of pools could not be created or read",
    ]
    assert all(record.exc_info for record in failed)


def test_airflow_loads_the_plugin_by_its_entry_point() -> None:
    (info,) = [i for i in get_plugin_info() if i["name"] == "kindling"]
    assert KindlingPlugin.listeners == [asset_listener, pool_listener, preload]
    assert "kindling_airflow.plugin.pool_listener" in str(info["listeners"])
