"""``explain``: why a pipe is in its generation, and what hangs on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kindling_airflow.common.drawing import printable
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.wording import counted, did_you_mean, listed
from kindling_airflow.data_pipes.sql_query import query_text
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import is_forward
from kindling_airflow.plan_report.chains import chain_of, longest_chains
from kindling_airflow.plan_report.durations import Times, seconds_text
from kindling_airflow.tags.stream_settings import read_settings

__all__ = ["ChainStep", "Explanation", "InputOrigin", "Timing", "explain"]


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One pipe of a chain of waiting.

    Attributes:
        pipe_id: the pipe.
        generation: where it is.
        tie: how it hangs on the step before: it ``reads`` what that one writes, or ``writes`` what
            that one reads; None at the beginning.
        entities: what is read or written.
    """

    pipe_id: str
    generation: int
    tie: Literal["reads", "writes"] | None
    entities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InputOrigin:
    """Where an input comes from.

    Attributes:
        entity: the entity.
        origin: a ``pipe`` of the plan, the pipe's ``own output`` (the state of its last run), a
            pipe that is known but ``not in the plan``, or ``external``.
        producer: the pipe that writes it; None for an external one.
    """

    entity: str
    origin: Literal["pipe", "own output", "not in the plan", "external"]
    producer: str | None


@dataclass(frozen=True, slots=True)
class Timing:
    """What a pipe means for the length of a run.

    Attributes:
        seconds: how long it takes.
        earliest_start_seconds: when it could start, were there room for everything.
        longest_path: the longest way through the plan that this pipe is on.
        longest_path_seconds: its length.
        slack_seconds: how much longer the pipe could take before the whole run does; 0 on the
            critical path.
    """

    seconds: float
    earliest_start_seconds: float
    longest_path: tuple[str, ...]
    longest_path_seconds: float
    slack_seconds: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a pipe is where it is.

    Attributes:
        pipe_id: the pipe.
        strategy, direction: of the plan.
        generation: the pipe's generation, out of ``total_generations``.
        companions: the other pipes of its generation.
        chain: the longest chain of waiting that ends with the pipe.
        waits_for, waited_for_by: its neighbours in earlier and in later generations.
        inputs: what it reads, and where that comes from.
        output: what it writes; None for a node that was made by hand.
        expectations: what it promises about its output, and what happens otherwise.
        readers: the pipes of the plan that read its output.
        timing: None where pipes do not run to their end, as in a streaming plan.
        sql: the pipe's query; None for a function.
        sql_file: the file that contains the query.
        stream: what its query does, for a stream.
    """

    pipe_id: str
    strategy: str
    direction: str | None
    generation: int
    total_generations: int
    companions: tuple[str, ...]
    chain: tuple[ChainStep, ...]
    waits_for: tuple[str, ...]
    waited_for_by: tuple[str, ...]
    inputs: tuple[InputOrigin, ...]
    output: str | None
    expectations: tuple[str, ...]
    readers: tuple[str, ...]
    timing: Timing | None
    sql: str | None = None
    sql_file: str | None = None
    stream: str | None = None

    @property
    def is_forced(self) -> bool:
        """Whether the chain alone puts the pipe where it is; else the strategy had its reasons."""
        return len(self.chain) == self.generation + 1

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as a JSON document."""
        document: dict[str, Any] = thaw(asdict(self))
        return {**document, "is_forced": self.is_forced}

    def text(self) -> str:
        """Return the explanation as human-readable text, in which long lists are cut."""
        return "\n".join(_lines(self))


def explain(
    plan: ExecutionPlan, pipe_id: str, durations: Mapping[str, float] | None = None
) -> Explanation:
    """Explain a pipe's place in a valid plan.

    Args:
        plan: the plan.
        pipe_id: one of its pipes.
        durations: seconds by pipe id; see :func:`~kindling_airflow.plan_report.durations_of`.

    Raises:
        GraphValidationError: the plan has no such pipe.
        ForecastError: a duration is not a positive number.
    """
    number = plan.find_pipe_generation(pipe_id)
    if number is None:
        hint = did_you_mean(pipe_id, plan.pipe_ids)
        problem = (
            f"the plan has no pipe {pipe_id!r}.{hint}\n"
            "  Fix: name one of the plan's pipes, or plan with this pipe."
        )
        raise GraphValidationError([problem])
    graph, node = plan.graph, plan.graph.nodes[pipe_id]
    declared = node.metadata
    readers = tuple(
        p for p in graph.get_dependents(pipe_id) if plan.find_pipe_generation(p) is not None
    )
    near = dict.fromkeys((*graph.get_dependencies(pipe_id), *graph.get_dependents(pipe_id)))
    return Explanation(
        pipe_id=pipe_id,
        strategy=plan.strategy,
        direction=plan.direction(),
        generation=number,
        total_generations=plan.total_generations(),
        companions=tuple(p for p in plan.generations[number] if p != pipe_id),
        chain=tuple(_chain(plan, pipe_id)),
        waits_for=plan.awaited(pipe_id),
        waited_for_by=tuple(p for p in near if (plan.find_pipe_generation(p) or 0) > number),
        inputs=tuple(_origin(plan, pipe_id, entity) for entity in node.input_entities),
        output=node.output_entity,
        expectations=declared.promises() if declared is not None else (),
        readers=readers,
        timing=_timing(plan, pipe_id, durations) if is_forward(plan) else None,
        sql=declared.sql if declared is not None else None,
        sql_file=declared.sql_file if declared is not None else None,
        stream=_stream(plan, pipe_id),
    )


def _stream(plan: ExecutionPlan, pipe_id: str) -> str | None:
    if pipe_id not in plan.streaming_pipes():
        return None
    settings, _ = read_settings(pipe_id, plan.graph.nodes[pipe_id].tags)
    return settings.text()


def _chain(plan: ExecutionPlan, pipe_id: str) -> Iterator[ChainStep]:
    before: str | None = None
    for step in chain_of(longest_chains(plan), pipe_id):
        generation = plan.find_pipe_generation(step) or 0
        if before is None:
            yield ChainStep(step, generation, None, ())
        elif before in plan.graph.get_dependencies(step):
            yield ChainStep(step, generation, "reads", _between(plan, before, step))
        else:
            yield ChainStep(step, generation, "writes", _between(plan, step, before))
        before = step


def _between(plan: ExecutionPlan, producer: str, consumer: str) -> tuple[str, ...]:
    """Return the entities that one pipe reads from another."""
    inputs = plan.graph.nodes[consumer].input_entities
    return tuple(e for e in inputs if plan.graph.get_producer(e) == producer)


def _origin(plan: ExecutionPlan, pipe_id: str, entity: str) -> InputOrigin:
    producer = plan.graph.get_producer(entity)
    if producer is None:
        return InputOrigin(entity, "external", None)
    if producer == pipe_id:
        return InputOrigin(entity, "own output", producer)
    inside = plan.find_pipe_generation(producer) is not None
    return InputOrigin(entity, "pipe" if inside else "not in the plan", producer)


def _timing(plan: ExecutionPlan, pipe_id: str, durations: Mapping[str, float] | None) -> Timing:
    times = Times.of(plan, durations)
    return Timing(
        seconds=times.own_seconds(pipe_id),
        earliest_start_seconds=times.earliest_start_seconds(pipe_id),
        longest_path=times.path_through(pipe_id),
        longest_path_seconds=times.path_seconds(pipe_id),
        slack_seconds=times.slack_seconds(pipe_id),
    )


_RULES: Mapping[str | None, str] = {
    "forward": "a pipe comes after those that it reads from, and the longest chain of them is",
    "reverse": "a pipe comes after those that read from it, and the longest chain of them is",
    None: "the longest chain of pipes that come before it is",
}

_REASONS: Mapping[str | None, str] = {
    "hybrid": (
        "in a hybrid plan all streams start before the first batch pipe, and the order inside "
        "either half reaches through the other"
    ),
}


def _lines(found: Explanation) -> Iterator[str]:
    others = len(found.companions)
    yield (
        f"Pipe {found.pipe_id!r} is in generation {found.generation} "
        f"(0 to {found.total_generations - 1}), with {counted(others, 'other pipe')}"
    )
    yield f"Strategy: {found.strategy}"
    yield ""
    if len(found.chain) == 1:
        yield "Why: it waits for no other pipe of the plan"
    else:
        yield f"Why: {_RULES.get(found.direction, _RULES[None])}"
        yield from _chain_lines(found.chain)
    if not found.is_forced:
        yield (
            f"Nothing that it waits for keeps it from generation {len(found.chain) - 1}; "
            f"{_REASONS.get(found.direction, 'strategy {!r} put it here').format(found.strategy)}"
        )
    yield from listed("Waits for", found.waits_for)
    yield from listed("Waited for by", found.waited_for_by)
    yield ""
    yield "Reads:" if found.inputs else "Reads nothing"
    yield from (f"  {i.entity!r}, {_ORIGINS[i.origin].format(i.producer)}" for i in found.inputs)
    if found.output is None:
        yield "Writes nothing"
    else:
        yield f"Writes {found.output!r}, read by {counted(len(found.readers), 'pipe')} of the plan"
    if found.stream is not None:
        yield f"Stream: {found.stream}"
    if found.expectations:
        yield "Expects of its output:"
        yield from (f"  {promise}" for promise in found.expectations)
    if found.timing is not None:
        yield ""
        yield from _timing_lines(found.timing)
    if found.sql is not None:
        yield ""
        yield "Query:" if found.sql_file is None else f"Query ({found.sql_file}):"
        text = printable(query_text(found.sql))
        yield from (f"  {line}".rstrip() for line in text.split("\n"))


_ORIGINS = {
    "pipe": "written by {!r}",
    "own output": "its own output: the state of its last run",
    "not in the plan": "written by {!r}, which is not in the plan",
    "external": "external: no pipe writes it",
}


def _chain_lines(chain: Iterable[ChainStep]) -> Iterator[str]:
    for step in chain:
        line = f"  {step.generation:>3}  {step.pipe_id!r}"
        if step.tie is not None:
            line += f", {step.tie} {', '.join(map(repr, step.entities))}"
        yield f"{line} for it" if step.tie == "writes" else line


def _timing_lines(timing: Timing) -> Iterator[str]:
    yield (
        f"Takes {seconds_text(timing.seconds)}; can start after "
        f"{seconds_text(timing.earliest_start_seconds)}"
    )
    whole = seconds_text(timing.longest_path_seconds)
    if timing.slack_seconds:
        slack = seconds_text(timing.slack_seconds)
        yield f"Not critical: the longest path through it takes {whole}, {slack} less than the run"
    else:
        yield f"Critical: it is on a path of {whole}, as long as the run"
