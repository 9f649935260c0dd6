"""What holds for every graph and every selector, against an oracle.

The oracle shares nothing with the package but the declarations: it builds selectors from the words
up, as a text together with what that text selects, with networkx for the graph operators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import SelectionError
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder
from kindling_airflow.selection import parse_selector, select
from tests.strategies import acyclic_pipes, pipe_ids

GLOBS = ["**", "*", "*.*", "silver.*", "*.orders", "**s", "?*.?", "b**", "*-*", "*.*_*"]
TAGS = [{}, {"layer": "gold"}, {"layer": ["x", 1]}, {"layer": 1, "a b": None}, {"a b": "gold.x"}]
UNION, INTERSECTION, TERM, ATOM = range(4)


class _Node(NamedTuple):
    """A selector's text, how tightly it holds together, and what it selects."""

    text: str
    binding: int
    pipes: frozenset[str]

    def at_least(self, binding: int) -> str:
        return self.text if self.binding >= binding else f"({self.text})"


def _matching(glob: str, text: str) -> bool:
    stars = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    expression = re.sub(r"\*\*|[*?.]", lambda found: stars.get(found[0], r"\."), glob)
    return re.fullmatch(expression, text, re.DOTALL) is not None


class _Oracle:
    def __init__(self, registry: DataPipesRegistry) -> None:
        self.declared = list(registry)
        self.everything = frozenset(pipe.pipeid for pipe in registry)
        self.digraph: nx.DiGraph[str] = nx.DiGraph()
        self.digraph.add_nodes_from(self.everything)
        self.digraph.add_edges_from(
            (producer.pipeid, consumer.pipeid)
            for producer in registry
            for consumer in registry
            if producer is not consumer and producer.output_entity_id in consumer.input_entity_ids
        )

    def selectors(self) -> st.SearchStrategy[_Node]:
        """Return selectors all words of which match something."""
        words = [node for node in map(self._word, self._words()) if node.pipes]
        return st.recursive(st.sampled_from(words), self._compounds, max_leaves=8)

    def _words(self) -> list[tuple[str, Callable[[str], bool], str]]:
        """Return each word's text, what its pattern matches, and what it looks at."""
        ids = self.everything | {e for pipe in self.declared for e in pipe.input_entity_ids}
        exact = [(f'"{_escaped(text)}"', text.__eq__) for text in sorted(ids)]
        globs = [(glob, lambda text, glob=glob: _matching(glob, text)) for glob in GLOBS]
        prefixes = ["", "entity:", "reads:", "writes:"]
        words = [(p + text, fits, p) for text, fits in exact + globs for p in prefixes]
        for key, shown in (("layer", "layer"), ("a b", '"a b"'), ("layer", "l*r")):
            words.append((f"tag:{shown}", lambda text: True, key))
            words += [(f"tag:{shown}={value}", value.__eq__, key) for value in ["gold", "x", "1"]]
            words += [(f"tag:{shown}={glob}", fits, key) for glob, fits in globs[:2]]
        return words

    def _word(self, word: tuple[str, Callable[[str], bool], str]) -> _Node:
        text, fits, what = word
        written = {pipe.output_entity_id for pipe in self.declared}
        selected = set()
        for pipe in self.declared:
            values = pipe.tags.get(what, ())
            seen = {
                "": [pipe.pipeid],
                "reads:": list(pipe.input_entity_ids),
                "writes:": [pipe.output_entity_id],
                "entity:": [
                    pipe.output_entity_id,
                    *(entity for entity in pipe.input_entity_ids if entity not in written),
                ],
            }.get(what, [_text(v) for v in (values if isinstance(values, tuple) else [values])])
            if any(map(fits, seen)):
                selected.add(pipe.pipeid)
        return _Node(text, ATOM, frozenset(selected))

    def _compounds(self, inner: st.SearchStrategy[_Node]) -> st.SearchStrategy[_Node]:
        levels = st.sampled_from([None, 0, 1, 2])
        signed = st.tuples(st.booleans(), inner)
        return st.one_of(
            st.builds(self._around, levels, inner, levels),
            st.builds(self._rebuild, inner),
            st.builds(
                self._union,
                st.lists(signed, min_size=1, max_size=3),
                st.sampled_from([" ", "\n\t"]),
            ),
            st.builds(
                self._intersection,
                st.lists(signed, min_size=2, max_size=3),
                st.sampled_from([",", " ,  "]),
            ),
            st.builds(lambda node: _Node(f"( {node.text})", ATOM, node.pipes), inner),
        )

    def _around(self, up: int | None, node: _Node, down: int | None) -> _Node:
        before = "+" if up is None else f"{up}+"
        behind = "+" if down is None else f"+{down}"
        pipes = node.pipes | self._near(self.digraph.reverse(), node.pipes, up)
        pipes |= self._near(self.digraph, node.pipes, down)
        return _Node(before + node.at_least(ATOM) + behind, TERM, pipes)

    def _near(
        self, digraph: nx.DiGraph[str], pipes: frozenset[str], levels: int | None
    ) -> frozenset[str]:
        return frozenset(
            near
            for pipe_id in pipes
            for near in nx.single_source_shortest_path_length(digraph, pipe_id, levels)
        )

    def _rebuild(self, node: _Node) -> _Node:
        pipes = set(node.pipes)
        for pipe_id in node.pipes:
            pipes |= nx.descendants(self.digraph, pipe_id)
        for pipe_id in list(pipes):
            pipes |= nx.ancestors(self.digraph, pipe_id)
        return _Node("@" + node.at_least(ATOM), TERM, frozenset(pipes))

    def _union(self, signed: list[tuple[bool, _Node]], space: str) -> _Node:
        if len(signed) == 1 and not signed[0][0]:
            return signed[0][1]
        pipes = frozenset(
            pipe_id
            for pipe_id in self.everything
            if (
                any(pipe_id in node.pipes for negated, node in signed if not negated)
                or all(negated for negated, _ in signed)
            )
            and not any(pipe_id in node.pipes for negated, node in signed if negated)
        )
        texts = [
            "!" + node.at_least(TERM) if negated else node.at_least(INTERSECTION)
            for negated, node in signed
        ]
        return _Node(space.join(texts), UNION, pipes)

    def _intersection(self, signed: list[tuple[bool, _Node]], comma: str) -> _Node:
        pipes = frozenset(
            pipe_id
            for pipe_id in self.everything
            if all((pipe_id in node.pipes) is not negated for negated, node in signed)
        )
        texts = ["!" * negated + node.at_least(TERM) for negated, node in signed]
        return _Node(comma.join(texts), INTERSECTION, pipes)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@st.composite
def _cases(draw: st.DrawFn, count: int = 1) -> tuple[PipeGraph, list[_Node]]:
    """Draw a graph, and selectors for it."""
    ids = draw(st.sampled_from([None, pipe_ids()]))
    registry = DataPipesRegistry()
    for pipe in draw(acyclic_pipes(ids).filter(len)):
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags=draw(st.sampled_from(TAGS)),
        )
    selectors = _Oracle(registry).selectors()
    nodes = [draw(selectors) for _ in range(count)]
    return PipeGraphBuilder(registry).build_graph(), nodes


def _selected_or_none(graph: PipeGraph, *arguments: object) -> tuple[str, ...]:
    try:
        return select(graph, *arguments)  # type: ignore[arg-type]
    except SelectionError as error:
        assert "is empty: each word matches a pipe" in str(error)  # noqa: PT017
        return ()


def _in_order(graph: PipeGraph, pipes: frozenset[str]) -> tuple[str, ...]:
    return tuple(pipe_id for pipe_id in graph.nodes if pipe_id in pipes)


@given(_cases())
def test_selection_is_what_brute_force_finds_in_the_order_of_the_graph(
    case: tuple[PipeGraph, list[_Node]],
) -> None:
    graph, [node] = case
    assert _selected_or_none(graph, node.text) == _in_order(graph, node.pipes)


@given(_cases())
def test_canonical_text_parses_to_the_same_selector(case: tuple[PipeGraph, list[_Node]]) -> None:
    _, [node] = case
    selector = parse_selector(node.text)
    assert parse_selector(str(selector)) == selector
    assert str(parse_selector(str(selector))) == str(selector)
    assert str(selector).count("(") <= node.text.count("(")


@given(_cases(count=2))
def test_list_is_the_text_of_its_items_and_an_exclusion_takes_the_rest_away(
    case: tuple[PipeGraph, list[_Node]],
) -> None:
    graph, [one, other] = case
    both = [f"({one.text})", f"({other.text})"]
    in_text = _selected_or_none(graph, " ".join(both))
    assert in_text == _selected_or_none(graph, both)
    without = _selected_or_none(graph, one.text, other.text)
    assert without == _in_order(graph, one.pipes - other.pipes)
    assert without == _selected_or_none(graph, f"({one.text}),!({other.text})")


@given(_cases(), st.text(alphabet='ab12 ,()!+@"\\*?:=.', max_size=12), st.integers(0, 99))
def test_nothing_but_pipes_or_selection_errors_comes_out_of_a_spoilt_text(
    case: tuple[PipeGraph, list[_Node]], rubbish: str, at: int
) -> None:
    graph, [node] = case
    spoilt = node.text[:at] + rubbish + node.text[at:]
    try:
        selected = select(graph, spoilt)
    except SelectionError:
        return
    assert selected == _in_order(graph, frozenset(selected))
    assert selected
