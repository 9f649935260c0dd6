"""The batch pipes of a stored DAG, each behind those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from kindling_airflow.run_view.stored_tasks import StoredTask, stored_tasks

__all__ = ["StoredPipe", "pipes_of"]


@dataclass(frozen=True, slots=True)
class StoredPipe:
    """A pipe of a stored DAG.

    Attributes:
        pipe_id, task_id: the pipe and its task.
        reads: the entities that it reads.
        writes: the entity that it writes; "" where it is not known.
        asset: the asset of that entity; "" for a DAG without assets.
        group: the task group that its plan is; "" where the plan is the DAG.
    """

    pipe_id: str
    task_id: str
    reads: tuple[str, ...] = ()
    writes: str = ""
    asset: str = ""
    group: str = ""


def pipes_of(document: Mapping[str, Any]) -> tuple[StoredPipe, ...]:
    """Return the batch pipes of a DAG; streams have no slices.

    Args:
        document: the DAG as Airflow serialized it.
    """
    return tuple(
        [
            StoredPipe(
                pipe_id=task.pipe_id,
                task_id=task.task_id,
                reads=task.reads,
                writes=task.writes or "",
                asset=task.asset,
                group=task.prefix,
            )
            for task in _in_order(stored_tasks(document))
            if task.kind == "pipe"
        ]
    )


def _in_order(tasks: Sequence[StoredTask]) -> Iterator[StoredTask]:
    by_id = {task.task_id: task for task in tasks}
    sorter = TopologicalSorter[str](dict.fromkeys(by_id, ()))
    for task in tasks:
        for name in task.downstream:
            sorter.add(name, task.task_id)
    sorter.prepare()
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        yield from [by_id[name] for name in ready if name in by_id]
        sorter.done(*ready)
