"""The claim of an attempt whose driver runs on a cluster: written, renewed, taken over, revoked.

    try 1   write claim -> renew its lease ...  worker lost
    try 2                                         -> take over: renew the lease of try 1's claim
                                                  or revoke: delete it, and write its own

The driver publishes only while its claim is there and a lease of it is fresh. Each try that watches
a driver renews its own lease, so that one which wakes up late sees that another has taken
over, and leaves the driver alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.report_channels import FolderChannel
from kindling_airflow.protocol.claims import ClaimName, claims_folder, leases_folder
from kindling_airflow.protocol.contracts import RunRequest, TaskClaim

__all__ = ["EarlierAttempt", "TaskClaims"]

_CLAIMS = claims_folder("").lstrip("/")
_LEASES = leases_folder(_CLAIMS)
_RENEWALS = 4  # in the time of a lease


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """An attempt of the same task that has not been concluded.

    Attributes:
        name: the name of its claim.
        claim: what its task wrote.
    """

    name: str
    claim: TaskClaim


class TaskClaims:
    """The claims of one task instance, seen by one of its tries.

    Args:
        channel: where claims and reports are exchanged.
        request: this try.
        lease: seconds after which a lease lapses.
        is_wanted: returns whether Airflow still runs this try; asked after a lease has lapsed.
        unwanted: called once, from a thread, when it does not.
        log: the task's log.
        clock: seconds, also of the time in which the machine is suspended.
    """

    def __init__(
        self,
        channel: FolderChannel,
        request: RunRequest,
        *,
        lease: float,
        is_wanted: Callable[[], bool],
        unwanted: Callable[[], None],
        log: Any,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._files = channel.files
        self._root = channel.root
        self._request = request
        self._watcher = escape_component(request.attempt_order.replace("-", ""))
        self._lease = lease
        self._is_wanted = is_wanted
        self._unwanted = unwanted
        self._log = log
        self._clock = clock or _boot_time
        self._held = ""  # the claim whose lease is renewed
        self._renewed_at = 0.0
        self._has_trouble = False
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()
        self._name = ClaimName.of(request)
        self.own = self._name.text

    @property
    def path(self) -> str:
        """Where the claim of this try lies, as the driver names it."""
        return f"{self._root}/{_CLAIMS}/{self.own}"

    def earlier(self) -> list[EarlierAttempt]:
        """Return the attempts that have not been concluded, the latest first."""
        found = []
        for name in sorted(self.others()):
            if not self._name.is_stream and not self._name.is_older(name):
                continue
            with suppress(FileNotFoundError, ReportError):  # empty: a driver's own
                text = self._files.read(f"{_CLAIMS}/{name}")
                if text.strip():
                    found.append(EarlierAttempt(name, TaskClaim.loads(text)))
        return found[::-1]

    def others(self) -> list[str]:
        """Return the names of the claims of other attempts of the task."""
        return self._name.others(self._files.names(_CLAIMS))

    def write(self, claim: TaskClaim) -> None:
        """Write the claim of this try, and renew its lease from now on."""
        self._renew(self.own)
        self._files.write(f"{_CLAIMS}/{self.own}", claim.dumps())
        self._hold(self.own)

    def take_over(self, attempt: EarlierAttempt) -> None:
        """Renew the lease of an earlier attempt's claim from now on."""
        self._renew(attempt.name)
        self._hold(attempt.name)

    def revoke(self, name: str) -> None:
        """Delete a claim and its leases: its driver does not publish any more."""
        self._files.delete(f"{_CLAIMS}/{name}")
        for lease in self._leases_of(name):
            self._files.delete(f"{_LEASES}/{lease}")

    def end(self) -> bool:
        """Delete the claim that is held, unless another try has taken it over.

        Returns:
            whether it was this try's to delete, or none was held.
        """
        with self._lock:
            self._done.set()
            name, self._held = self._held, ""
        if not name:
            return True
        if self._is_taken_over(name):
            return False
        self.revoke(name)
        return True

    def leave(self) -> None:
        """Stop renewing, and leave the claim to the next try."""
        with self._lock:
            self._done.set()
            self._held = ""

    def _hold(self, name: str) -> None:
        self._held, self._renewed_at = name, self._clock()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._renew_until_done, name="kindling-lease", daemon=True
            )
            self._thread.start()

    def _renew_until_done(self) -> None:
        while not self._done.wait(self._lease / _RENEWALS):
            with suppress(Exception):
                if not self.renew():
                    return

    def renew(self) -> bool:
        """Renew the lease; return whether to go on.

        A lease that has lapsed, because this machine was suspended or cut off, is renewed only if
        Airflow still runs this try.
        """
        with self._lock:
            name = self._held
            if not name or self._done.is_set():
                return False
            has_lapsed = self._clock() - self._renewed_at >= self._lease
        try:
            if has_lapsed and (self._is_taken_over(name) or not self._is_wanted()):
                self._done.set()
                self._unwanted()
                return False
            self._renew(name)
        except Exception as error:  # whatever the storage or Airflow raises; retried
            if not self._has_trouble:
                self._log.warning(
                    "The lease of the driver could not be renewed; retrying: %s", error
                )
            self._has_trouble = True
            return True
        self._has_trouble = False
        with self._lock:
            self._renewed_at = self._clock()
        return True

    def _renew(self, name: str) -> None:
        self._files.write(f"{_LEASES}/{name}.{self._watcher}", "1")

    def _leases_of(self, name: str) -> list[str]:
        return [lease for lease in self._files.names(_LEASES) if lease.startswith(f"{name}.")]

    def _is_taken_over(self, name: str) -> bool:
        return any(lease.rpartition(".")[2] > self._watcher for lease in self._leases_of(name))


def _boot_time() -> float:
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
