"""What a deployment decides about the translation of a plan."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    dag_id: str
    pool: str
    width: int = 4
    pool_slots: int = 1
    retries: int = 0
    retry_delay_seconds: float = 300.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least {least}, not {getattr(self, name)!r}"
            for name, least in (("width", 1), ("pool_slots", 1), ("retries", 0), ("retry_delay_seconds", 0))
            if getattr(self, name) < least
        ]
        if not problems and self.pool_slots > self.width:
            problems.append(
                f"a pipe takes {self.pool_slots} slots, but pool {self.pool!r} has a width of {self.width}: "
                "no task could ever start\n  Fix: raise the width, or lower the slots per pipe."
            )
        if problems:
            raise TranslationError(f"DAG {self.dag_id!r}: {problem}" for problem in problems)
