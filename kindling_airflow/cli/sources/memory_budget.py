"""``--memory-budget``: a plan's cache recommendations under a limit of memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kindling_airflow.cache_optimizer import cache_metadata
from kindling_airflow.common.amounts import bytes_of
from kindling_airflow.common.immutable import freeze
from kindling_airflow.errors import WrongCallError
from kindling_airflow.execution_plan import ExecutionPlan

_RECOMMENDED = "cache_recommendations"
_COUNTED = "cache_candidate_count"


def read_budget(text: str) -> int:
    """Return an amount of memory in Spark's notation in bytes.

    Raises:
        WrongCallError: it is invalid.
    """
    try:
        return bytes_of(text)
    except ValueError as error:
        raise WrongCallError(
            f"--memory-budget {text!r}: write an amount such as 512m or 8g"
        ) from error


def within_budget(plan: ExecutionPlan, budget: int | None) -> ExecutionPlan:
    """Return a plan with the recommendations for the budget of a definition, if it sets one.

    A plan whose strategy does not recommend caching stays as it is: streams share no cache.
    """
    if budget is None or _COUNTED not in plan.metadata:
        return plan
    return with_budget(plan, budget)


def with_budget(plan: ExecutionPlan, budget: int) -> ExecutionPlan:
    """Return the plan with the recommendations for a budget in bytes.

    Raises:
        WrongCallError: its strategy does not recommend caching.
    """
    if _COUNTED not in plan.metadata:  # streams share no cache
        raise WrongCallError(
            f"--memory-budget: strategy {plan.strategy!r} does not recommend what to cache"
        )
    kept = cache_metadata(plan.graph, plan.pipe_ids, budget)
    return replace(plan, metadata=freeze({**plan.metadata, **kept}))


def shared_lines(plan: ExecutionPlan) -> Iterator[str]:
    """Yield the recommendations of a plan as lines of text."""
    recommended = plan.metadata[_RECOMMENDED]
    yield f"Entities that several pipes read:{'' if recommended else ' none'}"
    for entry in recommended:
        yield f"  {entry['entity_id']!r}: {entry['level']}: {entry['reason']}"
