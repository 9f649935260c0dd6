"""The names of claims: which of two attempts is newer, and what belongs to one task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.protocol.claims import ClaimName, claims_folder, leases_folder
from kindling_airflow.protocol.contracts import RunRequest

REQUEST = RunRequest(
    "key", "pipe", "/p", (), "/w", dag_id="dag", run_id="run", task_id="task", attempt_order="01-a"
)


def name(order: str, key: str = "other", **changes: Any) -> str:
    return ClaimName.of(replace(REQUEST, attempt_order=order, attempt_key=key, **changes)).text


def test_names_are_those_of_older_releases() -> None:
    """Drivers of two releases run side by side while a cluster is upgraded."""
    assert ClaimName.of(REQUEST).text == "5b99161615d1fa80-01a-key"
    stream = replace(REQUEST, stream=FrozenDict({"lifetime": "continuous"}))
    assert ClaimName.of(stream).text == "a1faece8d3c9f04d-01a-acba25512100f80b.key"


def test_folders() -> None:
    assert claims_folder("s3a://lake/w/") == "s3a://lake/w/_kindling/claims"
    assert leases_folder("s3a://lake/w/_kindling/claims") == "s3a://lake/w/_kindling/leases"


def test_attempts_of_one_task_compare_by_their_order() -> None:
    own = ClaimName.of(REQUEST)
    older, newer = name("01"), name("02")
    assert [own.is_newer(older), own.is_older(older)] == [False, True]
    assert [own.is_newer(newer), own.is_older(newer)] == [True, False]


@pytest.mark.parametrize("other", [{"run_id": "x"}, {"task_id": "x"}, {"dag_id": "x"}])
def test_other_tasks_are_not_among_the_others(other: dict[str, str]) -> None:
    own = ClaimName.of(REQUEST)
    names = [own.text, name("02"), name("02", **other)]
    assert own.others(names) == [name("02")]


def test_of_a_streams_other_runs_those_are_newer_that_came_later() -> None:
    stream = {"stream": FrozenDict({"lifetime": "continuous"})}
    before, after = name("09", run_id="x", **stream), name("00", run_id="y", **stream)
    own = ClaimName.of(replace(REQUEST, **stream), earlier=[before])
    assert own.others([before, after, own.text]) == [before, after]
    assert [own.is_newer(before), own.is_older(before)] == [False, True]
    assert [own.is_newer(after), own.is_older(after)] == [True, False]
    assert own.is_newer(name("02", **stream))
