"""Loads the declaration of a pipe and calls it: the beginning of every run, batch or stream."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkValueError
from pyspark.sql import DataFrame

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.data_pipes.sql_inputs import derive_inputs
from kindling_airflow.errors import PipeRunError
from kindling_airflow.manifest.harvest import HarvestedModules, import_declarations
from kindling_airflow.manifest.project_settings import apply_differences
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.pipe.query import result_of_query
from kindling_airflow.runner.pipe.run_context import RunContext


def declarations_of(request: RunRequest, declared: HarvestedModules | None) -> HarvestedModules:
    """Return what the project declares, under the settings of the deployment.

    Raises:
        HarvestError: a module cannot be imported.
        DeclarationError: the settings do not fit the declarations.
    """
    declared = declared or import_declarations(Path(request.project_root), request.modules)
    if request.settings:
        return HarvestedModules(*apply_differences(declared, request.settings))
    return declared


def pipe_of(request: RunRequest, declared: HarvestedModules) -> PipeMetadata:
    """Return the pipe that a request asks for, with its inputs.

    Raises:
        PipeRunError: the project does not declare it.
    """
    pipe = declared.pipes.get_pipe_definition(request.pipe_id)
    if pipe is not None and pipe.awaits_inputs:
        derive_inputs(declared.pipes, declared.entities.get_entity_ids())
        pipe = declared.pipes.get_pipe_definition(request.pipe_id)
    if pipe is None or (pipe.execute is None and pipe.sql is None):
        hint = did_you_mean(request.pipe_id, declared.pipes.get_pipe_ids())
        raise PipeRunError(
            f"the project does not declare pipe {request.pipe_id!r}.{hint}\n"
            "  Fix: recompile the project; it has changed since the DAG was compiled."
        )
    return pipe


def call_pipe(pipe: PipeMetadata, frames: Mapping[str, DataFrame], run: RunContext) -> Any:
    """Return what a pipe's function or query makes of its inputs, whatever that is.

    Raises:
        PipeRunError: a DataFrame was to be made of no rows, without a schema.
    """
    if pipe.sql is not None:
        rows = result_of_query(pipe, frames, run)
        finish: Any = pipe.finish
        if finish is None:
            return rows
        asks = "run" in inspect.signature(finish).parameters
        return finish(rows, **({"run": run} if asks else {}))
    function: Any = pipe.execute
    parameters = inspect.signature(function).parameters
    wants_run = "run" in parameters and "run" not in frames
    try:
        return function(**frames, **({"run": run} if wants_run else {}))
    except PySparkValueError as error:
        if error.getCondition() != "CANNOT_INFER_EMPTY_SCHEMA":
            raise
        raise PipeRunError(
            f"pipe {pipe.pipeid!r} creates a DataFrame without rows and without a schema; Spark "
            "infers a schema only from rows, also for pandas DataFrames\n"
            "  Fix: pass the schema: spark.createDataFrame(rows, 'id BIGINT, name STRING')."
        ).with_traceback(error.__traceback__) from error
