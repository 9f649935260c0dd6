"""The tasks of streams, of their gates, and the one that stops them.

A separate module, because most DAGs do not use its operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kindling_airflow.dag_factory.copied_tasks import fresh
from kindling_airflow.definitions.dag_parts import DagParts
from kindling_airflow.operators.ready_gate import ReadyGateOperator
from kindling_airflow.operators.stop_streams import StopStreamsOperator
from kindling_airflow.operators.stream import KindlingStreamOperator
from kindling_airflow.translator import GateSpec, StopSpec, StreamTask

_SHARED = ("queue", "executor", "owner")


class StreamTasks:
    """Makes the tasks of streams of one compiled definition, and those that watch them.

    Args:
        parts: the definition with the parts of its DAG.
        prefix: of the ids of all of its tasks.
    """

    def __init__(self, parts: DagParts, prefix: str) -> None:
        outline, definition = parts.outline, parts.definition
        self._prefix = prefix
        self._checkpoints = definition.checkpoints
        self._stop = prefix + outline.stop if outline.stop else ""
        self._gates = self._named(outline.gates)
        self._streams = self._named(outline.streams)
        # Not the pool: in one that running streams fill, these tasks would never get a slot.
        layer = definition.task
        self._arguments = {key: layer[key] for key in _SHARED if layer.get(key) is not None}

    def task(self, arguments: Mapping[str, Any], stream: StreamTask) -> Any:
        """Return the task of a stream.

        Args:
            arguments: those of a pipe's operator.
            stream: what makes it the task of a stream.
        """
        return KindlingStreamOperator(
            **fresh(dict(arguments)),
            lifetime=stream.lifetime,
            producers=self._named(stream.producers),
            streams=self._streams,
            gates=self._gates,
            stop_task_id=self._stop,
            checkpoints=self._checkpoints,
            start_seconds=stream.start_seconds,
            silence_seconds=stream.silence_seconds,
        )

    def watching(self, spec: GateSpec | StopSpec, arguments: Mapping[str, Any]) -> Any:
        """Return a gate, or the task that stops the streams.

        Args:
            spec: the task.
            arguments: its id, its rule, and where it goes.
        """
        shared = {
            **arguments,
            **self._arguments,
            "task_display_name": spec.label,
            "doc": spec.doc,
            "weight_rule": "absolute",
            "streams": self._named(spec.streams),
        }
        if isinstance(spec, StopSpec):
            return StopStreamsOperator(**shared, after_seconds=spec.after_seconds)
        return ReadyGateOperator(
            **shared,
            earlier=self._named(spec.earlier),
            stop_task_id=self._stop,
            timeout_seconds=spec.timeout_seconds,
        )

    def _named(self, task_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple([f"{self._prefix}{task_id}" for task_id in task_ids])
