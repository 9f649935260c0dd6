"""A difference between plans as lines for people; ``+`` added, ``-`` removed, ``~`` changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from kindling_airflow.common.frozen import thaw
from kindling_airflow.pipe_graph import PipeEdge
from kindling_airflow.plan_report.durations import seconds_text
from kindling_airflow.plan_report.wording import counted

if TYPE_CHECKING:
    from kindling_airflow.plan_report.difference import Change, Changes, Figures, PlanDiff

__all__ = ["difference_lines"]

_MOST_LISTED = 50
_LONGEST_OBJECT = 60


def difference_lines(found: PlanDiff) -> Iterator[str]:
    """Yield the lines; long lists are cut, JSON has them whole."""
    if found.is_empty:
        yield f"No difference: {_figures_text(found.before, found.before)}"
        return
    yield _figures_text(found.before, found.after)
    sections = {
        "Pipes": [
            *(f"+ {pipe_id!r}" for pipe_id in found.pipes_added),
            *(f"- {pipe_id!r}" for pipe_id in found.pipes_removed),
            *chain.from_iterable(map(_changes_lines, found.pipes_changed)),
        ],
        "Edges": [
            *(f"+ {_edge_text(edge)}" for edge in found.edges_added),
            *(f"- {_edge_text(edge)}" for edge in found.edges_removed),
        ],
        "Generations": [f"~ {m.pipe_id!r}: {m.old} -> {m.new}" for m in found.moves],
        "Entities": list(chain.from_iterable(map(_changes_lines, found.entities_changed))),
        "Metadata": [*map(_change_text, found.metadata_changed)],
        "Critical path": _path_lines(found.before.critical_path, found.after.critical_path),
    }
    for headline, lines in sections.items():
        if lines:
            yield from ("", headline)
            yield from _cut(lines)
    if found.only_order:
        yield from ("", "The same pipes, edges and generations, in another order")


def _figures_text(before: Figures, after: Figures) -> str:
    parts = [
        _arrow(before.strategy, after.strategy),
        _arrow(f"{before.total_pipes:,}", counted(after.total_pipes, "pipe")),
        _arrow(f"{before.total_generations:,}", counted(after.total_generations, "generation")),
        "at most " + _arrow(f"{before.max_parallelism:,}", f"{after.max_parallelism:,} at once"),
    ]
    if before.critical_path and after.critical_path:
        lengths = (seconds_text(f.critical_path_seconds) for f in (before, after))
        parts.append(f"critical path {_arrow(*lengths)}")
    return ", ".join(parts)


def _arrow(old: str, new: str) -> str:
    """Return ``old -> new``, or ``new`` alone where it starts with the same words."""
    return new if new == old or new.startswith(f"{old} ") else f"{old} -> {new}"


def _edge_text(edge: PipeEdge) -> str:
    return f"{edge.from_pipe!r} -> {edge.to_pipe!r}, by {edge.entity!r}"


def _changes_lines(found: Changes) -> Iterator[str]:
    yield f"~ {found.of!r}"
    for change in found.changes:
        yield f"    {_change_text(change)}"


def _change_text(change: Change) -> str:
    old, new = thaw(change.old), thaw(change.new)
    if change.kind == "added":
        return f"+ {change.what}: {_shown(new)}"
    if change.kind == "removed":
        return f"- {change.what}: {_shown(old)}"
    if isinstance(old, list) and isinstance(new, list) and _as_sets_differ(old, new):
        come = [f"+ {_shown(item)}" for item in new if item not in old]
        gone = [f"- {_shown(item)}" for item in old if item not in new]
        return f"~ {change.what}: {', '.join([*come, *gone])}"
    return f"~ {change.what}: {_shown(old)} -> {_shown(new)}"


def _shown(value: object) -> str:
    """Return a value as text; objects are cut, names and numbers are not."""
    text = repr(value)
    is_object = isinstance(value, (dict, list)) and "{" in text[:2]
    return f"{text[:_LONGEST_OBJECT]}..." if is_object and len(text) > _LONGEST_OBJECT else text


def _as_sets_differ(old: Sequence[object], new: Sequence[object]) -> bool:
    return any(item not in new for item in old) or any(item not in old for item in new)


def _path_lines(before: Sequence[str], after: Sequence[str]) -> list[str]:
    if before == after:
        return []
    return [f"{sign} {' -> '.join(map(repr, p))}" for sign, p in (("-", before), ("+", after)) if p]


def _cut(lines: Sequence[str]) -> Iterator[str]:
    for line in lines[:_MOST_LISTED]:
        yield f"  {line}"
    if len(lines) > _MOST_LISTED:
        yield f"  ... and {counted(len(lines) - _MOST_LISTED, 'line')} more"
