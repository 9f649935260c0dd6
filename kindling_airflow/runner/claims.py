"""A driver publishes only while its claim stands, wherever it runs.

Two things end a claim:

- **A newer attempt of the same task.** Every attempt leaves a claim when it begins, and its driver
  looks for newer ones right before it stages, because staging clears away what other attempts of
  its task have left, and right before it publishes. An attempt that finds one gives up: the newer
  one makes the same table. Each writes its own file and then looks, so that of two attempts at
  least one sees the other.
- **Its task.** On a cluster nothing ties a driver to its task. There the task writes the claim,
  renews its lease while it watches, and deletes it when the driver is not wanted any more: killed,
  timed out, marked or cleared. A lease that lapses means that nothing watches. The driver then
  waits for a while, because the next try takes up a driver that is at work; after that it gives
  up. A lease's age is measured by the clock of the storage alone.

A claim that a driver has written is taken away when it ends, unless there is an older attempt: one
that was killed and left its file, or one that still runs without a worker. For that one the file
has to stay. So attempts that end well leave nothing, and a task instance with a killed attempt
leaves one file; such files are swept up a month later by the next one that has to stay.

Names and their order are in :mod:`kindling_airflow.protocol.claims`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.errors import EntityError, ReportError
from kindling_airflow.protocol.claims import (
    ClaimName,
    claims_folder,
    leases_folder,
)
from kindling_airflow.protocol.contracts import RunRequest, TaskClaim
from kindling_airflow.runner.failures.storage_errors import storage_refusal
from kindling_airflow.runner.standstill import Standstill

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.storage import Storage

__all__ = ["Claim", "order_of"]

_ORDER_DIGITS = 15  # of 4 bits: what 64 bits with a sign hold
_KEPT_MILLISECONDS = 30 * 24 * 3600 * 1000
_PAUSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim of one attempt.

    Attributes:
        storage: the session's files.
        folder: where the claims of all tasks lie.
        name: this attempt's file.
        request: this attempt.
        still: notes when this process has stood still, or None.
    """

    storage: Storage
    folder: str
    name: ClaimName
    request: RunRequest
    still: Standstill | None = None

    @classmethod
    def claim(cls, storage: Storage, request: RunRequest, still: Standstill | None = None) -> Claim:
        """Record that an attempt has begun, unless its task has done so.

        Args:
            storage: the session's files.
            request: this attempt.
            still: notes when this process has stood still; needed where there is no lease.

        Raises:
            EntityError: the warehouse cannot be written, or the task's claim cannot be read or is
                not there any more.
        """
        if request.claim:
            return cls._of_task(storage, request)
        folder = claims_folder(request.warehouse)
        try:
            earlier = storage.names(folder) if request.stream else ()
            name = ClaimName.of(request, earlier)
            storage.write_text(f"{folder}/{name.text}", "")
        except Exception as error:  # whatever the file system throws
            raise EntityError(
                f"pipe {request.pipe_id!r}: cannot write the claim of this attempt to the "
                "warehouse: "
                f"{folder!r}: {_reason(error)}\n"
                "  Fix: set [kindling] warehouse, or the definition's warehouse, to storage that "
                "every driver can write to."
            ) from error
        return cls(storage, folder, name, request, still)

    @classmethod
    def _of_task(cls, storage: Storage, request: RunRequest) -> Claim:
        path = str(request.claim["path"])
        folder, _, text = path.rpartition("/")
        try:
            found = storage.exists(path)
            written = TaskClaim.loads(storage.read_text(path)) if found else None
        except ReportError as error:
            raise EntityError(f"pipe {request.pipe_id!r}: {path!r}: {error}") from error
        except Exception as error:  # whatever the file system throws
            raise EntityError(
                f"pipe {request.pipe_id!r}: cannot read the claim of its task: {path!r}: "
                f"{_reason(error)}\n"
                "  Fix: give the driver access to the storage that its task writes to."
            ) from error
        earlier = frozenset(written.earlier) if written is not None else frozenset()
        name = ClaimName(text, is_stream=bool(request.stream), earlier=earlier)
        claim = cls(storage, folder, name, request)
        claim.check()
        return claim

    def check(self) -> None:
        """Return if this is the newest try of its task, and its task still wants it.

        Waits where the task is not watching, because its next try may be about to take up this
        driver; and where this machine stood still, so that its task can end this driver first.

        Raises:
            EntityError: a newer one has begun, the task has ended, or nothing has watched this
                driver for too long.
        """
        if self.still is not None:
            self.still.settle()
        if any(map(self.name.is_newer, self._others())):
            raise EntityError(
                f"pipe {self.request.pipe_id!r}: attempt {self.request.try_number} of its task "
                "does not publish, because a newer attempt has started; the table is unchanged\n"
                "  Fix: none needed: the newer attempt publishes. A task that was cleared, or "
                "whose worker was lost, leaves such a driver behind."
            )
        if self.request.claim:
            self._wait_until_watched()

    def release(self) -> None:
        """Remove the claim, or keep it where an older attempt may still be running.

        A claim that the task has written is the task's to remove.
        """
        if self.request.claim:
            return
        others = self._others()
        older = [name for name in others if self.name.is_older(name)]
        if not older:
            self.storage.delete(f"{self.folder}/{self.name.text}")
            return
        for name in older:  # this attempt's claim covers theirs
            self.storage.delete(f"{self.folder}/{name}")
        self._sweep()

    def _wait_until_watched(self) -> None:
        patience = float(self.request.claim["patience"])
        began, is_told = time.monotonic(), False
        while True:
            if not self.storage.exists(f"{self.folder}/{self.name.text}"):
                raise EntityError(
                    f"pipe {self.request.pipe_id!r}: attempt {self.request.try_number} of its task "
                    "does not publish, because its task has ended without it; the table is "
                    "unchanged\n"
                    "  Fix: none needed if the task was killed, timed out, marked or cleared. Else "
                    f"driver and worker do not share {self.folder!r}: set [kindling] report_url to "
                    "storage that both can reach."
                )
            if self._lease_stands():
                return
            if time.monotonic() - began >= patience:
                raise EntityError(
                    f"pipe {self.request.pipe_id!r}: attempt {self.request.try_number} of its task "
                    "does not publish, because nothing has watched this driver for more than "
                    f"{patience:g} s; the table is unchanged\n"
                    "  Fix: none needed: the worker of its task was lost, and its next try starts "
                    "another driver."
                )
            if not is_told:
                is_told = True
                print(  # noqa: T201 (into the driver's log)
                    f"Waiting up to {patience:g} s before publishing: the task of this driver does "
                    "not watch it; its worker may be lost. Its next try takes this driver up.",
                    flush=True,
                )
            time.sleep(_PAUSE_SECONDS)

    def _lease_stands(self) -> bool:
        """Return whether the task has renewed the lease lately, by the storage's own clock."""
        folder = leases_folder(self.folder)
        leases = [n for n in self.storage.names(folder) if n.startswith(f"{self.name.text}.")]
        if not leases:
            return False
        clock = f"{folder}.now/{escape_component(self.request.attempt_key)}"
        self.storage.write_text(clock, "")
        try:
            now = self.storage.modified(clock)
        finally:
            self.storage.delete(clock)
        renewed = max(self.storage.modified(f"{folder}/{name}") for name in leases)
        return now - renewed < 1000 * float(self.request.claim["lease"])

    def _others(self) -> list[str]:
        return self.name.others(self.storage.names(self.folder))

    def _sweep(self) -> None:
        """Delete what has stood for a month; by the file system's clock alone."""
        now = self.storage.modified(f"{self.folder}/{self.name.text}")
        for name in self.storage.names(self.folder):
            path = f"{self.folder}/{name}"
            if self.storage.exists(path) and now - self.storage.modified(path) > _KEPT_MILLISECONDS:
                self.storage.delete(path)


def _reason(error: Exception) -> str:
    return storage_refusal(error) or str(error).partition("\n")[0]


def order_of(request: RunRequest) -> int:
    """Return the order of an attempt as a number of at most 60 bits; 0 where it has none.

    Airflow's ids of attempts begin with the time.

    >>> from kindling_airflow.protocol.contracts import RunRequest
    >>> order_of(RunRequest("k", "p", "", (), "", attempt_order="019306a0-7b2c-7000-8000-00000000"))
    7090106371589888
    """
    text = request.attempt_order.replace("-", "")[:_ORDER_DIGITS]
    try:
        return int(text, 16) if text else 0
    except ValueError:
        return 0
