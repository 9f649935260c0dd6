"""The pipes of a stored DAG: what each reads and writes, from its tasks' assets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from kindling_airflow.translator.task_ids import unescaped

__all__ = ["StoredPipe", "pipes_of"]

_OPERATOR = "KindlingPipeOperator"  # streams have no slices


@dataclass(frozen=True, slots=True)
class StoredPipe:
    """A pipe of a stored DAG.

    Attributes:
        pipe_id, task_id: the pipe and its task.
        reads: the entities that it reads.
        writes: the entity that it writes; "" where the DAG has no assets.
        asset: the asset of that entity.
        group: the task group that its plan is; "" where the plan is the DAG.
    """

    pipe_id: str
    task_id: str
    reads: tuple[str, ...] = ()
    writes: str = ""
    asset: str = ""
    group: str = ""


def pipes_of(tasks: Iterable[Any]) -> tuple[StoredPipe, ...]:
    """Return the batch pipes among the tasks of a stored DAG, each behind those before it.

    Ids that were cut because they are very long stay as they are in the DAG.
    """
    by_id = {task.task_id: task for task in tasks}
    found = []
    for task_id in _in_order({name: task.upstream_task_ids for name, task in by_id.items()}):
        task = by_id[task_id]
        if getattr(task, "task_type", "") != _OPERATOR:
            continue
        outlets = [str(asset.name) for asset in task.outlets if hasattr(asset, "name")]
        inlets = [str(asset.name) for asset in task.inlets if hasattr(asset, "name")]
        group = _prefixing_group(task)
        own = task.task_id.removeprefix(f"{group}.") if group else task.task_id
        found.append(
            StoredPipe(
                pipe_id=unescaped(own),
                task_id=task.task_id,
                reads=tuple(map(_entity_of, inlets)),
                writes=_entity_of(outlets[0]) if outlets else "",
                asset=outlets[0] if outlets else "",
                group=group,
            )
        )
    return tuple(found)


def _in_order(upstream: Mapping[str, Iterable[str]]) -> Iterator[str]:
    sorter = TopologicalSorter(upstream)
    sorter.prepare()
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        yield from ready
        sorter.done(*ready)


def _prefixing_group(task: Any) -> str:
    """Return the innermost group whose id is in front of the task's; "" without one."""
    group = getattr(task, "task_group", None)
    while group is not None:
        if group.prefix_group_id and group.group_id:
            return str(group.group_id)
        group = group.parent_group
    return ""


def _entity_of(asset: str) -> str:
    return unescaped(asset.rpartition("/")[2])
