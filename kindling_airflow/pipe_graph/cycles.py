"""The cycles that make pipes no valid graph, and the text of the error that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from kindling_airflow.common.wording import shortened

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["cycle_text", "cycles"]


def cycles(digraph: nx.DiGraph[str]) -> Iterator[list[str]]:
    """Yield one cycle of each strongly connected component, starting with its smallest id.

    The first id is repeated at the end.
    """
    import networkx as nx

    components = [sorted(c) for c in nx.strongly_connected_components(digraph) if len(c) > 1]
    for component in sorted(components):
        members = set(component)
        ordered: nx.DiGraph[str] = nx.DiGraph()
        ordered.add_nodes_from(component)
        ordered.add_edges_from(
            (a, b) for a in component for b in sorted(digraph[a]) if b in members
        )
        path = [edge[0] for edge in nx.find_cycle(ordered, source=component[0])]
        start = path.index(min(path))
        turned = path[start:] + path[:start]
        yield [*turned, turned[0]]


def cycle_text(cycle: Sequence[str], edges: Mapping[tuple[str, str], Mapping[str, str]]) -> str:
    """Return a cycle as an error text: edge by edge, each with its entity.

    A long cycle is shown by its start and its end.
    """
    reads = [
        f"{reader!r} reads entity {edges[writer, reader]['entity']!r}, written by {writer!r}"
        for writer, reader in pairwise(cycle)
    ]
    return "\n  ".join(
        [
            f"Pipes form a cycle: {' -> '.join(shortened([*map(repr, cycle)]))}",
            *shortened(reads),
            "Fix: remove one of these inputs, or split the pipe that reads its own result.",
        ]
    )
