"""Streams on a real scheduler with real Spark: readiness, drain, and what happens in between.

``KINDLING_STREAM_RECORDS`` is the number of records that come in while things go wrong; ``make
soak`` takes 100,000.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from subprocess import CompletedProcess
from typing import Any

import pytest

from demo.local_airflow import LocalAirflow
from tests.system.conftest import PROFILES
from tests.system.streams import DAGS, StreamsAirflow, until

pytestmark = pytest.mark.system

RECORDS = int(os.environ.get("KINDLING_STREAM_RECORDS", "5000"))
BURSTS = 10
STREAMS = ("check", "count", "clean", "take")
SINKS = {"check": "checked", "count": "counted"}


@pytest.fixture(scope="module")
def streams(
    tmp_path_factory: pytest.TempPathFactory, spark_profile: str
) -> Iterator[StreamsAirflow]:
    folder = tmp_path_factory.mktemp("streams")
    shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    airflow = LocalAirflow(
        folder / "airflow",
        dags_folder=folder / "dags",
        warehouse=folder / "warehouse",
        profile=PROFILES,
        parallelism=12,
        environment={
            # A scheduler that was killed is missed soon, and its tasks are begun anew.
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            # So is a triggerer, and its triggers go on in another one.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
        },
    )
    with airflow:
        found = StreamsAirflow(airflow, folder / "warehouse")
        try:
            yield found
        finally:
            found.end_replacements()


@dataclass
class Story:
    """What was seen of the runs of the continuous DAG ``records``.

    Attributes:
        runs: their ids; the first one ends by ``stop --restart``, the second by a marked task, the
            third by ``stop``.
        starts: when each task of the first run began.
        ready: when each stream of the first run was ready.
        states_at_first: the states of its tasks when the first records had got through.
        progress: what a task told then.
        disturbed: the streams of the first run that were killed or cleared.
        tries: the tries of all of them then, before the scheduler was killed.
        restart: what ``stop --restart`` said.
        marked: the states of the second run when it was over.
        stop: what ``stop`` said.
        drivers_left: the command lines of drivers at the end.
    """

    runs: list[str] = field(default_factory=list)
    starts: dict[str, datetime] = field(default_factory=dict)
    ready: dict[str, datetime] = field(default_factory=dict)
    states_at_first: dict[str, str] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    disturbed: set[str] = field(default_factory=set)
    tries: dict[str, int] = field(default_factory=dict)
    restart: CompletedProcess[str] | None = None
    marked: dict[str, str] = field(default_factory=dict)
    stop: CompletedProcess[str] | None = None
    drivers_left: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(streams: StreamsAirflow) -> Story:
    """Runs from their starts to their stops, with everything in between that should do no harm."""
    story, api = Story(), streams.airflow.api
    api.wait_for_dag("records")
    api.unpause("records")
    story.runs.append(streams.begun("records", 0))
    ready = streams.wait_until_ready("records", story.runs[0], STREAMS)
    story.ready = {name: datetime.fromisoformat(moment) for name, moment in ready.items()}
    found = streams.instances("records", story.runs[0])
    story.starts = {name: datetime.fromisoformat(found[name]["start_date"]) for name in STREAMS}
    _first_records(streams, story)
    _trouble(streams, story, random.Random(7))
    story.restart = streams.airflow.run("kindling", "stop", "records", "--restart", "--wait", "400")

    story.runs.append(streams.begun("records", 1))
    streams.wait_for("records", story.runs[1], ready_2="success")
    streams.drop(10)
    streams.mark("records", story.runs[1], "stop_streams", "success")
    api.wait_for_run("records", story.runs[1], 400)
    story.marked = streams.states("records", story.runs[1])

    story.runs.append(streams.begun("records", 2))
    streams.wait_for("records", story.runs[2], check="running", count="running")
    story.stop = streams.airflow.run("kindling", "stop", "records", "--wait", "400")
    story.drivers_left = [" ".join(p.cmdline())[:200] for p in streams.drivers()]
    return story


def _first_records(streams: StreamsAirflow, story: Story) -> None:
    streams.drop(10)
    for entity in SINKS.values():
        until(lambda e=entity: len(streams.numbers(e)) == 10, f"the first records are in {entity}")
    story.states_at_first = streams.states("records", story.runs[0])

    def progress() -> Any:
        found = streams.airflow.api.xcom("records", story.runs[0], "clean", "kindling_progress")
        return found if found and found["rows_in"] else None

    story.progress = until(progress, "progress tells of the first records")


def _trouble(streams: StreamsAirflow, story: Story, chance: random.Random) -> None:
    """Let records come in bursts while a driver, a task and the scheduler are disturbed."""
    killed, cleared = chance.sample(STREAMS, 2)
    story.disturbed = {killed, cleared}

    def kill_scheduler() -> None:
        found = streams.instances("records", story.runs[0])
        story.tries = {name: found[name]["try_number"] for name in STREAMS}
        streams.replace("scheduler")

    troubles = {
        chance.randrange(1, 3): lambda: streams.kill_driver(killed),
        chance.randrange(3, 6): lambda: streams.clear("records", story.runs[0], cleared),
        chance.randrange(6, 9): kill_scheduler,
    }
    for burst in range(BURSTS):
        streams.drop(RECORDS // BURSTS)
        time.sleep(chance.uniform(0.5, 3.0))
        if burst in troubles:
            troubles[burst]()


def test_consumers_are_ready_before_what_feeds_them_starts(story: Story) -> None:
    assert story.starts["clean"] > max(story.ready["check"], story.ready["count"])
    assert story.starts["take"] > story.ready["clean"]


def test_a_record_gets_through_while_all_tasks_run(story: Story) -> None:
    assert story.states_at_first == {
        **dict.fromkeys(STREAMS, "running"),
        **dict.fromkeys(("ready_0", "ready_1", "ready_2"), "success"),
        "stop_streams": "deferred",
        "kindling_outcome": None,
    }


def test_a_running_task_tells_how_far_it_is(story: Story) -> None:
    assert story.progress["state"] == "ready"
    assert story.progress["rows_in"] == 10
    assert story.progress["batch_id"] is not None


def test_the_neighbours_of_a_stream_in_trouble_go_on(story: Story) -> None:
    undisturbed = set(STREAMS) - story.disturbed
    assert {name: story.tries[name] for name in undisturbed} == dict.fromkeys(undisturbed, 1)
    assert len(undisturbed) == 2


def assert_stopped(stop: CompletedProcess[str] | None, run_id: str) -> None:
    assert stop is not None
    assert stop.returncode == 0, stop.stdout + stop.stderr
    assert f"records {run_id}: success" in stop.stdout


def test_a_restart_drains_the_run_and_the_next_one_begins_by_itself(
    streams: StreamsAirflow, story: Story
) -> None:
    """Although its scheduler is another one by now."""
    assert_stopped(story.restart, story.runs[0])
    states = streams.states("records", story.runs[0])
    assert states == dict.fromkeys(states, "success")


def test_a_run_whose_stop_is_marked_in_the_ui_drains(story: Story) -> None:
    assert story.marked == dict.fromkeys(story.marked, "success")


def test_the_command_stops_a_run_that_is_still_starting_and_pauses_the_dag(
    streams: StreamsAirflow, story: Story
) -> None:
    assert_stopped(story.stop, story.runs[2])
    states = streams.states("records", story.runs[2])
    assert states == {
        **dict.fromkeys(("check", "count", "stop_streams", "kindling_outcome"), "success"),
        **dict.fromkeys(("take", "clean", "ready_0", "ready_1", "ready_2"), "skipped"),
    }
    dag = streams.airflow.api.dag("records")
    assert dag is not None
    assert dag["is_paused"]
    assert len(streams.airflow.api.runs("records")) == 3


def test_no_process_is_left(story: Story) -> None:
    assert story.drivers_left == []


@pytest.mark.parametrize("entity", ["taken", "cleaned", *SINKS.values()])
def test_every_record_arrives_exactly_once(
    streams: StreamsAirflow, story: Story, entity: str
) -> None:
    assert streams.numbers(entity) == Counter(range(RECORDS + 20))


def test_there_is_nothing_more_to_stop(streams: StreamsAirflow, story: Story) -> None:
    nothing = streams.airflow.run("kindling", "stop", "records")
    assert (nothing.returncode, nothing.stderr.splitlines()[-1]) == (
        1,
        "no run of DAG 'records' is running; it is paused, so none will start",
    )
    unknown = streams.airflow.run("kindling", "stop", "record")
    assert (unknown.returncode, unknown.stderr.splitlines()[-1]) == (
        2,
        "kindling-airflow stop: DAG not found in Airflow: 'record'. Did you mean 'records'?",
    )


@pytest.fixture(scope="module")
def short_runs(streams: StreamsAirflow, story: Story) -> StreamsAirflow:
    """A run of streams with a short life, and one whose consumer never gets ready.

    Meanwhile the triggerer is killed, in which their gates wait.
    """
    streams.drop(10, streams.airflow.home / "hourly-warehouse")
    streams.trigger("sluggish", "short")
    streams.trigger("hourly", "short")
    streams.wait_for("sluggish", "short", ready_0="deferred")
    streams.wait_for("hourly", "short", ready_0="deferred")
    streams.replace("triggerer")
    for dag_id in ("sluggish", "hourly"):
        streams.airflow.api.wait_for_run(dag_id, "short", 400)
    return streams


def test_gates_outlive_the_triggerer_in_which_they_wait(short_runs: StreamsAirflow) -> None:
    for dag_id, state in (("hourly", "success"), ("sluggish", "failed")):
        gate = short_runs.instances(dag_id, "short")["ready_0"]
        assert (gate["state"], gate["try_number"]) == (state, 1)


def test_a_bounded_run_drains_by_itself(short_runs: StreamsAirflow) -> None:
    assert set(short_runs.states("hourly", "short").values()) == {"success"}
    arrived = short_runs.numbers("cleaned", short_runs.airflow.home / "hourly-warehouse")
    assert sorted(arrived.values()) == [1] * 10
    assert (short_runs.airflow.home / "hourly-checkpoints" / "clean" / "offsets").is_dir()


def test_a_batch_pipe_runs_beside_streams_once_all_are_ready(short_runs: StreamsAirflow) -> None:
    """It waits for the gate alone, and no stream's end is between the two."""
    found = short_runs.instances("hourly", "short")
    assert found["ready_1"]["end_date"] <= found["tally"]["start_date"]
    tasks = short_runs.airflow.api._call("GET", "/dags/hourly/tasks")["tasks"]
    behind = {task["task_id"]: set(task["downstream_task_ids"]) for task in tasks}
    assert [name for name, below in behind.items() if "tally" in below] == ["ready_1"]
    rows = short_runs.rows(short_runs.airflow.home / "hourly-warehouse" / "tallied")
    assert rows == [(10,)]


def test_a_consumer_that_never_gets_ready_fails_the_run(short_runs: StreamsAirflow) -> None:
    assert short_runs.states("sluggish", "short") == {
        "sluggish.never": "failed",
        "ready_0": "failed",
        "sluggish.take": "upstream_failed",
        "ready_1": "upstream_failed",
        "stop_streams": "success",
        "kindling_outcome": "upstream_failed",
    }
    assert short_runs.instances("sluggish", "short")["sluggish.take"]["try_number"] == 0
    assert "Not ready within 30 s: 'sluggish.never' (running)" in short_runs.airflow.api.log(
        "sluggish", "short", "ready_0"
    )


def test_a_stream_marked_as_failed_leaves_no_driver_and_ends_the_run(
    short_runs: StreamsAirflow,
) -> None:
    streams = short_runs
    streams.trigger("hourly", "marked")
    streams.wait_for("hourly", "marked", clean="running")
    until(lambda: streams.drivers("clean"), "the driver of clean is there")
    streams.mark("hourly", "marked", "clean", "failed")
    until(lambda: not streams.drivers("clean"), "the driver of clean is gone", 30)
    assert streams.airflow.api.wait_for_run("hourly", "marked") == "failed"
    states = streams.states("hourly", "marked")
    assert states["clean"] == "failed"
    assert states["take"] in ("success", "upstream_failed")
    assert states["stop_streams"] == "success"
    assert streams.drivers() == []


def test_a_run_that_is_marked_as_failed_and_deleted_leaves_no_driver(
    streams: StreamsAirflow,
) -> None:
    path = "/dags/sluggish/dagRuns/deleted"
    streams.trigger("sluggish", "deleted")
    until(lambda: streams.drivers("sluggish.never"), "there is a driver")
    streams.airflow.api._call("PATCH", path, {"state": "failed"})
    streams.airflow.api._call("DELETE", path)
    until(lambda: not streams.drivers(), "the driver is gone", 60)
