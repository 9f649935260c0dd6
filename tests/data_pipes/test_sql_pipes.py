"""Declaring queries as pipes, and what follows from their text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import (
    FROM_QUERY,
    DataPipes,
    DataPipesRegistry,
    PipeMetadata,
    argument_name,
)
from kindling_airflow.data_pipes.sql_inputs import check_queries, derive_inputs
from kindling_airflow.errors import DeclarationError
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.manifest.project_settings import (
    SettingsLayer,
    apply_differences,
    apply_settings,
    differences_for,
)
from kindling_airflow.pipe_graph import PipeGraphBuilder
from tests.strategies import pipe_ids


@pytest.fixture
def pipes() -> Any:
    """The registry that a test declares into."""
    with DataPipes.declaring_into(DataPipesRegistry()) as registry:
        yield registry


def refusal(call: Callable[..., object], *args: Any, **more: Any) -> str:
    with pytest.raises(DeclarationError) as refused:
        call(*args, **more)
    return str(refused.value)


def declared(registry: DataPipesRegistry, pipe_id: str) -> PipeMetadata:
    pipe = registry.get_pipe_definition(pipe_id)
    assert pipe is not None
    return pipe


class TestDeclaration:
    def test_a_view_is_a_pipe_that_writes_an_entity_of_its_own_id(self, pipes: Any) -> None:
        DataPipes.view("gold.late", sql="SELECT * FROM orders", name="Late", tags={"layer": "gold"})
        assert declared(pipes, "gold.late") == PipeMetadata(
            "gold.late",
            "Late",
            None,
            tags={"layer": "gold"},
            output_entity_id="gold.late",
            sql="SELECT * FROM orders",
        )
        assert declared(pipes, "gold.late").awaits_inputs
        assert list(pipes.awaiting) == ["gold.late"]

    def test_a_view_may_write_another_entity(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT 1", output_entity_id="b")
        assert declared(pipes, "a").output_entity_id == "b"

    def test_a_pipe_with_a_query_is_declared_by_the_call_alone(self, pipes: Any) -> None:
        DataPipes.pipe(
            "a",
            sql="SELECT * FROM x_1",
            input_entity_ids=["x.1"],
            output_entity_id="a.out",
            driving_entity_ids=["x.1"],
        )
        pipe = declared(pipes, "a")
        assert (pipe.sql, pipe.input_entity_ids) == ("SELECT * FROM x_1", ("x.1",))
        assert not pipe.awaits_inputs
        assert not pipes.awaiting

    def test_inputs_that_are_named_as_none_are_none(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT 1", input_entity_ids=[])
        assert not declared(pipes, "a").awaits_inputs

    def test_the_end_of_a_statement_is_not_part_of_a_query(self, pipes: Any) -> None:
        DataPipes.view("a", sql="\n  SELECT 1 ;;\n")
        assert declared(pipes, "a").sql == "\n  SELECT 1"

    def test_a_query_and_a_function_are_one_too_many(self, pipes: Any) -> None:
        text = "pipe 'a' is a query and a function\n  Fix: keep one of them, or declare two pipes."
        decorate = DataPipes.pipe("a", sql="SELECT 1", output_entity_id="b")
        assert refusal(decorate, lambda: None) == text
        assert pipes.get_pipe_ids() == []
        register = pipes.register_pipe
        more = {"sql": "SELECT 1", "execute": lambda: None, "output_entity_id": "b"}
        assert refusal(register, "a", **more) == text.replace("'a' is", "'a': is")

    @pytest.mark.parametrize(
        ("said", "what"),
        [
            ({}, "neither sql nor sql_file"),
            ({"sql": "SELECT 1", "sql_file": "a"}, "sql and sql_file"),
        ],
    )
    def test_a_query_stands_in_one_place(self, pipes: Any, said: Any, what: str) -> None:
        text = f"pipe 'a' has {what}\n  Fix: give it one of the two."
        assert refusal(DataPipes.view, "a", **said) == text

    def test_a_text_that_is_no_query_is_refused_at_once(self, pipes: Any) -> None:
        assert refusal(DataPipes.view, "a", sql="DROP TABLE x") == (
            "pipe 'a': its query begins with 'DROP'\n"
            "  Fix: write one query: SELECT, WITH ... SELECT, FROM ... SELECT or VALUES."
        )
        assert refusal(DataPipes.view, "a", sql=3) == ("pipe 'a': sql must be a string, not int: 3")

    def test_inputs_that_sql_does_not_tell_apart_are_refused(self, pipes: Any) -> None:
        text = refusal(DataPipes.view, "a", sql="SELECT 1", input_entity_ids=["x.Y", "X.y"])
        assert text == (
            "pipe 'a': reads 'x.Y' and 'X.y', whose tables have the same name in SQL, which "
            "ignores upper and lower case\n  Fix: remove or rename one of the two inputs."
        )
        DataPipes.pipe("b", input_entity_ids=["x.Y", "X.y"], output_entity_id="b")(
            lambda x_Y, X_y: None  # noqa: N803
        )

    def test_the_same_query_again_changes_nothing(self, pipes: Any) -> None:
        for _ in range(2):
            DataPipes.view("a", sql="SELECT * FROM b")
        derive_inputs(pipes, ["b"])
        derive_inputs(pipes)
        DataPipes.view("a", sql="SELECT * FROM b")
        assert declared(pipes, "a").input_entity_ids == ("b",)
        assert not pipes.awaiting
        for _ in range(2):
            DataPipes.view("c", sql="SELECT * FROM b WHERE n = :n", input_entity_ids=["b"])
            check_queries(pipes)
            assert declared(pipes, "c").sql_parameters == ("n",)

    def test_another_query_under_the_same_id_is_refused(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT 1")
        assert refusal(DataPipes.view, "a", sql="SELECT 2") == (
            "pipe 'a' is declared twice by a query, differing in sql\n"
            "  Fix: keep one of the declarations, or give one of them its own id."
        )

    def test_a_pipe_that_is_forgotten_awaits_nothing(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT 1")
        pipes.unregister_pipe("a")
        assert not pipes.awaiting


class TestInputs:
    def test_are_what_the_query_names_first_to_last(self, pipes: Any) -> None:
        DataPipes.view("gold.x", sql="SELECT * FROM silver_b JOIN `raw-1.a` USING (i) JOIN lone")
        DataPipes.view("silver.b", sql="SELECT * FROM RAW_1_A WHERE n > :least")
        DataPipes.pipe("f", input_entity_ids=["lone"], output_entity_id="f")(lambda lone: None)
        check_queries(pipes, ["raw-1.a"])
        assert declared(pipes, "gold.x").input_entity_ids == ("silver.b", "raw-1.a", "lone")
        assert declared(pipes, "silver.b").input_entity_ids == ("raw-1.a",)
        assert declared(pipes, "silver.b").sql_parameters == ("least",)
        assert pipes.get_pipe_ids() == ["gold.x", "silver.b", "f"]

    def test_may_be_the_pipe_s_own_output(self, pipes: Any) -> None:
        DataPipes.view("total", sql="SELECT * FROM total")
        check_queries(pipes)
        assert declared(pipes, "total").input_entity_ids == ("total",)

    def test_that_do_not_exist_are_refused_with_their_line(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT *\nFROM silver_ordres\nJOIN zzz")
        assert refusal(check_queries, pipes, ["silver.orders"]) == (
            "2 problems in the declarations:\n"
            "1. pipe 'a': its query reads 'silver_ordres' (line 2), which is not an entity of "
            "the project. Did you mean 'silver_orders'?\n"
            "  Fix: correct the name, declare the entity, or name the inputs in input_entity_ids.\n"
            "2. pipe 'a': its query reads 'zzz' (line 3), which is not an entity of the project.\n"
            "  Fix: correct the name, declare the entity, or name the inputs in input_entity_ids."
        )
        assert declared(pipes, "a").awaits_inputs

    def test_that_are_named_are_all_that_the_query_may_read(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT * FROM x_y JOIN x_z", input_entity_ids=["x.y", "x.w"])
        assert refusal(check_queries, pipes, ["x.z"]) == (
            "pipe 'a': its query reads 'x_z' (line 1), which is not one of its inputs. "
            "Did you mean 'x_y'?\n"
            "  Fix: correct the name, or add the entity to input_entity_ids."
        )

    def test_that_are_named_stay_as_they_are(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT :n FROM y JOIN x", input_entity_ids=["x", "y", "unused"])
        check_queries(pipes)
        assert declared(pipes, "a").input_entity_ids == ("x", "y", "unused")
        assert declared(pipes, "a").sql_parameters == ("n",)

    def test_that_two_entities_may_be_are_refused_until_the_id_is_written(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT * FROM x_y")
        assert refusal(check_queries, pipes, ["x.y", "x-y"]) == (
            "pipe 'a': its query reads 'x_y' (line 1), which may be 'x.y' or 'x-y'\n"
            "  Fix: write its id in backquotes, or name the inputs in input_entity_ids."
        )
        DataPipes.view("b", sql="SELECT * FROM `x-y`")
        pipes.unregister_pipe("a")
        check_queries(pipes, ["x.y", "x-y"])
        assert declared(pipes, "b").input_entity_ids == ("x-y",)

    def test_are_no_names_of_several_parts(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT * FROM x.y")
        assert refusal(check_queries, pipes, ["x.y"]) == (
            "pipe 'a': its query reads 'x.y' (line 1), a name of 2 parts\n"
            "  Fix: write x_y, or `x.y` in backquotes."
        )

    def test_decide_together_with_the_driving_entities(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT * FROM x", driving_entity_ids=["y"])
        assert refusal(check_queries, pipes, ["x", "y"]) == (
            "pipe 'a': driving entity 'y' is not among its inputs"
        )

    def test_are_not_looked_for_in_a_text_with_syntax_errors(self, pipes: Any) -> None:
        DataPipes.view("a", sql="SELECT * FROM x WHERE )")
        assert refusal(check_queries, pipes, ["x"]) == (
            "pipe 'a': its query is not valid SQL, line 1, near ')'\n"
            "  Fix: correct the query; if Spark accepts it, name its inputs in "
            "input_entity_ids and set the tag 'sql.check' to False."
        )

    def test_of_a_query_that_is_not_read_have_to_be_named(self, pipes: Any) -> None:
        tags = {"sql.check": False}
        DataPipes.view("a", sql="SELECT * FROM x WHERE )", input_entity_ids=["x"], tags=tags)
        check_queries(pipes)
        DataPipes.view("b", sql="SELECT * FROM x", tags=tags)
        assert refusal(check_queries, pipes) == (
            "pipe 'b': its inputs cannot be derived from a query that is not read "
            "(tag 'sql.check')\n  Fix: name the inputs in input_entity_ids."
        )

    def test_without_the_parser_have_to_be_named(
        self, pipes: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "sqlglot", None)
        DataPipes.view("a", sql="SELECT * FROM anything", input_entity_ids=["x"])
        check_queries(pipes)
        DataPipes.view("b", sql="SELECT * FROM x")
        missing = (
            "pipe 'b'{}: deriving inputs from queries requires the package 'sqlglot', which is not "
            "installed here\n"
            "  Fix: install 'sqlglot>=27' where projects are compiled and DAG files are parsed, or "
            "name the inputs in input_entity_ids."
        )
        assert refusal(check_queries, pipes) == missing.format("")
        for n in range(53):
            DataPipes.view(f"c{n}", sql="SELECT * FROM x")
        assert refusal(check_queries, pipes) == missing.format(" (and 53 more)")

    def test_are_derived_when_a_graph_is_built(self, pipes: Any) -> None:
        entities = DataEntityRegistry()
        entities.register_entity("raw.x")
        DataPipes.view("a", sql="SELECT * FROM raw_x")
        DataPipes.view("b", sql="SELECT * FROM a")
        graph = PipeGraphBuilder(pipes, entities=entities).build_graph()
        assert graph.edges == (("a", "b", "a"),)
        DataPipes.view("c", sql="SELECT * FROM nowhere")
        assert "'nowhere' (line 1)" in refusal(PipeGraphBuilder(pipes).build_graph)

    @given(st.lists(pipe_ids(), min_size=1, max_size=4, unique_by=str.casefold))
    def test_any_id_can_be_written_in_backquotes(self, ids: list[str]) -> None:
        quoted = [f"`{an_id.replace('`', '``')}`" for an_id in ids]
        registry = DataPipesRegistry()
        with DataPipes.declaring_into(registry):
            for n, table in enumerate(quoted):
                DataPipes.view(f"pipe number {n}", sql=f"SELECT * FROM {table}")
        tables = {argument_name(an_id).casefold(): an_id for an_id in ids}
        assume(all(tables.get(an_id.casefold(), an_id) == an_id for an_id in ids))
        check_queries(registry, ids)
        assert [pipe.input_entity_ids for pipe in registry] == [(an_id,) for an_id in ids]


class TestSettings:
    def harvested(self, *, derived: bool) -> HarvestedModules:
        found = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
        with DataPipes.declaring_into(found.pipes):
            DataPipes.view("a", sql="SELECT * FROM x")
            DataPipes.pipe("f", output_entity_id="f")(lambda: None)
        if derived:
            check_queries(found.pipes, ["x"])
        return found

    def test_the_inputs_of_a_query_always_travel_to_the_driver(self) -> None:
        compiled = self.harvested(derived=True)
        differences = differences_for(compiled, compiled, ["a", "f"])
        assert differences == {"pipes": {"a": {"input_entity_ids": ("x",)}}}
        pipes, _ = apply_differences(self.harvested(derived=False), differences)
        assert declared(pipes, "a").input_entity_ids == ("x",)
        assert not pipes.awaiting

    def test_a_function_needs_nothing_to_travel(self) -> None:
        compiled = self.harvested(derived=True)
        assert differences_for(compiled, compiled, ["f", "unknown"]) == {}

    def test_settings_lie_over_a_query_as_over_a_function(self) -> None:
        compiled = self.harvested(derived=True)
        layer = SettingsLayer.from_document({"pipes": {"a": {"name": "A"}}}, "layer")
        pipes, entities = apply_settings(compiled, [layer])
        assert declared(pipes, "a").name == "A"
        assert declared(pipes, "a").sql == "SELECT * FROM x"
        effective = HarvestedModules(pipes, entities)
        assert differences_for(compiled, effective, ["a"]) == {
            "pipes": {"a": {"name": "A", "input_entity_ids": ("x",)}}
        }

    def test_inputs_that_are_not_derived_yet_stay_so(self) -> None:
        found = self.harvested(derived=False)
        layer = SettingsLayer.from_document({"pipes": {"a": {"name": "A"}}}, "layer")
        pipes, _ = apply_settings(found, [layer])
        assert declared(pipes, "a").input_entity_ids is FROM_QUERY
