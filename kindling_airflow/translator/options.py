"""What a deployment decides about the translation of a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kindling_airflow.data_entities import id_problems
from kindling_airflow.errors import TranslationError

__all__ = ["TranslateOptions"]


@dataclass(frozen=True, slots=True)
class TranslateOptions:
    """How a plan becomes tasks.

    Attributes:
        dag_id: the DAG's id.
        pool: the pool that limits how many pipes run at once.
        width: the pool's slots, at least 1.
        pool_slots: slots that one pipe takes, at least 1.
        retries: how often a failed task is tried again.
        retry_delay_seconds: pause before a retry.

    Raises:
        TranslationError: a value is not of its type or out of range; lists every problem.
    """

    dag_id: str
    pool: str
    width: int = 4
    pool_slots: int = 1
    retries: int = 0
    retry_delay_seconds: float = 300.0

    def __post_init__(self) -> None:
        problems = [*_id_problems(self), *_number_problems(self)]
        if not problems and self.pool_slots > self.width:
            problems.append(
                f"a pipe takes {self.pool_slots} slots, but pool {self.pool!r} has a width of "
                f"{self.width}: no task could ever start\n"
                "  Fix: raise the width, or lower the slots per pipe."
            )
        if problems:
            raise TranslationError(f"DAG {self.dag_id!r}: {problem}" for problem in problems)


def _id_problems(options: TranslateOptions) -> list[str]:
    return [*id_problems("dag_id", options.dag_id), *id_problems("pool", options.pool)]


def _number_problems(options: TranslateOptions) -> list[str]:
    whole = {"width": 1, "pool_slots": 1, "retries": 0}
    problems = [
        f"{name} must be a whole number of at least {least}, not {value!r}"
        for name, least in whole.items()
        if type(value := getattr(options, name)) is not int or value < least
    ]
    delay = options.retry_delay_seconds
    if type(delay) not in (int, float) or not 0 <= delay < math.inf:
        problems.append(f"retry_delay_seconds must be a number of at least 0, not {delay!r}")
    return problems
