"""Hosts, schedulers and triggerers that are killed or stand still, under CeleryExecutor.

A frozen host is as a paused virtual machine: it wakes up and goes on with what it was doing, long
after another host has taken its task over.
"""

from __future__ import annotations

import pytest

from demo.services import wait_until
from tests.cluster.conftest import PATIENCE, Cluster, assert_ended, drivers_of
from tests.system.streams import StreamsAirflow

pytestmark = [pytest.mark.system, pytest.mark.cluster]
STREAMS = ("take", "clean", "count", "check")


def test_a_driver_of_a_host_that_stood_still_does_not_publish_when_it_wakes_up(
    cluster: Cluster,
) -> None:
    host = cluster.begin("frozen", "before")
    drivers = drivers_of(host)
    host.freeze()
    assert cluster.airflow.api.wait_for_run("lost", "frozen", PATIENCE) == "success"
    assert cluster.tasks("frozen")["lost.rows"] == ("success", 2)
    assert cluster.host_of("frozen", "lost.rows") != host.name
    once = cluster.rows("lost.rows")
    (cluster.trials / "frozen" / "go").touch()
    host.thaw()
    assert_ended(drivers)
    assert cluster.rows("lost.rows") == once == [(n,) for n in range(10)]
    assert cluster.tasks("frozen")["lost.rows"] == ("success", 2)
    wait_until(lambda: host.answers, f"{host.name} is back", PATIENCE)


def test_a_killed_scheduler_costs_a_run_nothing(cluster: Cluster) -> None:
    before = cluster.rows("lost.rows")
    cluster.begin("scheduler", "before")
    killed = cluster.airflow.schedulers["scheduler-1"]
    killed.power_off()
    (cluster.trials / "scheduler" / "go").touch()
    assert cluster.airflow.api.wait_for_run("lost", "scheduler", PATIENCE) == "success"
    assert set(cluster.tasks("scheduler").values()) == {("success", 1)}
    assert cluster.rows("lost.rows") == sorted([*before, *((n,) for n in range(10))])
    killed.restart()


def test_gates_of_streams_go_on_in_another_triggerer(cluster: Cluster) -> None:
    airflow = cluster.airflow
    streams = StreamsAirflow(airflow, cluster.warehouse)
    streams.drop(20)
    airflow.api.wait_for_dag("records", PATIENCE)
    airflow.api.unpause("records")
    run_id = streams.begun("records", 0)
    held = "SELECT hostname FROM job JOIN trigger ON triggerer_id = job.id LIMIT 1"
    wait_until(lambda: airflow.sql(held) != [], "a triggerer holds a gate", PATIENCE)
    killed = airflow.triggerers[airflow.sql(held)[0]]
    killed.power_off()
    streams.wait_until_ready("records", run_id, STREAMS)
    streams.drop(20)
    once = dict.fromkeys(range(40), 1)
    for table in ("counted", "checked"):
        wait_until(lambda t=table: len(streams.numbers(t)) == 40, f"{table} is full", PATIENCE)  # type: ignore[misc]
        assert streams.numbers(table) == once
    airflow.api.pause("records")
    assert airflow.run("kindling", "stop", "records").returncode == 0
    assert airflow.api.wait_for_run("records", run_id, PATIENCE) == "success"
    wait_until(lambda: streams.drivers() == [], "no driver is left", PATIENCE)
