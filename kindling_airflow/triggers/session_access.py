"""How tasks and triggers get to a shared session: where it is, and the secret it asks for.

The secret is derived from a key of the deployment, which every worker and triggerer has; where a
session listens is an XCom of its task. Neither is of use without the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow.providers.common.compat.sdk import conf

from kindling_airflow.protocol.session_channel import Channel, connect, session_secret

__all__ = ["SESSION_KEY", "SessionPlace", "secret_key"]

SESSION_KEY = "kindling_session"
"""The XCom of a session's task that says where it listens."""


def secret_key() -> str:
    """Return the key that secrets are derived from: ``[kindling] session_secret``, or Fernet's.

    Returns:
        "" if the deployment has neither.
    """
    own = conf.get("kindling", "session_secret", fallback="")
    return str(own or conf.get("core", "fernet_key", fallback="") or "")


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """One driver of a session, and where it listens.

    Attributes:
        dag_id, run_id, task_id: the session's task.
        attempt: the key of the driver.
        host, port: where it listens.
        generation: how many drivers the session has had in its run, this one included.
    """

    dag_id: str
    run_id: str
    task_id: str
    attempt: str
    host: str
    port: int
    generation: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the place as a JSON document."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Any) -> SessionPlace | None:
        """Return the place in a JSON document; None where there is none."""
        if not isinstance(document, Mapping):
            return None
        try:
            return cls(**document)
        except TypeError:  # of another release
            return None

    def secret(self) -> bytes:
        """Return the secret of this driver."""
        return session_secret(
            secret_key(),
            dag_id=self.dag_id,
            run_id=self.run_id,
            task_id=self.task_id,
            attempt=self.attempt,
        )

    def connect(self) -> Channel:
        """Return a channel to the driver.

        Raises:
            SessionError: it does not answer, or is not the one.
        """
        return connect(self.host, self.port, self.secret())
