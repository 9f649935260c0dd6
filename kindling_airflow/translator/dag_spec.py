"""DagSpec: everything about a DAG that follows from a plan, as data.

It can be read, compared and tested without Airflow; the DAG factory makes operators of it and
decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kindling_airflow.common.immutable import EMPTY, FrozenDict, thaw
from kindling_airflow.tags.stream_settings import Lifetime
from kindling_airflow.translator.options import OnError
from kindling_airflow.translator.task_settings import TaskSettings


@dataclass(frozen=True, slots=True)
class StreamTask:
    """What makes a pipe's task one of a stream.

    Attributes:
        producers: task ids of the pipes that it reads from: once asked to stop, it goes on until
            they have ended. None where each stream ends by itself.
        lifetime: how long it runs.
        start_seconds: how long its driver may be silent before its first report.
        silence_seconds: how long it may be silent from then on; 0 for unlimited, from the start.
    """

    producers: tuple[str, ...]
    lifetime: Lifetime
    start_seconds: float
    silence_seconds: float


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
        stream: what makes it the task of a stream; None for a batch pipe.
    """

    task_id: str
    pipe_id: str
    upstream: tuple[str, ...]
    priority_weight: int
    trigger_rule: str
    inlets: tuple[str, ...]
    outlets: tuple[str, ...]
    settings: TaskSettings
    stream: StreamTask | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the task as a JSON document; settings that are not set are left out."""
        stream = {} if self.stream is None else {"stream": _plain(self.stream)}
        return {
            "task_id": self.task_id,
            "pipe_id": self.pipe_id,
            "upstream": list(self.upstream),
            "priority_weight": self.priority_weight,
            "trigger_rule": self.trigger_rule,
            "inlets": list(self.inlets),
            "outlets": list(self.outlets),
            **stream,
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
class GateSpec:
    """The task that ends when the streams of a generation are ready.

    Attributes:
        task_id: an id that no pipe's task has.
        label: what the UI calls it.
        upstream: the gate before it.
        trigger_rule: Airflow's name of the rule.
        streams: task ids of the streams that it waits for.
        timeout_seconds: how long they may take.
        doc: what it is there for.
        earlier: task ids of the streams of the generations before; none of them may have failed.
    """

    task_id: str
    label: str
    upstream: tuple[str, ...]
    trigger_rule: str
    streams: tuple[str, ...]
    timeout_seconds: float
    doc: str
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StopSpec:
    """The task whose end stops the streams of a run, sources first.

    Attributes:
        task_id: an id that no pipe's task has.
        label: what the UI calls it.
        trigger_rule: Airflow's name of the rule.
        streams: task ids of all streams: when they have ended, so has it.
        after_seconds: when it ends by itself; None: no limit.
        doc: what it is there for.
        upstream: nothing.
    """

    task_id: str
    label: str
    trigger_rule: str
    streams: tuple[str, ...]
    after_seconds: float | None
    doc: str
    upstream: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """The task that runs the driver which pipes of a run share.

    Attributes:
        task_id: an id that no pipe's task has.
        name: the session's, as the definition has it.
        label: what the UI calls it.
        pipe_ids, task_ids: its pipes, and their tasks in the same order.
        priority_weight: above that of every pipe.
        settings: what holds for it.
        doc: what it is there for.
        shared: the entities that several of its pipes read, which it keeps between them, each with
            ``entity_id``, ``level``, ``readers`` and ``writer`` ("" where no pipe writes it).
        trigger_rule: Airflow's name of the rule.
        upstream: nothing: a pipe that finds no session does without.
    """

    task_id: str
    name: str
    label: str
    pipe_ids: tuple[str, ...]
    task_ids: tuple[str, ...]
    priority_weight: int
    settings: TaskSettings
    doc: str
    shared: tuple[FrozenDict, ...] = ()
    trigger_rule: str = "all_success"
    upstream: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the task as a JSON document; settings that are not set are left out."""
        return {
            "task_id": self.task_id,
            "name": self.name,
            "pipe_ids": list(self.pipe_ids),
            "priority_weight": self.priority_weight,
            "shared": thaw(self.shared),
            **self.settings.to_json(),
        }


NodeSpec = TaskSpec | EmptySpec | GateSpec | StopSpec | SessionSpec


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """Tasks that the UI shows as a TaskGroup: a generation, or the pipes of one tag."""

    group_id: str
    label: str
    tooltip: str
    tasks: tuple[TaskSpec, ...]
    gate: GateSpec | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the group as a JSON document; a gate that there is none of is left out."""
        gate = {} if self.gate is None else {"gate": _plain(self.gate)}
        return {
            "group_id": self.group_id,
            "label": self.label,
            "tooltip": self.tooltip,
            "tasks": [task.to_json() for task in self.tasks],
            **gate,
        }


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
        lifetime: the lifetime of its streams; None for a DAG without any.
        stop: the task that stops its streams, where they do not end by themselves.
        sessions: the tasks of the drivers that pipes share.
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
    lifetime: Lifetime | None = None
    stop: StopSpec | None = None
    sessions: tuple[SessionSpec, ...] = ()

    def tasks(self) -> tuple[TaskSpec, ...]:
        """Return the tasks of all pipes, group by group."""
        return tuple([task for group in self.groups for task in group.tasks])

    def max_active_tasks(self) -> int:
        """Return how many tasks of a run may be active, so that no pool waits for another's."""
        elsewhere = sum(task.settings.pool not in self.pools for task in self.tasks())
        watching = 0 if self.stop is None else len(self.gates()) + 1
        return sum(self.pools.values()) + elsewhere + watching + len(self.sessions)

    def empties(self) -> tuple[EmptySpec, ...]:
        """Return the tasks that only wait."""
        return self.barriers if self.outcome is None else (*self.barriers, self.outcome)

    def gates(self) -> tuple[GateSpec, ...]:
        """Return the tasks that wait until streams are ready, in order."""
        return tuple([group.gate for group in self.groups if group.gate is not None])

    def nodes(self) -> tuple[NodeSpec, ...]:
        """Return every task."""
        stop = () if self.stop is None else (self.stop,)
        return (*self.tasks(), *self.gates(), *stop, *self.empties(), *self.sessions)

    def find(self, task_id: str) -> NodeSpec | None:
        """Return a task by its id, or None where there is none."""
        return next((node for node in self.nodes() if node.task_id == task_id), None)

    def to_json(self) -> dict[str, Any]:
        """Return the specification as a JSON document; streams and sessions where there are any."""
        streaming: dict[str, Any] = {}
        if self.lifetime is not None:
            stop = None if self.stop is None else _plain(self.stop)
            streaming = {"lifetime": self.lifetime, "stop": stop}
        sessions = [session.to_json() for session in self.sessions]
        return {
            "dag_id": self.dag_id,
            "pool": self.pool,
            "width": self.width,
            "pools": dict(self.pools),
            "on_error": self.on_error.value,
            "plan_digest": self.plan_digest,
            "groups": [group.to_json() for group in self.groups],
            "barriers": [asdict(empty) for empty in self.barriers],
            "outcome": None if self.outcome is None else asdict(self.outcome),
            **streaming,
            **({"sessions": sessions} if sessions else {}),
        }


def _plain(part: StreamTask | GateSpec | StopSpec) -> dict[str, Any]:
    document: dict[str, Any] = thaw(asdict(part))
    return document
