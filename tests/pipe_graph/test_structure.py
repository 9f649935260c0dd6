"""The structure of a graph against the same derived independently, and its networkx graph."""

from __future__ import annotations

import pickle

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.cache_optimizer import recommend_cache
from kindling_airflow.errors import GraphCycleError, PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.pipe_graph import PipeGraph, PipeNode
from kindling_airflow.pipe_graph.structure import edges_of, reads_of, written_by
from tests.builders import graph, plan

ENTITIES = "abcdef"


@st.composite
def nodes(draw: st.DrawFn) -> tuple[PipeNode, ...]:
    """Return pipes that may read anything, name it twice, read their own output, form cycles."""
    outputs = draw(st.permutations(ENTITIES[:4]))
    inputs = st.lists(st.sampled_from(ENTITIES), max_size=4).map(tuple)
    return tuple(
        PipeNode(f"p{n}", draw(inputs), draw(st.sampled_from([output, None])))
        for n, output in enumerate(outputs)
    )


def _readers(made: tuple[PipeNode, ...], entity: str) -> tuple[str, ...]:
    return tuple(node.pipe_id for node in made if entity in node.input_entities)


def _graph(made: tuple[PipeNode, ...]) -> PipeGraph | None:
    """Return the graph of these nodes, or None where they form a cycle."""
    try:
        return PipeGraph({node.pipe_id: node for node in made})
    except GraphCycleError:
        return None


@given(nodes())
def test_views_follow_from_inputs_and_outputs(made: tuple[PipeNode, ...]) -> None:
    writers = {node.output_entity: node.pipe_id for node in made if node.output_entity}
    edges = tuple(
        (writers[entity], node.pipe_id, entity)
        for node in made
        for entity in dict.fromkeys(node.input_entities)
        if entity in writers and writers[entity] != node.pipe_id
    )
    by_id = {node.pipe_id: node for node in made}
    written, problems = written_by(by_id)
    assert {entity: writer for entity, (writer, _) in written.items()} == writers
    assert not problems
    assert edges_of(reads_of(by_id, written)) == edges
    if (drawn := _graph(made)) is None:
        return
    assert drawn.edges == edges
    assert list(drawn.entity_producers.items()) == list(writers.items())
    assert drawn.entity_consumers == {e: r for e in ENTITIES if (r := _readers(made, e))}
    for node in made:
        own = node.pipe_id
        assert drawn.reverse_adjacency[own] == tuple(a for a, b, _ in edges if b == own)
        assert drawn.adjacency[own] == tuple(b for a, b, _ in edges if a == own)


@given(nodes())
def test_shared_entities_have_two_readers_beside_their_writer(made: tuple[PipeNode, ...]) -> None:
    if (drawn := _graph(made)) is None:
        return
    writers = {node.output_entity: node.pipe_id for node in made}
    others = {
        entity: tuple(p for p in _readers(made, entity) if p != writers.get(entity))
        for entity in ENTITIES
    }
    found = {r.entity_id: r.consumers for r in recommend_cache(drawn, tuple(drawn.nodes))}
    assert found == {entity: readers for entity, readers in others.items() if len(readers) > 1}


@given(nodes())
def test_depths_are_the_same_in_whatever_order_pipes_are_declared(
    made: tuple[PipeNode, ...],
) -> None:
    forward, backward = _graph(made), _graph(made[::-1])
    if forward is None or backward is None:
        assert forward is backward
        return
    assert forward.depths == backward.depths
    for writer, reader, _ in forward.edges:
        assert forward.depths[writer] < forward.depths[reader]
        assert forward.topological_order.index(writer) < forward.topological_order.index(reader)


@given(nodes())
def test_cycles_are_found_whether_or_not_the_digraph_is_built_at_once(
    made: tuple[PipeNode, ...],
) -> None:
    by_id = {node.pipe_id: node for node in made}
    try:
        lazy: PipeGraph | None = PipeGraph(by_id, lazy=True)
    except GraphCycleError:
        lazy = None
    assert lazy == _graph(made)


class TestDigraph:
    """``PipeGraph.digraph`` is a networkx graph for users."""

    def test_it_has_the_pipes_and_the_data_edges_in_their_order(self) -> None:
        drawn = graph("[raw] -> a -> b, a -> c, b -> c")
        assert list(drawn.digraph) == ["a", "b", "c"]
        assert list(drawn.digraph.edges(data="entity")) == [
            ("a", "b", "a.out"),
            ("a", "c", "a.out"),
            ("b", "c", "b.out"),
        ]
        assert drawn.digraph.nodes["a"]["pipe"] is drawn.nodes["a"]
        assert nx.dag_longest_path(drawn.digraph) == ["a", "b", "c"]
        assert nx.ancestors(drawn.digraph, "c") == {"a", "b"}

    def test_it_is_frozen(self) -> None:
        drawn = graph("a -> b")
        assert nx.is_frozen(drawn.digraph)
        for change in (drawn.digraph.add_node, drawn.digraph.remove_node):
            with pytest.raises(nx.NetworkXError):
                change("a")

    def test_attributes_of_edges_are_immutable_and_those_of_nodes_are_never_read(self) -> None:
        made = plan("a -> b")
        with pytest.raises(TypeError, match="immutable"):
            made.graph.digraph.edges["a", "b"]["entity"] = "other"
        made.graph.digraph.nodes["a"].clear()
        assert made.digest == plan("a -> b").digest
        assert made.graph == graph("a -> b")

    @given(nodes())
    def test_it_is_what_networkx_builds_from_the_same_edges(
        self, made: tuple[PipeNode, ...]
    ) -> None:
        if (drawn := _graph(made)) is None:
            return
        built: nx.DiGraph[str] = nx.DiGraph()
        built.add_nodes_from((pipe_id, {"pipe": node}) for pipe_id, node in drawn.nodes.items())
        built.add_edges_from((a, b, {"entity": entity}) for a, b, entity in drawn.edges)
        assert nx.utils.graphs_equal(drawn.digraph, built)
        for copied in (nx.DiGraph.copy, nx.DiGraph.reverse, nx.DiGraph.to_undirected):
            assert nx.utils.graphs_equal(copied(drawn.digraph), copied(built))
        for pipe_id in built:
            assert list(drawn.digraph.succ[pipe_id]) == list(built.succ[pipe_id])
            assert list(drawn.digraph.pred[pipe_id]) == list(built.pred[pipe_id])

    def test_generations_of_some_pipes_take_their_order(self) -> None:
        drawn = graph("a -> b -> c -> d, a -> e")
        assert drawn.generations_of(["e", "d", "b"]) == (("e", "d", "b"),)
        assert drawn.generations_of(["e", "b", "a"]) == (("a",), ("e", "b"))
        assert drawn.generations_of(["e", "b", "a"], reverse=True) == (("e", "b"), ("a",))


def test_graph_is_the_same_after_pickling() -> None:
    drawn = graph("[raw] -> a -> b, a -> c")
    assert drawn.edges
    copied = pickle.loads(pickle.dumps(drawn))
    assert copied == drawn
    assert copied.edges == drawn.edges


class TestSoundPlansByNumber:
    """The short way of validation says yes only where the long one does."""

    @pytest.mark.parametrize("strategy", ["batch", "streaming", "mine"])
    @given(
        numbers=st.lists(st.integers(0, 3), min_size=3, max_size=3),
        columns=st.lists(st.lists(st.sampled_from("abcx"), max_size=2), max_size=4),
    )
    def test_verdict_is_that_of_the_rules(
        self, strategy: str, numbers: list[int], columns: list[list[str]]
    ) -> None:
        drawn = graph("a -> b -> c")
        generations = tuple(
            Generation(numbers[n] if n < 3 and numbers[n] == 3 else n, tuple(column))
            for n, column in enumerate(columns)
        )
        made = ExecutionPlan(("a", "b", "c"), generations, drawn, strategy)
        try:
            is_valid = made.validate()
        except PlanValidationError:
            is_valid = False
        placed = [p for generation in generations for p in generation]
        level = {p: n for n, column in enumerate(columns) for p in column}
        sound = (
            sorted(placed) == ["a", "b", "c"]
            and [g.number for g in generations] == list(range(len(generations)))
            and {
                "batch": level["a"] < level["b"] < level["c"],
                "streaming": level["a"] > level["b"] > level["c"],
                "mine": len({level["a"], level["b"]}) == len({level["b"], level["c"]}) == 2,
            }[strategy]
        )
        assert is_valid == sound

    @pytest.mark.parametrize(
        "columns", [["ab"], ["b", "a"], ["a", "a"], ["a"], ["a", "bx"], ["a", "x"], ["aa", "b"]]
    )
    def test_whatever_is_wrong_is_found(self, columns: list[str]) -> None:
        generations = tuple(Generation(n, tuple(column)) for n, column in enumerate(columns))
        made = ExecutionPlan(("a", "b"), generations, graph("a -> b"), "batch")
        with pytest.raises(PlanValidationError):
            made.validate()

    def test_generations_have_their_numbers(self) -> None:
        made = plan("a -> b")
        first, second = made.generations
        wrong = (first, Generation(2, second.pipe_ids))
        with pytest.raises(PlanValidationError, match="is at position 1"):
            ExecutionPlan(made.pipe_ids, wrong, made.graph, "batch").validate()


def test_pipes_of_one_letter_are_not_a_text() -> None:
    drawn = PipeGraph({"a": PipeNode("a")})
    assert drawn.is_all(["a"])
    assert not drawn.is_all("a")
