"""The plan of a stored DAG: generations, data edges, and how long its pipes were expected to take.

Data edges are those of the inputs and outputs that the tasks' documentation names, and, where that
is missing, the edges between the tasks. Generations are the groups of the DAG; where it is grouped
by something else, they follow from the edges.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindling_airflow.errors import KindlingAirflowError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_plan.critical_path import data_flow, is_forward
from kindling_airflow.pipe_graph import PipeGraph, PipeNode
from kindling_airflow.run_view.stored_tasks import StoredTask, stored_tasks

__all__ = ["StoredPlan", "stored_plan"]

_GENERATION = re.compile(r"generation_(?P<number>[0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan, and the tasks that run it.

    Attributes:
        plan: the plan; its pipes are named by the ids that a page shows.
        pipes: the task of each pipe, in the plan's order.
        others: the tasks that run no pipe.
        before: for each of these, the pipes that wait for it, directly or behind others like it.
        durations: the seconds that each pipe was expected to take; None where nothing is known.
        most_tasks: how many tasks of a run may be active at once.
    """

    plan: ExecutionPlan
    pipes: Mapping[str, StoredTask]
    others: tuple[StoredTask, ...]
    before: Mapping[str, tuple[str, ...]]
    durations: Mapping[str, float] | None
    most_tasks: int | None


def stored_plan(document: Mapping[str, Any]) -> StoredPlan | None:
    """Return the plan of a stored DAG; None for a DAG without pipes.

    Args:
        document: the DAG as Airflow serialized it.
    """
    tasks = stored_tasks(document)
    pipes = _named([task for task in tasks if task.runs_a_pipe])
    if not pipes:
        return None
    others = tuple([task for task in tasks if not task.runs_a_pipe])
    plan = _plan(pipes)
    limit = (document.get("dag") or {}).get("max_active_tasks")
    return StoredPlan(
        plan,
        pipes,
        others,
        _before(others, {task.task_id: name for name, task in pipes.items()}),
        _durations(plan, pipes),
        limit if isinstance(limit, int) else None,
    )


def _named(tasks: Sequence[StoredTask]) -> dict[str, StoredTask]:
    """Return pipes by their ids; those of two groups that have one in common, by their tasks'."""
    count = Counter(task.pipe_id for task in tasks)
    return {t.task_id if count[t.pipe_id] > 1 else t.pipe_id: t for t in tasks}


def _plan(pipes: Mapping[str, StoredTask]) -> ExecutionPlan:
    try:
        graph = PipeGraph(_nodes(pipes, by_entity=True))
    except KindlingAirflowError:  # two groups write one entity, or a document is not ours
        graph = PipeGraph(_nodes(pipes, by_entity=False))
    streams = [name for name, task in pipes.items() if task.kind == "stream"]
    numbers = _numbers(pipes)
    order = None if numbers is None else _order(graph, numbers)
    if numbers is None or order is None:
        columns = graph.generations_of(tuple(pipes))
        order = "forward"
    else:
        present = sorted(set(numbers.values()))
        columns = tuple([tuple([p for p in pipes if numbers[p] == n]) for n in present])
    strategy = {"forward": "batch", "reverse": "streaming", "hybrid": "hybrid"}[order]
    metadata: dict[str, Any] = {"execution_order": order}
    if streams:
        metadata["streaming_pipes"] = streams
    return ExecutionPlan(
        tuple(pipes),
        tuple([Generation(n, tuple(column)) for n, column in enumerate(columns)]),
        graph,
        strategy,
        metadata,
    )


def _nodes(pipes: Mapping[str, StoredTask], *, by_entity: bool) -> dict[str, PipeNode]:
    """Return the pipes with entities that imply at least the edges between their tasks."""
    outputs = {
        name: task.writes if by_entity and task.writes is not None else f"output of {name}"
        for name, task in pipes.items()
    }
    reads = {name: list(task.reads) if by_entity else [] for name, task in pipes.items()}
    names = {task.task_id: name for name, task in pipes.items()}
    for name, task in pipes.items():
        for behind in filter(None, map(names.get, task.downstream)):
            if outputs[name] not in reads[behind]:
                reads[behind].append(outputs[name])
    return {
        name: PipeNode(name, input_entities=tuple(reads[name]), output_entity=outputs[name])
        for name in pipes
    }


def _numbers(pipes: Mapping[str, StoredTask]) -> dict[str, int] | None:
    """Return the generation of each pipe by its group; None where groups are something else."""
    found: dict[str, int] = {}
    for name, task in pipes.items():
        number = _GENERATION.fullmatch(task.groups[-1].rpartition(".")[2]) if task.groups else None
        if number is None:
            return None
        found[name] = int(number["number"])
    return found


def _order(graph: PipeGraph, numbers: Mapping[str, int]) -> str | None:
    """Return the order of generations; None where an edge stays within one."""
    steps = {numbers[e.to_pipe] - numbers[e.from_pipe] for e in graph.edges}
    if 0 in steps:
        return None
    if all(step > 0 for step in steps):
        return "forward"
    return "reverse" if all(step < 0 for step in steps) else "hybrid"


def _before(others: Sequence[StoredTask], names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    by_id = {task.task_id: task for task in others}
    found: dict[str, tuple[str, ...]] = {}
    for task in others:
        seen, waiting, pipes = {task.task_id}, [task], dict[str, None]()
        while waiting:
            for name in waiting.pop().downstream:
                if name in names:
                    pipes[names[name]] = None
                elif name in by_id and name not in seen:
                    seen.add(name)
                    waiting.append(by_id[name])
        found[task.task_id] = tuple(pipes)
    return found


def _durations(plan: ExecutionPlan, pipes: Mapping[str, StoredTask]) -> dict[str, float] | None:
    """Return durations by what the weights of neighbours differ in: they are longest ways."""
    if not is_forward(plan):
        return None
    consumers = data_flow(plan).consumers
    found = {
        name: float(task.weight - max((pipes[c].weight for c in consumers[name]), default=0))
        for name, task in pipes.items()
    }
    is_known = all(seconds >= 1 for seconds in found.values()) and set(found.values()) != {1.0}
    return found if is_known else None
