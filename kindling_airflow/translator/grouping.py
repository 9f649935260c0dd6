r"""Groups tasks for the UI by generation, or by a tag's value. Groups never form a cycle.

Airflow cannot show groups that depend on each other in a circle; its pages answer with an error.
Generations cannot do that. The values of a tag can, where a gold pipe feeds a silver one:

    s1 (silver) -> g1 (gold) -> s2 (silver)       groups: silver {s1}, gold {g1}, silver (2) {s2}

So the second time that data comes back to a value, a new group begins. What a page shows is no
reason to refuse a DAG that can run. The values are put into an order (topological as far as there
is one), and each edge against that order starts a new round; (round, value) then only ever rises
along edges, and groups that are acyclic already stay in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.immutable import canonical_json, thaw
from kindling_airflow.common.wording import counted
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import DataFlow
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.task_ids import group_id, tag_group_id


@dataclass(frozen=True, slots=True)
class Grouped:
    """One group of pipes."""

    group_id: str
    label: str
    tooltip: str
    pipe_ids: tuple[str, ...]


def grouped(plan: ExecutionPlan, flow: DataFlow, options: TranslateOptions) -> Iterator[Grouped]:
    """Yield the groups of a plan; each pipe is in exactly one.

    Args:
        plan: a valid plan.
        flow: its data flow.
        options: says by what the pipes are grouped.
    """
    if options.group_by == "generation":
        for generation in plan.generations:
            number, pipe_ids = generation.number, generation.pipe_ids
            label = group_id(number)
            tooltip = f"Generation {number}: {_figures(pipe_ids, options)}"
            yield Grouped(label, label, tooltip, pipe_ids)
        return
    tag = options.group_by.removeprefix("tag:").strip()
    value_of = {p: _value(plan.graph.nodes[p].tags.get(tag)) for p in plan.pipe_ids}
    for (number, value), members in _rounds(plan, flow, value_of).items():
        again = f" ({number})" if number > 1 else ""
        label = f"{value or f'no {tag}'}{again}"
        tooltip = f"{tag} {value}{again}" if value else f"No tag {tag!r}{again}"
        yield Grouped(
            tag_group_id(tag, value, number),
            label,
            f"{tooltip}: {_figures(members, options)}",
            tuple(members),
        )


def _value(tag: Any) -> str:
    if tag is None or isinstance(tag, str):
        return (tag or "").strip()
    return canonical_json(thaw(tag))


def _figures(pipe_ids: Sequence[str], options: TranslateOptions) -> str:
    pipes = counted(len(pipe_ids), "pipe")
    return f"{pipes}, at most {options.width} at once in pool {options.pool!r}"


def _rounds(
    plan: ExecutionPlan, flow: DataFlow, value_of: Mapping[str, str]
) -> dict[tuple[int, str], list[str]]:
    """Return the pipes by round and value, in the order of the groups and of the generations."""
    place = {value: n for n, value in enumerate(_ordered(flow, value_of))}
    rounds: dict[str, int] = {}
    for pipe_id in flow.order:
        own = place[value_of[pipe_id]]
        before = (rounds[p] + (place[value_of[p]] > own) for p in flow.producers[pipe_id])
        rounds[pipe_id] = max(before, default=1)
    found: dict[tuple[int, str], list[str]] = {}
    for generation in plan.generations:
        for pipe_id in generation:
            found.setdefault((rounds[pipe_id], value_of[pipe_id]), []).append(pipe_id)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], place[item[0][1]])))


def _ordered(flow: DataFlow, value_of: Mapping[str, str]) -> Iterable[str]:
    """Return the values so that each comes after those that feed it, as far as that can be."""
    feeds: dict[str, set[str]] = {value_of[p]: set() for p in flow.order}
    for pipe_id in flow.order:
        feeds[value_of[pipe_id]] |= {value_of[p] for p in flow.producers[pipe_id]}
    left = {value: fed - {value} for value, fed in feeds.items()}
    ordered: dict[str, None] = {}
    while left:
        free = (value for value, fed in left.items() if fed <= ordered.keys())
        chosen = next(free, None) or min(left, key=lambda value: len(left[value] - ordered.keys()))
        ordered[chosen] = None
        del left[chosen]
    return ordered
