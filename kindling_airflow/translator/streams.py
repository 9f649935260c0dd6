r"""Plans with streams: what waits for readiness, what stops them, and what they need.

A stream's task is alive as long as its query, so the next generation waits for a *gate*, never for
an end ([x] is a streaming pipe, x a batch pipe):

    [ingest] ~> [clean] ~> [alert]         generation_0  alert         ready_0
                   |                       generation_1  clean         ready_1   (after ready_0)
                   +-----> daily           generation_2  ingest        ready_2   (after ready_1)
                                           generation_3  daily                   (after ready_2)
                                           stop_streams                its end asks for the drain

A stream waits for the gate of the generation before its own, a batch pipe for the last one and for
the batch pipes that it reads from. A gate is skipped if streams are asked to stop before they are
ready, and with it everything after it. A batch pipe is not skipped when one that it reads from was
skipped because it had nothing to do; so it waits for the gate itself, and one success will do.

With the lifetime ``available_now`` no stream keeps running: each takes what is there and ends. The
order is that of a batch plan then, whatever the strategy says, and edges are data edges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.shared_ids import STOP_ID
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_plan.critical_path import DataFlow, is_forward
from kindling_airflow.tags.stream_settings import Lifetime, StreamSettings, is_stream, read_settings
from kindling_airflow.translator.dag_spec import EmptySpec, GateSpec, StopSpec, StreamTask
from kindling_airflow.translator.rules import ALL_SUCCESS, NONE_FAILED, ONE_SUCCEEDED
from kindling_airflow.translator.task_ids import OUTCOME_ID, gate_id, group_id
from kindling_airflow.translator.task_settings import STREAM_DEFAULTS

Edges = tuple[tuple[str, ...], str, StreamTask | None]
"""What a pipe's task waits for, its trigger rule, and what makes it the task of a stream."""


@dataclass(frozen=True, slots=True)
class Wired:
    """What waits for what.

    Attributes:
        plan: the order in which the generations are shown.
        edges: of each pipe.
        outcome: the task behind all pipes, where there is one.
        barriers: the tasks between generations of batch pipes.
        gates: the tasks behind generations of streams, by the group that they are in.
        stop: the task that stops streams.
    """

    plan: ExecutionPlan
    edges: Callable[[str], Edges]
    outcome: EmptySpec | None
    barriers: tuple[EmptySpec, ...] = ()
    gates: Mapping[str, GateSpec] = field(default_factory=lambda: EMPTY)
    stop: StopSpec | None = None


@dataclass(frozen=True, slots=True)
class Streaming:
    """The streams of a plan.

    Attributes:
        lifetime: how long they run.
        seconds: of a bounded lifetime.
        settings: what each says of its query, in the order of the plan.
        problems: what is wrong with that.
    """

    lifetime: Lifetime
    seconds: float | None
    settings: Mapping[str, StreamSettings]
    problems: tuple[str, ...]

    @property
    def is_long_running(self) -> bool:
        """Whether streams run until they are stopped."""
        return self.lifetime != "available_now"

    def length(self) -> str:
        """Return how long they run, as text."""
        return "until it is stopped" if self.seconds is None else f"{self.seconds:g} s"

    def defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the weakest settings of each stream's task.

        A query that fails is taken up from its checkpoint while its neighbours go on.
        """
        return dict.fromkeys(self.settings, STREAM_DEFAULTS) if self.is_long_running else EMPTY

    def task(self, pipe_id: str, producers: tuple[str, ...] = ()) -> StreamTask:
        """Return what makes a pipe's task the task of a stream.

        Args:
            pipe_id: the stream.
            producers: the ids of the tasks that write what it reads, where streams keep running.
        """
        own = self.settings[pipe_id]
        return StreamTask(producers, self.lifetime, own.ready_timeout, own.silence_timeout)

    def wired(self, plan: ExecutionPlan, flow: DataFlow, ids: Mapping[str, str]) -> Wired:
        """Return what waits for what where streams run until they are stopped.

        Args:
            plan: a valid plan.
            flow: its data flow.
            ids: the task ids by pipe id.
        """
        gates = self._gates(plan, ids)
        gate_of = {
            pipe_id: gates[number]
            for number, generation in enumerate(plan.generations)
            for pipe_id in generation
            if pipe_id in self.settings
        }
        last = list(gates.values())[-1]

        def edges(pipe_id: str) -> Edges:
            producers = flow.producers[pipe_id]
            gate = gate_of.get(pipe_id)
            if gate is not None:
                stream = self.task(pipe_id, tuple([ids[p] for p in producers]))
                return gate.upstream, gate.trigger_rule, stream
            ending = (ids[p] for p in producers if p not in gate_of)
            return (*ending, last.task_id), ONE_SUCCEEDED, None

        stop = self._stop(ids)
        watching = (*(gate.task_id for gate in gates.values()), stop.task_id)
        # A stream that others wait for is no leaf, and Airflow judges a run by its leaves alone.
        outcome = EmptySpec(
            task_id=OUTCOME_ID,
            label="outcome",
            upstream=(*ids.values(), *watching),
            trigger_rule=NONE_FAILED,
            doc="Fails if a stream, a gate or a pipe failed.",
        )
        by_group = {group_id(number): gate for number, gate in gates.items()}
        return Wired(plan, edges, outcome, gates=by_group, stop=stop)

    def _gates(self, plan: ExecutionPlan, ids: Mapping[str, str]) -> dict[int, GateSpec]:
        """Return the gate of each generation with streams, by the generation's number."""
        found: dict[int, GateSpec] = {}
        before: tuple[str, ...] = ()
        earlier: tuple[str, ...] = ()
        for generation in plan.generations:
            streams = [pipe_id for pipe_id in generation if pipe_id in self.settings]
            if not streams:
                continue
            number = generation.number
            found[number] = GateSpec(
                task_id=gate_id(number),
                label=f"generation {number} ready",
                upstream=before,
                trigger_rule=ALL_SUCCESS if before else NONE_FAILED,
                streams=tuple([ids[pipe_id] for pipe_id in streams]),
                timeout_seconds=max(self.settings[p].ready_timeout for p in streams),
                doc="Ends when the streams of its generation are ready; what comes next waits for "
                "it. Fails as soon as one of them has failed, or one of a generation before.",
                earlier=earlier,
            )
            before = (gate_id(number),)
            earlier += found[number].streams
        return found

    def _stop(self, ids: Mapping[str, str]) -> StopSpec:
        by_itself = "" if self.seconds is None else f" It ends by itself after {self.length()}."
        return StopSpec(
            task_id=STOP_ID,
            label="stop",
            trigger_rule=NONE_FAILED,
            streams=tuple([ids[pipe_id] for pipe_id in self.settings]),
            after_seconds=self.seconds,
            doc="Mark it as a success to stop the streams: sources first, and each takes what is "
            f"there before it ends.{by_itself}",
        )


def streaming_part(
    plan: ExecutionPlan, lifetime: Lifetime | None, seconds: float | None = None
) -> Streaming | None:
    """Return the streams of a plan; None if it has none.

    Args:
        plan: a valid plan.
        lifetime: what the deployment says; under ``available_now`` a plan in forward order has
            streams, too: the pipes tagged so.
        seconds: of a bounded lifetime.
    """
    streams = plan.streaming_pipes()
    nodes = plan.graph.nodes
    if not streams and lifetime == "available_now" and is_forward(plan):
        streams = tuple([pipe_id for pipe_id in plan.pipe_ids if is_stream(nodes[pipe_id].tags)])
    if not streams:
        return None
    read = {pipe_id: read_settings(pipe_id, nodes[pipe_id].tags) for pipe_id in streams}
    return Streaming(
        lifetime or "continuous",
        seconds if lifetime == "bounded" else None,
        {pipe_id: settings for pipe_id, (settings, _) in read.items()},
        tuple([problem for _, problems in read.values() for problem in problems]),
    )


def forward_plan(plan: ExecutionPlan) -> ExecutionPlan:
    """Return a plan of the same pipes in which producers come first."""
    if is_forward(plan):
        return plan
    columns = plan.graph.generations_of(plan.pipe_ids)
    return replace(
        plan,
        generations=tuple([Generation(n, column) for n, column in enumerate(columns)]),
        strategy="batch",
        metadata=EMPTY,
    )
