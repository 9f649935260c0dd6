"""Calls of functions in child processes: what a call does to its process harms no other.

A module of a project may hang, leave the process, raise what derives from ``BaseException``, change
the working directory, or be one that another project imports too. In its own child each call
starts from the same state, has a limit, and ends alone.

    fork    the usual way: it costs some milliseconds, and what is imported here is imported there
    fresh   a new interpreter, where a fork would not be like a fresh process: other threads
            run here, or modules that are imported have declared something (see ``is_untouched``)
"""

from __future__ import annotations

import os
import selectors
import sys
import time
from collections.abc import Sequence

from kindling_airflow.common.child.process import Call, Channel, Child, Outcome

_SLOTS = 8
_LOOK = 0.1  # seconds between two checks whether a child has ended without an answer


def in_children(
    calls: Sequence[Call],
    *,
    seconds: float | None = None,
    slots: int = _SLOTS,
    is_untouched: bool = True,
    channel: Channel | None = None,
) -> list[Outcome]:
    """Call each function in its own child, several at once; return their outcomes in order.

    Of the time for all of them each one may take its share of what is left: all of it while there
    are no more calls than slots, else ``slots / calls`` of it, so that some that hang leave time to
    the others.

    Args:
        calls: what to call.
        seconds: how long all of them may take.
        slots: how many run at once.
        is_untouched: whether a fork of this process is as good as a fresh interpreter.
        channel: what forked children share with this process.
    """
    waiting = list(enumerate(calls))
    outcomes: dict[int, Outcome] = {}
    running: dict[int, Child] = {}
    end = None if seconds is None else time.monotonic() + seconds
    forks = is_untouched and hasattr(os, "fork") and _runs_alone()
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < slots:
                    left = None if end is None else end - time.monotonic()
                    limit = _limit(waiting[0][1], left, slots / len(waiting))
                    place, call = waiting.pop(0)
                    if limit is not None and limit <= 0:
                        outcomes[place] = Outcome(failure="was not started in time", is_late=True)
                        continue
                    running[place] = Child(call, limit, forks=forks, channel=channel)
                    running[place].watch(selector)
                _read(selector, [child.end for child in running.values()])
                for place in [place for place, child in running.items() if child.is_over()]:
                    outcomes[place] = running.pop(place).close(selector)
        finally:  # the user has interrupted, or Airflow has: no child stays behind
            for child in running.values():
                child.close(selector)
    return [outcomes[place] for place in range(len(calls))]


def _runs_alone() -> bool:
    """Return whether this is the only thread: a fork would not have the others, but their locks."""
    return len(sys._current_frames()) == 1


def _limit(call: Call, left: float | None, share: float) -> float | None:
    """Return how long a call may take."""
    limits = [] if left is None else [left, left * share]
    return min([*limits, *([] if call.seconds is None else [call.seconds])], default=None)


def _read(selector: selectors.BaseSelector, ends: Sequence[float | None]) -> None:
    """Read what the children have written; wait for it as long as none of them is late."""
    patience = min([_LOOK, *(end - time.monotonic() for end in ends if end is not None)])
    for key, _ in selector.select(max(patience, 0.0)):
        key.data.read()
        if key.data.is_closed:
            selector.unregister(key.fd)
