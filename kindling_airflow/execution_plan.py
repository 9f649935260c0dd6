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

from kindling_airflow.bulk import collector_paused
from kindling_airflow.data_entities import tag_problems
from kindling_airflow.errors import PlanValidationError
from kindling_airflow.frozen import EMPTY, FrozenDict, digest_of, freeze, thaw
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.plan_document import PLAN_SCHEMA_VERSION, plan_content, plan_fields

__all__ = ["PLAN_SCHEMA_VERSION", "ExecutionPlan", "Generation", "PlanValidationError"]

_DIRECTIONS = {"batch": "forward", "streaming": "reverse"}
_COMMITMENTS = ("forward", "reverse", "hybrid")


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

    Two plans are equal when they have the same digest: 1 is neither 1.0 nor true, and the functions
    of the pipes do not count.

    Attributes:
        pipe_ids: all pipes, in the order in which they were asked for.
        generations: the generations in the order of execution.
        graph: the dependencies that the plan obeys.
        strategy: the name of the strategy that made it.
        metadata: whatever else the strategy has to say, of JSON types.

    Raises:
        PlanValidationError: pipe ids are no list, or JSON cannot express the metadata; lists every
            problem with its path.
    """

    pipe_ids: tuple[str, ...]
    generations: tuple[Generation, ...]
    graph: PipeGraph
    strategy: str
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    _places: Mapping[str, int] = field(init=False, repr=False, default=EMPTY)
    _digest: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "pipe_ids", _ids("pipe_ids", self.pipe_ids))
        object.__setattr__(self, "generations", tuple(self.generations))
        metadata = EMPTY if self.metadata is None else self.metadata
        problems = tag_problems("metadata", metadata)
        if problems:
            raise PlanValidationError(problems)
        object.__setattr__(self, "metadata", freeze(metadata))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExecutionPlan):
            return NotImplemented
        return self is other or self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the plan's content."""
        if not self._digest:
            with collector_paused():
                object.__setattr__(self, "_digest", digest_of(plan_content(self, iter)))
        return self._digest

    @property
    def _numbers(self) -> Mapping[str, int]:
        """The generation of each pipe, made when somebody asks for the first time."""
        if not self._places:
            numbers = ((p, g.number) for g in reversed(self.generations) for p in g.pipe_ids)
            object.__setattr__(self, "_places", FrozenDict(numbers))
        return self._places

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

    def awaited(self, pipe_id: str) -> tuple[str, ...]:
        """Return the pipes that a pipe waits for: its neighbours in earlier generations.

        They are its producers in a batch plan, its consumers in a streaming plan.
        """
        number = self._numbers.get(pipe_id, -1)
        near = (*self.graph.get_dependencies(pipe_id), *self.graph.get_dependents(pipe_id))
        return tuple(p for p in near if self._numbers.get(p, number) < number)

    def direction(self) -> str | None:
        """Return ``forward``, ``reverse``, ``hybrid``, or None where the strategy commits to none.

        ``batch`` and ``streaming`` mean what they say; a strategy of another name commits itself by
        ``execution_order`` in its metadata. In a hybrid plan the pipes that the metadata lists as
        ``streaming_pipes`` are in reverse order, the others forward, and streams come first.
        """
        said = self.metadata.get("execution_order")
        return _DIRECTIONS.get(self.strategy, said if said in _COMMITMENTS else None)

    def streaming_pipes(self) -> tuple[str, ...]:
        """Return the pipes that run as streams, in the plan's order.

        All of a plan in reverse order, of a hybrid plan those that its metadata lists, of any other
        plan none.
        """
        direction = self.direction()
        if direction == "reverse":
            return self.pipe_ids
        if direction != "hybrid":
            return ()
        listed = frozenset(self.metadata.get("streaming_pipes", ()))
        return tuple([pipe_id for pipe_id in self.pipe_ids if pipe_id in listed])

    def validate(self) -> bool:
        """Check the plan against the rules of its strategy; return True.

        In every plan each pipe is in exactly one generation, generations are numbered from 0, and
        no pipe shares a generation with one that it depends on. In a batch (forward) plan producers
        come before their consumers, in a streaming (reverse) plan after them; in a hybrid plan a
        streaming consumer comes before its producers, every other consumer after them.

        Raises:
            PlanValidationError: (a ``ValueError``) listing every rule that is broken.
        """
        problems = [] if _is_sound(self) else [*_coverage_problems(self), *_order_problems(self)]
        if problems:
            raise PlanValidationError(problems)
        return True

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON document: same plan, same document.

        See :mod:`kindling_airflow.plan_document` for its fields.
        """
        content: dict[str, Any] = thaw({**plan_content(self), "edges": self.graph.edges})
        return {"schema_version": PLAN_SCHEMA_VERSION, "digest": self.digest, **content}

    @classmethod
    def from_json(cls, document: Any) -> ExecutionPlan:
        """Return the plan that a JSON document describes; equal to the one that wrote it.

        Only the functions of the pipes are lost. Whether the plan obeys its strategy is not
        checked: call ``validate()``.

        Raises:
            PlanValidationError: the document is no plan of this release; lists every problem.
        """
        found = plan_fields(document)
        generations = tuple(Generation(*entry) for entry in found["generations"])
        return cls(**{**found, "generations": generations})


def _ids(what: str, value: Iterable[str]) -> tuple[str, ...]:
    if type(value) is tuple:
        return value
    if isinstance(value, str):
        raise PlanValidationError(
            [f"{what} is the string {value!r} where a list belongs\n  Fix: write [{value!r}]"]
        )
    return tuple(value)


def _is_sound(plan: ExecutionPlan) -> bool:
    """Return whether a plan of all pipes of its graph, in one direction, covers and orders them.

    The usual case, told by number; of any other plan nothing is said.
    """
    wiring, generations, direction = plan.graph.wiring, plan.generations, plan.direction()
    if direction not in ("forward", "reverse") or not wiring.is_all(plan.pipe_ids):
        return False
    if [g.number for g in generations] != list(range(len(generations))):
        return False
    if direction == "forward" and [g.pipe_ids for g in generations] == [
        *map(wiring.named, wiring.layers)
    ]:
        return True  # as early as their producers allow
    if not len(plan._numbers) == sum(map(len, generations)) == len(wiring.names):
        return False
    found = list(map(plan._numbers.get, wiring.names))
    if None in found:
        return False
    sign = 1 if direction == "forward" else -1
    numbers = [sign * number for number in found if number is not None]
    number_of = numbers.__getitem__
    for number, producers in zip(numbers, wiring.producers, strict=True):
        if producers and max(map(number_of, producers)) >= number:
            return False
    return True


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
    direction = plan.direction()
    streams = plan.metadata.get("streaming_pipes", ()) if direction == "hybrid" else ()
    if isinstance(streams, str) or not isinstance(streams, Iterable):
        return [f"metadata: streaming_pipes must be a list of pipes, not {streams!r}"]
    reversed_pipes = set(map(str, streams))
    broken, must_be = _BROKEN["forward" if direction == "hybrid" else direction]
    numbers = plan._numbers
    problems = []
    for edge in plan.graph.edges:
        producer, consumer = numbers.get(edge.from_pipe), numbers.get(edge.to_pipe)
        if producer is None or consumer is None:
            continue
        if reversed_pipes:
            rule = "reverse" if edge.to_pipe in reversed_pipes else "forward"
            broken, must_be = _BROKEN[rule]
        if broken(producer, consumer):
            problems.append(
                f"pipe {edge.to_pipe!r} (generation {consumer}) reads entity {edge.entity!r} "
                f"of pipe {edge.from_pipe!r} (generation {producer})\n"
                f"  Fix: under strategy {plan.strategy!r} the producer belongs {must_be} its "
                "consumer."
            )
    return problems
