"""A custom strategy: the layers of a lakehouse, one after the other."""

from collections.abc import Sequence

from kindling_airflow import (
    BatchExecutionStrategy,
    ExecutionPlan,
    ExecutionStrategy,
    Generation,
    PipeGraph,
)

LAYERS = ("bronze", "silver", "gold")


class LayeredStrategy(ExecutionStrategy):
    """All of bronze, then all of silver, then all of gold; inside a layer the batch order."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan in which no layer starts before the one below it has ended."""
        batch = BatchExecutionStrategy().plan(graph, pipe_ids)
        columns = [
            [p for p in generation if graph.nodes[p].tags.get("layer") == layer]
            for layer in LAYERS
            for generation in batch.generations
        ]
        generations = [
            Generation(number, tuple(column), _producers(graph, column))
            for number, column in enumerate(filter(None, columns))
        ]
        metadata = {"execution_order": "forward", "layers": LAYERS}
        return ExecutionPlan(tuple(pipe_ids), tuple(generations), graph, "layered", metadata)

    def get_strategy_name(self) -> str:
        """Return ``"layered"``."""
        return "layered"


def _producers(graph: PipeGraph, column: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p for pipe in column for p in graph.get_dependencies(pipe)))
