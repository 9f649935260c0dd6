"""Executions in virtual time: no thread, no clock, the same every time.

    sim = Simulation()
    pipes = Pipes(sim, {"a": [Does(5, fails("no")), Does(1)]})      # fails after 5 s, then works
    GenerationExecutor(pipes, threads=sim.threads, new_run_id=lambda: "run").execute(plan)

A piece of work is done at once, in the calling thread, and its message arrives when the time that
it said it takes has passed; waiting turns the clock on to the next message. What the calling thread
does takes no time, but for receivers that :func:`busy` says it of. Waiting for a message that can
never come is an error instead of a hang, and so is asking the time without end.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from blinker import Signal

from kindling_airflow.generation_executor.signals import NAMESPACE, PAYLOADS

__all__ = [
    "Does",
    "Pipes",
    "Simulation",
    "Span",
    "busy",
    "fails",
    "interrupted_once",
    "listening",
    "never",
]

never = float("inf")
_MOST_WAITS = 100_000


class Simulation:
    """A clock that only waiting turns, and receivers that are busy."""

    def __init__(self) -> None:
        self.now = 0.0
        self.mailboxes: list[SimulatedThreads] = []
        self.hanging: dict[str, Callable[[float], None]] = {}
        self._takes = 0.0

    def threads(self) -> SimulatedThreads:
        """Return the threads of an execution, or of a call, with a mailbox of their own."""
        self.mailboxes.append(SimulatedThreads(self))
        return self.mailboxes[-1]

    def takes(self, seconds: float) -> None:
        """Say from inside a piece of work how long it takes."""
        self._takes = seconds

    def took(self) -> float:
        """Return what the work that was just done said, and start afresh."""
        seconds, self._takes = self._takes, 0.0
        return seconds

    def let_go(self, name: str, after: float = 0.0) -> None:
        """Let work that takes for ever end so many seconds from now."""
        self.hanging.pop(name)(after)


class SimulatedThreads:
    """One mailbox of a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._turn = itertools.count()
        self._messages: list[tuple[float, int, Any]] = []
        self._waits = 0

    def now(self) -> float:
        return self._simulation.now

    def start(self, name: str, work: Callable[[], Any]) -> None:
        outer = self._simulation.took()
        message = work()
        seconds = self._simulation.took()
        self._simulation.takes(outer)
        if seconds == never:
            self._simulation.hanging[name] = lambda after: self._put(after, message)
        else:
            self._put(seconds, message)

    def post(self, message: Any) -> None:
        self._put(0.0, message)

    def wait(self, seconds: float | None) -> Any:
        self._waits += 1
        assert self._waits < _MOST_WAITS, "somebody waits without getting anywhere"
        until = None if seconds is None else self._simulation.now + max(0.0, seconds)
        if self._messages and (until is None or self._messages[0][0] <= until):
            at, _, message = heapq.heappop(self._messages)
            self._simulation.now = max(self._simulation.now, at)
            return message
        assert until is not None, "nothing will ever happen"
        self._simulation.now = until
        return None

    def _put(self, after: float, message: Any) -> None:
        heapq.heappush(self._messages, (self._simulation.now + after, next(self._turn), message))


@dataclass(frozen=True)
class Does:
    """What one try of a pipe does: how long it takes, and how it ends."""

    seconds: float = 1.0
    outcome: Any = None


def fails(text: str = "no") -> Exception:
    """Return what a try that fails ends with."""
    return ValueError(text)


@dataclass(frozen=True)
class Span:
    """One try that was really made."""

    pipe_id: str
    start: float
    end: float


class Pipes:
    """A runner that follows a script: what each try of each pipe does, the last entry for ever."""

    def __init__(
        self, simulation: Simulation, script: Mapping[str, Does | Sequence[Does]] | None = None
    ) -> None:
        self.simulation = simulation
        self.script = {
            k: [v] if isinstance(v, Does) else list(v) for k, v in (script or {}).items()
        }
        self.spans: list[Span] = []
        self._tries: dict[str, int] = defaultdict(int)

    @property
    def started(self) -> list[str]:
        """The pipes whose tries began, in that order."""
        return [span.pipe_id for span in self.spans]

    def __call__(self, pipe_id: str) -> Any:
        entries = self.script.get(pipe_id, [Does()])
        does = entries[min(self._tries[pipe_id], len(entries) - 1)]
        self._tries[pipe_id] += 1
        now = self.simulation.now
        self.spans.append(Span(pipe_id, now, now + does.seconds))
        self.simulation.takes(does.seconds)
        if isinstance(does.outcome, BaseException):
            raise does.outcome
        return does.outcome


@contextmanager
def listening(
    *names: str, raising: Mapping[str, BaseException] | None = None
) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Collect signals (default: all of them) as (name without prefix, payload).

    Args:
        names: which ones.
        raising: what to raise when one of these has been collected.
    """
    heard: list[tuple[str, dict[str, Any]]] = []

    def listener(name: str) -> Callable[..., None]:
        def listen(sender: Any, **payload: Any) -> None:
            heard.append((name, {"sender": sender, **payload}))
            if raising and name in raising:
                raise raising[name]

        return listen

    with ExitStack() as stack:
        for name in names or [name.removeprefix("orchestrator.") for name in PAYLOADS]:
            signal = NAMESPACE[f"orchestrator.{name}"]
            stack.enter_context(signal.connected_to(listener(name)))
        yield heard


@contextmanager
def busy(simulation: Simulation, seconds: float, *names: str) -> Iterator[None]:
    """Let a receiver of each of these signals (default: of all) keep the executing thread busy."""

    def work(_sender: Any, **_: Any) -> None:
        simulation.now += seconds

    with ExitStack() as stack:
        for name in names or [name.removeprefix("orchestrator.") for name in PAYLOADS]:
            stack.enter_context(NAMESPACE[f"orchestrator.{name}"].connected_to(work))
        yield


@contextmanager
def interrupted_once(signal: Signal) -> Iterator[None]:
    """Let Ctrl-C come when a signal is sent for the first time."""
    left = [KeyboardInterrupt()]

    def interrupt(_sender: Any, **_: Any) -> None:
        if left:
            raise left.pop()

    with signal.connected_to(interrupt):
        yield
