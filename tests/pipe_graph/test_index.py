"""What the wiring says by number, against the same said by name, worked out independently."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.errors import PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.pipe_graph import PipeGraph, PipeNode
from kindling_airflow.pipe_graph.index import Wiring
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


@given(nodes())
def test_views_say_what_the_inputs_and_outputs_say(made: tuple[PipeNode, ...]) -> None:
    wiring = Wiring(made)
    writers = {node.output_entity: node.pipe_id for node in made if node.output_entity}
    edges = tuple(
        (writers[entity], node.pipe_id, entity)
        for node in made
        for entity in dict.fromkeys(node.input_entities)
        if entity in writers and writers[entity] != node.pipe_id
    )
    assert wiring.edges == edges
    assert wiring.entity_producers == writers
    assert wiring.entity_consumers == {e: r for e in ENTITIES if (r := _readers(made, e))}
    for node in made:
        own = node.pipe_id
        assert wiring.reverse_adjacency[own] == tuple(a for a, b, _ in edges if b == own)
        assert wiring.adjacency[own] == tuple(b for a, b, _ in edges if a == own)


@given(nodes())
def test_shared_entities_have_two_readers_beside_their_writer(made: tuple[PipeNode, ...]) -> None:
    wiring = Wiring(made)
    writers = {node.output_entity: node.pipe_id for node in made}
    others = {
        entity: tuple(p for p in _readers(made, entity) if p != writers.get(entity))
        for entity in ENTITIES
    }
    shared = {entity: len(readers) for entity, readers in others.items() if len(readers) > 1}
    assert dict(wiring.shared()) == shared
    assert wiring.readers(ENTITIES) == others
    assert {e for e in ENTITIES if wiring.touches(e)} == {
        e for e in ENTITIES if e in writers or _readers(made, e)
    }


@given(nodes())
def test_depths_are_the_same_in_whatever_order_pipes_are_declared(
    made: tuple[PipeNode, ...],
) -> None:
    forward, backward = Wiring(made), Wiring(made[::-1])
    assert (forward.depths is None) == (backward.depths is None)
    assert forward.depth_of == backward.depth_of
    for writer, reader, _ in forward.edges if forward.depths is not None else ():
        assert forward.depth_of[writer] < forward.depth_of[reader]
        assert forward.order.index(writer) < forward.order.index(reader)


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
        with pytest.raises(PlanValidationError, match="stands at position 1"):
            ExecutionPlan(made.pipe_ids, wrong, made.graph, "batch").validate()


def test_pipes_of_one_letter_are_not_a_text() -> None:
    drawn = PipeGraph({"a": PipeNode("a")})
    assert drawn.wiring.is_all(["a"])
    assert not drawn.wiring.is_all("a")
