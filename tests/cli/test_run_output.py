"""What ``run`` prints of failures: once, in the summary; the insides are in the log."""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kindling_airflow.cli.run.run_log import RunLog
from kindling_airflow.cli.run.running import _finish, _run_forward
from kindling_airflow.cli.run.stream_lifetime import StreamLifetime
from kindling_airflow.cli.run.stream_run import run_streams
from kindling_airflow.errors import PipeRunError
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.generation_executor import GenerationExecutor
from tests.builders import pipes

WRONG = "ValueError: the moon is in the wrong phase"


class Session:
    """A session in which nothing works."""

    def __init__(self) -> None:
        self.streams: dict[str, Any] = {}

    def __call__(self, pipe_id: str) -> Mapping[str, Any]:
        raise PipeRunError(WRONG)

    def start(self, pipe_id: str) -> Any:
        raise PipeRunError(WRONG)


def screen() -> Console:
    return Console(width=100, record=True, file=io.StringIO())


@pytest.mark.parametrize("strategy", ["batch", "streaming"])
def test_a_failure_is_told_once_and_its_traceback_is_in_the_log(
    strategy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = ExecutionPlanGenerator(pipes("[raw] -> a -> b")).generate_plan(None, strategy)
    session: Any = Session()
    console, log_path = screen(), tmp_path / "spark.log"
    executor = GenerationExecutor(session, logger_provider=RunLog(log_path))
    if strategy == "batch":
        end = _run_forward(console, executor, plan, {"error_strategy": "skip_dependents"})
    else:
        life = StreamLifetime(plan, plan.pipe_ids, is_long_running=True)
        end = run_streams(console, session, executor, life, {})
    assert _finish(Namespace(json=False), console, end, log_path) == 1
    assert console.export_text().count("the moon") == 1
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", f"Output of Spark and the pipes: {log_path}\n")
    log = log_path.read_text()
    first = {"batch": "a", "streaming": "b"}[strategy]
    assert (
        f" ERROR kindling: {'pipe' if strategy == 'batch' else 'stream'} '{first}' failed: " in log
    )
    assert f"kindling_airflow.errors.PipeRunError: {WRONG}\n" in log


def test_lines_of_the_log_begin_as_those_of_spark_and_leave_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "spark.log"
    path.write_text("what Spark says\n")
    log = RunLog(path).get_logger("x")
    log.info("begins")
    log.warning("is late")
    log.error("half a pair: \ud800")
    first, *lines = path.read_text().splitlines()
    assert first == "what Spark says"
    assert [line[17:] for line in lines] == [
        " INFO kindling: begins",
        " WARN kindling: is late",
        " ERROR kindling: half a pair: \\ud800",
    ]
