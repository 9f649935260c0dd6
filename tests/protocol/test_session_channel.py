"""The channel of a session: both sides prove themselves, and nothing false gets across it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from kindling_airflow.errors import SessionError
from kindling_airflow.protocol import session_channel
from kindling_airflow.protocol.session_channel import Channel, accept, connect, session_secret

SECRET = b"s" * 32
RUN = {"dag_id": "shop", "run_id": "r1", "task_id": "kindling_session_run", "attempt": "k1"}


@contextmanager
def pair(secret: bytes = SECRET) -> Iterator[tuple[Channel, Channel]]:
    """Yield both ends of a channel."""
    with listening() as (listener, port), ThreadPoolExecutor(1) as pool:
        served = pool.submit(lambda: accept(listener.accept()[0], SECRET, 5.0))
        client = connect("127.0.0.1", port, secret, 5.0)
        server = served.result()
        assert server is not None
        with client, server:
            yield client, server


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, listener.getsockname()[1]


class Wire:
    """A socket between two channels that does what a test says with the bytes."""

    def __init__(self, found: bytes) -> None:
        self.found, self.sent = found, b""

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, seconds: float) -> None:
        pass

    def recv(self, size: int) -> bytes:
        part, self.found = self.found[:size], self.found[size:]
        return part


def frames(*documents: dict[str, object], key: bytes = b"k") -> list[bytes]:
    wire, found = Wire(b""), []
    channel = Channel(wire, key, key)  # type: ignore[arg-type]
    for document in documents:
        wire.sent = b""
        channel.send(document)
        found.append(wire.sent)
    return found


def received(*data: bytes, key: bytes = b"k") -> list[dict[str, object]]:
    wire = Wire(b"".join(data))
    channel = Channel(wire, key, key)  # type: ignore[arg-type]
    found = []
    while wire.found:
        found.append(channel.receive(1.0))
    return found


class TestMessages:
    def test_both_ways_and_whatever_the_text(self) -> None:
        with pair() as (client, server):
            for number, text in enumerate(["", "a\nb\0", "\ud800 é", "x" * 3_000_000]):
                client.send({"n": number, "text": text})
                assert server.receive(5.0) == {"n": number, "text": text}
                server.send({"echo": text})
                assert client.receive(5.0) == {"echo": text}

    def test_a_question_has_its_answer(self) -> None:
        with pair() as (client, server), ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.ask, {"do": "x"}, 5.0)
            assert server.receive(5.0) == {"do": "x"}
            server.send({"ok": 1})
            assert asked.result() == {"ok": 1}

    def test_the_other_side_has_gone(self) -> None:
        with pair() as (client, server):
            server.close()
            with pytest.raises(SessionError, match="the session has closed the connection"):
                client.receive(5.0)

            def fill() -> None:
                for _ in range(100):
                    client.send({"text": "x" * 1_000_000})

            with pytest.raises(SessionError, match="the connection to the session is broken"):
                fill()

    def test_silence_is_an_error(self) -> None:
        with pair() as (client, _), pytest.raises(SessionError, match="does not answer"):
            client.receive(0.05)

    def test_too_large_a_message_is_neither_sent_nor_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [frame] = frames({"a": "x" * 200})
        monkeypatch.setattr(session_channel, "_LARGEST_FRAME", 100)
        with pytest.raises(SessionError, match="a message of 209 bytes is too large"):
            frames({"a": "x" * 200})
        with pytest.raises(SessionError, match="a message of 209 bytes is too large"):
            received(frame)


class TestForgery:
    def test_frames_are_taken_in_their_order_and_once(self) -> None:
        first, second = frames({"n": 1}, {"n": 2})
        assert received(first, second) == [{"n": 1}, {"n": 2}]
        for forged in ((second, first), (first, first), (second,)):
            with pytest.raises(SessionError, match="is not authentic"):
                received(*forged)

    def test_every_bit_counts(self) -> None:
        [frame] = frames({"n": 1})
        for place in range(4, len(frame)):  # the length is judged by what follows
            flipped = bytearray(frame)
            flipped[place] ^= 1
            with pytest.raises(SessionError):
                received(bytes(flipped))

    def test_another_key_makes_no_frame(self) -> None:
        with pytest.raises(SessionError, match="is not authentic"):
            received(*frames({"n": 1}, key=b"other"))

    def test_a_message_is_an_object(self) -> None:
        wire = Wire(b"")
        Channel(wire, b"k", b"k").send([1])  # type: ignore[arg-type]
        with pytest.raises(SessionError, match="is not an object"):
            received(wire.sent)

    def test_what_was_sent_does_not_come_back_as_an_answer(self) -> None:
        with listening() as (listener, port), ThreadPoolExecutor(1) as pool:
            served = pool.submit(lambda: accept(listener.accept()[0], SECRET, 5.0))
            client, server = connect("127.0.0.1", port, SECRET), served.result()
            assert server is not None
            with client, server:
                assert client._send_key == server._receive_key != client._receive_key


class TestProof:
    def test_a_peer_without_the_secret_gets_one_random_number(self) -> None:
        seen = []
        for proof in (os.urandom(64), b"", b"GET / HTTP/1.1\r\n\r\n" + b"x" * 200, b"\0" * 64):
            with listening() as (listener, port), ThreadPoolExecutor(1) as pool:
                served = pool.submit(lambda at: accept(at.accept()[0], SECRET, 5.0), listener)
                with socket.create_connection(("127.0.0.1", port), 5.0) as peer:
                    seen.append(peer.recv(1000))
                    peer.sendall(proof)
                    with suppress(OSError):  # closed by then
                        peer.shutdown(socket.SHUT_WR)
                    assert served.result() is None
                    rest = b""
                    with suppress(OSError):
                        rest = peer.recv(1000)
                    assert rest == b""
        assert {len(nonce) for nonce in seen} == {32}
        assert len(set(seen)) == len(seen)

    def test_a_proof_of_before_is_of_no_use(self) -> None:
        """A recorded proof is bound to the number of its connection."""
        with listening() as (listener, port), ThreadPoolExecutor(1) as pool:
            served = pool.submit(lambda: accept(listener.accept()[0], SECRET, 5.0))
            with socket.create_connection(("127.0.0.1", port), 5.0) as peer:
                old = session_channel._proof(SECRET, b"client", b"o" * 32, b"n" * 32)
                peer.recv(32)
                peer.sendall(b"n" * 32 + old)
                assert served.result() is None

    def test_a_server_without_the_secret_gets_no_request(self) -> None:
        with listening() as (listener, port), ThreadPoolExecutor(1) as pool:
            seen = []

            def impostor() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"n" * 32)
                    seen.append(connection.recv(1000))
                    connection.sendall(b"p" * 32)
                    connection.settimeout(5.0)
                    seen.append(connection.recv(1000))

            served = pool.submit(impostor)
            with pytest.raises(SessionError, match="is not this run's session"):
                connect("127.0.0.1", port, SECRET, 5.0)
            served.result()
            assert len(seen[0]) == 64
            assert seen[1] == b""

    def test_the_secret_never_crosses(self) -> None:
        sent = []

        class Tap(socket.socket):
            def sendall(self, data: bytes, *flags: int) -> None:  # type: ignore[override]
                sent.append(data)
                super().sendall(data, *flags)

        with listening() as (listener, port), Tap() as own:
            thread = threading.Thread(target=lambda: listener.accept()[0].sendall(b"n" * 32))
            thread.start()
            own.connect(("127.0.0.1", port))
            thread.join()
            assert accept(own, SECRET, 0.2) is None
        assert SECRET not in b"".join(sent)

    def test_a_wrong_secret_and_a_closed_port_are_errors(self) -> None:
        with listening() as (listener, port), ThreadPoolExecutor(1) as pool:
            served = pool.submit(lambda: accept(listener.accept()[0], b"other", 5.0))
            with pytest.raises(SessionError):
                connect("127.0.0.1", port, SECRET, 5.0)
            assert served.result() is None
        with pytest.raises(SessionError, match=f"no session answers at 127.0.0.1:{port}: "):
            connect("127.0.0.1", port, SECRET, 5.0)

    def test_a_server_that_hangs_up_is_an_error(self) -> None:
        with listening() as (listener, port), ThreadPoolExecutor(1) as pool:

            def reset() -> None:
                connection, _ = listener.accept()
                linger = b"\1\0\0\0\0\0\0\0"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.sendall(b"n" * 32)
                connection.recv(1)
                connection.close()

            pool.submit(reset)
            with pytest.raises(SessionError):
                connect("127.0.0.1", port, SECRET, 5.0)

    def test_a_broken_socket_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Broken:
            closed = False

            def recv(self, size: int) -> bytes:
                return b"n" * size

            def sendall(self, data: bytes) -> None:
                raise OSError("gone")

            def close(self) -> None:
                self.closed = True

        broken = Broken()
        monkeypatch.setattr(socket, "create_connection", lambda *_, **__: broken)
        with pytest.raises(SessionError, match="the session at h:1 ended the connection"):
            connect("h", 1, SECRET)
        assert broken.closed


class TestSecret:
    def test_each_driver_of_each_task_has_its_own(self) -> None:
        known = {session_secret("key", **RUN)}
        for name in RUN:
            known.add(session_secret("key", **{**RUN, name: "other"}))
        known.add(session_secret("other", **RUN))
        assert len(known) == 6
        assert {len(secret) for secret in known} == {32}

    def test_ids_are_not_confused_with_each_other(self) -> None:
        one = session_secret("key", **{**RUN, "dag_id": "a|b", "run_id": "c"})
        assert one != session_secret("key", **{**RUN, "dag_id": "a", "run_id": "b|c"})

    def test_it_is_the_same_everywhere(self) -> None:
        assert session_secret("key", **RUN).hex() == session_secret("key", **RUN).hex()
