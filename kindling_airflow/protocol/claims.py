"""The claims of task attempts: their names, and which of two is newer.

    <root>/_kindling/claims/<instance>-<order>-<attempt>          of a task of a run
    <root>/_kindling/claims/<task>-<order>-<run>.<attempt>        of a stream
    <root>/_kindling/leases/<the same name>                       renewed while a task watches

An attempt's driver publishes only while its claim stands. Where the driver runs on a cluster, the
task writes the claim before it submits and takes it away when the driver is not wanted any more;
elsewhere the driver writes its own, which is empty. The root is the warehouse, or where reports
are exchanged.

A stream goes on in the next run where it was in the one before, so its claims count in all runs of
its DAG, of which one is active at a time. The order does not count there, because a run gets it
when it is created, and may wait for the end of one whose attempts are newer: of another run's
claims those are newer that were not there when this attempt began.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.protocol.contracts import RunRequest

__all__ = ["ClaimName", "claims_folder", "instance_name", "leases_folder"]


@dataclass(frozen=True, slots=True)
class ClaimName:
    """The name of one attempt's claim, and how it compares with others.

    Attributes:
        text: the name.
        is_stream: the claims of all runs of the task count.
        earlier: the names that were there when the attempt began; only a stream's counts.
    """

    text: str
    is_stream: bool = False
    earlier: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, request: RunRequest, earlier: Iterable[str] = ()) -> ClaimName:
        """Return the name of a request's claim."""
        order = escape_component(request.attempt_order.replace("-", ""))
        attempt = escape_component(request.attempt_key)
        if request.stream:
            name = f"{_stream_name(request)}-{order}-{_digest(request.run_id)}.{attempt}"
            return cls(name, is_stream=True, earlier=frozenset(earlier))
        return cls(f"{instance_name(request)}-{order}-{attempt}")

    def others(self, names: Collection[str]) -> list[str]:
        """Return those of some names that belong to other attempts of the same task."""
        prefix = f"{self.text.partition('-')[0]}-"
        return [name for name in names if name.startswith(prefix) and name != self.text]

    def is_newer(self, name: str) -> bool:
        """Return whether another attempt of the task is newer than this one."""
        if self._run(name) != self._run(self.text):
            return name not in self.earlier
        return _order(name) > _order(self.text)

    def is_older(self, name: str) -> bool:
        """Return whether another attempt of the task is older than this one."""
        if self._run(name) != self._run(self.text):
            return name in self.earlier
        return _order(name) < _order(self.text)

    def _run(self, name: str) -> str:
        """Return the run of a stream's claim; those of other tasks name theirs in another way."""
        return name.split("-", 2)[2].partition(".")[0] if self.is_stream else ""


def claims_folder(root: str) -> str:
    """Return the folder of all claims beneath a root."""
    return f"{root.rstrip('/')}/_kindling/claims"


def leases_folder(claims: str) -> str:
    """Return the folder of the leases beside a folder of claims."""
    return f"{claims.rpartition('/')[0]}/leases"


def instance_name(request: RunRequest) -> str:
    """Name a task instance, so that an attempt finds what its earlier ones left."""
    return _digest(request.dag_id, request.run_id, request.task_id or request.pipe_id)


def _stream_name(request: RunRequest) -> str:
    return _digest("stream", request.dag_id, request.task_id or request.pipe_id)


def _order(name: str) -> str:
    return name.split("-", 2)[1]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
