"""What the states of a run's tasks mean for its streams. Pure.

A task has *ended* when nothing but a person brings it back; one that is up for a retry has not. A
task that the run does not have (any more) has ended as well: nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kindling_airflow.common.wording import first_of

__all__ = ["States", "StopRule", "all_ended", "ended", "failed_for_good", "named"]

States = Mapping[str, "str | None"]
"""The state of each task of a run, by task id, as Airflow calls it."""

_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_FAILED = frozenset({"failed", "upstream_failed"})
_LONGEST_LIST = 5


def ended(states: States, task_id: str) -> bool:
    """Tell whether a task has ended.

    >>> ended({"a": "success", "b": "up_for_retry"}, "a"), ended({"b": "up_for_retry"}, "b")
    (True, False)
    """
    return task_id not in states or states[task_id] in _ENDED


def all_ended(states: States, task_ids: Iterable[str]) -> bool:
    """Tell whether tasks have ended; of a run of which nothing is known, none has."""
    return bool(states) and all(ended(states, task_id) for task_id in task_ids)


def failed_for_good(states: States, task_ids: Iterable[str]) -> list[str]:
    """Return those tasks that have failed, or will not run because others have."""
    return [task_id for task_id in task_ids if states.get(task_id) in _FAILED]


def named(task_ids: Iterable[str]) -> str:
    """Return task ids for people.

    >>> named(["b", "a"]), named("gfedcba")
    ("'b', 'a'", "'g', 'f', 'e', 'd', 'c' and 2 more")
    """
    return first_of(list(map(repr, task_ids)), _LONGEST_LIST)


@dataclass(frozen=True, slots=True)
class StopRule:
    """When a stream has to drain: a reason to stop, and nobody left that writes what it reads.

    Attributes:
        stop_task_id: the task whose end asks all streams of the run to stop.
        streams, gates: those of the run; one of them failed is a reason, too.
        producers: the tasks that write what this stream reads.
    """

    stop_task_id: str
    streams: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()

    def reason(self, states: States) -> str:
        """Return why the run's streams are to stop, for people; "" if they are not."""
        if not states:
            return ""
        if ended(states, self.stop_task_id):
            return f"{self.stop_task_id!r} has ended"
        failed = failed_for_good(states, (*self.streams, *self.gates))
        return f"{named(failed)} failed for good" if failed else ""

    def is_hopeless(self, states: States) -> bool:
        """Tell whether a stream that is not ready need not become so any more.

        A gate has failed, so whatever would feed it does not run.
        """
        return bool(failed_for_good(states, self.gates))

    def waits_for(self, states: States) -> list[str]:
        """Return the producers that still write."""
        return [task_id for task_id in self.producers if not ended(states, task_id)]

    def task_ids(self) -> list[str]:
        """Return the tasks whose states it asks for."""
        return list(dict.fromkeys((self.stop_task_id, *self.streams, *self.gates, *self.producers)))
