"""Checks the tags of a plan's pipes, wherever the plan is to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kindling_airflow.execution_strategy.priority import priority_problems
from kindling_airflow.tags.names import DURATION_TAG, PRIORITY_TAG
from kindling_airflow.tags.registry import value_problems
from kindling_airflow.tags.unknown_tags import unknown_tag_problems
from kindling_airflow.translator.overrides import setting_tag_problems

Tags = Mapping[str, Mapping[str, Any]]


def pipe_tag_problems(tags: Tags) -> Iterator[str]:
    """Yield unknown tags, and what is wrong with how long, how urgent and how often a pipe is run.

    Args:
        tags: each pipe's own tags.
    """
    for pipe_id, own in tags.items():
        yield from (f"pipe {pipe_id!r}: {text}" for text in unknown_tag_problems("pipe", own))
    yield from setting_tag_problems(tags)
    yield from measure_problems(tags)


def measure_problems(tags: Tags) -> Iterator[str]:
    """Yield what is wrong with durations and priorities, which not every strategy looks at."""
    for pipe_id, own in tags.items():
        for text in value_problems("pipe", own, (DURATION_TAG,)):
            yield f"pipe {pipe_id!r}: {text}"
    yield from priority_problems(
        {p: own[PRIORITY_TAG] for p, own in tags.items() if PRIORITY_TAG in own}
    )
