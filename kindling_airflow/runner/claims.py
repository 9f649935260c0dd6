"""A driver whose task has a newer attempt does not publish, wherever the older one has survived.

    <warehouse>/_kindling/claims/<instance>-<order>-<attempt>          of a task of a run
    <warehouse>/_kindling/claims/<task>-<order>-<run>.<attempt>        of a stream

Every try of a task instance leaves such a file when it starts, and looks for newer ones right
before it stages, because staging clears away what other attempts of its task have left, and right
before it publishes. An attempt that finds one gives up: the newer one makes the same table. Each
writes its own file and then looks, so that of two attempts at least one sees the other.

An attempt that ends takes its file away again, unless there is an older attempt: one that was
killed and left its file, or one that still runs without a worker. For that one the file has to
stay. So attempts that end well leave nothing, and a task instance with a killed attempt leaves one
file; such files are swept up a month later by the next one that has to stay.

A stream goes on in the next run where it was in the one before, so its claims count in all runs of
its DAG, of which one is active at a time. The order does not count there, because a run gets it
when it is created, and may wait for the end of one whose attempts are newer: of another run's
claims those are newer that were not there when this attempt began. Two that begin concurrently both
give up, and are retried.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.failures.storage_errors import storage_refusal

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.storage import Storage

_KEPT_MILLISECONDS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim of one attempt.

    Attributes:
        storage: the session's files.
        folder: where the claims of all tasks lie.
        name: this attempt's file.
        request: this attempt.
        earlier: the files that were there when it began.
    """

    storage: Storage
    folder: str
    name: str
    request: RunRequest
    earlier: frozenset[str] = frozenset()

    @classmethod
    def claim(cls, storage: Storage, request: RunRequest) -> Claim:
        """Record that an attempt has begun.

        Raises:
            EntityError: the warehouse cannot be written.
        """
        folder = f"{request.warehouse.rstrip('/')}/_kindling/claims"
        order = escape_component(request.attempt_order.replace("-", ""))
        attempt = escape_component(request.attempt_key)
        name = f"{instance_name(request)}-{order}-{attempt}"
        if request.stream:
            name = f"{_stream_name(request)}-{order}-{_digest(request.run_id)}.{attempt}"
        earlier: frozenset[str] = frozenset()
        try:
            if request.stream:
                earlier = frozenset(storage.names(folder))
            storage.write_text(f"{folder}/{name}", "")
        except Exception as error:  # whatever the file system throws
            reason = storage_refusal(error) or str(error).partition("\n")[0]
            raise EntityError(
                f"pipe {request.pipe_id!r}: cannot write the claim of this attempt to the "
                "warehouse: "
                f"{folder!r}: {reason}\n"
                "  Fix: set [kindling] warehouse, or the definition's warehouse, to storage that "
                "every driver can write to."
            ) from error
        return cls(storage, folder, name, request, earlier)

    def check(self) -> None:
        """Return if this is the newest try of its task.

        Raises:
            EntityError: a newer one has begun.
        """
        if any(map(self._is_newer, self._others())):
            raise EntityError(
                f"pipe {self.request.pipe_id!r}: attempt {self.request.try_number} of its task "
                "does not publish, because a newer attempt has started; the table is unchanged\n"
                "  Fix: none needed: the newer attempt publishes. A task that was cleared, or "
                "whose worker was lost, leaves such a driver behind."
            )

    def release(self) -> None:
        """Remove the claim, or keep it where an older attempt may still be running."""
        others = self._others()
        older = [name for name in others if self._is_older(name)]
        if not older:
            self.storage.delete(f"{self.folder}/{self.name}")
            return
        for name in older:  # this attempt's claim covers theirs
            self.storage.delete(f"{self.folder}/{name}")
        self._sweep()

    def _others(self) -> list[str]:
        prefix = self.name.partition("-")[0]
        names = self.storage.names(self.folder)
        return [name for name in names if name.startswith(f"{prefix}-") and name != self.name]

    def _is_newer(self, name: str) -> bool:
        if self._run(name) != self._run(self.name):
            return name not in self.earlier
        return self._order(name) > self._order(self.name)

    def _is_older(self, name: str) -> bool:
        if self._run(name) != self._run(self.name):
            return name in self.earlier
        return self._order(name) < self._order(self.name)

    def _order(self, name: str) -> str:
        return name.split("-", 2)[1]

    def _run(self, name: str) -> str:
        """Return the run of a stream's claim; those of other tasks name theirs in another way."""
        return name.split("-", 2)[2].partition(".")[0] if self.request.stream else ""

    def _sweep(self) -> None:
        """Delete what has stood for a month; by the file system's clock alone."""
        now = self.storage.modified(f"{self.folder}/{self.name}")
        for name in self.storage.names(self.folder):
            path = f"{self.folder}/{name}"
            if self.storage.exists(path) and now - self.storage.modified(path) > _KEPT_MILLISECONDS:
                self.storage.delete(path)


def instance_name(request: RunRequest) -> str:
    """Name a task instance, so that an attempt finds what its earlier ones left."""
    return _digest(request.dag_id, request.run_id, request.task_id or request.pipe_id)


def _stream_name(request: RunRequest) -> str:
    return _digest("stream", request.dag_id, request.task_id or request.pipe_id)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
