"""The immutable execution plan that a strategy makes: generations of pipes, in order.

A plan defines which pipes run side by side (a generation) and the order of the generations.
Sequences are tuples and mappings refuse to change, all the way down, so a plan can be shared,
cached and compared; its digest names its content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.common.immutable import EMPTY, FrozenDict, digest_of, freeze, thaw
from kindling_airflow.data_entities import tag_problems
from kindling_airflow.errors import PlanValidationError
from kindling_airflow.execution_plan.document import PLAN_SCHEMA_VERSION, plan_content, plan_fields
from kindling_airflow.execution_plan.validation import rule_problems
from kindling_airflow.pipe_graph import PipeGraph

__all__ = ["PLAN_SCHEMA_VERSION", "ExecutionPlan", "Generation", "PlanValidationError"]

_DIRECTIONS = {"batch": "forward", "streaming": "reverse"}
_COMMITMENTS = ("forward", "reverse", "hybrid")


@dataclass(frozen=True, slots=True)
class Generation:
    """Pipes that may run side by side.

    Attributes:
        number: the position in the plan, from 0.
        pipe_ids: the pipes, in the order requested.
        dependencies: the pipes that these wait for: producers in a batch plan, consumers in a
            streaming plan.
    """

    number: int
    pipe_ids: tuple[str, ...]
    dependencies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if type(self.pipe_ids) is not tuple:
            object.__setattr__(self, "pipe_ids", _ids("pipe_ids", self.pipe_ids))
        if type(self.dependencies) is not tuple:
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
        pipe_ids: all pipes, in the order requested.
        generations: the generations in the order of execution.
        graph: the dependencies that the plan obeys.
        strategy: the name of the strategy that made it.
        metadata: anything else that the strategy reports, of JSON types.

    Raises:
        PlanValidationError: pipe ids are not a list, or JSON cannot express the metadata; lists
            every problem with its path.
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
        """The generation of each pipe, computed on first use."""
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
        """Return a generation by its number, or None if it has none."""
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

        For ``batch`` and ``streaming`` the name decides; another strategy sets ``execution_order``
        in its metadata. In a hybrid plan the pipes that the metadata lists as ``streaming_pipes``
        are in reverse order, the others forward, and streams come first.
        """
        order = self.metadata.get("execution_order")
        return _DIRECTIONS.get(self.strategy, order if order in _COMMITMENTS else None)

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
        problems = rule_problems(self, lambda: self._numbers)
        if problems:
            raise PlanValidationError(problems)
        return True

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON document: same plan, same document.

        See :mod:`kindling_airflow.execution_plan.document` for its fields.
        """
        content: dict[str, Any] = thaw({**plan_content(self), "edges": self.graph.edges})
        return {"schema_version": PLAN_SCHEMA_VERSION, "digest": self.digest, **content}

    @classmethod
    def from_json(cls, document: Any) -> ExecutionPlan:
        """Return the plan that a JSON document describes; equal to the one that wrote it.

        Only the functions of the pipes are lost. Whether the plan obeys its strategy is not
        checked: call ``validate()``.

        Raises:
            PlanValidationError: the document is not a plan of this release; lists every problem.
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
