"""The states of a run's tasks, as short as a page needs them, and only those that changed.

A page asks with a cursor: "what has changed since, behind this task?". Tasks are sent in the order
of their ids until an answer is full; the next one continues behind the last. Once a sweep is over,
the next begins a while before this one did, because the clocks of schedulers and workers differ: a
change is sent twice rather than never.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

__all__ = ["Cursor", "Found", "changed_tasks", "document_of"]

_OVERLAP = 15_000
_MOST_BYTES = 40_000
_STREAM_NUMBERS = ("state", "batch_id", "rows_in", "rows_per_second", "lag", "at")
_LONGEST_TEXT = 80


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page is in a sweep over the tasks of a run.

    Attributes:
        since: changes from then on are wanted, in milliseconds since 1970.
        after: the last task that was sent in this sweep; "" at its begin.
        began: when the sweep began.
    """

    since: int = 0
    after: str = ""
    began: int = 0

    def starting(self, now: int) -> Cursor:
        """Return the cursor with which an answer is made."""
        return self if self.after else Cursor(self.since, "", now)

    def behind(self, last: str | None) -> Cursor:
        """Return the next cursor.

        Args:
            last: the last task of a full answer; None: nothing is left.
        """
        if last is not None:
            return Cursor(self.since, last, self.began)
        return Cursor(max(0, self.began - _OVERLAP))


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the database: a task instance, and one message that it has left, if any.

    Times are in milliseconds since 1970.
    """

    task_id: str
    state: str | None
    try_number: int
    queued: int | None
    start: int | None
    end: int | None
    key: str | None
    value: Any


def changed_tasks(
    rows: Iterable[Found],
    *,
    report_key: str,
    progress_key: str,
    is_cut: bool = False,
    most_bytes: int | None = _MOST_BYTES,
) -> tuple[list[list[Any]], str | None]:
    """Return tasks as a page reads them, and the last one if there are more.

    Args:
        rows: sorted by task.
        report_key: the key of a pipe's report.
        progress_key: the key of a stream's progress.
        is_cut: whether the database has more rows; then the last task may be incomplete.
        most_bytes: how large an answer may get; None: as large as it has to be.
    """
    tasks = [
        _task(list(of_task), report_key, progress_key)
        for _, of_task in groupby(rows, key=attrgetter("task_id"))
    ]
    if is_cut and len(tasks) > 1:
        tasks.pop()
    size, fitting = 0, 0
    for task in tasks:
        size += len(json.dumps(task)) + 1
        if most_bytes is not None and fitting and size > most_bytes:
            break
        fitting += 1
    is_more = is_cut or fitting < len(tasks)
    return tasks[:fitting], str(tasks[fitting - 1][0]) if is_more and fitting else None


def document_of(value: Any) -> Mapping[str, Any]:
    """Return the document in the value of an XCom; empty for anything else.

    Airflow's own backend stores JSON as a text. What another backend has stored elsewhere is not
    fetched.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def _task(rows: Sequence[Found], report_key: str, progress_key: str) -> list[Any]:
    """Return ``[id, state, try, queued, start, end, in, out, violated, status, stream]``.

    What is not known at the end of the list is left out.
    """
    first = rows[0]
    by_key = {row.key: document_of(row.value) for row in rows}
    report, progress = by_key.get(report_key, {}), by_key.get(progress_key, {})
    found = [
        first.task_id,
        first.state,
        first.try_number,
        first.queued,
        first.start,
        first.end,
        *_figures(report),
        [_short(progress.get(name)) for name in _STREAM_NUMBERS] if progress else None,
    ]
    while found[-1] is None:
        found.pop()
    return found


def _figures(report: Mapping[str, Any]) -> list[Any]:
    if not report:
        return [None, None, None, None]
    counts = [item.get("rows") for item in _mappings(report.get("inputs"))]
    known = [count for count in counts if isinstance(count, int)]
    violated = sum(e.get("outcome") != "passed" for e in _mappings(report.get("expectations")))
    written = report.get("rows_written")
    return [
        sum(known) if known else None,
        written if isinstance(written, int) else None,
        violated,
        _short(report.get("status")),
    ]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _short(value: Any) -> Any:
    if value is None or isinstance(value, (int, float)):
        return value
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:_LONGEST_TEXT]
