"""What becomes of a plan: every difference is listed, nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.data_pipes.expectations import Expectation, not_null, row_count, unique
from kindling_airflow.errors import ForecastError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.pipe_graph import PipeEdge, PipeGraphBuilder
from kindling_airflow.plan_report import PlanDiff, diff
from kindling_airflow.plan_report.difference import Change, Changes, Figures, Move
from tests.builders import pipes, plan
from tests.strategies import acyclic_pipes

SECTIONS = (
    "pipes_added",
    "pipes_removed",
    "pipes_changed",
    "edges_added",
    "edges_removed",
    "moves",
    "entities_changed",
    "metadata_changed",
)


def said(found: PlanDiff) -> dict[str, Any]:
    """Return the sections that are not empty."""
    return {name: getattr(found, name) for name in SECTIONS if getattr(found, name)}


@st.composite
def plans(draw: st.DrawFn) -> ExecutionPlan:
    registry = draw(acyclic_pipes(max_pipes=6, hints=draw(st.booleans())))
    strategy = draw(st.sampled_from(["batch", "streaming", "priority"]))
    return ExecutionPlanGenerator(registry).generate_plan(None, strategy)


class TestProperties:
    @given(plans())
    def test_equal_plans_do_not_differ(self, made: ExecutionPlan) -> None:
        again = ExecutionPlan.from_json(made.to_json())
        found = diff(made, again)
        assert found.is_empty
        assert not found.only_order
        assert said(found) == {}
        assert found.before == found.after

    @given(plans(), plans())
    def test_what_is_said_is_nothing_exactly_for_equal_plans(
        self, old: ExecutionPlan, new: ExecutionPlan
    ) -> None:
        found = diff(old, new)
        assert found.is_empty == (old == new)
        other = found.only_order or old.strategy != new.strategy
        assert found.is_empty == (said(found) == {} and not other)

    @given(plans(), plans())
    def test_the_other_way_round_what_was_added_is_removed(
        self, old: ExecutionPlan, new: ExecutionPlan
    ) -> None:
        there, back = diff(old, new), diff(new, old)
        assert there.pipes_added == back.pipes_removed
        assert there.edges_removed == back.edges_added
        assert {(m.pipe_id, m.old, m.new) for m in there.moves} == {
            (m.pipe_id, m.new, m.old) for m in back.moves
        }
        assert {c.of for c in there.pipes_changed} == {c.of for c in back.pipes_changed}
        assert (there.before, there.after) == (back.after, back.before)

    @given(plans(), plans())
    def test_old_and_changes_give_new(self, old: ExecutionPlan, new: ExecutionPlan) -> None:
        found = diff(old, new)
        assert set(old.pipe_ids) - {*found.pipes_removed} | {*found.pipes_added} == set(
            new.pipe_ids
        )
        edges = set(old.graph.edges) - {*found.edges_removed} | {*found.edges_added}
        assert edges == set(new.graph.edges)
        numbers = {p: old.find_pipe_generation(p) for p in old.pipe_ids if p in new.pipe_ids}
        numbers.update({move.pipe_id: move.new for move in found.moves})
        assert numbers == {p: new.find_pipe_generation(p) for p in numbers}

    @given(plans(), plans())
    def test_json_can_be_written(self, old: ExecutionPlan, new: ExecutionPlan) -> None:
        document = diff(old, new).to_json()
        assert json.loads(json.dumps(document)) == document


class TestOneChange:
    def test_pipe_in_the_middle_moves_what_is_behind_it(self) -> None:
        found = diff(plan("a -> b"), plan("a -> m -> b"))
        assert said(found) == {
            "pipes_added": ("m",),
            "pipes_changed": (
                Changes("b", (Change("input_entity_ids", "changed", ("a.out",), ("m.out",)),)),
            ),
            "edges_added": (PipeEdge("a", "m", "a.out"), PipeEdge("m", "b", "m.out")),
            "edges_removed": (PipeEdge("a", "b", "a.out"),),
            "moves": (Move("b", 1, 2),),
        }
        assert found.before == Figures("batch", 2, 2, 1, ("a", "b"), 2.0)
        assert found.after == Figures("batch", 3, 3, 1, ("a", "m", "b"), 3.0)

    def test_rename_is_one_pipe_less_and_one_more(self) -> None:
        found = diff(plan("a -> b"), plan("a -> c"))
        assert (found.pipes_removed, found.pipes_added) == (("b",), ("c",))

    def test_tags_are_compared_one_by_one(self) -> None:
        old = plan("a", tags={"a": {"same": 1, "gone": 2, "other": [3]}})
        new = plan("a", tags={"a": {"same": 1, "other": [4], "come": {"x": 5}}})
        assert said(diff(old, new)) == {
            "pipes_changed": (
                Changes(
                    "a",
                    (
                        Change("tags.gone", "removed", 2, None),
                        Change("tags.other", "changed", (3,), (4,)),
                        Change("tags.come", "added", None, {"x": 5}),
                    ),
                ),
            )
        }

    @pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0)])
    def test_values_that_are_equal_in_python_alone_differ(self, old: object, new: object) -> None:
        found = diff(plan("a", tags={"a": {"t": old}}), plan("a", tags={"a": {"t": new}}))
        assert found.pipes_changed == (Changes("a", (Change("tags.t", "changed", old, new),)),)

    def test_other_fields_of_a_declaration_count(self) -> None:
        def declared(**more: Any) -> ExecutionPlan:
            registry = DataPipesRegistry()
            registry.register_pipe("a", output_entity_id="out", **more)
            return ExecutionPlanGenerator(registry).generate_batch_plan()

        found = diff(declared(), declared(name="A", use_watermark=True))
        assert found.pipes_changed == (
            Changes(
                "a",
                (Change("name", "added", None, "A"), Change("use_watermark", "added", None, True)),
            ),
        )

    def test_tags_of_entities_count(self) -> None:
        def read_from(size: int | None) -> ExecutionPlan:
            entities = DataEntityRegistry()
            tags = {} if size is None else {"size_bytes": size}
            entities.register_entity("raw", tags=tags)
            registry = pipes("[raw] -> a")
            builder = PipeGraphBuilder(registry, entities=entities)
            return ExecutionPlanGenerator(registry, builder).generate_batch_plan()

        found = diff(read_from(10), read_from(20))
        assert said(found) == {
            "entities_changed": (Changes("raw", (Change("tags.size_bytes", "changed", 10, 20),)),)
        }
        assert diff(read_from(10), read_from(None)).entities_changed == (
            Changes("raw", (Change("tags.size_bytes", "removed", 10, None),)),
        )

    def test_strategy_alone_is_a_difference(self) -> None:
        old = plan("a")
        new = ExecutionPlan(old.pipe_ids, old.generations, old.graph, "own", old.metadata)
        found = diff(old, new)
        assert said(found) == {}
        assert (found.is_empty, found.only_order) == (False, False)
        assert found.text() == (
            "batch -> own, 1 pipe, 1 generation, at most 1 at once, critical path 1 s"
        )

    def test_order_alone_is_a_difference(self) -> None:
        found = diff(plan("a, b -> c"), plan("b -> c, a"))
        assert said(found) == {}
        assert (found.is_empty, found.only_order) == (False, True)
        assert found.text() == (
            "batch, 3 pipes, 2 generations, at most 2 at once, critical path 2 s\n"
            "\n"
            "The same pipes, edges and generations, in another order"
        )

    def test_durations_count_for_the_critical_path(self) -> None:
        found = diff(plan("a -> b"), plan("a -> b, c"), {"c": 60})
        assert (found.before.critical_path, found.after.critical_path) == (("a", "b"), ("c",))
        assert found.after.critical_path_seconds == 60.0
        with pytest.raises(ForecastError):
            diff(plan("a"), plan("a"), {"a": 0})


class TestText:
    def test_promises_are_compared_one_by_one(self) -> None:
        def promising(*expectations: Expectation) -> ExecutionPlan:
            registry = DataPipesRegistry()
            registry.register_pipe("a", output_entity_id="out", expectations=expectations)
            return ExecutionPlanGenerator(registry).generate_batch_plan()

        old = promising(not_null("id"), unique("id"), row_count(1))
        new = promising(not_null("id"), unique("id", on_violation="warn"), row_count(1, name="n"))
        text = diff(old, new).text()
        assert "Pipes\n  ~ 'a'\n" in text
        assert text.count("~ expectations.") == 1
        assert "~ expectations.unique(id): 'id is unique (else fail)' -> " in text
        assert "+ expectations.n: " in text
        assert "- expectations.row_count: " in text
        assert diff(old, old).is_empty

    def test_names_everything(self) -> None:
        old = plan("a -> b -> c, a -> d, [x] -> d", tags={"a": {"layer": "old", "n": 1}})
        new = plan("a -> b -> e -> c, a -> d, [y] -> d", tags={"a": {"layer": "new"}})
        assert diff(old, new).text() == (
            "batch, 4 -> 5 pipes, 3 -> 4 generations, at most 2 at once, critical path 3 s -> 4 s\n"
            "\n"
            "Pipes\n"
            "  + 'e'\n"
            "  ~ 'a'\n"
            "      ~ tags.layer: 'old' -> 'new'\n"
            "      - tags.n: 1\n"
            "  ~ 'c'\n"
            "      ~ input_entity_ids: + 'e.out', - 'b.out'\n"
            "  ~ 'd'\n"
            "      ~ input_entity_ids: + 'y', - 'x'\n"
            "\n"
            "Edges\n"
            "  + 'b' -> 'e', by 'b.out'\n"
            "  + 'e' -> 'c', by 'e.out'\n"
            "  - 'b' -> 'c', by 'b.out'\n"
            "\n"
            "Generations\n"
            "  ~ 'c': 2 -> 3\n"
            "\n"
            "Critical path\n"
            "  - 'a' -> 'b' -> 'c'\n"
            "  + 'a' -> 'b' -> 'e' -> 'c'"
        )

    def test_of_equal_plans_is_one_line(self) -> None:
        assert diff(plan("a -> b"), plan("a -> b")).text() == (
            "No difference: batch, 2 pipes, 2 generations, at most 1 at once, critical path 2 s"
        )

    def test_of_another_strategy(self) -> None:
        made, other = plan("a -> b"), plan("a -> b", "streaming")
        old = replace(made, metadata={"execution_order": "forward", "own": [1]})
        new = replace(other, metadata={"execution_order": "reverse", "first": True})
        assert diff(old, new).text() == (
            "batch -> streaming, 2 pipes, 2 generations, at most 1 at once\n"
            "\n"
            "Generations\n"
            "  ~ 'b': 1 -> 0\n"
            "  ~ 'a': 0 -> 1\n"
            "\n"
            "Metadata\n"
            "  ~ execution_order: 'forward' -> 'reverse'\n"
            "  - own: [1]\n"
            "  + first: True\n"
            "\n"
            "Critical path\n"
            "  - 'a' -> 'b'"
        )

    def test_lists_in_another_order_are_shown_whole(self) -> None:
        old, new = plan("[x] -> a, [y] -> a"), plan("[y] -> a, [x] -> a")
        assert "      ~ input_entity_ids: ['x', 'y'] -> ['y', 'x']" in diff(old, new).text()

    def test_objects_are_cut_and_names_are_not(self) -> None:
        name, thing = "n" * 90, {"key": "v" * 90}
        old = plan("a", tags={"a": {"one": [name, thing]}})
        new = plan("a", tags={"a": {"one": [], "two": thing, "three": [thing], "four": name}})
        assert diff(old, new).text().splitlines()[4:] == [
            f"      ~ tags.one: - '{name}', - {{'key': '{'v' * 51}...",
            f"      + tags.two: {{'key': '{'v' * 51}...",
            f"      + tags.three: [{{'key': '{'v' * 50}...",
            f"      + tags.four: '{name}'",
        ]

    def test_long_sections_are_cut(self) -> None:
        many = ", ".join(f"p{n:02}" for n in range(53))
        lines = diff(plan(""), plan(many)).text().splitlines()
        assert lines[2:4] == ["Pipes", "  + 'p00'"]
        assert lines[52:54] == ["  + 'p49'", "  ... and 3 lines more"]
