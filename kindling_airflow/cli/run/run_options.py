"""The options of a ``run`` from tags, definition and command line.

The layers are those of a DAG, and are merged by the translator itself:

    pipe's tags  <  definition, or the command's option  <  overrides
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import TranslationError
from kindling_airflow.tags.names import ATTEMPTS_TAG, RETRY_INTERVAL_TAG, TIMEOUT_TAG
from kindling_airflow.translator import TaskSettings, TranslateOptions
from kindling_airflow.translator.overrides import settings_by_pipe, unmatched_patterns

_DEFAULT_RETRY_DELAY = 30.0
_AIRFLOWS_FACTOR = 2.0  # the meaning of true


def run_options(
    source: Source, args: argparse.Namespace, pipe_ids: Sequence[str]
) -> dict[str, Any]:
    """Return the arguments of :meth:`GenerationExecutor.execute`.

    Args:
        source: the source.
        args: the command's arguments.
        pipe_ids: the pipes that run to completion.

    Raises:
        TranslationError: settings of the definition are invalid; lists every problem.
    """
    found: dict[str, Any] = {"parallel": args.workers > 1, "max_workers": args.workers}
    definition = source.definition
    if definition is None:
        return found | {
            "error_strategy": args.on_error or "skip_dependents",
            "pipe_timeout": args.timeout,
            "retry_attempts": args.retries or 0,
        }
    settings = _settings_by_pipe(source, definition, args)
    overrides = {pipe_id: _of_executor(settings[pipe_id]) for pipe_id in pipe_ids}
    return found | {"error_strategy": args.on_error or definition.on_error, "overrides": overrides}


def _settings_by_pipe(
    source: Source, definition: Definition, args: argparse.Namespace
) -> Mapping[str, TaskSettings]:
    """Return the settings of each pipe's task, as its DAG would have them."""
    graph = source.plan.graph
    tags = {pipe_id: graph.nodes[pipe_id].tags for pipe_id in source.plan.pipe_ids}
    options = {"retries": args.retries, "execution_timeout_seconds": args.timeout}
    given = {key: value for key, value in options.items() if value is not None}
    overrides = dict(definition.overrides)
    if source.chosen:  # a pattern may match pipes that this run excludes
        for pattern, _ in unmatched_patterns(definition.overrides, tags):
            del overrides[pattern]
    translate_options = TranslateOptions(
        dag_id=definition.dag_id,
        pool=definition.pool,
        width=definition.width,
        pools=definition.pools,
        settings={**definition.task, **given},
        overrides=overrides,
    )
    found, problems = settings_by_pipe(translate_options, tags)
    if problems:
        raise TranslationError(f"{source.path}: {problem}" for problem in problems)
    return found


def _of_executor(settings: TaskSettings) -> dict[str, Any]:
    """Return a task's settings in the executor's form; all are set, so that no tag applies."""
    delay, factor = settings.retry_delay_seconds, settings.retry_exponential_backoff
    return {
        TIMEOUT_TAG: settings.execution_timeout_seconds,
        ATTEMPTS_TAG: settings.retries or 0,
        RETRY_INTERVAL_TAG: _DEFAULT_RETRY_DELAY if delay is None else delay,
        "retry.backoff": _AIRFLOWS_FACTOR if factor is True else float(factor or 1),
        "retry.max_interval_seconds": settings.max_retry_delay_seconds,
    }
