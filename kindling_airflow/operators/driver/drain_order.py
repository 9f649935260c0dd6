"""Tells a stream to drain when its turn has come: sources first, sinks last, nobody conducts.

Each stream looks at the run by itself, whenever its driver has said something: is there a reason to
stop, and have all ended that write what it reads? Then nothing more can come, and it is told to
take what is there and end. A stream that is not ready by then, in a run whose gate has failed, is
not waited for.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from kindling_airflow.protocol.contracts import StreamNews
from kindling_airflow.triggers.run_states import States, StopRule, named

__all__ = ["DrainOrder"]

_LOOK_SECONDS = 1.9  # a little less than a beat


class DrainOrder:
    """Looks at the run and gives the order, once.

    Args:
        rule: when it is to be given.
        states: asks Airflow for the states of tasks of the run.
        is_own: tells whether a process is the driver's, so that no other is ever signalled.
        give_up: ends a stream that need not become ready any more.
        say: puts a line into the task's log.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        rule: StopRule,
        *,
        states: Callable[[list[str]], States],
        is_own: Callable[[int], bool],
        give_up: Callable[[], None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.was_given = False
        self._rule = rule
        self._states = states
        self._is_own = is_own
        self._give_up = give_up
        self._tell = say
        self._clock = clock
        self._looked_at: float | None = None
        self._has_trouble = False
        self._said = ""

    def look(self, news: StreamNews) -> None:
        """Look at the run, unless that was done just now or the order has been given."""
        now = self._clock()
        if self.was_given or (
            self._looked_at is not None and now - self._looked_at < _LOOK_SECONDS
        ):
            return
        self._looked_at = now
        states = self._asked()
        reason = self._rule.reason(states)
        if not reason:
            return
        waits_for = self._rule.waits_for(states)
        if waits_for:
            self._say(f"To stop, because {reason}; goes on until {named(waits_for)} ended.")
        elif news.state == "starting" and self._rule.is_hopeless(states):
            self.was_given = True
            self._say(f"Ended before it was ready, because {reason}.")
            self._give_up()
        else:
            self._give(news.pid, reason)

    def _asked(self) -> States:
        """Return the states; none from an Airflow that does not answer, which is asked again."""
        try:
            states = self._states(self._rule.task_ids())
        except Exception as error:
            if not self._has_trouble:
                self._tell(
                    f"Airflow does not tell the states of the run, and is asked again: {error}"
                )
            self._has_trouble = True
            return {}
        self._has_trouble = False
        return states

    def _give(self, pid: int, reason: str) -> None:
        if not self._is_own(pid):
            self._say(f"To drain, but process {pid} is not of this task's driver.")
            return
        try:
            os.kill(pid, signal.SIGUSR1)
        except ProcessLookupError:
            pass  # it has ended by itself; its report will tell
        except OSError as error:
            self._say(f"To drain, but its driver cannot be told: {error}")
            return
        self.was_given = True
        self._say(f"Told to drain, because {reason}, and nobody is left that writes what it reads.")

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._tell(text)
