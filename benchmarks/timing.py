"""Paired timing: the things to compare run in turn, so that a machine that slows down slows all."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["Timed", "in_new_process", "paired"]


@dataclass(frozen=True, slots=True)
class Timed:
    """CPU seconds of one thing.

    Attributes:
        seconds: of each round.
    """

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least: what the work costs, without what else the machine did."""
        return min(self.seconds)

    @property
    def typical(self) -> float:
        """The median."""
        return median(self.seconds)


def paired(actions: Sequence[Callable[[], object]], rounds: int) -> list[Timed]:
    """Run the actions in turn, after one round that does not count; return each one's times."""
    found: list[list[float]] = [[] for _ in actions]
    for turn in range(rounds + 1):
        for place, action in enumerate(actions):
            gc.collect()
            start = time.process_time()
            action()
            spent = time.process_time() - start
            if turn:
                found[place].append(spent)
    return [Timed(tuple(seconds)) for seconds in found]


def in_new_process(module: str, *arguments: str) -> Any:
    """Return the JSON document in the last line of ``python -m module``, a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
