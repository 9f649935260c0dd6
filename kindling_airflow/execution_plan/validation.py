"""Validates plans: no pipe is missing, and none comes before a pipe that it waits for.

Nearly every plan is right, and may have 100,000 pipes. So a quick look by number comes first; only
where that is not enough each pipe and each edge is looked at by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["rule_problems"]


def rule_problems(plan: ExecutionPlan, numbers_of: Callable[[], Mapping[str, int]]) -> list[str]:
    """Return which rules of its strategy a plan breaks; ``ExecutionPlan.validate`` lists them.

    Args:
        plan: the plan.
        numbers_of: makes the number of each pipe's generation, the first one of a pipe in several;
            called only where it is needed.
    """
    if _is_sound(plan, numbers_of):
        return []
    return [*_coverage_problems(plan), *_order_problems(plan, numbers_of())]


def _is_sound(plan: ExecutionPlan, numbers_of: Callable[[], Mapping[str, int]]) -> bool:
    """Return whether a plan of all pipes of its graph, in one direction, covers and orders them.

    The usual case, decided by number; False for any other plan means nothing.
    """
    graph, generations, direction = plan.graph, plan.generations, plan.direction()
    if direction not in ("forward", "reverse") or not graph.is_all(plan.pipe_ids):
        return False
    if [g.number for g in generations] != list(range(len(generations))):
        return False
    if direction == "forward" and tuple([g.pipe_ids for g in generations]) == graph.generations:
        return True  # as early as their producers allow
    numbers = numbers_of()
    if len(numbers) != sum(map(len, generations)) or numbers.keys() != graph.nodes.keys():
        return False
    earlier = graph.reverse_adjacency if direction == "forward" else graph.adjacency
    number_of = numbers.__getitem__
    return all(
        max(map(number_of, earlier[pipe_id]), default=-1) < number
        for pipe_id, number in numbers.items()
    )


def _coverage_problems(plan: ExecutionPlan) -> list[str]:
    problems = []
    seen: dict[str, int] = {}
    for position, generation in enumerate(plan.generations):
        if generation.number != position:
            problems.append(
                f"generation number {generation.number} is at position {position}\n"
                "  Fix: number the generations from 0 in their order."
            )
        for pipe_id in generation.pipe_ids:
            if pipe_id in seen:
                problems.append(
                    f"pipe {pipe_id!r} is in generation {seen[pipe_id]} and again in generation "
                    f"{generation.number}\n  Fix: put each pipe into exactly one generation."
                )
            seen.setdefault(pipe_id, generation.number)
    wanted = set(plan.pipe_ids)
    if len(wanted) != len(plan.pipe_ids):
        problems += [
            f"pipe {p!r} is listed {count} times in pipe_ids\n  Fix: list each pipe once."
            for p, count in Counter(plan.pipe_ids).items()
            if count > 1
        ]
    problems += [
        f"pipe {p!r} is in no generation\n  Fix: put each pipe into exactly one generation."
        for p in wanted - seen.keys()
    ]
    problems += [
        f"pipe {p!r} is in generation {seen[p]} but not in the plan's pipe_ids\n"
        "  Fix: list it in pipe_ids, or take it out of the generation."
        for p in seen.keys() - wanted
    ]
    problems += [
        f"pipe {p!r} is in the plan but not in its graph\n"
        "  Fix: build the graph with all pipes of the plan."
        for p in wanted - plan.graph.nodes.keys()
    ]
    return problems


_BROKEN: Mapping[str | None, tuple[Callable[[int, int], bool], str]] = {
    "forward": (lambda producer, consumer: producer >= consumer, "in an earlier generation than"),
    "reverse": (lambda producer, consumer: producer <= consumer, "in a later generation than"),
    None: (lambda producer, consumer: producer == consumer, "in another generation than"),
}


def _order_problems(plan: ExecutionPlan, numbers: Mapping[str, int]) -> list[str]:
    direction = plan.direction()
    streams = plan.metadata.get("streaming_pipes", ()) if direction == "hybrid" else ()
    if isinstance(streams, str) or not isinstance(streams, Iterable):
        return [f"metadata: streaming_pipes must be a list of pipes, not {streams!r}"]
    reversed_pipes = set(map(str, streams))
    broken, must_be = _BROKEN["forward" if direction == "hybrid" else direction]
    problems = []
    for edge in plan.graph.edges:
        producer, consumer = numbers.get(edge.from_pipe), numbers.get(edge.to_pipe)
        if producer is None or consumer is None:
            continue
        if reversed_pipes:
            rule = "reverse" if edge.to_pipe in reversed_pipes else "forward"
            broken, must_be = _BROKEN[rule]
        if broken(producer, consumer):
            problems.append(
                f"pipe {edge.to_pipe!r} (generation {consumer}) reads entity {edge.entity!r} "
                f"of pipe {edge.from_pipe!r} (generation {producer})\n"
                f"  Fix: under strategy {plan.strategy!r} the producer belongs {must_be} its "
                "consumer."
            )
    return problems
