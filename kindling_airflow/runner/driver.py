"""The life of one driver: session, claim, pipe, report. What an application on a cluster does.

    session up -> RunStart -> claim -> pipe ... -> newest try? -> publish -> report -> session down

A stream takes the place of the pipe and its publish, and asks all the time whether it is the newest
try (:mod:`~kindling_airflow.runner.streaming.driver`).

The report goes to standard output and, where that does not reach the task, to a file, together with
the last lines that the driver has printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark import SparkConf
from pyspark.sql import SparkSession

from kindling_airflow.protocol.contracts import RunReport, RunRequest, RunStart
from kindling_airflow.runner.claims import Claim
from kindling_airflow.runner.imported_code import ImportedCode
from kindling_airflow.runner.output_tail import OutputTail
from kindling_airflow.runner.pipe.run_pipe import (
    WORKER_PATH,
    Hooks,
    failed_report,
    import_path_of_workers,
    run_pipe,
)
from kindling_airflow.runner.project_folder import with_project_in_place
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.runner.redaction import hides_secrets, report_without_secrets
from kindling_airflow.runner.session.properties import (
    declared_early,
    settings_of_run,
    start_java,
)
from kindling_airflow.runner.standstill import Standstill
from kindling_airflow.runner.streaming import run_stream

if TYPE_CHECKING:
    from kindling_airflow.manifest.harvest import HarvestedModules


def run_driver(
    request: RunRequest, started: float | None = None, say: Callable[[str], None] | None = None
) -> RunReport:
    """Run a request in its own Spark session, which is stopped when this returns.

    Args:
        request: what to run.
        started: ``time.monotonic()`` when the driver began; default: now.
        say: takes the lines with the state of Spark and of a stream; default: standard
            output.
    """
    started = time.monotonic() if started is None else started
    output, still = OutputTail(), Standstill()
    still.watch()
    with output.keeping() if request.report_path else nullcontext():
        return _run_driver(request, started, say, output, still)


def _run_driver(
    request: RunRequest,
    started: float,
    say: Callable[[str], None] | None,
    output: OutputTail,
    still: Standstill,
) -> RunReport:
    try:
        request = with_project_in_place(request)
        code = ImportedCode.of(request)
        request = code.request
        declared = declared_early(request)
        builder = SparkSession.builder.appName(request.pipe_id)
        builder = builder.config(WORKER_PATH, import_path_of_workers(request))
        configured = SparkConf().get
        needed = settings_of_run(request, declared, configured)
        start_java(needed)
        for key, value in needed.items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
    except Exception as error:
        failed = failed_report(request, error, started, "")
        return report_without_secrets(failed, hides_secrets())
    try:
        (say or _print_line)(_start(request, spark).line())
        report = run_claimed(request, spark, started, declared, say, code=code, still=still)
        _write_report(request, spark, report, output)
        return report
    finally:
        spark.stop()


def run_claimed(
    request: RunRequest,
    spark: SparkSession,
    started: float | None = None,
    declared: HarvestedModules | None = None,
    say: Callable[[str], None] | None = None,
    *,
    code: ImportedCode | None = None,
    still: Standstill | None = None,
    hooks: Hooks | None = None,
    configured: Mapping[str, str] | None = None,
) -> RunReport:
    """Run a request in a given session; publish only while its claim stands.

    What the report says is free of the secrets that Spark and this process were configured with.

    Args:
        request: what to run.
        spark: the session.
        started: ``time.monotonic()`` when the driver began; default: now.
        declared: the project's declarations, where the caller has imported them already.
        say: takes the lines with the state of a stream; default: standard output.
        code: the project's code as it was imported; not published if it has changed since.
        still: notes when this process has stood still.
        hooks: the caller's hooks.
        configured: the application's properties, where the caller has them already.
    """
    started = time.monotonic() if started is None else started
    hide = hides_secrets(spark, configured)
    own = hooks or Hooks()

    def before_publish(location: str) -> None:
        fence.check()
        own.before_publish(location)

    def run(hooks: Hooks) -> RunReport:
        if request.stream:
            report = run_stream(request, spark, started, declared, hooks=hooks, say=say)
        else:
            report = run_pipe(request, spark, started, declared, _checking(code, hooks))
        report = report if code is None else code.noted_in(report)
        return report_without_secrets(report, hide)

    if not request.attempt_order:
        return run(own)
    try:
        fence = Claim.claim(Storage(spark), request, still)
    except Exception as error:
        failed = failed_report(request, error, started, spark.sparkContext.applicationId)
        return report_without_secrets(failed, hide)
    try:
        # Staging clears away what other attempts have staged, so an older one must not begin to.
        return run(
            replace(
                own,
                before_stage=lambda _location: fence.check(),
                before_publish=before_publish,
            )
        )
    finally:
        with suppress(Exception):  # the report is what counts; the next try copes with leftovers
            fence.release()


def _checking(code: ImportedCode | None, hooks: Hooks) -> Hooks:
    """Return hooks that also check, before anything is published, that the code is the same."""
    if code is None:
        return hooks

    def before_publish(location: str) -> None:
        code.check_unchanged()
        hooks.before_publish(location)

    return replace(hooks, before_publish=before_publish)


def _start(request: RunRequest, spark: SparkSession) -> RunStart:
    context = spark.sparkContext
    return RunStart(request.attempt_key, context.applicationId, str(context.uiWebUrl or ""))


def _print_line(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()


def _write_report(
    request: RunRequest, spark: SparkSession, report: RunReport, output: OutputTail
) -> None:
    """Write what the driver has printed and its report where the request expects it."""
    path = request.report_path
    if path:
        printed = hides_secrets(spark)(output.text())
        try:
            storage = Storage(spark)
            storage.write_text(f"{path}.part", f"{printed.rstrip()}\n{report.line()}\n".lstrip())
            storage.delete(path)  # of a driver that the cluster has started once more
            storage.move(f"{path}.part", path)  # readers never see half of it
        except Exception as error:  # whatever the file system throws; the task will miss the report
            text = f"Cannot write the report to {path!r}: {error}\n"
            sys.stderr.write(hides_secrets(spark)(text))
