"""``run``: runs a plan on one local Spark session, with its progress and a summary.

| pipes                | how                                                             |
|----------------------|-----------------------------------------------------------------|
| batch                | GenerationExecutor.execute, until all have ended                |
| long-running streams | execute_streaming, until they are stopped (see stream_run)      |
| catching up          | as batch; each stream processes the available data and ends     |
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kindling_airflow.cli.interrupts import INTERRUPTED
from kindling_airflow.cli.run.definition_keys import notes_on_keys
from kindling_airflow.cli.run.run_arguments import (
    check_has_interval,
    checked_interval,
    chosen_place,
    run_name,
    run_parameters,
)
from kindling_airflow.cli.run.run_log import RunLog
from kindling_airflow.cli.run.run_options import run_options
from kindling_airflow.cli.run.run_session import session_environment, session_properties
from kindling_airflow.cli.run.spark_child import SparkChild
from kindling_airflow.cli.run.stream_lifetime import StreamLifetime, read_lifetime
from kindling_airflow.cli.run.stream_run import (
    STYLES,
    StreamEnd,
    change_line,
    run_streams,
    undrained,
)
from kindling_airflow.cli.sources.memory_budget import within_budget
from kindling_airflow.cli.sources.source import Source, read_source
from kindling_airflow.common.durations import YEAR
from kindling_airflow.common.immutable import freeze
from kindling_airflow.errors import DeclarationError, WrongCallError
from kindling_airflow.generation_executor import GenerationExecutor
from kindling_airflow.generation_executor.results import ExecutionInterrupted
from kindling_airflow.manifest.project_code import code_roots
from kindling_airflow.manifest.project_settings import differences_for
from kindling_airflow.protocol.contracts import RunFailure, RunRequest, quality_lines
from kindling_airflow.tags.intervals import zone_named
from kindling_airflow.tags.places import place_problems

if TYPE_CHECKING:
    from kindling_airflow.execution_plan import ExecutionPlan
    from kindling_airflow.generation_executor.results import ExecutionResult
    from kindling_airflow.manifest import Manifest


def run_plan(args: argparse.Namespace) -> int:
    """Run a plan; return 0 only if every pipe succeeded."""
    _check(args)
    checked_interval(args)
    source = read_source(args.source, args)
    if source.definition is not None and args.memory_budget is None:
        plan = within_budget(source.plan, source.definition.memory_budget)
        source = replace(source, plan=plan)
    project = source.project
    if project is None or project.root is None:
        raise WrongCallError(
            f"{args.source!r} does not contain the path of the project's modules: name a "
            "definition, a project folder, or a manifest with its --project"
        )
    if args.project is not None and (source.path.is_dir() or source.definition is not None):
        raise WrongCallError(f"--project applies to a manifest, and {args.source!r} is not one")
    definition = source.definition
    zone = timezone.utc if definition is None else zone_named(definition.timezone)
    interval = checked_interval(args, zone)
    life = read_lifetime(source, args)
    batch = tuple(
        p for p in source.plan.pipe_ids if not life.is_long_running or p not in life.streams
    )
    if batch:
        check_has_interval(source, interval)
    options = run_options(source, args, batch)
    console = Console(stderr=args.json, highlight=False)
    log_path = Path(tempfile.mkdtemp(prefix="kindling-run-")) / "spark.log"
    request = RunRequest(
        attempt_key="",
        pipe_id="",
        project_root=str(project.root),
        modules=project.base.modules,
        warehouse=chosen_place("warehouse", source, args, "warehouse"),
        plan_digest=source.plan.digest,
        run_id=run_name(source, args, interval, datetime.now(timezone.utc)),
        interval_start=interval[0] if interval else None,
        interval_end=interval[1] if interval else None,
        parameters=run_parameters(source, args),
        settings=differences_for(project.base, project.manifest, source.plan.pipe_ids),
        stream=freeze({"checkpoints": life.checkpoints} if life.streams else {}),
        code_roots=code_roots(project.base.sources, project.base.modules),
    )
    _check_places(source.plan, project.manifest, request.warehouse)
    for note in _notes(source, args, life):
        console.print(Text(f"note: {note}"))
    with ExitStack() as stack:
        with console.status("Starting Spark ..."):
            child = stack.enter_context(
                SparkChild(
                    request,
                    session_properties(source, args),
                    log_path,
                    life.catching_up,
                    session_environment(source),
                )
            )
        executor = GenerationExecutor(child, logger_provider=RunLog(log_path))
        if life.is_long_running:
            end = run_streams(console, child, executor, life, options, run_id=request.run_id)
        else:
            end = _run_forward(console, executor, life.plan, {**options, "run_id": request.run_id})
    return _finish(args, console, end, log_path)


def _check_places(plan: ExecutionPlan, manifest: Manifest, warehouse: str) -> None:
    """Raise if two entities have the same location, now that the warehouse is known."""
    pipes = manifest.definitions_of(plan.pipe_ids)
    problems = place_problems(pipes, manifest.entities, warehouse, os.path.realpath)
    if problems:
        raise DeclarationError(problems)


def _run_forward(
    console: Console, executor: GenerationExecutor, plan: ExecutionPlan, options: Mapping[str, Any]
) -> StreamEnd:
    with _progress(plan, console):
        try:
            result = executor.execute(plan, **options, auto_cache=True)
        except ExecutionInterrupted as error:
            return StreamEnd(error.result, interrupted=True)
    return StreamEnd(result, interrupted=False)


def _finish(args: argparse.Namespace, console: Console, end: StreamEnd, log_path: Path) -> int:
    """Print how the run has ended; return the exit status."""
    result = end.result
    if result is not None and args.json:
        print(json.dumps(result.to_json(), indent=2))
    elif result is not None:
        _show(console, result, log_path)
    if end.interrupted or result is None:
        console.print("Interrupted.")
        return INTERRUPTED
    return 0 if result.all_succeeded and not undrained(result) else 1


def _check(args: argparse.Namespace) -> None:
    if args.workers < 1:
        raise WrongCallError(f"--workers must be at least 1, not {args.workers}")
    if args.retries is not None and args.retries < 0:
        raise WrongCallError(f"--retries must be at least 0, not {args.retries}")
    if args.timeout is not None and not 0 < args.timeout <= YEAR:
        raise WrongCallError(
            f"--timeout must be more than 0 seconds and at most a year, not {args.timeout:g}"
        )
    for pair in args.conf or ():
        if "=" not in pair:
            raise WrongCallError(f"--conf {pair!r}: must be KEY=VALUE")


def _notes(source: Source, args: argparse.Namespace, life: StreamLifetime) -> Iterator[str]:
    """Yield the keys of the definition that this run ignores, or applies in another way."""
    definition = source.definition
    if definition is None:
        return
    yield from notes_on_keys(definition, has_long_streams=life.is_long_running)
    for key, option in (("warehouse", args.warehouse), ("checkpoints", args.checkpoints)):
        configured = getattr(definition, key)
        if option is None and configured and "://" not in configured:
            found = Path(configured)
            if not found.is_absolute() and (key != "checkpoints" or life.streams):
                yield f"{key} {configured!r}: in this run {str(found.resolve())!r}"


@contextmanager
def _progress(plan: ExecutionPlan, console: Console) -> Iterator[Progress]:
    """Show the progress of the run, and each pipe as it ends."""
    from kindling_airflow.generation_executor import signals

    columns = (
        *(TextColumn("Pipes"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
        TextColumn("{task.fields[running]}", markup=False),
    )
    with Progress(*columns, console=console, disable=plan.total_pipes() == 0) as progress:
        bar = progress.add_task("", total=plan.total_pipes(), running="")
        running: dict[str, None] = {}

        def started(_sender: Any, *, pipe_id: str, **_: Any) -> None:
            running[pipe_id] = None
            progress.update(bar, running=", ".join(running))

        def ended(_sender: Any, *, pipe_id: str, result: Any, **_: Any) -> None:
            running.pop(pipe_id, None)
            status = result.status.value
            progress.console.print(change_line(status, pipe_id, result.duration_seconds))
            progress.update(bar, advance=1, running=", ".join(running))

        with ExitStack() as stack:
            stack.enter_context(signals.pipe_started.connected_to(started))
            for signal in (signals.pipe_completed, signals.pipe_failed, signals.pipe_skipped):
                stack.enter_context(signal.connected_to(ended))
            yield progress


def _show(console: Console, result: ExecutionResult, log_path: Path) -> None:
    """Print the result of each pipe, and the reasons of those that did not succeed."""
    table = Table(title="Run", title_justify="left")
    for column in ("pipe", "result"):
        table.add_column(column)
    for column in ("rows read", "rows written", "seconds"):
        table.add_column(column, justify="right")
    troubles = []
    for generation in result.generation_results:
        for pipe in generation.pipe_results:
            report = pipe.report or {}
            rows = [item["rows"] for item in report.get("inputs", ())]
            written = report.get("rows_written")
            table.add_row(
                Text(pipe.pipe_id),
                Text(pipe.status.value, style=STYLES.get(pipe.status.value, "")),
                f"{sum(rows):,}" if rows and None not in rows else "-",
                f"{written:,}" if written is not None else "-",
                f"{pipe.duration_seconds:.1f}",
            )
            if report.get("status") == "published":  # an error contains it
                troubles += [f"{pipe.pipe_id}: {line}" for line in quality_lines(report)]
                note = report.get("extra", {}).get("note")
                troubles += [f"{pipe.pipe_id}: {note}"] if note else []
            if pipe.error or pipe.reason:
                reason = pipe.error_text or pipe.reason
                troubles.append(f"{pipe.pipe_id}: {pipe.status.value}: {reason}")
                place = _place_of(report)
                troubles += [f"  at {place}"] if place and place not in reason else []
    console.print(table)
    for trouble in troubles:
        console.print(Text(trouble))
    summary = result.get_summary()
    console.print(
        f"{summary['success_count']} succeeded, {summary['skipped_count']} skipped, "
        f"{summary['failed_count']} failed, {summary['not_run_count']} not run "
        f"in {summary['duration_seconds']:.1f} s"
    )
    if not result.all_succeeded:
        again = f"To re-run it as the same run: --run-id {shlex.quote(result.run_id)}"
        console.print(again, soft_wrap=True, markup=False, highlight=False)
        print(f"Output of Spark and the pipes: {log_path}", file=sys.stderr)


def _place_of(report: Mapping[str, Any]) -> str:
    """Return where in the user's code a pipe failed; "" where that is unknown."""
    error = report.get("error")
    return RunFailure(**error).place if error else ""
