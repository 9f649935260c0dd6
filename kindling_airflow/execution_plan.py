"""Generation and ExecutionPlan: what a strategy decides, immutable and readable as data.

A plan says which pipes run side by side (a generation) and in which order the generations come.
Sequences are tuples and mappings refuse to change, all the way down, so a plan can be shared,
cached and compared; its digest names its content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kindling_airflow.data_entities import tag_problems
from kindling_airflow.errors import PlanValidationError
from kindling_airflow.frozen import EMPTY, FrozenDict, digest_of, freeze, thaw
from kindling_airflow.pipe_graph import PipeGraph

__all__ = ["PLAN_SCHEMA_VERSION", "ExecutionPlan", "Generation", "PlanValidationError"]

PLAN_SCHEMA_VERSION = 1

_DIRECTIONS = {"batch": "forward", "streaming": "reverse"}


@dataclass(frozen=True, slots=True)
class Generation:
    """Pipes that may run side by side.

    Attributes:
        number: the position in the plan, from 0.
        pipe_ids: the pipes, in the order in which they were asked for.
        dependencies: the pipes that these wait for: producers in a batch plan, consumers in a
            streaming plan.
    """

    number: int
    pipe_ids: tuple[str, ...]
    dependencies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pipe_ids", _ids("pipe_ids", self.pipe_ids))
        object.__setattr__(self, "dependencies", _ids("dependencies", self.dependencies))

    def __len__(self) -> int:
        return len(self.pipe_ids)

    def __contains__(self, pipe_id: object) -> bool:
        return pipe_id in self.pipe_ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.pipe_ids)


@dataclass(frozen=True, slots=True, eq=False)
class ExecutionPlan:
    """An immutable plan: which pipes, in which generations, under which strategy.

    Two plans are equal when they have the same content; the graph's declarations do not count.

    Attributes:
        pipe_ids: all pipes, in the order in which they were asked for.
        generations: the generations in the order of execution.
        graph: the dependencies that the plan obeys.
        strategy: the name of the strategy that made it.
        metadata: whatever else the strategy has to say, of JSON types.
    """

    pipe_ids: tuple[str, ...]
    generations: tuple[Generation, ...]
    graph: PipeGraph
    strategy: str
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    _numbers: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pipe_ids", _ids("pipe_ids", self.pipe_ids))
        object.__setattr__(self, "generations", tuple(self.generations))
        object.__setattr__(self, "metadata", freeze(self.metadata or {}))
        numbers = {p: g.number for g in reversed(self.generations) for p in g.pipe_ids}
        object.__setattr__(self, "_numbers", FrozenDict(numbers))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExecutionPlan):
            return NotImplemented
        return self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the plan's content."""
        return digest_of(self.to_json())

    def total_pipes(self) -> int:
        """Return the number of pipes."""
        return len(self.pipe_ids)

    def total_generations(self) -> int:
        """Return the number of generations."""
        return len(self.generations)

    def max_parallelism(self) -> int:
        """Return the number of pipes in the widest generation; 0 for an empty plan."""
        return max(map(len, self.generations), default=0)

    def get_generation(self, number: int) -> Generation | None:
        """Return a generation by its number, or None where there is none."""
        return next((g for g in self.generations if g.number == number), None)

    def find_pipe_generation(self, pipe_id: str) -> int | None:
        """Return the number of the generation that a pipe is in, or None if it is in none."""
        return self._numbers.get(pipe_id)

    def get_summary(self) -> dict[str, Any]:
        """Return the plan's figures and its metadata, which cannot overwrite the figures."""
        sizes = [len(generation) for generation in self.generations]
        return {
            **thaw(self.metadata),
            "strategy": self.strategy,
            "total_pipes": self.total_pipes(),
            "total_generations": self.total_generations(),
            "max_parallelism": self.max_parallelism(),
            "avg_pipes_per_generation": sum(sizes) / len(sizes) if sizes else 0.0,
            "generation_sizes": sizes,
        }

    def direction(self) -> str | None:
        """Return ``forward``, ``reverse``, or None where the strategy commits to neither.

        ``batch`` and ``streaming`` mean what they say; a strategy of another name commits itself by
        ``execution_order`` in its metadata.
        """
        said = self.metadata.get("execution_order")
        return _DIRECTIONS.get(self.strategy, said if said in ("forward", "reverse") else None)

    def validate(self) -> bool:
        """Check the plan against the rules of its strategy; return True.

        In every plan each pipe is in exactly one generation, generations are numbered from 0, no
        pipe shares a generation with one that it depends on, and the metadata can be written as
        JSON. In a batch (forward) plan producers come before their consumers, in a streaming
        (reverse) plan after them.

        Raises:
            PlanValidationError: (a ``ValueError``) listing every rule that is broken.
        """
        problems = _coverage_problems(self)
        problems += _order_problems(self)
        problems += tag_problems("metadata", self.metadata)
        if problems:
            raise PlanValidationError(problems)
        return True

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON document with a schema version; same plan, same document."""
        return {
            "schema_version": PLAN_SCHEMA_VERSION,
            "strategy": self.strategy,
            "pipe_ids": list(self.pipe_ids),
            "generations": [
                {
                    "number": g.number,
                    "pipe_ids": list(g.pipe_ids),
                    "dependencies": list(g.dependencies),
                }
                for g in self.generations
            ],
            "edges": [[e.from_pipe, e.to_pipe, e.entity] for e in self.graph.edges],
            "metadata": thaw(self.metadata),
        }


def _ids(what: str, value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise PlanValidationError(
            [f"{what} is the string {value!r} where a list belongs\n  Fix: write [{value!r}]"]
        )
    return tuple(value)


def _coverage_problems(plan: ExecutionPlan) -> list[str]:
    problems = []
    seen: dict[str, int] = {}
    for position, generation in enumerate(plan.generations):
        if generation.number != position:
            problems.append(
                f"generation number {generation.number} stands at position {position}\n"
                "  Fix: number the generations from 0 in their order."
            )
        for pipe_id in generation.pipe_ids:
            if pipe_id in seen:
                problems.append(
                    f"pipe {pipe_id!r} is in generation {seen[pipe_id]} and again in generation "
                    f"{generation.number}\n  Fix: put each pipe into exactly one generation."
                )
            seen.setdefault(pipe_id, generation.number)
    wanted = set(plan.pipe_ids)
    if len(wanted) != len(plan.pipe_ids):
        problems += [
            f"pipe {p!r} is listed {count} times in pipe_ids\n  Fix: list each pipe once."
            for p, count in Counter(plan.pipe_ids).items()
            if count > 1
        ]
    problems += [
        f"pipe {p!r} is in no generation\n  Fix: put each pipe into exactly one generation."
        for p in wanted - seen.keys()
    ]
    problems += [
        f"pipe {p!r} is in generation {seen[p]} but not in the plan's pipe_ids\n"
        "  Fix: list it in pipe_ids, or take it out of the generation."
        for p in seen.keys() - wanted
    ]
    problems += [
        f"pipe {p!r} is in the plan but not in its graph\n"
        "  Fix: build the graph with all pipes of the plan."
        for p in wanted - plan.graph.nodes.keys()
    ]
    return problems


_BROKEN: Mapping[str | None, tuple[Callable[[int, int], bool], str]] = {
    "forward": (lambda producer, consumer: producer >= consumer, "in an earlier generation than"),
    "reverse": (lambda producer, consumer: producer <= consumer, "in a later generation than"),
    None: (lambda producer, consumer: producer == consumer, "in another generation than"),
}


def _order_problems(plan: ExecutionPlan) -> list[str]:
    broken, must_be = _BROKEN[plan.direction()]
    numbers = plan._numbers
    problems = []
    for edge in plan.graph.edges:
        producer, consumer = numbers.get(edge.from_pipe), numbers.get(edge.to_pipe)
        if producer is not None and consumer is not None and broken(producer, consumer):
            problems.append(
                f"pipe {edge.to_pipe!r} (generation {consumer}) reads entity {edge.entity!r} "
                f"of pipe {edge.from_pipe!r} (generation {producer})\n"
                f"  Fix: under strategy {plan.strategy!r} the producer belongs {must_be} its "
                "consumer."
            )
    return problems
