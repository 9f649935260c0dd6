"""Checks of a definition against its plan: schedule, streams and the parameters of queries."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.params import param_problems
from kindling_airflow.definitions.yaml_file import Problem
from kindling_airflow.tags.stream_checks import check_streams
from kindling_airflow.translator.assets import asset_identifier

if TYPE_CHECKING:
    from kindling_airflow.execution_plan import ExecutionPlan
    from kindling_airflow.manifest import Manifest
    from kindling_airflow.translator.streams import Streaming

# What every run has; whether a run has an interval shows when it runs.
_OF_THE_RUN = ("interval_end", "interval_start", "pipe_id", "run_id")


def input_assets(definition: Definition, plan: ExecutionPlan) -> tuple[str, ...]:
    """Return the assets of the entities that the plan reads and does not write, by name."""
    if definition.assets is None:
        return ()
    identifier = asset_identifier(definition.assets)
    return tuple(sorted(map(identifier, plan.graph.external_entities())))


def schedule_problems(definition: Definition, plan: ExecutionPlan) -> Iterator[Problem]:
    """Yield what is wrong with the schedule of a whole DAG, seen from its plan."""
    if definition.follows_inputs and definition.assets is None:
        text = "'assets' conflicts with assets: false\n  Fix: remove one of the two."
        yield ("schedule",), text
    elif definition.follows_inputs and not input_assets(definition, plan):
        text = (
            "'assets' means the plan's external inputs, and the plan has none\n"
            "  Fix: use a cron expression, or list assets: {all: [...]}."
        )
        yield ("schedule",), text
    has_intervals = definition.cron or definition.every or definition.partitions
    if definition.on_missing_interval == "run_after" and not has_intervals:
        text = (
            "'run_after' takes an interval of the schedule, and this schedule has none\n"
            "  Fix: use a cron expression, 'every' or 'partitions'; or 'full' or 'fail'."
        )
        yield ("on_missing_interval",), text


def stream_key_problems(
    definition: Definition, plan: ExecutionPlan, streaming: Streaming | None, *, is_group: bool
) -> Iterator[Problem]:
    """Yield the keys of a definition that do not fit the streams of its plan, or the lack of them.

    Args:
        definition: the definition.
        plan: its plan.
        streaming: the streams of the plan.
        is_group: the plan goes into a DAG that is not the definition's.
    """
    if streaming is None:
        yield from _without_streams(definition, plan)
        return
    if is_group:
        return
    if definition.max_active_runs > 1:
        text = "concurrent runs would stop each other's streams"
        yield ("max_active_runs",), f"{text}\n  Fix: use 1, the default."
    if streaming.is_long_running:
        yield from _with_living_streams(definition, streaming)


def _without_streams(definition: Definition, plan: ExecutionPlan) -> Iterator[Problem]:
    from kindling_airflow.translator.stream_problems import lifetime_problem

    wrong = lifetime_problem(plan, definition.lifetime, None)
    if wrong is not None:
        yield ("lifetime",), wrong
    elif definition.checkpoints is not None:
        yield ("checkpoints",), "is for streams, and the plan has none\n  Fix: remove it."
    if definition.continuous:
        text = "'@continuous' is for streams, and the plan has none"
        yield ("schedule",), f"{text}\n  Fix: use a cron expression, or 'every'."


def _with_living_streams(definition: Definition, streaming: Streaming) -> Iterator[Problem]:
    if definition.catchup:
        text = "a run for a past interval cannot rewind its streams"
        yield ("catchup",), f"{text}\n  Fix: remove it, or use lifetime: available_now."
    limit = definition.dag_run.get("timeout_seconds")
    if limit is not None and (streaming.seconds is None or limit <= streaming.seconds):
        text = f"a run fails after {limit:g} s, and its streams run {streaming.length()}"
        yield (
            ("dag_run", "timeout_seconds"),
            f"{text}\n  Fix: use lifetime: bounded with a shorter duration.",
        )
    if definition.continuous is None and definition.runs_continuously(streaming.lifetime):
        yield from param_problems(definition.params, True)


def stream_type_problems(
    plan: ExecutionPlan, declared: Manifest, streaming: Streaming | None
) -> list[str]:
    """Return which inputs and outputs of a plan's streams cannot be streamed."""
    return check_streams(
        declared.definitions_of(plan.pipe_ids),
        declared.entities,
        () if streaming is None else tuple(streaming.settings),
        consumers_first=streaming is not None and streaming.is_long_running,
    )


def query_param_problems(plan: ExecutionPlan, params: Collection[str]) -> list[str]:
    """Return a text for each named parameter of a query that no run of the DAG need have.

    Args:
        plan: the plan.
        params: the parameters that the DAG declares.
    """
    known = (*params, *_OF_THE_RUN)
    pipes = (node.metadata for node in plan.graph.nodes.values())
    return [
        f"pipe {pipe.pipeid!r}: its query uses :{name}, which is not a param of the DAG."
        f"{did_you_mean(name, known)}\n"
        "  Fix: add it to the params of the definition, or correct the query."
        for pipe in pipes
        if pipe is not None
        for name in pipe.sql_parameters
        if name not in known
    ]
