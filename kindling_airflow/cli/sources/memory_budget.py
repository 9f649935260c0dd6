"""``--memory-budget``: a plan's cache recommendations under a limit of memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from kindling_airflow.cache_optimizer import cache_metadata
from kindling_airflow.common.immutable import freeze
from kindling_airflow.errors import WrongCallError
from kindling_airflow.execution_plan import ExecutionPlan

_AMOUNT = re.compile(r"(?P<number>[0-9]+)(?P<unit>[kmgt]?)b?", re.IGNORECASE)
_RECOMMENDED = "cache_recommendations"
_COUNTED = "cache_candidate_count"


def read_budget(text: str) -> int:
    """Return an amount of memory in Spark's notation in bytes.

    >>> read_budget("8g"), read_budget("512 MB"), read_budget("1000")
    (8589934592, 536870912, 1000)

    Raises:
        WrongCallError: it is invalid.
    """
    found = _AMOUNT.fullmatch(text.replace(" ", ""))
    if found is None:
        raise WrongCallError(f"--memory-budget {text!r}: write an amount such as 512m or 8g")
    return int(found["number"]) << 10 * " kmgt".index(found["unit"].lower() or " ")


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
