"""``diff``: what becomes of a plan when its declarations or its strategy change.

Renames are not guessed: a pipe under a new id is one pipe less and one pipe more, and so it is to
Airflow, which keeps a task's history by its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kindling_airflow.common.frozen import EMPTY, same_json, thaw
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import critical_path, data_flow, is_forward
from kindling_airflow.execution_plan.document import plan_content
from kindling_airflow.pipe_graph import PipeEdge
from kindling_airflow.plan_report.difference_text import difference_lines
from kindling_airflow.plan_report.durations import Ticks, durations_of

__all__ = ["Change", "Changes", "Figures", "Move", "PlanDiff", "diff"]


@dataclass(frozen=True, slots=True)
class Change:
    """A value that was added, removed or changed.

    Attributes:
        what: the name of the value; ``tags.layer`` for a tag, ``expectations.unique(id)`` for an
            expectation.
        kind: what happened to it.
        old: the value before; None where it was added.
        new: the value after; None where it was removed.
    """

    what: str
    kind: Literal["added", "removed", "changed"]
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in the declaration of a pipe or an entity."""

    of: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A pipe that is in another generation than before."""

    pipe_id: str
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A plan in figures.

    Attributes:
        strategy: its name.
        total_pipes, total_generations, max_parallelism: as the plan says.
        critical_path: the longest way through it; empty where pipes do not run to their end.
        critical_path_seconds: its length.
    """

    strategy: str
    total_pipes: int
    total_generations: int
    max_parallelism: int
    critical_path: tuple[str, ...]
    critical_path_seconds: float


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """What differs between two plans; each list in the order of the plan that has what it lists.

    Attributes:
        old_digest, new_digest: the plans.
        before, after: their figures.
        pipes_added, pipes_removed: pipes that only one of the plans has.
        pipes_changed: pipes whose declaration changed; functions are not compared.
        edges_added, edges_removed: data edges that only one of them has.
        moves: pipes of both plans that changed their generation.
        entities_changed: entities whose tags changed.
        metadata_changed: what the strategy says otherwise.
    """

    old_digest: str
    new_digest: str
    before: Figures
    after: Figures
    pipes_added: tuple[str, ...]
    pipes_removed: tuple[str, ...]
    pipes_changed: tuple[Changes, ...]
    edges_added: tuple[PipeEdge, ...]
    edges_removed: tuple[PipeEdge, ...]
    moves: tuple[Move, ...]
    entities_changed: tuple[Changes, ...]
    metadata_changed: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the plans are equal."""
        return self.old_digest == self.new_digest

    @property
    def only_order(self) -> bool:
        """Whether the plans differ, but in nothing that is listed: pipes stand in another order."""
        listed = (
            self.pipes_added,
            self.pipes_removed,
            self.pipes_changed,
            self.edges_added,
            self.edges_removed,
            self.moves,
            self.entities_changed,
            self.metadata_changed,
        )
        return not self.is_empty and not any(listed) and self.before.strategy == self.after.strategy

    def to_json(self) -> dict[str, Any]:
        """Return the difference as a JSON document."""
        document: dict[str, Any] = thaw(asdict(self))
        edges = {
            key: [edge._asdict() for edge in getattr(self, key)]
            for key in ("edges_added", "edges_removed")
        }
        return {"is_empty": self.is_empty, "only_order": self.only_order, **document, **edges}

    def text(self) -> str:
        """Return the difference for people."""
        return "\n".join(difference_lines(self))


def diff(
    old: ExecutionPlan, new: ExecutionPlan, durations: Mapping[str, float] | None = None
) -> PlanDiff:
    """Compare two plans.

    Args:
        old: the plan before.
        new: the plan after.
        durations: seconds by pipe id, for the critical paths; see
            :func:`~kindling_airflow.plan_report.durations_of`.

    Raises:
        ForecastError: a duration is no positive number.
    """
    edges_before, edges_after = dict.fromkeys(old.graph.edges), dict.fromkeys(new.graph.edges)
    pipes_before, pipes_after = _declarations(old), _declarations(new)
    in_both = [pipe_id for pipe_id in pipes_after if pipe_id in pipes_before]
    tagged = dict.fromkeys((*new.graph.entity_tags, *old.graph.entity_tags))
    return PlanDiff(
        old_digest=old.digest,
        new_digest=new.digest,
        before=_figures(old, durations),
        after=_figures(new, durations),
        pipes_added=_without(new.pipe_ids, old.pipe_ids),
        pipes_removed=_without(old.pipe_ids, new.pipe_ids),
        pipes_changed=_all_changes(in_both, pipes_before, pipes_after),
        edges_added=tuple(edge for edge in edges_after if edge not in edges_before),
        edges_removed=tuple(edge for edge in edges_before if edge not in edges_after),
        moves=tuple(_moves(old, new)),
        entities_changed=_all_changes(tagged, _entities(old), _entities(new)),
        metadata_changed=tuple(_changes(old.metadata, new.metadata)),
    )


def _figures(plan: ExecutionPlan, durations: Mapping[str, float] | None) -> Figures:
    path: tuple[str, ...] = ()
    seconds = 0.0
    if is_forward(plan):
        ticks, flow = Ticks.of(durations_of(plan, durations)), data_flow(plan)
        path = critical_path(flow, flow.remaining(ticks.by_pipe))
        seconds = ticks.seconds(sum(map(ticks.by_pipe.__getitem__, path)))
    return Figures(
        plan.strategy,
        plan.total_pipes(),
        plan.total_generations(),
        plan.max_parallelism(),
        path,
        seconds,
    )


def _without(pipe_ids: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    known = set(others)
    return tuple(pipe_id for pipe_id in pipe_ids if pipe_id not in known)


def _moves(old: ExecutionPlan, new: ExecutionPlan) -> Iterator[Move]:
    for generation in new.generations:
        for pipe_id in generation:
            before = old.find_pipe_generation(pipe_id)
            if before is not None and before != generation.number:
                yield Move(pipe_id, before, generation.number)


def _declarations(plan: ExecutionPlan) -> dict[str, Mapping[str, Any]]:
    return {pipe["pipeid"]: _with_promises(plan, pipe) for pipe in plan_content(plan)["pipes"]}


def _with_promises(plan: ExecutionPlan, pipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a declaration whose expectations are compared one by one, as people read them."""
    declared = plan.graph.nodes[pipe["pipeid"]].metadata
    if declared is None or not declared.expectations:
        return pipe
    rest = {key: value for key, value in pipe.items() if key != "expectations"}
    return {**rest, **{f"expectations.{e.name}": e.promise() for e in declared.expectations}}


def _entities(plan: ExecutionPlan) -> dict[str, Mapping[str, Any]]:
    return {entity: {"tags": tags} for entity, tags in plan.graph.entity_tags.items()}


def _all_changes(
    ids: Iterable[str],
    old: Mapping[str, Mapping[str, Any]],
    new: Mapping[str, Mapping[str, Any]],
) -> tuple[Changes, ...]:
    found = ((one, _with_tags(old.get(one, EMPTY), new.get(one, EMPTY))) for one in ids)
    return tuple(Changes(one, changes) for one, changes in found if changes)


def _with_tags(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two declarations; tags are compared one by one."""
    tags = _changes(old.get("tags", EMPTY), new.get("tags", EMPTY), "tags.")
    return (*(c for c in _changes(old, new) if c.what != "tags"), *tags)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[Change]:
    for key in dict.fromkeys((*old, *new)):
        what = f"{prefix}{key}"
        if key not in old:
            yield Change(what, "added", None, new[key])
        elif key not in new:
            yield Change(what, "removed", old[key], None)
        elif not same_json(old[key], new[key]):
            yield Change(what, "changed", old[key], new[key])
