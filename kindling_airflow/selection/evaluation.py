"""Works through the steps of a selector with a stack of sets of pipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from kindling_airflow.errors import SelectionError
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.selection.matching import pipes_matching, unmatched_problems
from kindling_airflow.selection.parser import parse_selector
from kindling_airflow.selection.syntax import Around, Combine, How, Selector, Word

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["select"]


def select(
    graph: PipeGraph, expression: str | Sequence[str], exclude: str | Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the pipes that an expression selects, in the order of the graph's nodes.

    Each word and each operator takes time linear in pipes and edges.

    Args:
        graph: the pipes to select from.
        expression: a selector; several are read as if they stood in one, with spaces between.
        exclude: what the selection goes without, written in the same way; by default nothing.

    Raises:
        SelectionError: missing or malformed text, a word that matches no pipe, or an empty
            selection; lists all wrong texts, and all wrong words of the others.
    """
    problems: list[str] = []
    texts = _texts("expression", expression, problems)
    without = _texts("exclude", exclude, problems)
    wanted, unwanted = _parsed(texts, problems), _parsed(without, problems)
    words = dict.fromkeys(word for selector in [*wanted, *unwanted] for word in selector.words())
    matches = {word: pipes_matching(word, graph) for word in words}
    problems += unmatched_problems([word for word in words if not matches[word]], graph)
    if problems:
        raise SelectionError(problems)
    chosen = _evaluated(_side_by_side(texts, wanted), graph, matches)
    if without:
        chosen -= _evaluated(_side_by_side(without, unwanted), graph, matches)
    if not chosen:
        what = f"{' '.join(texts)!r}" + (f" without {' '.join(without)!r}" if without else "")
        problem = (
            f"the selection {what} is empty: each word matches a pipe, but none is left\n"
            "  Fix: check what the commas and exclusions take away."
        )
        raise SelectionError([problem])
    return tuple(pipe_id for pipe_id in graph.nodes if pipe_id in chosen)


def _texts(name: str, value: Any, problems: list[str]) -> list[str]:
    """Return the texts of a selection; anything else is reported."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)):
        problems.append(f"{name} must be a string or a list of strings, not {value!r}")
        return []
    problems += [
        f"{name}[{n}] must be a string, not {item!r}"
        for n, item in enumerate(value)
        if not isinstance(item, str)
    ]
    if not value and name == "expression":
        problems.append("expression is an empty list\n  Fix: write ['**'] to select all pipes.")
    return [item for item in value if isinstance(item, str)]


def _parsed(texts: Sequence[str], problems: list[str]) -> list[Selector]:
    selectors = []
    for text in texts:
        try:
            selectors.append(parse_selector(text))
        except SelectionError as error:
            problems += error.problems
    return selectors


def _side_by_side(texts: Sequence[str], selectors: Sequence[Selector]) -> Selector:
    return selectors[0] if len(selectors) == 1 else parse_selector(" ".join(texts))


def _evaluated(
    selector: Selector, graph: PipeGraph, matches: Mapping[Word, frozenset[str]]
) -> frozenset[str]:
    everything = frozenset(graph.nodes)
    stack: list[frozenset[str]] = []
    for step in selector.steps:
        if isinstance(step, Word):
            stack.append(matches[step])
        elif isinstance(step, Combine):
            first = len(stack) - len(step.negated)
            operands, stack[first:] = stack[first:], []
            stack.append(_combined(step, operands, everything))
        elif isinstance(step, Around):
            pipes = stack.pop()
            stack.append(_upstream(graph, pipes, step.up) | _downstream(graph, pipes, step.down))
        else:
            stack.append(_upstream(graph, _downstream(graph, stack.pop(), None), None))
    return stack.pop()


def _combined(
    step: Combine, operands: Sequence[frozenset[str]], everything: frozenset[str]
) -> frozenset[str]:
    signed = list(zip(step.negated, operands, strict=True))
    positive = [pipes for negated, pipes in signed if not negated]
    negative = [pipes for negated, pipes in signed if negated]
    if not positive:
        together = everything
    elif step.how is How.ANY:
        together = frozenset().union(*positive)
    else:
        together = frozenset.intersection(*positive)
    return together.difference(*negative)


def _upstream(graph: PipeGraph, pipes: frozenset[str], levels: int | None) -> frozenset[str]:
    return _within(graph.digraph.reverse(copy=False), pipes, levels) if levels != 0 else pipes


def _downstream(graph: PipeGraph, pipes: frozenset[str], levels: int | None) -> frozenset[str]:
    return _within(graph.digraph, pipes, levels) if levels != 0 else pipes


def _within(digraph: nx.DiGraph[str], pipes: frozenset[str], levels: int | None) -> frozenset[str]:
    """Return these pipes and those at most so many edges behind them (None: any number)."""
    from networkx import bfs_layers

    layers = bfs_layers(digraph, pipes)
    return frozenset(chain.from_iterable(islice(layers, None if levels is None else levels + 1)))
