"""DagSpec: everything about a DAG that follows from a plan, as data.

It can be read, compared and tested without Airflow; the DAG factory makes operators of it and
decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kindling_airflow.frozen import EMPTY
from kindling_airflow.translator.options import OnError
from kindling_airflow.translator.task_settings import TaskSettings

__all__ = ["DagSpec", "EmptySpec", "GroupSpec", "TaskSpec"]


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One pipe as a task.

    Attributes:
        task_id: derived from the pipe id alone.
        pipe_id: the pipe.
        upstream: task ids that it waits for: its data edges, and the barrier before it.
        priority_weight: the longest remaining path through the plan, this pipe included, or what an
            override says.
        trigger_rule: Airflow's name of the rule.
        inlets, outlets: the identifiers of the assets that it reads and writes.
        settings: everything else that holds for it; shared by pipes that are alike.
    """

    task_id: str
    pipe_id: str
    upstream: tuple[str, ...]
    priority_weight: int
    trigger_rule: str
    inlets: tuple[str, ...]
    outlets: tuple[str, ...]
    settings: TaskSettings

    def to_json(self) -> dict[str, Any]:
        """Return the task as a JSON document; settings that are not set are left out."""
        return {
            "task_id": self.task_id,
            "pipe_id": self.pipe_id,
            "upstream": list(self.upstream),
            "priority_weight": self.priority_weight,
            "trigger_rule": self.trigger_rule,
            "inlets": list(self.inlets),
            "outlets": list(self.outlets),
            **self.settings.to_json(),
        }


@dataclass(frozen=True, slots=True)
class EmptySpec:
    """A task that does nothing but wait: the scheduler closes it, without worker or slot.

    Attributes:
        task_id: an id that no pipe's task has.
        label: what the UI calls it.
        upstream: task ids that it waits for.
        trigger_rule: Airflow's name of the rule.
        doc: what it is there for.
    """

    task_id: str
    label: str
    upstream: tuple[str, ...]
    trigger_rule: str
    doc: str


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """Tasks that the UI shows as a TaskGroup: a generation, or the pipes of one tag."""

    group_id: str
    label: str
    tooltip: str
    tasks: tuple[TaskSpec, ...]


@dataclass(frozen=True, slots=True)
class DagSpec:
    """A plan, compiled.

    Attributes:
        dag_id: the DAG's id.
        groups: in the order in which the UI shows them.
        barriers: the tasks between generations, in order; none without a barrier.
        outcome: the task behind all pipes that fails if a pipe did, where there is one.
        pool: the pool of the tasks that no override puts elsewhere.
        width: the pool's slots.
        pools: the slots of every pool that a task is in, the pool above included; Airflow's
            ``default_pool`` has as many as Airflow says.
        on_error: what a failed pipe means for the others.
        plan_digest: the plan that it was compiled from.
    """

    dag_id: str
    groups: tuple[GroupSpec, ...]
    pool: str
    width: int
    plan_digest: str
    barriers: tuple[EmptySpec, ...] = ()
    outcome: EmptySpec | None = None
    pools: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    on_error: OnError = OnError.SKIP_DEPENDENTS

    def tasks(self) -> tuple[TaskSpec, ...]:
        """Return the tasks of all pipes, group by group."""
        return tuple([task for group in self.groups for task in group.tasks])

    def max_active_tasks(self) -> int:
        """Return how many tasks of a run may be active, so that no pool waits for another's."""
        elsewhere = sum(task.settings.pool not in self.pools for task in self.tasks())
        return sum(self.pools.values()) + elsewhere

    def empties(self) -> tuple[EmptySpec, ...]:
        """Return the tasks that only wait."""
        return self.barriers if self.outcome is None else (*self.barriers, self.outcome)

    def find(self, task_id: str) -> TaskSpec | EmptySpec | None:
        """Return a task by its id, or None where there is none."""
        every: tuple[TaskSpec | EmptySpec, ...] = (*self.tasks(), *self.empties())
        return next((task for task in every if task.task_id == task_id), None)

    def to_json(self) -> dict[str, Any]:
        """Return the specification as a JSON document."""
        return {
            "dag_id": self.dag_id,
            "pool": self.pool,
            "width": self.width,
            "pools": dict(self.pools),
            "on_error": self.on_error.value,
            "plan_digest": self.plan_digest,
            "groups": [
                {
                    "group_id": group.group_id,
                    "label": group.label,
                    "tooltip": group.tooltip,
                    "tasks": [task.to_json() for task in group.tasks],
                }
                for group in self.groups
            ],
            "barriers": [asdict(empty) for empty in self.barriers],
            "outcome": None if self.outcome is None else asdict(self.outcome),
        }
