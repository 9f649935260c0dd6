"""What the UI shows as groups: every pipe in one, none in a circle, none called like a task."""

from __future__ import annotations

import re
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import TranslationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.translator import DagSpec, TranslateOptions, task_id, translate
from kindling_airflow.translator.task_ids import tag_group_id
from tests.builders import plan
from tests.strategies import acyclic_pipes, pipe_ids


def spec_of(drawing: str, layers: dict[str, Any], group_by: str = "tag:layer") -> DagSpec:
    tags = {pipe_id: {"layer": layer} for pipe_id, layer in layers.items()}
    made = plan(drawing, tags=tags)
    return translate(made, TranslateOptions("shop", "shop_pool", group_by=group_by))


def groups(dag: DagSpec) -> dict[str, list[str]]:
    return {group.label: [task.pipe_id for task in group.tasks] for group in dag.groups}


@st.composite
def layered_plans(draw: st.DrawFn) -> ExecutionPlan:
    """Draw a plan whose pipes have layers at random."""
    drawn = draw(acyclic_pipes().filter(lambda found: bool(found.get_pipe_ids())))
    registry = DataPipesRegistry()
    for pipe in drawn:
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags={"layer": draw(st.sampled_from(["bronze", "silver", "gold", ""]))},
        )
    return ExecutionPlanGenerator(registry).generate_batch_plan()


def quotient(dag: DagSpec) -> nx.DiGraph:
    """Return the groups, with an edge where a task of the one waits for one of the other."""
    home = {task.task_id: group.group_id for group in dag.groups for task in group.tasks}
    graph = nx.DiGraph()
    graph.add_nodes_from(group.group_id for group in dag.groups)
    for task in dag.tasks():
        for name in task.upstream:
            if home[name] != home[task.task_id]:
                graph.add_edge(home[name], home[task.task_id])
    return graph


class TestTagGroups:
    def test_pipes_of_one_value_are_one_group(self) -> None:
        dag = spec_of("a -> b -> c, a -> d", {"a": "bronze", "b": "silver", "c": "gold"})
        assert [(g.group_id, g.label, g.tooltip) for g in dag.groups] == [
            (
                "_x_layer_bronze",
                "bronze",
                "layer bronze: 1 pipe, at most 4 at once in pool 'shop_pool'",
            ),
            (
                "_x_layer_silver",
                "silver",
                "layer silver: 1 pipe, at most 4 at once in pool 'shop_pool'",
            ),
            (
                "_x_layer_",
                "no layer",
                "No tag 'layer': 1 pipe, at most 4 at once in pool 'shop_pool'",
            ),
            (
                "_x_layer_gold",
                "gold",
                "layer gold: 1 pipe, at most 4 at once in pool 'shop_pool'",
            ),
        ]

    def test_groups_come_in_the_order_of_the_data(self) -> None:
        layers = {"g": "gold", "s": "silver", "b": "bronze"}
        assert list(groups(spec_of("b -> s -> g", layers))) == ["bronze", "silver", "gold"]

    def test_pipes_without_the_tag_have_a_home(self) -> None:
        layers = {"a": None, "b": "", "c": "  ", "d": "x"}
        assert groups(spec_of("a, b, c, d, e", layers)) == {
            "no layer": ["a", "b", "c", "e"],
            "x": ["d"],
        }

    def test_values_of_any_type_are_told_apart_by_their_text(self) -> None:
        layers = {"a": 1, "b": True, "c": ["x"], "d": "1"}
        assert groups(spec_of("a, b, c, d", layers)) == {
            "1": ["a", "d"],
            "true": ["b"],
            '["x"]': ["c"],
        }

    def test_data_that_comes_back_to_a_value_begins_its_group_anew(self) -> None:
        """
        s1 (silver) -- g1 (gold) -- s2 (silver) -- g2 (gold)
        """
        layers = {"s1": "silver", "g1": "gold", "s2": "silver", "g2": "gold"}
        dag = spec_of("s1 -> g1 -> s2 -> g2", layers)
        assert groups(dag) == {
            "silver": ["s1"],
            "gold": ["g1"],
            "silver (2)": ["s2"],
            "gold (2)": ["g2"],
        }
        assert dag.groups[2].group_id == "_x_layer_silver-_x_2"
        assert dag.groups[2].tooltip.startswith("layer silver (2): 1 pipe")

    def test_untagged_pipes_in_a_circle_are_split_too(self) -> None:
        dag = spec_of("a -> b -> c", {"b": "x"})
        assert groups(dag) == {"no layer": ["a"], "x": ["b"], "no layer (2)": ["c"]}
        assert dag.groups[2].tooltip.startswith("No tag 'layer' (2): 1 pipe")

    @given(layered_plans())
    def test_groups_never_depend_on_each_other_in_a_circle(self, some: ExecutionPlan) -> None:
        dag = translate(some, TranslateOptions("shop", "shop_pool", group_by="tag:layer"))
        graph = quotient(dag)
        assert nx.is_directed_acyclic_graph(graph)
        order = [group.group_id for group in dag.groups]
        assert all(order.index(a) < order.index(b) for a, b in graph.edges)

    @given(layered_plans())
    def test_every_pipe_is_in_one_group_and_what_is_acyclic_stays_in_one_piece(
        self, some: ExecutionPlan
    ) -> None:
        dag = translate(some, TranslateOptions("shop", "shop_pool", group_by="tag:layer"))
        assert sorted(t.pipe_id for t in dag.tasks()) == sorted(some.pipe_ids)
        value = {p: some.graph.nodes[p].tags["layer"] for p in some.pipe_ids}
        pieces = nx.DiGraph()
        pieces.add_nodes_from(set(value.values()))
        pieces.add_edges_from(
            (value[edge.from_pipe], value[edge.to_pipe])
            for edge in some.graph.edges
            if value[edge.from_pipe] != value[edge.to_pipe]
        )
        if nx.is_directed_acyclic_graph(pieces):
            assert len(dag.groups) == len(pieces)

    def test_edges_do_not_depend_on_the_groups(self) -> None:
        drawing, layers = "a -> b -> d, a -> c -> d", {"a": "x", "d": "x"}
        by_tag, by_generation = (
            spec_of(drawing, layers, how) for how in ("tag:layer", "generation")
        )
        assert {t.task_id: t.upstream for t in by_tag.tasks()} == {
            t.task_id: t.upstream for t in by_generation.tasks()
        }


class TestIds:
    @given(pipe_ids() | st.text(max_size=5), st.text(), st.integers(1, 30), pipe_ids())
    def test_no_group_is_called_like_a_task_or_like_what_airflow_refuses(
        self, tag: str, value: str, number: int, pipe_id: str
    ) -> None:
        found = tag_group_id(tag, value, number)
        assert re.fullmatch(r"[A-Za-z0-9_\-]{1,200}", found)
        assert found != task_id(pipe_id)
        assert task_id(found) != found

    @given(st.text(), st.text(), st.integers(1, 3), st.integers(1, 3))
    def test_other_values_and_rounds_have_other_ids(
        self, one: str, other: str, first: int, second: int
    ) -> None:
        same = tag_group_id("layer", one, first) == tag_group_id("layer", other, second)
        assert same == ((one, first) == (other, second))

    @pytest.mark.parametrize("reserved", ["generation_0_done", "kindling_outcome"])
    def test_no_task_is_called_like_those_beside_the_pipes(self, reserved: str) -> None:
        assert task_id(reserved) == f"_x{ord(reserved[0]):x}_{reserved[1:]}"


class TestRefusals:
    @pytest.mark.parametrize("how", ["layer", "tag:", "tag: ", "generations", 5])
    def test_unknown_groupings(self, how: Any) -> None:
        with pytest.raises(TranslationError) as refused:
            TranslateOptions("shop", "shop_pool", group_by=how)
        assert str(refused.value) == (
            f"DAG 'shop': group_by: unknown value {how!r}\n"
            "  Fix: use 'generation', or 'tag:layer' with the name of a tag of your pipes."
        )

    def test_a_barrier_between_groups_that_it_would_tie_into_a_circle(self) -> None:
        with pytest.raises(TranslationError) as refused:
            TranslateOptions("shop", "p", group_by="tag:layer", barrier="generation")  # type: ignore[arg-type]
        assert str(refused.value) == (
            "DAG 'shop': group_by 'tag:layer' conflicts with barrier 'generation': pipes of one "
            "group would wait for each other through a barrier outside of it\n"
            "  Fix: use group_by 'generation', or no barrier."
        )
