"""How the pipes of a ``run`` are run: what its definition and its tags say, and the command.

The layers are those of a DAG, made by the translator itself:

    pipe's tags  <  definition, where the command has no option of its own  <  overrides
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import TranslationError
from kindling_airflow.translator import TaskSettings, TranslateOptions
from kindling_airflow.translator.overrides import settings_by_pipe, unmatched_patterns

__all__ = ["run_options"]

_USUAL_WAIT = 30.0
_AIRFLOWS_FACTOR = 2.0  # what true means


def run_options(
    source: Source, called: argparse.Namespace, pipe_ids: Sequence[str]
) -> dict[str, Any]:
    """Return the arguments of :meth:`GenerationExecutor.execute`.

    Args:
        source: what is run.
        called: the command's arguments.
        pipe_ids: the pipes that run to their end.

    Raises:
        TranslationError: settings of the definition make no sense; lists every problem.
    """
    found: dict[str, Any] = {"parallel": called.workers > 1, "max_workers": called.workers}
    definition = source.definition
    if definition is None:
        return found | {
            "error_strategy": called.on_error or "skip_dependents",
            "pipe_timeout": called.timeout,
            "retry_attempts": called.retries or 0,
        }
    settings = _settings_by_pipe(source, definition, called)
    overrides = {pipe_id: _of_executor(settings[pipe_id]) for pipe_id in pipe_ids}
    return found | {
        "error_strategy": called.on_error or definition.on_error,
        "overrides": overrides,
    }


def _settings_by_pipe(
    source: Source, definition: Definition, called: argparse.Namespace
) -> Mapping[str, TaskSettings]:
    """Return the settings of each pipe's task, as its DAG would have them."""
    graph = source.plan.graph
    tags = {pipe_id: graph.nodes[pipe_id].tags for pipe_id in source.plan.pipe_ids}
    said = {"retries": called.retries, "execution_timeout_seconds": called.timeout}
    given = {key: value for key, value in said.items() if value is not None}
    overrides = dict(definition.overrides)
    if source.chosen:  # a pattern for pipes that this run leaves out is none too many
        for pattern, _ in unmatched_patterns(definition.overrides, tags):
            del overrides[pattern]
    options = TranslateOptions(
        dag_id=definition.dag_id,
        pool=definition.pool,
        width=definition.width,
        pools=definition.pools,
        settings={**definition.task, **given},
        overrides=overrides,
    )
    found, problems = settings_by_pipe(options, tags)
    if problems:
        raise TranslationError(f"{source.path}: {problem}" for problem in problems)
    return found


def _of_executor(settings: TaskSettings) -> dict[str, Any]:
    """Return a task's settings as an executor knows them; everything is said, so no tag counts."""
    wait, factor = settings.retry_delay_seconds, settings.retry_exponential_backoff
    return {
        "timeout_seconds": settings.execution_timeout_seconds,
        "retry.attempts": settings.retries or 0,
        "retry.interval_seconds": _USUAL_WAIT if wait is None else wait,
        "retry.backoff": _AIRFLOWS_FACTOR if factor is True else float(factor or 1),
        "retry.max_interval_seconds": settings.max_retry_delay_seconds,
    }
