"""Names and habits of the document's API that code written for it uses."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipes, DataPipesManager, DataPipesRegistry
from kindling_airflow.errors import DeclarationError, GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy import (
    BatchExecutionStrategy,
    ExecutionPlanGenerator,
    ExecutionStrategy,
    StreamingExecutionStrategy,
)
from kindling_airflow.generation_executor import GenerationExecutor
from kindling_airflow.generation_executor.results import ExecutionResult, GenerationResult
from kindling_airflow.manifest import Manifest
from kindling_airflow.pipe_graph import PipeGraph, PipeNode
from kindling_airflow.tags.stream_checks import check_streams
from kindling_airflow.tags.stream_settings import is_stream
from tests.builders import graph, pipes, plan


class Provider:
    """Keeps what it is told, by the name of the logger."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def get_logger(self, name: str) -> Any:
        def keep(level: str) -> Any:
            return lambda text: self.said.append((name, level, text))

        return SimpleNamespace(debug=keep("debug"), info=keep("info"))


@pytest.fixture
def declared() -> Iterator[DataPipesRegistry]:
    with DataPipes.declaring_into(DataPipesRegistry()) as registry:
        yield registry


def test_a_registry_logs_through_the_provider_that_it_is_given() -> None:
    provider = Provider()
    manager = DataPipesManager(provider)
    manager.register_pipe("a", output_entity_id="b")
    assert manager.get_pipe_ids() == ["a"]
    assert provider.said == [("data_pipes_manager", "debug", "pipe 'a' is declared")]
    assert DataPipesManager(logger_provider=None).get_pipe_ids() == []


class TestGenerator:
    def test_without_a_strategy_a_plan_is_a_batch_plan(self) -> None:
        generator = ExecutionPlanGenerator(pipes("a -> b"))
        assert generator.generate_plan(["a", "b"]) == generator.generate_batch_plan()
        assert generator.generate_plan().strategy == "batch"

    def test_its_strategies_are_there_and_can_be_replaced(self) -> None:
        provider = Provider()
        generator = ExecutionPlanGenerator(pipes("a -> b"), logger_provider=provider)
        names = ("batch", "streaming", "config_based")
        for name in names:
            strategy = getattr(generator, f"{name}_strategy")
            assert strategy.get_strategy_name() == name
            assert strategy.logger_provider is provider
        generator.batch_strategy = StreamingExecutionStrategy()
        assert generator.generate_batch_plan().strategy == "streaming"
        assert generator.generate_plan().strategy == "streaming"

    @pytest.mark.parametrize(
        "strategy", ["batch", "streaming", "hybrid", "priority", BatchExecutionStrategy]
    )
    def test_strategies_log_through_its_provider(self, strategy: Any) -> None:
        provider = Provider()
        generator = ExecutionPlanGenerator(pipes("a -> b, a -> c"), logger_provider=provider)
        made = generator.generate_plan(None, strategy)
        [(name, level, text)] = [said for said in provider.said if "Strategy" in said[0]][-1:]
        assert (name.endswith("ExecutionStrategy"), level) == (True, "info")
        assert text == (
            f"{made.strategy} plan: 3 pipes in {made.total_generations()} generations, at most "
            f"{made.max_parallelism()} side by side"
        )


class Own(ExecutionStrategy):
    """All in one generation, with a word to the log."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        self.logger.info("planning")
        return ExecutionPlan(tuple(pipe_ids), (Generation(0, tuple(pipe_ids)),), graph, "own")

    def get_strategy_name(self) -> str:
        return "own"


class Bare(Own):
    """Knows no provider."""

    def __init__(self) -> None:
        super().__init__()


class Needy(Own):
    """Cannot be made without one."""

    def __init__(self, logger_provider: Any) -> None:
        if logger_provider is None:
            raise ValueError("no provider")
        super().__init__(logger_provider)


class TestOwnStrategies:
    def test_their_logger_is_that_of_the_provider(self) -> None:
        provider = Provider()
        generator = ExecutionPlanGenerator(pipes("a, b"), logger_provider=provider)
        for strategy in (Own(provider), Own, Needy):
            generator.generate_plan(None, strategy)
        names = [name for name, _, text in provider.said if text == "planning"]
        assert names == ["Own", "Own", "Needy"]
        with pytest.raises(GraphValidationError, match="no provider"):
            ExecutionPlanGenerator(pipes("a")).generate_plan(None, Needy)

    def test_without_a_provider_it_is_the_standard_librarys(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "kindling_airflow.strategies"):
            ExecutionPlanGenerator(pipes("a, b")).generate_plan(None, Bare)
            ExecutionPlanGenerator(pipes("a, b")).generate_plan(None, "batch")  # says nothing
        assert caplog.record_tuples == [
            ("kindling_airflow.execution_strategy.Bare", logging.INFO, "planning")
        ]


def executed() -> ExecutionResult:
    def run(pipe_id: str) -> Any:
        return {"b": False, "c": "skipped"}.get(pipe_id)

    return GenerationExecutor(run).execute(plan("a, b, c, d, b -> e"))


def test_results_count_what_became_of_their_pipes() -> None:
    result = executed()
    first, second = result.generation_results
    found: list[tuple[ExecutionResult | GenerationResult, tuple[int, int, int]]] = [
        (result, (2, 1, 1)),
        (first, (2, 1, 1)),
        (second, (0, 0, 0)),
    ]
    for one, counts in found:
        assert (one.success_count, one.failed_count, one.skipped_count) == counts
    assert (first.failed_pipes, second.failed_pipes) == (("b",), ())
    summary = result.get_summary()
    assert [summary[f"{name}_count"] for name in ("success", "failed", "skipped")] == [2, 1, 1]


class TestIds:
    def test_ids_are_attributes(self, declared: DataPipesRegistry) -> None:
        for pipe_id in ("bronze.orders", "ref-data.2024", "class"):
            declared.register_pipe(pipe_id, output_entity_id=f"{pipe_id}.out")
        assert DataPipes.ids.bronze_orders == "bronze.orders"
        assert DataPipes.ids.ref_data_2024 == "ref-data.2024"
        assert dir(DataPipes.ids) == ["bronze_orders", "class_", "ref_data_2024"]
        declared.unregister_pipe("class")
        assert not hasattr(DataPipes.ids, "class_")

    def test_a_name_that_stands_for_none_or_several_is_an_error(
        self, declared: DataPipesRegistry
    ) -> None:
        for pipe_id in ("a.b", "a-b", "orders"):
            declared.register_pipe(pipe_id, output_entity_id=f"{pipe_id}.out")
        with pytest.raises(AttributeError) as refused:
            _ = DataPipes.ids.a_b
        assert str(refused.value) == "'a_b' is the name of several pipes: 'a.b', 'a-b'"
        with pytest.raises(AttributeError) as refused:
            _ = DataPipes.ids.order
        assert str(refused.value) == (
            "no pipe is declared with the id 'order'. Did you mean 'orders'?"
        )


class TestNodes:
    def test_nodes_are_equal_by_their_pipe(self) -> None:
        some: Any = ["x"]  # a list, as code made for the document writes it
        one, same, other = PipeNode("a", some, "b"), PipeNode("a"), PipeNode("b", some, "b")
        assert one == same
        assert not one != same  # noqa: SIM202
        assert one != other
        assert one != "a"
        assert {one, same, other} == {same, other}

    def test_graphs_are_equal_by_what_their_nodes_say(self) -> None:
        assert graph("a -> b") == graph("a -> b")
        assert hash(graph("a -> b")) == hash(graph("b, a"))
        assert graph("a -> b") != graph("a, b")
        assert graph("a -> b") != graph("a -> b, c")
        assert graph("a") != "a"


class TestViews:
    def test_a_view_may_be_finished_by_a_function(self, declared: DataPipesRegistry) -> None:
        @DataPipes.view(pipeid="late", sql="SELECT * FROM x", input_entity_ids=["x"])
        def late(rows: Any) -> Any:
            return rows

        found = declared.get_pipe_definition("late")
        assert found is not None
        assert (found.sql, found.execute, found.finish) == ("SELECT * FROM x", None, late)
        assert (found.output_entity_id, late(3)) == ("late", 3)
        manifest = Manifest.from_registries(declared, DataEntityRegistry(), modules=["m"])
        written = Manifest.from_json(manifest.to_json())
        assert written == manifest
        assert written.functions["late"].qualname.endswith("late")
        changed = written.get_pipe_definition("late")
        assert changed is not None
        assert (changed.sql, changed.finish) == ("SELECT * FROM x", None)

    def test_one_that_knows_the_run_may_finish_it_too(self, declared: DataPipesRegistry) -> None:
        DataPipes.view("v", sql="SELECT 1")(lambda rows, run: (rows, run))
        DataPipes.view("w", sql="SELECT 1")(lambda rows, factor=2: (rows, factor))
        DataPipes.view("x", sql="SELECT 1")(print)
        assert declared.get_pipe_ids() == ["v", "w", "x"]

    def test_a_function_that_cannot_take_the_rows_is_refused(
        self, declared: DataPipesRegistry
    ) -> None:
        with pytest.raises(DeclarationError) as refused:
            DataPipes.view("v", sql="SELECT 1")(lambda: None)
        assert str(refused.value) == (
            "pipe 'v': its function cannot be called with the rows of its query: too "
            "many positional arguments\n  Fix: let it take one DataFrame."
        )
        for wrong, problem in (
            ({"finish": print}, "has a function that finishes a query, and no query"),
            ({"finish": 3, "sql": "SELECT 1"}, "finish must be a function, not int"),
        ):
            said: Any = wrong
            with pytest.raises(DeclarationError, match=problem):
                declared.register_pipe("y", output_entity_id="o", **said)

    def test_a_function_without_a_signature_is_left_to_the_call(
        self, declared: DataPipesRegistry
    ) -> None:
        class Opaque:
            __signature__ = "unknown"

            def __call__(self, rows: Any) -> Any: ...

        finish: Any = Opaque()
        DataPipes.view("v", sql="SELECT 1")(finish)
        assert declared.get_pipe_ids() == ["v"]


class Field:
    """What a column of a ``StructType`` offers."""

    def __init__(self, name: str, kind: Any, *, null: bool = True, **metadata: str) -> None:
        self.name, self.dataType, self.nullable, self.metadata = name, kind, null, metadata


def kind(name: str, **more: Any) -> Any:
    plain = {"typeName": lambda: name, "simpleString": lambda: name}
    return SimpleNamespace(**{**plain, **more})


class TestSchemas:
    def test_a_struct_type_is_kept_as_ddl(self) -> None:
        """The real one is tried in tests/runner/test_declared_schema.py."""
        text = kind("string")
        inner = kind("struct", fields=[Field("b`", text, null=False), Field("c", text)])
        struct = kind(
            "struct",
            fields=[
                Field("id", kind("bigint"), null=False, comment="it's \\ one"),
                Field("day of", kind("array", elementType=inner)),
                Field("m", kind("map", keyType=text, valueType=kind("decimal(3,1)"))),
            ],
        )
        entity = DataEntityRegistry().register_entity("a", schema=struct)
        assert EntityMetadata("a", "a", schema=struct) == entity
        assert entity.schema == (
            "`id` BIGINT NOT NULL COMMENT 'it\\'s \\\\ one', "
            "`day of` ARRAY<STRUCT<`b```: STRING NOT NULL, `c`: STRING>>, "
            "`m` MAP<STRING, DECIMAL(3,1)>"
        )

    @pytest.mark.parametrize("schema", [7, kind("string"), type("StructType", (), {})])
    def test_nothing_else_is_a_schema(self, schema: Any) -> None:
        with pytest.raises(DeclarationError, match="schema must be a string, not"):
            DataEntityRegistry().register_entity("a", schema=schema)


class TestModes:
    @pytest.mark.parametrize("mode", ["streaming", "Streaming", "STREAMING"])
    def test_the_mode_may_be_written_in_any_case(self, mode: str) -> None:
        tags = {"a": {"processing_mode": mode}, "b": {"processing_mode": "Batch"}}
        assert is_stream(tags["a"])
        made = plan("a -> b", "config_based", tags)
        assert made.metadata["detected_mode"] == "hybrid"
        assert made.streaming_pipes() == ("a",)
        registry = pipes("[raw] -> a", tags)
        entities = DataEntityRegistry()
        entities.register_entity("raw", schema="id INT")
        assert check_streams(list(registry), entities, ["a"], consumers_first=False) == []

    @pytest.mark.parametrize("mode", ["Streams", 3, None])
    def test_another_mode_is_named_as_it_is_written(self, mode: Any) -> None:
        with pytest.raises(GraphValidationError) as refused:
            plan("a", "config_based", {"a": {"processing_mode": mode}})
        assert f"must be 'batch' or 'streaming', not {mode!r}" in str(refused.value)


@pytest.mark.parametrize("strategy", ["streaming", "hybrid"])
def test_plans_with_streams_say_that_there_is_nothing_to_keep(strategy: str) -> None:
    made = plan("[raw] -> a, [raw] -> b", strategy)
    assert made.metadata["cache_recommendations"] == ()
