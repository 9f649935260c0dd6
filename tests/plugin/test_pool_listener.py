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
from kindling_airflow.plugin import KindlingPlugin, pool_listener
from kindling_airflow.plugin.pool_listener import create_missing_pools, needed_pools
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
    assert seen["after"]["kindling_shop"] == [3, MADE, False]


def test_then_the_scheduler_queues_the_tasks(seen: dict[str, Any]) -> None:
    assert seen["shop"] == {"a": "queued", "b": None}


def test_an_existing_pool_is_never_changed(seen: dict[str, Any]) -> None:
    assert seen["before"]["tuned_pool"] == seen["end"]["tuned_pool"] == [7, "ours", True]
    assert seen["before"]["default_pool"] == seen["end"]["default_pool"]
    assert seen["again"] == ["more"]
    assert seen["end"]["kindling_shop"] == [3, MADE, False]


def test_pools_of_other_peoples_tasks_are_none_of_ours(seen: dict[str, Any]) -> None:
    assert set(seen["end"]) == {
        "default_pool",
        "tuned_pool",
        "kindling_shop",
        "late_pool",
        "more",
        "raced",
        "raced_too",
    }


def test_the_schedulers_own_form_of_a_dag_says_which_pools_it_needs(seen: dict[str, Any]) -> None:
    assert seen["needed"] == {
        "shop": {"kindling_shop": 3},
        "tuned": {"tuned_pool": 2},
        "in_default_pool": {},
        "no_kindling": {},
    }


def test_tasks_that_are_ready_before_their_pool_only_wait(seen: dict[str, Any]) -> None:
    assert seen["late"] == {
        "without": {"pool": False, "states": {"a": "scheduled", "b": None}},
        "with": {"pool": True, "states": {"a": "queued", "b": None}},
    }


def test_two_schedulers_at_once_make_each_pool_once(seen: dict[str, Any]) -> None:
    assert seen["race"] == {"created": [[], ["raced", "raced_too"]], "met": True}
    assert (seen["end"]["raced"][0], seen["end"]["raced_too"][0]) == (5, 6)


# What needs no database.


def test_a_dag_as_it_was_parsed_says_the_same(tmp_path: Path) -> None:
    write_project(tmp_path / "shop")
    assert needed_pools(kindling_dag(tmp_path, **document(pool="small", width=9))) == {"small": 9}
    assert needed_pools(kindling_dag(tmp_path, **document(pool="default_pool"))) == {}


@pytest.mark.parametrize("dag", [None, SimpleNamespace()])
def test_a_run_without_a_dag_needs_nothing(dag: object) -> None:
    before = threading.active_count()
    pool_listener.on_dag_run_running(dag_run=SimpleNamespace(dag=dag), msg="")  # type: ignore[arg-type]
    assert threading.active_count() == before
    assert needed_pools(dag) == {}


class Flaky:
    """A database that is away for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self, needed: dict[str, int]) -> list[str]:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("database is locked")
        return list(needed)


def test_a_database_that_is_away_for_a_while_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flaky, pauses = Flaky(failures=4), []
    monkeypatch.setattr(pool_listener, "_create_missing", flaky)
    monkeypatch.setattr(pool_listener.time, "sleep", pauses.append)
    assert create_missing_pools({"p": 1}) == ["p"]
    assert (flaky.calls, pauses) == (5, [1, 2, 3, 4])


def test_a_database_that_stays_away_ends_the_thread_with_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flaky, pauses = Flaky(failures=99), []
    monkeypatch.setattr(pool_listener, "_create_missing", flaky)
    monkeypatch.setattr(pool_listener.time, "sleep", pauses.append)
    assert create_missing_pools({"p": 1}) == []
    assert (flaky.calls, pauses) == (5, [1, 2, 3, 4])
    last = caplog.records[-1]
    assert last.levelname == "ERROR"
    assert last.getMessage() == (
        "Pools ['p'] could not be created; their tasks wait until somebody creates them"
    )
    assert last.exc_info is not None


def test_airflow_loads_the_plugin_by_its_entry_point() -> None:
    (info,) = [i for i in get_plugin_info() if i["name"] == "kindling"]
    assert KindlingPlugin.listeners == [pool_listener]
    assert "kindling_airflow.plugin.pool_listener" in str(info["listeners"])
