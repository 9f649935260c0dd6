"""Results as data."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from kindling_airflow.generation_executor import (
    ExecutionResult,
    GenerationExecutor,
    GenerationResult,
    PipeResult,
    PipeStatus,
)
from kindling_airflow.protocol.contracts import InputReport, RunReport
from tests.builders import plan
from tests.generation_executor.simulation import Does, Pipes, Simulation, fails


def result_of(outcome: Any) -> ExecutionResult:
    sim = Simulation()
    pipes = Pipes(sim, {"a": Does(2.5, outcome)})
    executor = GenerationExecutor(pipes, threads=sim.threads, new_run_id=lambda: "run")
    return executor.execute(plan("a -> b"))


def test_the_json_of_a_result_is_complete() -> None:
    result = result_of(fails("disk full"))
    assert json.loads(json.dumps(result.to_json())) == {
        "run_id": "run",
        "strategy": "batch",
        "total_pipes": 2,
        "generations_executed": 1,
        "success_count": 0,
        "failed_count": 1,
        "skipped_count": 0,
        "not_run_count": 1,
        "duration_seconds": 2.5,
        "all_succeeded": False,
        "failed_pipes": ["a"],
        "cache_metrics": {"hits": 0, "misses": 0, "entities": {}},
        "plan_digest": plan("a -> b").digest,
        "generations": [
            {
                "generation_number": 0,
                "duration_seconds": 2.5,
                "pipes": [
                    {
                        "pipe_id": "a",
                        "status": "failed",
                        "duration_seconds": 2.5,
                        "error": "disk full",
                        "error_type": "ValueError",
                        "attempts": 1,
                        "report": None,
                        "reason": "",
                    }
                ],
            },
            {
                "generation_number": 1,
                "duration_seconds": 0.0,
                "pipes": [
                    {
                        "pipe_id": "b",
                        "status": "not_run",
                        "duration_seconds": 0.0,
                        "error": None,
                        "error_type": None,
                        "attempts": 0,
                        "report": None,
                        "reason": "upstream pipe 'a' failed",
                    }
                ],
            },
        ],
    }


def test_a_report_is_in_the_json_as_its_own_json() -> None:
    report = RunReport("key", "a", "published", rows_written=3, inputs=(InputReport("raw", 3),))
    result = result_of(report)
    assert result.pipe_results[0].report is report
    pipe = result.to_json()["generations"][0]["pipes"][0]
    assert pipe["report"] == report.to_json()


def test_what_json_cannot_express_is_shown_as_python_does() -> None:
    said = {"when": {1, 2}, "mean": float("nan"), 7: [1.5, None, True, ("x",)], "bytes": b"x"}
    pipe = result_of(said).to_json()["generations"][0]["pipes"][0]
    assert pipe["report"] == {
        "when": [1, 2],
        "mean": "nan",
        "7": [1.5, None, True, ["x"]],
        "bytes": "b'x'",
    }
    json.dumps(pipe, allow_nan=False)


def test_results_cannot_change() -> None:
    result = result_of(None)
    for frozen, name in ((result, "run_id"), (result.generation_results[0], "pipe_results")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, name, "other")
    with pytest.raises(TypeError, match="immutable"):
        result.cache_metrics["hits"] = 3  # type: ignore[index]


def test_a_status_is_its_own_word() -> None:
    assert PipeResult("a", PipeStatus.NOT_RUN).status == "not_run"


def test_generations_know_whether_all_went_well() -> None:
    well = PipeResult("a", PipeStatus.SKIPPED)
    assert GenerationResult(0, (well,)).all_succeeded
    for status in (PipeStatus.FAILED, PipeStatus.NOT_RUN, PipeStatus.RUNNING):
        assert not GenerationResult(0, (well, PipeResult("b", status))).all_succeeded


def test_a_result_made_by_hand_has_all_its_fields() -> None:
    """As a test of somebody else's code would make it."""
    made = ExecutionResult(plan("a"), (), 1.0, "run", cache_metrics={"hits": 2})
    assert made.cache_metrics == {"hits": 2, "misses": 0, "entities": {}}
    assert made.streaming_queries == {}
