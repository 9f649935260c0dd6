"""Planning does not recurse: what is too deep for Python's stack plans all the same."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import GraphCycleError
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.translator import TranslateOptions, translate

LENGTH = 100_000
ROOM = 60  # frames that planning may stack on top of this test


def _chain(length: int, first_reads: str = "raw") -> DataPipesRegistry:
    registry = DataPipesRegistry()
    for n in range(length):
        reads = f"e{n - 1}" if n else first_reads
        registry.register_pipe(f"p{n}", input_entity_ids=[reads], output_entity_id=f"e{n}")
    return registry


@contextmanager
def _shallow_stack() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + ROOM)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def test_the_stack_really_is_shallow() -> None:
    def down(levels: int) -> int:
        return down(levels - 1) if levels else 0

    with _shallow_stack(), pytest.raises(RecursionError):
        down(ROOM)


def test_chain_of_100_000_pipes_plans_and_translates_on_a_shallow_stack() -> None:
    generator = ExecutionPlanGenerator(_chain(LENGTH))
    with _shallow_stack():
        batch = generator.generate_batch_plan()
        streaming = generator.generate_streaming_plan()
        spec = translate(batch, TranslateOptions(dag_id="chain", pool="chain"))
    assert [gen.pipe_ids for gen in batch.generations] == [(f"p{n}",) for n in range(LENGTH)]
    assert streaming.find_pipe_generation("p0") == LENGTH - 1
    assert streaming.total_generations() == LENGTH
    assert spec.tasks()[0].priority_weight == LENGTH
    assert spec.tasks()[-1].upstream == (f"p{LENGTH - 2}",)


def test_long_cycle_is_reported_on_a_shallow_stack() -> None:
    generator = ExecutionPlanGenerator(_chain(10_000, first_reads="e9999"))
    with _shallow_stack(), pytest.raises(GraphCycleError) as refused:
        generator.generate_batch_plan()
    assert refused.value.cycle == (*(f"p{n}" for n in range(10_000)), "p0")
    lines = str(refused.value).splitlines()
    assert lines[0] == (
        "Pipes form a cycle: 'p0' -> 'p1' -> 'p2' -> 'p3' -> 'p4' -> 'p5' -> 'p6' -> 'p7' -> 'p8' "
        "-> 'p9' -> ... 9,986 more ... -> 'p9996' -> 'p9997' -> 'p9998' -> 'p9999' -> 'p0'"
    )
    assert lines[10:13] == [
        "  'p10' reads entity 'e9', written by 'p9'",
        "  ... 9,985 more ...",
        "  'p9996' reads entity 'e9995', written by 'p9995'",
    ]
    assert lines[16:] == [
        "  'p0' reads entity 'e9999', written by 'p9999'",
        "  Fix: remove one of these inputs, or split the pipe that reads its own result.",
    ]
