"""Interprets the states of a run's tasks for its streams, without side effects.

A task has *ended* when only a user can restart it; one that is up for a retry has not. A task that
the run does not have (any more) counts as ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kindling_airflow.common.wording import first_of

__all__ = ["States", "StopRule", "all_ended", "ended", "failed_for_good", "named"]

States = Mapping[str, "str | None"]
"""Airflow's state of each task of a run, by task id."""

_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_FAILED = frozenset({"failed", "upstream_failed"})
_LONGEST_LIST = 5


def ended(states: States, task_id: str) -> bool:
    """Return whether a task has ended.

    >>> ended({"a": "success", "b": "up_for_retry"}, "a"), ended({"b": "up_for_retry"}, "b")
    (True, False)
    """
    return task_id not in states or states[task_id] in _ENDED


def all_ended(states: States, task_ids: Iterable[str]) -> bool:
    """Return whether tasks have ended; in a run of unknown states none has."""
    return bool(states) and all(ended(states, task_id) for task_id in task_ids)


def failed_for_good(states: States, task_ids: Iterable[str]) -> list[str]:
    """Return the tasks that have failed, or will not run because others have."""
    return [task_id for task_id in task_ids if states.get(task_id) in _FAILED]


def named(task_ids: Iterable[str]) -> str:
    """Return task ids as text.

    >>> named(["b", "a"]), named("gfedcba")
    ("'b', 'a'", "'g', 'f', 'e', 'd', 'c' and 2 more")
    """
    return first_of(list(map(repr, task_ids)), _LONGEST_LIST)


@dataclass(frozen=True, slots=True)
class StopRule:
    """When a stream has to drain: there is a reason to stop, and all its producers have ended.

    Attributes:
        stop_task_id: the task whose end asks all streams of the run to stop.
        streams, gates: those of the run; the failure of one is a reason, too.
        producers: the tasks that write what this stream reads.
    """

    stop_task_id: str
    streams: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()

    def reason(self, states: States) -> str:
        """Return why the run's streams have to stop, as text; "" if they have not."""
        if not states:
            return ""
        if ended(states, self.stop_task_id):
            return f"{self.stop_task_id!r} has ended"
        failed = failed_for_good(states, (*self.streams, *self.gates))
        return f"{named(failed)} failed permanently" if failed else ""

    def is_hopeless(self, states: States) -> bool:
        """Return whether a gate has failed, so that a stream need not become ready any more."""
        return bool(failed_for_good(states, self.gates))

    def waits_for(self, states: States) -> list[str]:
        """Return the producers that still write."""
        return [task_id for task_id in self.producers if not ended(states, task_id)]

    def task_ids(self) -> list[str]:
        """Return the tasks whose states matter."""
        return list(dict.fromkeys((self.stop_task_id, *self.streams, *self.gates, *self.producers)))
