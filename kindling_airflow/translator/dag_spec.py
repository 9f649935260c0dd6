"""DagSpec: everything about a DAG that follows from a plan, as data.

It can be read, compared and tested without Airflow; the DAG factory makes operators of it and
decides nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["DagSpec", "GroupSpec", "TaskSpec"]


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One pipe as a task.

    Attributes:
        task_id: derived from the pipe id alone.
        pipe_id: the pipe.
        upstream: task ids that it waits for: its data edges, nothing else.
        pool, pool_slots: where it takes how many slots.
        priority_weight: the longest remaining path through the plan, this pipe included.
        retries, retry_delay_seconds: what happens when it fails.
        trigger_rule: Airflow's name of the rule.
    """

    task_id: str
    pipe_id: str
    upstream: tuple[str, ...]
    pool: str
    pool_slots: int
    priority_weight: int
    retries: int
    retry_delay_seconds: float
    trigger_rule: str


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """One generation as a TaskGroup."""

    group_id: str
    tooltip: str
    tasks: tuple[TaskSpec, ...]


@dataclass(frozen=True, slots=True)
class DagSpec:
    """A plan, compiled.

    Attributes:
        dag_id: the DAG's id.
        groups: one per generation, in order.
        pool: the pool of its tasks.
        width: the pool's slots, and so the DAG's ``max_active_tasks``.
        plan_digest: the plan that it was compiled from.
    """

    dag_id: str
    groups: tuple[GroupSpec, ...]
    pool: str
    width: int
    plan_digest: str

    def tasks(self) -> tuple[TaskSpec, ...]:
        """Return all tasks, generation by generation."""
        return tuple(task for group in self.groups for task in group.tasks)

    def find(self, task_id: str) -> TaskSpec | None:
        """Return a task by its id, or None where there is none."""
        return next((task for task in self.tasks() if task.task_id == task_id), None)

    def to_json(self) -> dict[str, Any]:
        """Return the specification as a JSON document."""
        return asdict(self)
