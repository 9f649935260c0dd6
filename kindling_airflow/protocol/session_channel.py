"""The channel between a shared session's driver and the tasks that use it: TCP, authenticated.

    client                                        server (the driver)
                                           <---   nonce
    nonce, HMAC(secret, both nonces)       --->
                                           <---   HMAC(secret, both nonces)
    frames: length, HMAC(key, number, text), JSON text, in both directions

Both sides have the secret, and neither sends it. The server says nothing but a random number before
the client has proven that it has it, and closes the connection on anything else; the client sends
no request before the server has proven it. Each direction has its own key, made of the secret and
both nonces, and each frame is numbered: frames cannot be forged, replayed, dropped, reordered or
sent back. They are not encrypted: what they hold is also on the command line of a driver and in a
task's log. Sizes and times are bounded.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kindling_airflow.errors import SessionError

__all__ = ["Channel", "accept", "connect", "session_secret"]

_NONCE_BYTES = 32
_TAG_BYTES = hashlib.sha256().digest_size
_HEAD = struct.Struct(">I")
_NUMBER = struct.Struct(">Q")
_LARGEST_FRAME = 32 * 1024 * 1024
_HANDSHAKE_SECONDS = 10.0


def session_secret(key: str, *, dag_id: str, run_id: str, task_id: str, attempt: str) -> bytes:
    """Return the secret of one driver, which both sides derive from a key of the deployment.

    Args:
        key: the deployment's.
        dag_id: the DAG of the session's task.
        run_id: its run.
        task_id: its id.
        attempt: the driver, of which a task may start several.
    """
    parts = ("kindling session", dag_id, run_id, task_id, attempt)
    text = json.dumps(parts).encode()  # unambiguous, whatever the ids hold
    return hmac.digest(key.encode(), text, "sha256")


class Channel:
    """An authenticated connection; for one thread at a time.

    Args:
        connection: the socket.
        send_key, receive_key: of the two directions.
    """

    def __init__(self, connection: socket.socket, send_key: bytes, receive_key: bytes) -> None:
        self._socket = connection
        self._send_key, self._receive_key = send_key, receive_key
        self._sent = self._received = 0

    def send(self, document: Mapping[str, Any]) -> None:
        """Send a document.

        Raises:
            SessionError: it is too large, or the connection is broken.
        """
        text = json.dumps(document, allow_nan=False).encode()
        if len(text) > _LARGEST_FRAME:
            raise SessionError(f"a message of {len(text):,} bytes is too large for a session")
        tag = _tag(self._send_key, self._sent, text)
        self._sent += 1
        try:
            self._socket.sendall(_HEAD.pack(len(text)) + tag + text)
        except OSError as error:
            raise SessionError(f"the connection to the session is broken: {error}") from error

    def receive(self, seconds: float) -> dict[str, Any]:
        """Return the next document.

        Args:
            seconds: how long to wait for each part of it.

        Raises:
            SessionError: it does not come, is forged, or the connection is broken.
        """
        self._socket.settimeout(seconds)
        (size,) = _HEAD.unpack(_exactly(self._socket, _HEAD.size))
        if size > _LARGEST_FRAME:
            raise SessionError(f"a message of {size:,} bytes is too large for a session")
        tag, text = _exactly(self._socket, _TAG_BYTES), _exactly(self._socket, size)
        if not hmac.compare_digest(tag, _tag(self._receive_key, self._received, text)):
            raise SessionError("a message of the session is not authentic")
        self._received += 1
        document = json.loads(text)
        if not isinstance(document, dict):
            raise SessionError("a message of the session is not an object")
        return document

    def ask(self, document: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send a document and return the answer.

        Raises:
            SessionError: as :meth:`send` and :meth:`receive`.
        """
        self.send(document)
        return self.receive(seconds)

    def close(self) -> None:
        """Close the connection, whatever its state."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(host: str, port: int, secret: bytes, seconds: float = _HANDSHAKE_SECONDS) -> Channel:
    """Connect to a session's driver.

    Raises:
        SessionError: it does not answer, or does not have the secret.
    """
    try:
        connection = socket.create_connection((host, port), timeout=seconds)
    except OSError as error:
        raise SessionError(f"no session answers at {host}:{port}: {error}") from error
    try:
        theirs = _exactly(connection, _NONCE_BYTES)
        own = os.urandom(_NONCE_BYTES)
        connection.sendall(own + _proof(secret, b"client", theirs, own))
        if not hmac.compare_digest(
            _exactly(connection, _TAG_BYTES), _proof(secret, b"server", theirs, own)
        ):
            raise SessionError(f"what answers at {host}:{port} is not this run's session")
    except (OSError, SessionError) as error:
        connection.close()
        if isinstance(error, SessionError):
            raise
        raise SessionError(f"the session at {host}:{port} ended the connection") from error
    return _channel(connection, secret, theirs, own, is_client=True)


def accept(
    connection: socket.socket, secret: bytes, seconds: float = _HANDSHAKE_SECONDS
) -> Channel | None:
    """Return the channel to a client; None for a peer without the secret, which learns nothing.

    Args:
        connection: just accepted; closed unless it is returned.
        secret: the session's.
        seconds: how long each part of the proof may take.
    """
    try:
        connection.settimeout(seconds)
        own = os.urandom(_NONCE_BYTES)
        connection.sendall(own)
        theirs = _exactly(connection, _NONCE_BYTES)
        if not hmac.compare_digest(
            _exactly(connection, _TAG_BYTES), _proof(secret, b"client", own, theirs)
        ):
            connection.close()
            return None
        connection.sendall(_proof(secret, b"server", own, theirs))
    except (OSError, SessionError):
        connection.close()
        return None
    return _channel(connection, secret, own, theirs, is_client=False)


def _channel(
    connection: socket.socket, secret: bytes, servers: bytes, clients: bytes, *, is_client: bool
) -> Channel:
    up = _proof(secret, b"to server", servers, clients)
    down = _proof(secret, b"to client", servers, clients)
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Channel(connection, *((up, down) if is_client else (down, up)))


def _proof(secret: bytes, role: bytes, servers: bytes, clients: bytes) -> bytes:
    return hmac.digest(secret, role + b"\0" + servers + clients, "sha256")


def _tag(key: bytes, number: int, text: bytes) -> bytes:
    return hmac.digest(key, _NUMBER.pack(number) + text, "sha256")


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        try:
            part = connection.recv(min(size - len(found), 1 << 20))
        except OSError as error:
            raise SessionError(f"the session does not answer: {error}") from error
        if not part:
            raise SessionError("the session has closed the connection")
        found += part
    return bytes(found)
