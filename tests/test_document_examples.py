"""Every example of the user's document of the strategy layer, and the rules that it states.

The document prints lists where plans hold tuples: they cannot change.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes, DataPipesManager
from kindling_airflow.execution_strategy import (
    BatchExecutionStrategy,
    ExecutionPlan,
    ExecutionPlanGenerator,
    ExecutionStrategy,
    Generation,
    StreamingExecutionStrategy,
)
from kindling_airflow.generation_executor import GenerationExecutor
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder
from tests.builders import graph, pipes


class _LoggerProvider:
    """What the document hands in as ``logger_provider``."""

    def get_logger(self, name: str) -> object:
        return object()


logger_provider = _LoggerProvider()


def _generator(drawing: str) -> ExecutionPlanGenerator:
    pipes_manager = pipes(drawing)
    graph_builder = PipeGraphBuilder(pipes_manager, logger_provider)
    return ExecutionPlanGenerator(pipes_manager, graph_builder, logger_provider)


def _order(plan: ExecutionPlan) -> list[tuple[str, ...]]:
    return [gen.pipe_ids for gen in plan.generations]


class CustomStrategy(ExecutionStrategy):
    """The document's sketch of a strategy of one's own: here, one pipe after the other."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        generations = [
            Generation(number=n, pipe_ids=[pipe_id])
            for n, pipe_id in enumerate(p for p in graph.topological_order if p in pipe_ids)
        ]
        return ExecutionPlan(pipe_ids, generations, graph, self.get_strategy_name())

    def get_strategy_name(self) -> str:
        return "custom"


def test_custom_strategy_orders_as_it_likes() -> None:
    plan = _generator("a -> c, b -> c").generate_plan(["b", "c", "a"], CustomStrategy())
    assert plan.strategy == "custom"
    assert _order(plan) == [("b",), ("a",), ("c",)]


def test_batch_strategy_puts_sources_first_and_sinks_last() -> None:
    strategy = BatchExecutionStrategy(logger_provider)
    plan = strategy.plan(graph("source -> transform -> sink"), ["source", "transform", "sink"])
    assert _order(plan) == [("source",), ("transform",), ("sink",)]
    assert strategy.get_strategy_name() == "batch"


def test_streaming_strategy_puts_sinks_first_and_sources_last() -> None:
    strategy = StreamingExecutionStrategy(logger_provider)
    plan = strategy.plan(graph("source -> transform -> sink"), ["source", "transform", "sink"])
    assert _order(plan) == [("sink",), ("transform",), ("source",)]
    assert strategy.get_strategy_name() == "streaming"


def test_execution_plan_answers_the_queries() -> None:
    gen0 = Generation(number=0, pipe_ids=["pipe1"], dependencies=[])
    gen1 = Generation(number=1, pipe_ids=["pipe2"], dependencies=["pipe1"])
    plan = ExecutionPlan(
        pipe_ids=["pipe1", "pipe2"],
        generations=[gen0, gen1],
        graph=graph("pipe1 -> pipe2"),
        strategy="batch",
        metadata={"key": "value"},
    )
    assert plan.total_pipes() == 2
    assert plan.total_generations() == 2
    assert plan.max_parallelism() == 1
    assert plan.get_generation(0) is gen0
    assert plan.find_pipe_generation("pipe1") == 0
    assert plan.get_summary() == {
        "strategy": "batch",
        "total_pipes": 2,
        "total_generations": 2,
        "max_parallelism": 1,
        "avg_pipes_per_generation": 1.0,
        "generation_sizes": [1, 1],
        "key": "value",
    }
    assert plan.validate()


def test_invalid_plan_raises_a_value_error() -> None:
    plan = ExecutionPlan(["pipe1"], [], graph("pipe1"), "batch")
    with pytest.raises(ValueError, match="'pipe1' is in no generation"):
        plan.validate()


def _columns(strategy: str, *columns: Sequence[str]) -> ExecutionPlan:
    """Return a plan of producer -> consumer with these generations."""
    generations = [Generation(n, column) for n, column in enumerate(columns)]
    drawn = graph("producer -> consumer")
    return ExecutionPlan(["producer", "consumer"], generations, drawn, strategy)


def test_batch_plan_is_valid_if_all_dependencies_come_before_their_consumers() -> None:
    assert _columns("batch", ["producer"], ["consumer"]).validate()
    with pytest.raises(ValueError, match=r"^pipe ") as refused:
        _columns("batch", ["consumer"], ["producer"]).validate()
    assert str(refused.value) == (
        "pipe 'consumer' (generation 0) reads entity 'producer.out' of pipe 'producer' "
        "(generation 1)\n"
        "  Fix: under strategy 'batch' the producer belongs in an earlier generation than its "
        "consumer."
    )


def test_streaming_plan_is_valid_with_consumers_before_their_producers() -> None:
    assert _columns("streaming", ["consumer"], ["producer"]).validate()


@pytest.mark.parametrize("strategy", ["batch", "streaming"])
def test_all_pipes_must_be_accounted_for_exactly_once(strategy: str) -> None:
    order = ["producer", "consumer"] if strategy == "batch" else ["consumer", "producer"]
    for columns, problem in (
        ([order[:1]], f"pipe {order[1]!r} is in no generation"),
        (
            [order[:1], order[1:], order[1:]],
            f"pipe {order[1]!r} is in generation 1 and again in generation 2",
        ),
    ):
        with pytest.raises(ValueError, match=r"^pipe ") as refused:
            _columns(strategy, *columns).validate()
        assert str(refused.value) == (
            f"{problem}\n  Fix: put each pipe into exactly one generation."
        )


def test_plan_does_not_change_after_it_was_made_and_can_be_kept_and_used_again() -> None:
    generator = _generator("a -> b")
    plan = generator.generate_batch_plan(["a", "b"])
    for name in ("pipe_ids", "generations", "strategy"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(plan, name, ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(plan.generations[0], "pipe_ids", ())  # noqa: B010
    metadata: Any = plan.metadata
    with pytest.raises(TypeError):
        metadata["key"] = "value"
    kept = {plan: "made before"}
    assert kept[generator.generate_batch_plan(["a", "b"])] == "made before"
    assert generator.generate_batch_plan(["a"]) not in kept


def test_generation_has_length_members_and_order() -> None:
    gen = Generation(number=0, pipe_ids=["pipe1", "pipe2"], dependencies=["pipe0"])
    assert len(gen) == 2
    assert "pipe1" in gen
    assert list(gen) == ["pipe1", "pipe2"]


def test_generator_makes_batch_streaming_and_custom_plans() -> None:
    generator = _generator("a -> b")
    batch_plan = generator.generate_batch_plan(["a", "b"])
    streaming_plan = generator.generate_streaming_plan(["a", "b"])
    custom_plan = generator.generate_plan(["a", "b"], CustomStrategy(logger_provider))
    assert [plan.strategy for plan in (batch_plan, streaming_plan, custom_plan)] == [
        "batch",
        "streaming",
        "custom",
    ]
    assert generator.visualize_plan(streaming_plan).startswith("Execution Plan (streaming)\n===")


def test_both_strategies_are_as_wide_as_the_graph() -> None:
    generator = _generator("a -> x -> z, b -> x, c -> y -> z")
    batch = generator.generate_batch_plan(["a", "b", "c", "x", "y", "z"])
    streaming = generator.generate_streaming_plan(["a", "b", "c", "x", "y", "z"])
    assert batch.max_parallelism() == streaming.max_parallelism() == 3


def test_entities_that_are_shared_are_found() -> None:
    plan = _generator("orders -> daily, orders -> monthly, fx").generate_batch_plan(
        ["orders", "daily", "monthly", "fx"]
    )
    assert plan.metadata["cache_candidate_entities"] == ("orders.out",)


MEDALLION = (
    "bronze_orders -> silver_orders -> gold_analytics,"
    "bronze_customers -> silver_customers -> gold_analytics"
)
MEDALLION_PIPES = [
    "bronze_orders",
    "bronze_customers",
    "silver_orders",
    "silver_customers",
    "gold_analytics",
]


def test_medallion_architecture_runs_forward_in_batch_and_in_reverse_in_streaming() -> None:
    generator = _generator(MEDALLION)
    layers = [
        ("bronze_orders", "bronze_customers"),
        ("silver_orders", "silver_customers"),
        ("gold_analytics",),
    ]
    assert _order(generator.generate_batch_plan(MEDALLION_PIPES)) == layers
    assert _order(generator.generate_streaming_plan(MEDALLION_PIPES)) == layers[::-1]


def test_fan_out_and_fan_in_is_as_wide_as_there_are_parallel_processors() -> None:
    generator = _generator("source -> p1 -> sink, source -> p2 -> sink, source -> p3 -> sink")
    ids = ["source", "p1", "p2", "p3", "sink"]
    batch, streaming = generator.generate_batch_plan(ids), generator.generate_streaming_plan(ids)
    assert batch.total_generations() == streaming.total_generations() == 3
    assert batch.max_parallelism() == streaming.max_parallelism() == 3
    assert _order(batch)[0] == ("source",)
    assert _order(streaming)[0] == ("sink",)


def test_independent_chains_run_side_by_side() -> None:
    generator = _generator("A1 -> A2 -> A3, B1 -> B2 -> B3")
    ids = ["A1", "B1", "A2", "B2", "A3", "B3"]
    batch, streaming = generator.generate_batch_plan(ids), generator.generate_streaming_plan(ids)
    assert _order(batch) == [("A1", "B1"), ("A2", "B2"), ("A3", "B3")]
    assert _order(streaming) == [("A3", "B3"), ("A2", "B2"), ("A1", "B1")]
    assert batch.max_parallelism() == streaming.max_parallelism() == 2


def test_example_1_a_simple_batch_pipeline_of_declared_pipes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    DataEntities.entity(entityid="raw.orders", name="Raw orders", tags={"provider_type": "csv"})

    @DataPipes.pipe(
        pipeid="ingest_orders", input_entity_ids=["raw.orders"], output_entity_id="bronze.orders"
    )
    def ingest_orders(raw_orders: object) -> object:
        return raw_orders

    @DataPipes.pipe(
        pipeid="clean_orders", input_entity_ids=["bronze.orders"], output_entity_id="silver.orders"
    )
    def clean_orders(bronze_orders: object) -> object:
        return bronze_orders

    @DataPipes.pipe(
        pipeid="aggregate_orders",
        name="Orders per day",
        tags={"layer": "gold"},
        input_entity_ids=["silver.orders"],
        output_entity_id="gold.orders",
    )
    def aggregate_orders(silver_orders: object) -> object:
        return silver_orders

    pipes_manager: DataPipesManager = DataPipes.registry()
    graph_builder = PipeGraphBuilder(pipes_manager, logger_provider)
    generator = ExecutionPlanGenerator(pipes_manager, graph_builder, logger_provider)
    pipe_ids = ["ingest_orders", "clean_orders", "aggregate_orders"]
    plan = generator.generate_batch_plan(pipe_ids)
    print(f"Total generations: {plan.total_generations()}")
    print(f"Max parallelism: {plan.max_parallelism()}")
    for gen in plan.generations:
        print(f"Generation {gen.number}: {gen.pipe_ids}")
    assert capsys.readouterr().out == (
        "Total generations: 3\n"
        "Max parallelism: 1\n"
        "Generation 0: ('ingest_orders',)\n"
        "Generation 1: ('clean_orders',)\n"
        "Generation 2: ('aggregate_orders',)\n"
    )


def test_example_2_streaming_to_many_sinks_sets_checkpoints_downstream_first() -> None:
    generator = _generator(
        "read_events -> write_to_db,read_events -> write_to_warehouse,read_events -> write_to_lake"
    )
    pipe_ids = ["read_events", "write_to_db", "write_to_warehouse", "write_to_lake"]
    streaming_plan = generator.generate_streaming_plan(pipe_ids)
    assert streaming_plan.metadata["checkpoint_order"] == "downstream_first"
    assert _order(streaming_plan) == [
        ("write_to_db", "write_to_warehouse", "write_to_lake"),
        ("read_events",),
    ]


def test_example_3_comparison_of_two_plans(capsys: pytest.CaptureFixture[str]) -> None:
    generator = _generator("source -> transform -> sink")
    pipe_ids = ["source", "transform", "sink"]
    batch_plan = generator.generate_batch_plan(pipe_ids)
    streaming_plan = generator.generate_streaming_plan(pipe_ids)
    print("Batch generations:")
    for gen in batch_plan.generations:
        print(f"  Gen {gen.number}: {gen.pipe_ids}")
    print("\nStreaming generations:")
    for gen in streaming_plan.generations:
        print(f"  Gen {gen.number}: {gen.pipe_ids}")
    assert capsys.readouterr().out == (
        "Batch generations:\n"
        "  Gen 0: ('source',)\n"
        "  Gen 1: ('transform',)\n"
        "  Gen 2: ('sink',)\n"
        "\n"
        "Streaming generations:\n"
        "  Gen 0: ('sink',)\n"
        "  Gen 1: ('transform',)\n"
        "  Gen 2: ('source',)\n"
    )


def test_example_4_visualization_has_exactly_the_layout_of_the_document() -> None:
    generator = _generator("pipe1 -> pipe3 -> pipe5, pipe2 -> pipe4 -> pipe5")
    plan = generator.generate_batch_plan(["pipe1", "pipe2", "pipe3", "pipe4", "pipe5"])
    assert generator.visualize_plan(plan) == (
        "Execution Plan (batch)\n"
        "==================================================\n"
        "Total Pipes: 5\n"
        "Total Generations: 3\n"
        "Max Parallelism: 2\n"
        "\n"
        "Execution Order:\n"
        "--------------------------------------------------\n"
        "\n"
        "Generation 0: (2 pipes)\n"
        "  - pipe1\n"
        "  - pipe2\n"
        "\n"
        "Generation 1: (2 pipes)\n"
        "  - pipe3 (deps: ['pipe1'])\n"
        "  - pipe4 (deps: ['pipe2'])\n"
        "\n"
        "Generation 2: (1 pipes)\n"
        "  - pipe5 (deps: ['pipe3', 'pipe4'])"
    )


def test_integration_a_plan_is_executed_by_generation_in_parallel() -> None:
    """Pipes of a generation meet, so they run at once; those of the next have not begun then."""
    generator = _generator(MEDALLION)
    plan = generator.generate_batch_plan(MEDALLION_PIPES)
    meeting = threading.Barrier(2, timeout=30)
    began: list[str] = []

    def run_pipe(pipe_id: str) -> None:
        began.append(pipe_id)
        if pipe_id != "gold_analytics":
            meeting.wait()

    executor = GenerationExecutor(run_pipe, logger_provider=logger_provider)
    result = executor.execute_batch(plan, parallel=True, max_workers=4)
    assert result.all_succeeded
    assert result.plan is plan
    assert [sorted(began[:2]), sorted(began[2:4]), began[4:]] == [
        ["bronze_customers", "bronze_orders"],
        ["silver_customers", "silver_orders"],
        ["gold_analytics"],
    ]
    assert [r.pipe_id for r in result.pipe_results] == MEDALLION_PIPES


def test_integration_a_plan_is_executed_by_generation_one_pipe_after_the_other() -> None:
    generator = _generator(MEDALLION)
    plan = generator.generate_batch_plan(MEDALLION_PIPES)
    began: list[str] = []
    result = GenerationExecutor(began.append).execute_batch(plan)
    assert result.all_succeeded
    assert began == MEDALLION_PIPES
