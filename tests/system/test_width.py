"""A pool of two slots: never more than two pipes at once, and never fewer while work is ready."""

from __future__ import annotations

import pytest

from tests.system.conftest import Deployment

pytestmark = pytest.mark.system
RUN = "width"


def test_a_pool_of_two_is_never_exceeded_and_is_kept_full(deployment: Deployment) -> None:
    # The pipes are built so that this run can only end well if the pool is kept full: see
    # trials/width.py.
    deployment.succeed("width", RUN)
    instances = deployment.airflow.api.task_instances("width", RUN)
    assert len(instances) == 5
    assert not (deployment.trials / "too-many").exists()
    assert _most_at_once(instances) == 2
    assert deployment.airflow.api.pools()["kindling_width"]["slots"] == 2


def _most_at_once(instances: list[dict[str, str]]) -> int:
    # At the same instant an end comes before a start.
    events = sorted(
        [(i["start_date"], 1) for i in instances] + [(i["end_date"], -1) for i in instances]
    )
    running = most = 0
    for _, change in events:
        running += change
        most = max(most, running)
    return most
