"""What a definition and a plan with streams mean for each other."""

from __future__ import annotations

from collections.abc import Iterator

from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.params import param_problems
from kindling_airflow.definitions.yaml_file import Problem
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.translator.stream_problems import lifetime_problem
from kindling_airflow.translator.streams import Streaming

__all__ = ["stream_key_problems"]


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
    if streaming.lives_on:
        yield from _with_living_streams(definition, streaming)


def _without_streams(definition: Definition, plan: ExecutionPlan) -> Iterator[Problem]:
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
