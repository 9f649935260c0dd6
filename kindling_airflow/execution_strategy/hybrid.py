"""Streams first, in reverse order, then the batch pipes, forward.

    [ingest] ~> [clean] ~> [alert]        [x] is a streaming pipe, x a batch pipe
                   |
                   +-----> daily -> report

    generation 0: alert     the streams, sinks first
    generation 1: clean
    generation 2: ingest
    generation 3: daily     the batch pipes, sources first
    generation 4: report

Streams run forever, so ``daily`` does not wait for ``clean`` to end: it comes later in the plan
and reads what is there. The order inside a half reaches through the other half: of two streams with
a batch pipe between them the one downstream is ready first, and of two batch pipes with a stream
between them the one upstream runs first.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import flow_within
from kindling_airflow.execution_strategy.base import ExecutionStrategy, check_members, numbered
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.pipe_graph.structure import Neighbours
from kindling_airflow.tags.names import MODE_TAG

__all__ = ["HybridExecutionStrategy", "processing_modes"]

_MODES = ("batch", "streaming")


def processing_modes(graph: PipeGraph, pipe_ids: Iterable[str]) -> dict[str, str]:
    """Return the ``processing_mode`` of each pipe that has the tag: ``batch`` or ``streaming``.

    Upper and lower case are the same.

    Raises:
        GraphValidationError: a tag has another value; lists every such pipe.
    """
    found: dict[str, Any] = {
        pipe_id: tags[MODE_TAG]
        for pipe_id in pipe_ids
        if MODE_TAG in (tags := graph.nodes[pipe_id].tags)
    }
    problems = [
        f"pipe {pipe_id!r}: tag processing_mode must be 'batch' or 'streaming', not {mode!r}\n"
        "  Fix: correct the tag, or leave it out where the pipe is a batch pipe."
        for pipe_id, mode in found.items()
        if not isinstance(mode, str) or mode.lower() not in _MODES
    ]
    if problems:
        raise GraphValidationError(problems)
    return {pipe_id: mode.lower() for pipe_id, mode in found.items()}


class HybridExecutionStrategy(ExecutionStrategy):
    """Streams and batch pipes in one plan: streams are ready before any batch pipe runs.

    A pipe streams if its tag ``processing_mode`` is ``streaming``; others are batch pipes.
    """

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan that starts the streams, sinks first, then runs the batch, sources first.

        A stream starts as soon as all streams downstream of it have, and a batch pipe runs as soon
        as all batch pipes upstream of it have, whatever lies between them.

        Raises:
            GraphValidationError: a pipe is not in the graph, or a ``processing_mode`` is neither
                ``batch`` nor ``streaming``.
        """
        check_members(graph, pipe_ids)
        modes = processing_modes(graph, pipe_ids)
        streams = {pipe_id for pipe_id, mode in modes.items() if mode == "streaming"}
        flow = flow_within(graph, pipe_ids)
        columns = [
            *_columns(pipe_ids, reversed(flow.order), flow.consumers, streams),
            *_columns(pipe_ids, flow.order, flow.producers, set(pipe_ids) - streams),
        ]
        waits_for = {
            pipe_id: (
                *(() if pipe_id in streams else flow.producers[pipe_id]),
                *(consumer for consumer in flow.consumers[pipe_id] if consumer in streams),
            )
            for pipe_id in pipe_ids
        }
        metadata = {
            "execution_order": "hybrid",
            "checkpoint_order": "downstream_first",
            "streaming_pipes": [pipe_id for pipe_id in pipe_ids if pipe_id in streams],
            "cache_recommendations": [],  # as for streams alone
        }
        generations = numbered(columns, waits_for)
        return self._planned(ExecutionPlan(tuple(pipe_ids), generations, graph, "hybrid", metadata))

    def get_strategy_name(self) -> str:
        """Return ``"hybrid"``."""
        return "hybrid"


def _columns(
    pipe_ids: Sequence[str], order: Iterable[str], waits_for: Neighbours, half: Container[str]
) -> list[list[str]]:
    """Return the pipes of one half by layer: each in the first after all of its half before it.

    ``order`` has each pipe behind those that it waits for.
    """
    depths: dict[str, int] = {}  # pipes of this half on the longest way here, this one included
    for pipe_id in order:
        waited = waits_for[pipe_id]
        before = max([depths[p] for p in waited]) if waited else 0
        depths[pipe_id] = before + (pipe_id in half)
    columns: list[list[str]] = [[] for _ in range(max(depths.values(), default=0))]
    for pipe_id in pipe_ids:
        if pipe_id in half:
            columns[depths[pipe_id] - 1].append(pipe_id)
    return columns
