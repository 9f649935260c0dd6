"""End the drivers of earlier attempts of a task that still run on this machine.

Airflow may start the next attempt while the worker of the one before is alive and does not know of
it yet: a scheduler that starts in the place of a lost one takes its tasks away from workers, and
these learn of it with their next heartbeat. The earlier driver does not publish then, because of
its claim. But it would take memory and cores beside the one that does.

A driver is recognised by the run request on its command line: of the same task instance, for the
same warehouse, and older by the order of claims. Drivers on other machines are left to their own
workers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.process_family import has_ended, kill_family
from kindling_airflow.protocol.claims import ClaimName, claims_folder
from kindling_airflow.protocol.contracts import RunRequest

if TYPE_CHECKING:
    import psutil

__all__ = ["end_earlier_drivers"]

_SECONDS = 10.0  # in which a process that was killed has to be gone
_PAUSE = 0.05


def end_earlier_drivers(request: RunRequest, log: Any) -> None:
    """Kill older drivers of a request's task on this machine, and wait until they have ended.

    One that cannot be killed is named in the log; it does not publish, so the task goes on.

    Args:
        request: the attempt whose driver is about to start.
        log: the task's log.
    """
    if not request.attempt_order:
        return
    tries = {
        member: earlier.try_number
        for process, earlier in _older(request)
        for member in kill_family(process)
    }
    deadline = time.monotonic() + _SECONDS
    while (left := {p for p in tries if not has_ended(p)}) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    for what, processes in (
        ("was still running on this machine, and was ended", tries.keys() - left),
        ("still runs on this machine, and cannot be ended; it does not publish", left),
    ):
        for number in sorted({tries[process] for process in processes}):
            pids = sorted(process.pid for process in processes if tries[process] == number)
            log.warning("The driver of try %d %s: process %s", number, what, str(pids)[1:-1])


def _older(request: RunRequest) -> Iterator[tuple[psutil.Process, RunRequest]]:
    """Yield the processes of older drivers of a request's task, with their requests."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        for argument in process.info["cmdline"] or ():
            if not argument.startswith("{") or '"attempt_key"' not in argument:
                continue
            try:
                found = RunRequest.loads(argument)
            except ReportError:  # of another release, or of something else
                continue
            if _is_older(found, request):
                yield process, found
            break


def _is_older(found: RunRequest, request: RunRequest) -> bool:
    if claims_folder(found.warehouse) != claims_folder(request.warehouse):
        return False
    other = ClaimName.of(found).text
    own = ClaimName.of(request, earlier=[other])
    return bool(own.others([other])) and own.is_older(other)
