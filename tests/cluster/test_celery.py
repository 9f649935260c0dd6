"""A Celery worker whose host loses its power: its driver is gone, another host does the task."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import PATIENCE, Cluster

pytestmark = pytest.mark.system


def test_rows_of_a_host_that_lost_its_power_after_a_publish_are_there_once(
    cluster: Cluster,
) -> None:
    host = cluster.begin("power-cut", "after")
    assert cluster.rows("lost.rows") == [(n,) for n in range(10)]
    processes = host.processes()
    assert [process for process in processes if "java" in process.name()]
    host.power_off()
    assert [process for process in processes if process.is_running()] == []
    assert cluster.airflow.api.wait_for_run("lost", "power-cut", PATIENCE) == "success"
    assert cluster.tasks("power-cut") == {
        "lost.rows": ("success", 2),
        "lost.counts": ("success", 1),
    }
    assert cluster.host_of("power-cut", "lost.rows") != host.name
    assert cluster.rows("lost.rows") == [(n,) for n in range(10)]
    assert cluster.rows("lost.counts") == [(n, 1) for n in range(10)]
