"""A Spark session in a child process, as a callable that runs one pipe.

This side knows the plan and shows the progress, and has neither pyspark nor the user's functions;
the child (:mod:`kindling_airflow.runner.session.main`) has both.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from kindling_airflow.cli.run.child_stream import ChildStream
from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.redaction import secret_values, without_secrets
from kindling_airflow.errors import PipeRunError
from kindling_airflow.protocol.contracts import RunRequest

_MAIN = Path(__file__).resolve().parents[2] / "runner" / "session" / "main.py"
_GRACE_SECONDS = 30.0
_STATUS_SECONDS = 5.0
_TAIL_LINES = 30
_JVM_STACK = ("\tat ", "\t... ")

OnRead = Callable[[str, bool], None]


class SparkChild:
    """Starts a session, runs a pipe on it per call, and ends it when its block is left.

    Args:
        request: the project, the warehouse and the settings; its ``pipe_id`` is ignored.
        properties: Spark properties of the session.
        log_path: the file for the output of Spark and the pipes.
        catching_up: the pipes that run as streams which process the available data.
        environment: added to the session's environment.

    Attributes:
        streams: the started streams, by pipe.
    """

    def __init__(
        self,
        request: RunRequest,
        properties: Mapping[str, str],
        log_path: Path,
        catching_up: Collection[str] = (),
        environment: Mapping[str, str] = EMPTY,
    ) -> None:
        self.streams: dict[str, ChildStream] = {}
        self._catching_up = frozenset(catching_up)
        self._environment = dict(environment)
        self._request = request
        self._properties = dict(properties)
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: IO[str] | None = None
        self._lock = threading.Lock()
        self._calls = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Mapping[str, Any] | None]] = {}
        self._on_read: dict[str, OnRead] = {}
        self._first: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._ended = threading.Event()

    def __enter__(self) -> SparkChild:
        child_in, mine_out = os.pipe()
        mine_in, child_out = os.pipe()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, str(_MAIN), self._request.dumps()),
                    *(str(child_in), str(child_out)),
                ],
                pass_fds=(child_in, child_out),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is handled on this side
                env={"PYSPARK_PYTHON": sys.executable, **os.environ, **self._environment},
            )
        os.close(child_in)
        os.close(child_out)
        self._requests = os.fdopen(mine_out, "w", encoding="utf-8")
        answers = os.fdopen(mine_in, encoding="utf-8")
        self._send(self._properties)
        threading.Thread(target=self._listen, args=(answers,), daemon=True).start()
        try:
            self._wait_until_ready()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __call__(self, pipe_id: str) -> Mapping[str, Any]:
        """Run a pipe and return its report.

        Raises:
            PipeRunError: the session has ended.
        """
        what = "catch_up" if pipe_id in self._catching_up else "run"
        report: Mapping[str, Any] = self._ask(what, pipe_id)["report"]
        return report

    def start(self, pipe_id: str) -> ChildStream:
        """Start a pipe as a stream, and return without waiting until it is ready.

        Raises:
            PipeRunError: it cannot be started, or the session has ended.
        """
        stream = self.streams[pipe_id] = ChildStream(pipe_id, self._do, self._end)
        self._do("start", pipe_id)
        return stream

    def kill(self) -> None:
        """Kill the session."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def cancel(self, pipe_id: str) -> None:
        """Ask a running pipe to stop."""
        self._send({"do": "cancel", "pipe_id": pipe_id})

    def share(self, entity_id: str, level: str, on_read: OnRead) -> None:
        """Cache an entity in the session for the pipes that read it."""
        self._on_read[entity_id] = on_read
        self._send({"do": "share", "entity_id": entity_id, "level": level})

    def release(self, entity_id: str) -> None:
        """Release a cached entity."""
        self._send({"do": "release", "entity_id": entity_id})

    def _do(self, what: str, pipe_id: str) -> None:
        failed = self._ask(what, pipe_id)["failed"]
        if failed is not None:
            raise PipeRunError(str(failed))

    def _ask(self, what: str, pipe_id: str) -> Mapping[str, Any]:
        """Send the session a request about a pipe, and return its answer."""
        call = next(self._calls)
        answer: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._waiting[call] = answer
        self._send({"call": call, "do": what, "pipe_id": pipe_id})
        if self._ended.is_set():  # it may have ended before this call was registered
            answer.put(None)
        found = answer.get()
        self._waiting.pop(call, None)
        if found is None:
            raise PipeRunError(self._how_it_ended())
        return found

    def _end(self) -> str | None:
        """Return how the session has ended; None while it runs."""
        return self._how_it_ended() if self._ended.is_set() else None

    def _wait_until_ready(self) -> None:
        first = self._first.get()
        if first is None:
            raise PipeRunError(self._how_it_ended())
        if "failed" in first:
            failure = first["failed"]
            error = f"{failure['type']}: {failure['message']}\n{failure['traceback']}".rstrip()
            raise PipeRunError(f"the Spark session did not start: {error}\n{self._log_tail()}")

    def _listen(self, answers: IO[str]) -> None:
        """Pass each answer to its waiting call, until the child ends."""
        with answers:
            self._first.put(_parsed(answers.readline()))
            for line in answers:
                answer = _parsed(line)
                if answer is None:
                    continue
                if "call" in answer:
                    self._waiting[answer["call"]].put(answer)
                elif "stream" in answer:
                    self.streams[answer["stream"]].take(answer)
                elif "read" in answer:
                    self._on_read[answer["read"]](answer["pipe_id"], answer["hit"])
        self._ended.set()
        for waiting in list(self._waiting.values()):
            waiting.put(None)

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._lock, suppress(OSError, ValueError):  # a session that has ended takes nothing
            if self._requests is not None:
                self._requests.write(json.dumps(message) + "\n")
                self._requests.flush()

    def _how_it_ended(self) -> str:
        status = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                status = self._process.wait(_STATUS_SECONDS)
        ended = "no longer answers" if status is None else f"ended with status {status}"
        return f"the Spark session {ended}\n{self._log_tail()}"

    def _log_tail(self) -> str:
        with suppress(OSError):
            text = self._log_path.read_text(encoding="utf-8", errors="replace")
            shown = [line for line in text.splitlines() if not line.startswith(_JVM_STACK)]
            secrets = secret_values(self._properties)
            last = (without_secrets(line, secrets) for line in shown[-_TAIL_LINES:])
            lines = "\n".join(f"    {line}" for line in last)
            return f"  The end of {str(self._log_path)!r}:\n{lines}"
        return f"  File not found: {str(self._log_path)!r}."

    def _close(self) -> None:
        with self._lock, suppress(OSError):
            if self._requests is not None:
                self._requests.close()
                self._requests = None
        if self._process is not None:
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _parsed(line: str) -> Mapping[str, Any] | None:
    """Return the object in a line; None for a partial line of a killed process."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
