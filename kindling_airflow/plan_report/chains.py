"""The longest chain of waiting that leads to each pipe of a plan.

    a -> b -> d         batch: a <- b <- d      (d waits for b, b waits for a)
    a -> c -> d         streaming: d <- b <- a  (a waits for b, b waits for d)

Of equally long chains it is the one through the pipe that ``awaited()`` names first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kindling_airflow.execution_plan import ExecutionPlan


class Link(NamedTuple):
    """A pipe's place on its longest chain.

    Attributes:
        length: how many pipes the chain has before this one.
        before: the pipe before this one, or None where it waits for none.
    """

    length: int
    before: str | None


def longest_chains(plan: ExecutionPlan) -> dict[str, Link]:
    """Return each pipe's place on its longest chain, in time linear in pipes and edges."""
    links: dict[str, Link] = {}
    for generation in plan.generations:
        for pipe_id in generation:
            links[pipe_id] = Link(0, None)
            for awaited in plan.awaited(pipe_id):
                if links[awaited].length >= links[pipe_id].length:
                    links[pipe_id] = Link(links[awaited].length + 1, awaited)
    return links


def chain_of(links: Mapping[str, Link], pipe_id: str) -> tuple[str, ...]:
    """Return the longest chain that ends with a pipe, from its beginning on."""
    chain = [pipe_id]
    while (before := links[chain[-1]].before) is not None:
        chain.append(before)
    return tuple(reversed(chain))
