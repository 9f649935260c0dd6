"""What is wrong with the tags of a plan's pipes, wherever the plan is to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kindling_airflow.execution_plan.critical_path import duration_hint
from kindling_airflow.execution_strategy.priority import priority_problems
from kindling_airflow.tags.known_tags import word_problems
from kindling_airflow.translator.overrides import setting_tag_problems

__all__ = ["measure_problems", "pipe_tag_problems"]

Tags = Mapping[str, Mapping[str, Any]]


def pipe_tag_problems(tags: Tags) -> Iterator[str]:
    """Yield unknown tags, and what is wrong with how long, how urgent and how often a pipe is run.

    Args:
        tags: each pipe's own tags.
    """
    for pipe_id, own in tags.items():
        yield from (f"pipe {pipe_id!r}: {text}" for text in word_problems("pipe", own))
    yield from setting_tag_problems(tags)
    yield from measure_problems(tags)


def measure_problems(tags: Tags) -> Iterator[str]:
    """Yield what is wrong with durations and priorities, which not every strategy looks at."""
    for pipe_id, own in tags.items():
        if duration_hint(own) is None:
            yield (
                f"pipe {pipe_id!r}: tag duration_hint must be a positive number of seconds, not "
                f"{own.get('duration_hint')!r}"
            )
    yield from priority_problems(
        {p: own["priority"] for p, own in tags.items() if "priority" in own}
    )
