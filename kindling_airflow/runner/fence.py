"""A driver whose task has a newer try does not publish, wherever the older one has survived.

    <warehouse>/_kindling/claims/<instance>-<order>-<attempt>

Every try of a task instance leaves such a file when it starts, and looks for newer ones right
before it publishes. Whoever finds one gives up: the newer try makes the same table. Each writes its
own file and then looks, so that of two tries at least one sees the other.

A try that ends takes its file away again, unless an older try is about: one that was killed and
left its file, or one that lives on without a worker. For that one the file has to stay. So tries
that end well leave nothing, and a task instance with a killed try leaves one file; such files are
swept up a month later by the next one that has to stay.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kindling_airflow.contracts import RunRequest, escape_component
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.refusals import refusal_of

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.storage import Storage

__all__ = ["Fence", "instance_name"]

_KEPT_MILLISECONDS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Fence:
    """The claim of one try.

    Attributes:
        storage: the session's files.
        folder: where the claims of all tasks lie.
        name: this try's file.
        request: this try.
    """

    storage: Storage
    folder: str
    name: str
    request: RunRequest

    @classmethod
    def claim(cls, storage: Storage, request: RunRequest) -> Fence:
        """Say that a try has begun.

        Raises:
            EntityError: the warehouse cannot be written.
        """
        folder = f"{request.warehouse.rstrip('/')}/_kindling/claims"
        order = escape_component(request.attempt_order.replace("-", ""))
        name = f"{instance_name(request)}-{order}-{escape_component(request.attempt_key)}"
        try:
            storage.write_text(f"{folder}/{name}", "")
        except Exception as error:  # whatever the file system throws
            reason = refusal_of(error) or str(error).partition("\n")[0]
            raise EntityError(
                f"pipe {request.pipe_id!r}: cannot say in the warehouse that this try has begun: "
                f"{folder!r}: {reason}\n"
                "  Fix: let [kindling] warehouse, or the definition's warehouse, be storage that "
                "every driver can write."
            ) from error
        return cls(storage, folder, name, request)

    def check(self) -> None:
        """Return if this is the newest try of its task.

        Raises:
            EntityError: a newer one has begun.
        """
        newer = [name for name in self._others() if self._order(name) > self._order(self.name)]
        if newer:
            raise EntityError(
                f"pipe {self.request.pipe_id!r}: try {self.request.try_number} of its task does "
                "not publish, because a newer try has begun; the table is as it was\n"
                "  Fix: nothing: the newer try publishes. A task that was cleared, or whose worker "
                "was lost, leaves such a driver behind."
            )

    def release(self) -> None:
        """Take the claim away, or let it stand where an older try may still be about."""
        others = self._others()
        older = [name for name in others if self._order(name) < self._order(self.name)]
        if not older:
            self.storage.delete(f"{self.folder}/{self.name}")
            return
        for name in older:  # this try's claim stands for theirs, too
            self.storage.delete(f"{self.folder}/{name}")
        self._sweep()

    def _others(self) -> list[str]:
        prefix = self.name.partition("-")[0]
        names = self.storage.names(self.folder)
        return [name for name in names if name.startswith(f"{prefix}-") and name != self.name]

    def _order(self, name: str) -> str:
        return name.split("-", 2)[1]

    def _sweep(self) -> None:
        """Delete what has stood for a month; by the file system's clock alone."""
        now = self.storage.modified(f"{self.folder}/{self.name}")
        for name in self.storage.names(self.folder):
            path = f"{self.folder}/{name}"
            if self.storage.exists(path) and now - self.storage.modified(path) > _KEPT_MILLISECONDS:
                self.storage.delete(path)


def instance_name(request: RunRequest) -> str:
    """Name a task instance, so that a try finds what its earlier ones left."""
    text = "\0".join((request.dag_id, request.run_id, request.task_id or request.pipe_id))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
