"""Runs the streams of a plan on one Spark session: starts, watches and drains them in order.

start ... all ready ... (batch pipes of a hybrid plan) ... Ctrl-C or the end of the time
                                                           drain, sources first
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kindling_airflow.cli.interrupts import interruptible
from kindling_airflow.cli.run.child_stream import ChildStream
from kindling_airflow.cli.run.spark_child import SparkChild
from kindling_airflow.cli.run.stream_lifetime import StreamLifetime
from kindling_airflow.errors import StreamError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor import GenerationExecutor, StreamingExecution, signals
from kindling_airflow.generation_executor.results import ExecutionInterrupted, ExecutionResult

STYLES = {
    "success": "green",
    "failed": "red",
    "skipped": "magenta",
    "not_run": "yellow",
    "ready": "green",
}
_OPTIONS = {"stop_timeout": 60.0}
_REFRESHES_PER_SECOND = 2


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a run of streams has ended.

    Attributes:
        result: the result of each pipe; None if the run was ended during its start.
        interrupted: it was ended before all streams were ready, or without draining.
    """

    result: ExecutionResult | None
    interrupted: bool


def run_streams(
    console: Console,
    child: SparkChild,
    executor: GenerationExecutor,
    life: StreamLifetime,
    batch_options: Mapping[str, Any],
    *,
    run_id: str | None = None,
) -> StreamEnd:
    """Run streams until they end, until Ctrl-C or for their time, and drain them.

    Args:
        console: shows the progress.
        child: the session.
        executor: runs pipes on it.
        life: a streaming or hybrid plan, and the lifetime of its streams.
        batch_options: options of the batch pipes of a hybrid plan.
        run_id: the id of the run.
    """
    seconds = life.seconds
    with interruptible(), _screen(console, child, life.plan):
        try:
            execution = executor.execute_streaming(
                life.plan, _OPTIONS, batch_options=batch_options, run_id=run_id
            )
        except StreamError as error:
            return StreamEnd(_result_of(error), interrupted=False)
        except ExecutionInterrupted as error:
            return StreamEnd(error.result, interrupted=True)
        except KeyboardInterrupt:  # a second one, while what had started was being stopped
            child.kill()
            return StreamEnd(None, interrupted=True)
        until = "until Ctrl-C" if seconds is None else f"for {seconds:g} s"
        console.print(f"All streams are ready and run {until}.")
        return _watched(console, child, execution, seconds)


def _watched(
    console: Console, child: SparkChild, execution: StreamingExecution, seconds: float | None
) -> StreamEnd:
    try:
        try:
            execution.await_termination(seconds)
        except StreamError as error:
            return StreamEnd(_result_of(error), interrupted=False)
        except KeyboardInterrupt:
            pass
        if execution.result is None:
            console.print("Draining the streams, sources first (Ctrl-C ends at once).")
        return StreamEnd(execution.stop(), interrupted=False)
    except KeyboardInterrupt:
        child.kill()
        return StreamEnd(execution.stop(), interrupted=True)


def change_line(status: str, pipe_id: str, seconds: float) -> Text:
    """Return the line about a change of a pipe's status."""
    line = Text(f"  {status:<8} ", style=STYLES.get(status, ""))
    return line.append(f"{pipe_id} ({seconds:.1f} s)", style="default")


def undrained(result: ExecutionResult) -> tuple[str, ...]:
    """Return the streams that were stopped before they had processed all available data."""
    return tuple(
        pipe.pipe_id
        for generation in result.generation_results
        for pipe in generation.pipe_results
        if ((pipe.report or {}).get("extra") or {}).get("drained") is False
    )


def _result_of(error: StreamError) -> ExecutionResult | None:
    return error.result if isinstance(error.result, ExecutionResult) else None


@contextmanager
def _screen(console: Console, child: SparkChild, plan: ExecutionPlan) -> Iterator[None]:
    """Print the changes of pipes, and on a terminal the state of the streams below."""
    streams = frozenset(plan.streaming_pipes())

    def ready(_sender: Any, *, result: Any, **_: Any) -> None:
        for pipe in result.pipe_results:
            if pipe.pipe_id in streams:
                console.print(change_line("ready", pipe.pipe_id, pipe.duration_seconds))

    def ended(_sender: Any, *, pipe_id: str, result: Any, **_: Any) -> None:
        console.print(change_line(result.status.value, pipe_id, result.duration_seconds))

    with ExitStack() as stack:
        stack.enter_context(signals.generation_completed.connected_to(ready))
        for signal in (signals.pipe_completed, signals.pipe_failed, signals.pipe_skipped):
            stack.enter_context(signal.connected_to(ended))
        if console.is_terminal:
            table = progress_of(child.streams)
            stack.enter_context(
                Live(
                    console=console,
                    get_renderable=table,
                    refresh_per_second=_REFRESHES_PER_SECOND,
                    transient=True,
                )
            )
        yield


def progress_of(streams: Mapping[str, ChildStream]) -> Callable[[], Table]:
    """Return a function that makes a table of the current state of streams."""

    def table() -> Table:
        found = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("stream", "state"):
            found.add_column(column)
        for column in ("batch", "rows in", "rows/s", "behind", "state rows", "idle s"):
            found.add_column(column, justify="right")
        for pipe_id, stream in list(streams.items()):
            progress = stream.progress
            numbers = ("batch_id", "rows_in", "rows_per_second", "lag", "state_rows")
            found.add_row(
                Text(pipe_id),
                _state_of(stream),
                *(_number(progress.get(name)) for name in numbers),
                _number(progress.get("idle_seconds")),
            )
        return found

    return table


def _state_of(stream: ChildStream) -> Text:
    if stream.error() is not None:
        return Text("failed", style="red")
    if not stream.is_active():
        return Text("ended")
    return Text("ready", style="green") if stream.is_ready() else Text("starting", style="yellow")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"
