"""List scheduling: when each pipe runs where only so many run at once.

Whenever there is room, the most urgent of the ready pipes starts. With the length of the remaining
path as urgency this is what the translated DAG does in a pool, and R. L. Graham, "Bounds on
multiprocessing timing anomalies" (SIAM Journal on Applied Mathematics 17, 1969) shows how far off
it can be:

    makespan <= work / width + (1 - 1 / width) * critical path
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush


@dataclass(frozen=True, slots=True)
class Work:
    """Jobs that wait for each other; jobs are numbers from 0, the most urgent one first.

    Attributes:
        lengths: how long each job takes; positive.
        followers: the jobs that wait for each job.
        waiting: how many jobs each job waits for.
    """

    lengths: Sequence[int]
    followers: Sequence[Sequence[int]]
    waiting: Sequence[int]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When each job starts, in which order, when the last one ends, how many run at most."""

    starts: tuple[int, ...]
    order: tuple[int, ...]
    makespan: int
    peak: int


def list_schedule(work: Work, width: int) -> Schedule:
    """Return the schedule at a width, in O((V + E) log V).

    Args:
        work: jobs without a cycle.
        width: how many jobs run at once, at least 1.
    """
    lengths, followers = work.lengths, work.followers
    waiting = list(work.waiting)
    ready = [job for job, count in enumerate(waiting) if not count]  # sorted, and so a heap
    running: list[tuple[int, int]] = []
    starts, order = [0] * len(lengths), []
    now = peak = 0
    while ready or running:
        while ready and len(running) < width:
            job = heappop(ready)
            starts[job] = now
            order.append(job)
            heappush(running, (now + lengths[job], job))
        peak = max(peak, len(running))
        now = running[0][0]
        while running and running[0][0] == now:  # all that end now, before anything starts
            for follower in followers[heappop(running)[1]]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    heappush(ready, follower)
    return Schedule(tuple(starts), tuple(order), now, peak)
