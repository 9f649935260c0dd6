"""The dependency graph: which edges the declarations imply, and what makes them no graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import GraphCycleError, GraphValidationError
from kindling_airflow.pipe_graph import PipeEdge, PipeGraph, PipeGraphBuilder, PipeNode
from tests.builders import graph, pipes


def _refusal(registry: DataPipesRegistry, pipe_ids: Any = None) -> GraphValidationError:
    with pytest.raises(GraphValidationError) as refused:
        PipeGraphBuilder(registry).build_graph(pipe_ids)
    return refused.value


def _registry(*declarations: tuple[str, Sequence[str], str]) -> DataPipesRegistry:
    registry = DataPipesRegistry()
    for pipe_id, inputs, output in declarations:
        registry.register_pipe(pipe_id, input_entity_ids=inputs, output_entity_id=output)
    return registry


class TestEdges:
    def test_diamond_has_an_edge_for_each_read(self) -> None:
        r"""
              b
             / \
        raw-a   d
             \ /
              c
        """
        diamond = graph("[raw] -> a -> b -> d, a -> c -> d")
        assert diamond.edges == (
            PipeEdge("a", "b", "a.out"),
            PipeEdge("b", "d", "b.out"),
            PipeEdge("c", "d", "c.out"),
            PipeEdge("a", "c", "a.out"),
        )
        assert diamond.adjacency == {"a": ("b", "c"), "b": ("d",), "d": (), "c": ("d",)}
        assert diamond.reverse_adjacency == {"a": (), "b": ("a",), "d": ("b", "c"), "c": ("a",)}
        assert diamond.get_dependencies("d") == ("b", "c")
        assert diamond.get_dependents("a") == ("b", "c")
        assert diamond.get_root_nodes() == ("a",)
        assert diamond.get_leaf_nodes() == ("d",)
        assert diamond.topological_order == ("a", "b", "c", "d")

    def test_node_knows_its_entities_and_its_declaration(self) -> None:
        registry = pipes("[raw] -> a", tags={"a": {"layer": "bronze"}})
        node = PipeGraphBuilder(registry).build_graph().nodes["a"]
        declaration = registry.get_pipe_definition("a")
        assert tuple(node) == ("a", ("raw",), "a.out", declaration)
        assert node.tags == {"layer": "bronze"}
        assert PipeNode("a").tags == {}

    def test_entities_know_their_writer_and_their_readers(self) -> None:
        shared = graph("[raw] -> a, [raw] -> b, [ref] -> b, a -> c")
        assert shared.entity_producers == {"a.out": "a", "b.out": "b", "c.out": "c"}
        assert shared.entity_consumers == {"raw": ("a", "b"), "ref": ("b",), "a.out": ("c",)}
        assert shared.get_producer("a.out") == "a"
        assert shared.get_producer("raw") is None
        assert shared.get_shared_inputs() == {"raw": ("a", "b")}
        assert shared.external_entities() == ("raw", "ref")

    def test_pipe_reading_its_own_output_is_not_a_cycle(self) -> None:
        own = graph("a -> a -> b")
        assert own.edges == (PipeEdge("a", "b", "a.out"),)
        assert own.get_dependencies("a") == ()
        assert own.get_root_nodes() == ("a",)
        assert own.external_entities() == ()

    def test_two_entities_are_two_edges_but_one_dependency(self) -> None:
        registry = _registry(("a", [], "x"), ("b", ["x", "raw"], "y"), ("c", ["y", "x"], "z"))
        both = PipeGraphBuilder(registry).build_graph()
        assert both.edges == (
            PipeEdge("a", "b", "x"),
            PipeEdge("b", "c", "y"),
            PipeEdge("a", "c", "x"),
        )
        assert both.get_dependencies("c") == ("b", "a")

    def test_input_of_a_pipe_that_is_not_asked_for_is_external(self) -> None:
        part = PipeGraphBuilder(pipes("a -> b -> c")).build_graph(["c", "b"])
        assert part.edges == (PipeEdge("b", "c", "b.out"),)
        assert part.external_entities() == ("a.out",)

    def test_order_of_the_nodes_is_the_order_requested(self) -> None:
        builder = PipeGraphBuilder(pipes("a -> b -> c"))
        assert tuple(builder.build_graph().nodes) == ("a", "b", "c")
        assert tuple(builder.build_graph(["c", "a", "b"]).nodes) == ("c", "a", "b")
        assert tuple(builder.build_graph(("b",)).nodes) == ("b",)

    def test_no_pipes_make_an_empty_graph(self) -> None:
        assert PipeGraphBuilder(DataPipesRegistry()).build_graph() == PipeGraph(nodes=FrozenDict())

    def test_unknown_ids_have_no_neighbours(self) -> None:
        assert graph("a -> b").get_dependencies("x") == ()
        assert graph("a -> b").get_dependents("x") == ()

    def test_graph_cannot_change(self) -> None:
        fixed = graph("a -> b")
        for mapping in (
            fixed.nodes,
            fixed.adjacency,
            fixed.reverse_adjacency,
            fixed.entity_producers,
            fixed.entity_consumers,
        ):
            with pytest.raises(TypeError):
                mapping["a"] = "changed"  # type: ignore[index]
        with pytest.raises((AttributeError, TypeError)):
            fixed.edges = ()  # type: ignore[misc]


class TestWrongRequests:
    def test_string_where_a_list_belongs(self) -> None:
        assert str(_refusal(pipes("a"), "a")) == (
            "pipe_ids is the string 'a' where a list is expected\n  Fix: write ['a']"
        )

    def test_what_is_no_list_of_ids(self) -> None:
        assert str(_refusal(pipes("a"), {"a"})) == "pipe_ids must be a list of ids, not set: {'a'}"
        assert str(_refusal(pipes("a"), ["a", None, ""])) == (
            "2 problems in the pipe graph:\n"
            "1. pipe_ids[1] must be a string, not NoneType: None\n"
            "2. pipe_ids[2] must be a non-empty string without surrounding spaces: ''"
        )

    def test_unknown_ids_come_with_the_nearest_known_one(self) -> None:
        registry = pipes("silver.orders, bronze.orders")
        assert str(
            _refusal(registry, ["slver.orders", "bronze.orders", "completely different"])
        ) == (
            "2 problems in the pipe graph:\n"
            "1. unknown pipe 'completely different'.\n"
            "  Fix: correct the id, or import the module that declares the pipe.\n"
            "2. unknown pipe 'slver.orders'. Did you mean 'silver.orders'?\n"
            "  Fix: correct the id, or import the module that declares the pipe."
        )

    def test_id_that_is_asked_for_twice(self) -> None:
        assert str(_refusal(pipes("a, b"), ["a", "b", "a", "a"])) == (
            "pipe 'a' is requested more than once\n  Fix: list each pipe once."
        )

    def test_two_writers_of_one_entity_are_both_named(self) -> None:
        registry = _registry(("a", [], "x"), ("b", [], "x"), ("c", ["x"], "y"))
        assert str(_refusal(registry)) == (
            "entity 'x' is written by more than one pipe: 'a', 'b'\n"
            "  Fix: let each pipe write its own entity, and join them in another pipe."
        )

    def test_second_writer_that_is_not_asked_for_does_no_harm(self) -> None:
        registry = _registry(("a", [], "x"), ("b", [], "x"))
        assert PipeGraphBuilder(registry).build_graph(["a"]).get_producer("x") == "a"


class TestCycles:
    def test_cycle_is_shown_arrow_by_arrow_with_its_entities(self) -> None:
        registry = _registry(
            ("gold.sales", ["orders"], "sales"), ("silver.orders", ["raw", "sales"], "orders")
        )
        error = _refusal(registry)
        assert isinstance(error, GraphCycleError)
        assert error.cycle == ("gold.sales", "silver.orders", "gold.sales")
        assert str(error) == (
            "Pipes form a cycle: 'gold.sales' -> 'silver.orders' -> 'gold.sales'\n"
            "  'silver.orders' reads entity 'sales', written by 'gold.sales'\n"
            "  'gold.sales' reads entity 'orders', written by 'silver.orders'\n"
            "  Fix: remove one of these inputs, or split the pipe that reads its own result."
        )

    def test_cycle_starts_with_its_smallest_id_whatever_the_order_of_the_request(self) -> None:
        registry = pipes("b -> c -> a -> b, x -> c, a -> y")
        text = str(_refusal(registry, ["a", "b", "c", "x", "y"]))
        assert text == str(_refusal(registry, ["y", "c", "x", "b", "a"]))
        assert text == (
            "Pipes form a cycle: 'a' -> 'b' -> 'c' -> 'a'\n"
            "  'b' reads entity 'a.out', written by 'a'\n"
            "  'c' reads entity 'b.out', written by 'b'\n"
            "  'a' reads entity 'c.out', written by 'c'\n"
            "  Fix: remove one of these inputs, or split the pipe that reads its own result."
        )

    def test_separate_cycles_are_all_reported_and_what_hangs_on_them_is_not(self) -> None:
        error = _refusal(pipes("a -> b -> a -> behind, before -> d -> c -> d"))
        assert isinstance(error, GraphCycleError)
        assert error.cycle == ("a", "b", "a")
        assert str(error) == (
            "2 problems in the pipe graph:\n"
            "1. Pipes form a cycle: 'a' -> 'b' -> 'a'\n"
            "  'b' reads entity 'a.out', written by 'a'\n"
            "  'a' reads entity 'b.out', written by 'b'\n"
            "  Fix: remove one of these inputs, or split the pipe that reads its own result.\n"
            "2. Pipes form a cycle: 'c' -> 'd' -> 'c'\n"
            "  'd' reads entity 'c.out', written by 'c'\n"
            "  'c' reads entity 'd.out', written by 'd'\n"
            "  Fix: remove one of these inputs, or split the pipe that reads its own result."
        )


def test_every_kind_of_problem_is_reported_at_once() -> None:
    registry = _registry(
        ("a", ["b rows"], "a rows"),
        ("b", ["a rows"], "b rows"),
        ("c", [], "c rows"),
        ("d", [], "c rows"),
    )
    error = _refusal(registry, ["a", "b", "c", "d", "bb", "c"])
    assert not isinstance(error, GraphCycleError)
    assert str(error) == (
        "4 problems in the pipe graph:\n"
        "1. Pipes form a cycle: 'a' -> 'b' -> 'a'\n"
        "  'b' reads entity 'a rows', written by 'a'\n"
        "  'a' reads entity 'b rows', written by 'b'\n"
        "  Fix: remove one of these inputs, or split the pipe that reads its own result.\n"
        "2. entity 'c rows' is written by more than one pipe: 'c', 'd'\n"
        "  Fix: let each pipe write its own entity, and join them in another pipe.\n"
        "3. pipe 'c' is requested more than once\n"
        "  Fix: list each pipe once.\n"
        "4. unknown pipe 'bb'. Did you mean 'b'?\n"
        "  Fix: correct the id, or import the module that declares the pipe."
    )


class TestImmutability:
    def test_nothing_of_what_is_handed_in_is_kept(self) -> None:
        inputs, tags = ["raw"], {"size_bytes": [1], "unread": {"x": 2}}
        nodes = {"a": PipeNode("a", inputs, "b"), "c": PipeNode("c", (), "d")}  # type: ignore[arg-type]
        entity_tags = {"raw": tags, "of no pipe": tags}
        made = PipeGraph(nodes, entity_tags)
        inputs.append("more")
        tags["size_bytes"].append(2)  # type: ignore[attr-defined]
        tags["unread"]["x"] = 3  # type: ignore[index, call-overload]
        entity_tags["b"] = {}
        del nodes["a"]
        assert {pipe_id: tuple(node) for pipe_id, node in made.nodes.items()} == {
            "a": ("a", ("raw",), "b", None),
            "c": ("c", (), "d", None),
        }
        assert made.entity_tags == {"raw": {"size_bytes": (1,), "unread": {"x": 2}}}
        assert isinstance(hash(made), int)

    def test_what_is_frozen_already_is_kept_as_it_is(self) -> None:
        nodes = FrozenDict(a=PipeNode("a", ("raw",), "b"))
        tags = {"raw": FrozenDict(size_bytes=1)}
        made = PipeGraph(nodes, tags)
        assert made.nodes is nodes
        assert made.entity_tags["raw"] is tags["raw"]

    def test_all_that_is_wrong_with_nodes_and_tags_made_by_hand_is_said_at_once(self) -> None:
        nodes = {
            "a": PipeNode("a", "raw", "x"),  # type: ignore[arg-type]
            "b": PipeNode("b", [1], "x"),  # type: ignore[list-item, arg-type]
        }
        with pytest.raises(GraphValidationError) as refused:
            PipeGraph(nodes, {"x": {"n": [{1: 2}]}})
        assert str(refused.value) == (
            "4 problems in the pipe graph:\n"
            "1. entity 'x' is written by more than one pipe: 'a', 'b'\n"
            "  Fix: let each pipe write its own entity, and join them in another pipe.\n"
            "2. entity 'x': tags['n'][0]: key 1 must be a string, not int\n"
            "  Fix: put it in quotes.\n"
            "3. pipe 'a': inputs is the string 'raw' where a list is expected\n"
            "  Fix: write ['raw']\n"
            "4. pipe 'b': inputs[0] must be a string, not int: 1"
        )
