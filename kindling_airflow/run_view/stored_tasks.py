"""Reads what Airflow stores of a DAG's tasks: pipes, streams, and what else there is.

The API server has no DAG files. What it has is each version of a DAG as Airflow serialized it. That
holds of a pipe's task its id, its group, what follows it, its weight, its pool, its assets, and its
documentation, which names the pipe, its inputs and its output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from kindling_airflow.translator.task_ids import task_id as escaped
from kindling_airflow.translator.task_ids import unescaped

__all__ = ["Kind", "StoredTask", "stored_tasks"]

Kind = Literal["pipe", "stream", "session", "other"]

_KINDS: Mapping[str, Kind] = {
    "KindlingPipeOperator": "pipe",
    "KindlingStreamOperator": "stream",
    "KindlingSessionOperator": "session",
}
_OWN_MODULES = "kindling_airflow.operators."
_DOC = re.compile(r"Pipe (?P<pipe>.+): reads (?P<reads>.*); writes (?P<writes>.+)\.")
_DOC_MD = re.compile(
    r"Pipe (?P<pipe>`.+?`): reads (?P<reads>.*); writes (?P<writes>`.+?`)\.(?:\s|$)"
)
_CODE = re.compile(r"(?P<marks>`+)(?P<space> ?)(?P<text>.+?)(?P=space)(?P=marks)(?!`)")
_QUERY = re.compile(r"^(?P<fence>`{3,})sql\n(?P<query>.*)\n(?P=fence)$", re.DOTALL | re.MULTILINE)
_NO_PIPE: tuple[str, tuple[str, ...], str | None] = ("", (), None)


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task of a stored DAG.

    Attributes:
        task_id: its id.
        kind: what it runs.
        operator: the class that runs it.
        label: what the UI calls it.
        pipe_id: the pipe; "" for a task that runs none.
        reads: the entities that the pipe reads, as far as they are known.
        writes: the entity that it writes; None where it is not known.
        asset: the asset of that entity; "" for a DAG without assets.
        query: its SQL; "" for a function.
        groups: the groups that it is in, from the outermost on.
        prefix: the innermost of these whose id is in front of the task's; "" without one.
        downstream: the ids of the tasks behind it.
        weight: its priority.
        pool: its pool.
        slots: how many slots of it the task takes.
    """

    task_id: str
    kind: Kind
    operator: str
    label: str
    pipe_id: str
    reads: tuple[str, ...]
    writes: str | None
    asset: str
    query: str
    groups: tuple[str, ...]
    prefix: str
    downstream: tuple[str, ...]
    weight: int
    pool: str
    slots: int

    @property
    def runs_a_pipe(self) -> bool:
        """Whether it is the task of one pipe."""
        return self.kind in ("pipe", "stream")


def stored_tasks(document: Mapping[str, Any]) -> tuple[StoredTask, ...]:
    """Return the tasks of a DAG, in the order in which its groups show them.

    Args:
        document: the DAG as Airflow serialized it.
    """
    dag = document.get("dag") or {}
    places = dict(_places(dag.get("task_group") or {}, _ROOT))
    found = [_task(_plain(entry), places) for entry in dag.get("tasks") or ()]
    order = {name: n for n, name in enumerate(places)}
    return tuple(sorted(found, key=lambda task: order.get(task.task_id, len(order))))


def _plain(entry: Any) -> Mapping[str, Any]:
    held = entry.get("__var", entry) if isinstance(entry, Mapping) else {}
    return held if isinstance(held, Mapping) else {}


class _Place(NamedTuple):
    """The groups that a task is in, and the one in front of its id."""

    groups: tuple[str, ...]
    prefix: str


_ROOT = _Place((), "")


def _places(group: Mapping[str, Any], place: _Place) -> Iterator[tuple[str, _Place]]:
    """Yield each task's id and its place."""
    for name, child in (group.get("children") or {}).items():
        kind, content = child
        if kind == "operator":
            yield str(content), place
        else:
            prefix = name if content.get("prefix_group_id") else place.prefix
            yield from _places(content, _Place((*place.groups, name), prefix))


def _task(stored: Mapping[str, Any], places: Mapping[str, _Place]) -> StoredTask:
    name, operator = str(stored.get("task_id", "")), str(stored.get("task_type", ""))
    is_own = str(stored.get("_task_module", "")).startswith(_OWN_MODULES)
    kind = _KINDS.get(operator, "other") if is_own else "other"
    place = places.get(name, _ROOT)
    pipe_id, reads, writes = _NO_PIPE
    assets: tuple[str, ...] = ()
    if kind in ("pipe", "stream"):
        assets = _assets(stored, "outlets")
        pipe_id, reads, writes = _documented(name, stored) or (
            unescaped(name.removeprefix(f"{place.prefix}.") if place.prefix else name),
            tuple(map(_entity_of, _assets(stored, "inlets"))),
            _entity_of(assets[0]) if assets else None,
        )
    query = _QUERY.search(str(stored.get("doc_md") or ""))
    return StoredTask(
        task_id=name,
        kind=kind,
        operator=operator,
        label=str(stored.get("_task_display_name") or stored.get("task_display_name") or name),
        pipe_id=pipe_id,
        reads=reads,
        writes=writes,
        asset=assets[0] if assets else "",
        query=query["query"] if query and pipe_id else "",
        groups=place.groups,
        prefix=place.prefix,
        downstream=tuple(map(str, stored.get("downstream_task_ids") or ())),
        weight=int(stored.get("priority_weight") or 1),
        pool=str(stored.get("pool") or "default_pool"),
        slots=int(stored.get("pool_slots") or 1),
    )


def _documented(
    name: str, stored: Mapping[str, Any]
) -> tuple[str, tuple[str, ...], str | None] | None:
    """Return a task's pipe, its inputs and its output, as its documentation names them.

    It counts if its pipe has this task: a definition may set another text.
    """
    md, text = str(stored.get("doc_md") or ""), str(stored.get("doc") or "")
    found = _DOC_MD.match(md)
    if found is not None:
        pipe_id = _codes(found["pipe"])[0]
        reads, writes = _codes(found["reads"]), _codes(found["writes"])[0]
    else:
        found = _DOC.match(text)
        if found is None:
            return None
        pipe_id, writes = found["pipe"], found["writes"]
        reads = () if found["reads"] == "nothing" else tuple(found["reads"].split(", "))
    own = escaped(pipe_id)
    if name != own and not name.endswith(f".{own}"):
        return None
    return pipe_id, reads, writes


def _assets(stored: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Return the names of a task's assets, in their order."""
    found = [_plain(entry).get("name") for entry in stored.get(field) or ()]
    return tuple([str(name) for name in found if name])


def _entity_of(asset: str) -> str:
    return unescaped(asset.rpartition("/")[2])


def _codes(text: str) -> tuple[str, ...]:
    return tuple([found["text"] for found in _CODE.finditer(text)])
