"""One pipe, one run: read the inputs, call the function, stage, publish, report.

    declarations -> inputs -> function -> checks -> staging -> publish -> report
                      |                                           |
                  skipped: a driving input                   before this point the table
                  is missing, or has no new rows          is as it was

The one boundary around user code is here: whatever comes out of it ends in the report, with the
traceback from the user's first own line on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.common.immutable import FrozenDict, freeze
from kindling_airflow.common.path_names import escape_component
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import KindlingAirflowError, PipeRunError
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.claims import instance_name
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.claims import order_of
from kindling_airflow.runner.failures.failure import describe
from kindling_airflow.runner.failures.retryable import is_permanent, java_causes
from kindling_airflow.runner.pipe.inputs import ReadInput, RunPart, read_entity, read_inputs
from kindling_airflow.runner.pipe.lineage_facts import lineage_facts
from kindling_airflow.runner.pipe.pipe_call import call_pipe, declarations_of, pipe_of
from kindling_airflow.runner.pipe.publish_result import Destination, publish_result
from kindling_airflow.runner.pipe.run_context import RunContext, interval_of
from kindling_airflow.runner.pipe.spark_figures import spark_figures
from kindling_airflow.runner.pipe.usual_check import UsualCheck
from kindling_airflow.runner.providers.interface import (
    ExplainsReads,
    ProviderContext,
    Staged,
    Write,
)
from kindling_airflow.runner.providers.lookup import (
    provider_for,
    writable_mode,
    writable_provider_for,
)
from kindling_airflow.runner.providers.memory_tables import MemoryTables
from kindling_airflow.runner.providers.place_check import check_place
from kindling_airflow.tags.inputs import missing_note
from kindling_airflow.tags.intervals import slice_of

WORKER_PATH = "spark.executorEnv.PYTHONPATH"


def _nothing(_location: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Hooks:
    """Hooks of a session that runs several pipes.

    Attributes:
        read: reads an input that exists, or a slice of it.
        before_stage: is called with the location; what other attempts have staged stays if it
            raises.
        before_publish: is called with the location; nothing is published if it raises.
        after_publish: is called with the location.
        memory: the session's own tables; None for a session of a single pipe.
    """

    read: ReadInput = read_entity
    before_stage: Callable[[str], None] = _nothing
    before_publish: Callable[[str], None] = _nothing
    after_publish: Callable[[str], None] = _nothing
    memory: MemoryTables | None = None


def run_pipe(
    request: RunRequest,
    spark: SparkSession,
    started: float | None = None,
    declared: HarvestedModules | None = None,
    hooks: Hooks | None = None,
) -> RunReport:
    """Run a request in a given session. Nothing is raised: every end is a report.

    Args:
        request: what to run.
        spark: the session.
        started: ``time.monotonic()`` when the driver began; default: now.
        declared: the project's declarations, where the caller has imported them already.
        hooks: the caller's hooks.
    """
    started = time.monotonic() if started is None else started
    application_id = spark.sparkContext.applicationId
    try:
        declared = declarations_of(request, declared)
        return _run(request, declared, spark, started, hooks or Hooks())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code: anything may come out
        return failed_report(request, error, started, application_id)


def import_path_of_workers(request: RunRequest, configured: str | None = None) -> str:
    """Return the import path of Spark's Python workers: they, too, import what a UDF refers to."""
    package_parent = str(Path(__file__).resolve().parents[3])
    if configured is None:
        from pyspark import SparkConf

        configured = SparkConf().get(WORKER_PATH, "")
    if request.package:  # they have it from spark-submit; the driver's folders are not theirs
        return configured
    return os.pathsep.join(filter(None, (configured, request.project_root, package_parent)))


def _run(
    request: RunRequest,
    declared: HarvestedModules,
    spark: SparkSession,
    started: float,
    hooks: Hooks,
) -> RunReport:
    pipe = pipe_of(request, declared)
    context = ProviderContext(spark, request.warehouse, hooks.memory)
    try:
        return _read_and_publish(request, declared, pipe, context, started=started, hooks=hooks)
    except Exception as error:
        text = _read_problem(error, pipe, declared.entities, context)
        if text is None:
            raise
        raise PipeRunError(text) from error


def _read_problem(
    error: Exception, pipe: PipeMetadata, entities: DataEntityRegistry, context: ProviderContext
) -> str | None:
    """Return which input an error is about; None if none.

    Rows are read when a result is written, so the error comes from there, and names tasks and
    stages. The providers of the inputs know what it means.
    """
    if isinstance(error, KindlingAirflowError) or not java_causes(error):
        return None
    for entity in map(entities.definition_or_default, pipe.input_entity_ids):
        provider = provider_for(entity, context)
        text = provider.read_problem(entity, error) if isinstance(provider, ExplainsReads) else None
        if text is not None:
            return text
    return None


def _read_and_publish(
    request: RunRequest,
    declared: HarvestedModules,
    pipe: PipeMetadata,
    context: ProviderContext,
    *,
    started: float,
    hooks: Hooks,
) -> RunReport:
    spark = context.spark
    interval = interval_of(request)
    output = declared.entities.definition_or_default(pipe.output_entity_id)
    provider = writable_provider_for(output, context)
    description = provider.describe(output)
    location = description.location
    instance = instance_name(request)
    check_place(output, context)

    def report(status: Any, note: str = "", **more: Any) -> RunReport:
        extra: dict[str, Any] = {"output": description.to_json(), "write_mode": mode}
        if interval is not None:
            extra["interval"] = [point.isoformat() for point in interval]
        notes = [*inputs.notes, *([note] if note else [])]
        if notes:
            extra["note"] = "; ".join(notes)
        if inputs.slices:
            extra["slices_read"] = dict(inputs.slices)
        if part is not None:
            extra["slice_written"] = str(part)
        extra |= missing_note(inputs.missing, declared.pipes, pipe.pipeid)
        return RunReport(
            attempt_key=request.attempt_key,
            pipe_id=pipe.pipeid,
            status=status,
            output_entity_id=output.entityid,
            location=location,
            inputs=inputs.reports,
            duration_seconds=_since(started),
            application_id=spark.sparkContext.applicationId,
            plan_digest=request.plan_digest,
            code_digest=request.code_digest,
            extra=freeze(extra),
            **more,
        )

    mode = writable_mode(output, provider)
    part = slice_of(output, *interval) if interval and mode == "overwrite_interval" else None
    inputs = read_inputs(pipe, declared.entities, context, hooks.read, RunPart(interval, instance))
    if inputs.idle:
        return report("skipped", reason=inputs.idle)
    usual = UsualCheck.of(request, pipe)
    lineage: dict[str, Any] = {}

    def judge(staged: Staged) -> None:
        usual.judge(staged.rows, _since(started))
        if not request.dag_id:  # there is no task that would pass it on
            return
        frames = inputs.frames
        with suppress(Exception):  # what is only told about a run must not end it
            lineage.update(lineage_facts(pipe, declared.entities, context, frames, staged.frame))

    result = call_pipe(pipe, inputs.frames, RunContext.of(request, spark))
    attempt = escape_component(request.attempt_key)
    write = Write(
        instance,
        attempt,
        mode,
        part,
        order=order_of(request),
        check=lambda: hooks.before_publish(location),
        taken=inputs.taken,
    )
    where = Destination(pipe, output, provider)
    published, outcomes = publish_result(
        where,
        result,
        write,
        before_publish=lambda: hooks.before_publish(location),
        before_stage=lambda: hooks.before_stage(location),
        judge=judge,
    )
    hooks.after_publish(location)
    done = report("published", published.note, rows_written=published.rows, expectations=outcomes)
    if lineage:
        done = replace(done, extra=freeze({**done.extra, "lineage": lineage}))
    return usual.noted_in(done, spark_figures(spark))


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)


def failed_report(
    request: RunRequest, error: BaseException, started: float, application_id: str
) -> RunReport:
    """Return the report of a run that failed."""
    return RunReport(
        attempt_key=request.attempt_key,
        pipe_id=request.pipe_id,
        status="failed",
        duration_seconds=_since(started),
        application_id=application_id,
        plan_digest=request.plan_digest,
        code_digest=request.code_digest,
        error=describe(error, Path(request.project_root)),
        expectations=getattr(error, "reports", ()),
        extra=FrozenDict({"permanent": is_permanent(error)}),
    )
