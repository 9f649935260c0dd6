"""Limits how long the imports of user code may take while a DAG file is parsed.

Airflow ends a parse after ``[core] dagbag_import_timeout`` seconds with an alarm, and then no DAG
of the file is there. So all projects of a file together get a part of what is left until then,
and ``[kindling] import_timeout`` may allow each project less.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kindling_airflow.errors import LateHarvestError

_PART = 0.8  # the rest is for making the DAGs
_AIRFLOWS = 30.0


def seconds_for_all() -> float:
    """Return how long the projects of this DAG file may take from now on."""
    return _PART * (_left_by_airflow() or _configured("core", "dagbag_import_timeout") or _AIRFLOWS)


def seconds_for_one() -> float | None:
    """Return how long each project may take at most, if that is configured."""
    return _configured("kindling", "import_timeout")


def _left_by_airflow() -> float:
    """Return the seconds until an alarm that is set ends this parse; 0 where none is."""
    return signal.getitimer(signal.ITIMER_REAL)[0] if hasattr(signal, "getitimer") else 0.0


def _configured(section: str, key: str) -> float | None:
    """Return a number of seconds from Airflow's configuration, where it is there; 0 means none."""
    setting: Any = os.environ.get(f"AIRFLOW__{section}__{key}".upper())
    configuration: Any = sys.modules.get("airflow.configuration")  # never imported just for this
    if configuration is not None:
        setting = configuration.conf.get(section, key, fallback=None)
    with suppress(TypeError, ValueError):
        return max(float(setting), 0.0) or None
    return None


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raise if the block takes too long; an alarm that is set, and comes earlier, stays.

    Args:
        seconds: how long it may take.
        what: what the error says that takes so long.

    Raises:
        LateHarvestError: the time is over.
    """
    left = _left_by_airflow()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "setitimer") or 0.0 < left <= seconds:
        yield
        return

    def late(_number: int, _frame: object) -> None:
        raise LateHarvestError([f"{what} did not end within {seconds:.3g} seconds"])

    before = signal.signal(signal.SIGALRM, late)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            rest = left - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(rest, 0.001))
