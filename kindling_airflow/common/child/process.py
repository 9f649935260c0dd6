"""One call in a child process: started, read from, ended with everything that it has started."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol

_FRESH = (
    "import json, sys; request = json.loads(sys.stdin.buffer.read()); "
    "sys.path[:] = request.pop('path'); "
    "from kindling_airflow.common.child.serving import run_and_exit; run_and_exit(**request)"
)
_STDOUT, _STDERR = 1, 2
_CHUNK = 65_536
_READS = 64
_KEPT = 65_536  # bytes of what a call prints
_LENGTH = 8  # bytes in front of an answer
_FRAMES = 6
_MACHINERY = ("kindling_airflow/manifest/harvest.py", "kindling_airflow/common/child/serving.py")
_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in (?P<name>.+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Call:
    """A function, and what it is called with.

    Attributes:
        function: ``module:name``, of a function that returns what JSON can hold.
        arguments: its keyword arguments, of what JSON can hold.
        seconds: how long it may take at most.
    """

    function: str
    arguments: Mapping[str, Any]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a call.

    Attributes:
        answer: what the function returned.
        failure: why there is no answer; empty where there is one.
        is_late: whether there is none because its time was over.
        output: what it printed, at most the first 64 KB.
    """

    answer: Any = None
    failure: str = ""
    is_late: bool = False
    output: str = ""


class Channel(Protocol):
    """Something that this process shares with its forks."""

    def share(self) -> None:
        """Get ready to share it; called in each fork before its call."""

    def silenced(self) -> AbstractContextManager[None]:
        """Return a block in which no fork uses it, so that forks may be ended."""


@dataclass(slots=True)
class _Pipe:
    """A pipe, of which this process keeps the end that is read, and what has come so far."""

    kept: int | None = None
    reader: int = -1
    writer: int = -1
    content: bytearray = field(default_factory=bytearray)
    lost: int = 0
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.reader, self.writer = map(_above_standard, os.pipe())
        os.set_blocking(self.reader, False)

    def read(self) -> bool:
        """Read the available output; return whether there may be more."""
        try:
            found = os.read(self.reader, _CHUNK)
        except BlockingIOError:
            return False
        room = len(found) if self.kept is None else max(self.kept - len(self.content), 0)
        self.content += found[:room]
        self.lost += max(len(found) - room, 0)
        self.is_closed = not found
        return bool(found)

    def text(self) -> str:
        """Return what has come, and how much of it was not kept."""
        text = self.content.decode("utf-8", "replace")
        return f"{text}\n... {self.lost:,} bytes more ...\n" if self.lost else text


def _above_standard(descriptor: int) -> int:
    """Return a descriptor that is not a standard one, which the child replaces."""
    low = []
    while descriptor <= _STDERR:
        low.append(descriptor)
        descriptor = os.dup(descriptor)
    for number in low:
        os.close(number)
    return descriptor


class Child:
    """A call that is running in its own process.

    Args:
        call: what to call.
        limit: how many seconds it may take.
        forks: whether the process is a fork of this one; else it is a fresh interpreter.
        channel: what a fork shares with this process.
    """

    def __init__(
        self,
        call: Call,
        limit: float | None,
        *,
        forks: bool,
        channel: Channel | None = None,
    ) -> None:
        self._limit, self._channel = limit, channel
        self.end = None if limit is None else time.monotonic() + limit
        self._answer, self._output, self._trace = _Pipe(), _Pipe(_KEPT), _Pipe(_KEPT)
        self._pipes = (self._answer, self._output, self._trace)
        self._process: subprocess.Popen[bytes] | None = None
        self._status: int | None = None
        try:
            self._pid = self._forked(call, channel) if forks else self._started(call)
        finally:
            for pipe in self._pipes:
                os.close(pipe.writer)

    def _forked(self, call: Call, channel: Channel | None) -> int:
        from kindling_airflow.common.child.serving import run_and_exit

        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # what is in a buffer would be written twice
                stream.flush()
        with warnings.catch_warnings():  # of threads that are none of Python's
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:  # pragma: no cover (coverage does not see the child)
            try:
                if channel is not None:
                    channel.share()
                run_and_exit(
                    call.function,
                    call.arguments,
                    answer=self._answer.writer,
                    output=self._output.writer,
                    trace=self._trace.writer,
                    seconds=self._limit,
                )
            finally:
                os._exit(1)
        return pid

    def _started(self, call: Call) -> int:
        request = {
            "path": [str(entry) for entry in sys.path],
            "function": call.function,
            "arguments": dict(call.arguments),
            "answer": self._answer.writer,
            "output": _STDOUT,
            "trace": self._trace.writer,
            "seconds": self._limit,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FRESH],
            stdin=subprocess.PIPE,
            stdout=self._output.writer,
            stderr=self._output.writer,
            pass_fds=(self._answer.writer, self._trace.writer),
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 (asked for above)
        with suppress(BrokenPipeError), self._process.stdin as stdin:  # ended at once: no answer
            stdin.write(json.dumps(request).encode())
        return self._process.pid

    def watch(self, selector: selectors.BaseSelector) -> None:
        """Register with a selector for when there is something to read; its data reads it."""
        for pipe in self._pipes:
            selector.register(pipe.reader, selectors.EVENT_READ, pipe)

    def is_over(self) -> bool:
        """Return whether the child has answered, or will not do so any more."""
        answered = self._answered() is not None or self._answer.is_closed
        return answered or self._is_late() or self._has_ended()

    def _is_late(self) -> bool:
        return self.end is not None and time.monotonic() >= self.end

    def close(self, selector: selectors.BaseSelector) -> Outcome:
        """End the child, if it has not ended, and return the outcome of its call."""
        is_late = self._is_late()
        has_ended = self._has_ended(patient=not is_late)
        self._kill()
        for pipe in self._pipes:
            # All that is left; but what has escaped from the process group may write for ever.
            next((None for _ in range(_READS) if not pipe.read()), None)
            with suppress(KeyError):
                selector.unregister(pipe.reader)
            os.close(pipe.reader)
        output, found = self._output.text(), self._answered()
        if found is None:
            late = is_late and not has_ended
            return Outcome(failure=self._failure(late, has_ended), is_late=late, output=output)
        try:
            document = json.loads(found)
        except ValueError:
            return Outcome(failure="returned an answer that cannot be read", output=output)
        if "answer" in document:
            return Outcome(document["answer"], output=output)
        return Outcome(failure=f"raised {document['raised']}\n{document['trace']}", output=output)

    def _answered(self) -> bytes | None:
        content = self._answer.content
        length = int.from_bytes(content[:_LENGTH], "big")
        whole = len(content) >= _LENGTH and len(content) >= _LENGTH + length
        return bytes(content[_LENGTH : _LENGTH + length]) if whole else None

    def _has_ended(self, *, patient: bool = False) -> bool:
        """Return whether the process has ended; its group may have members still."""
        for _ in range(20 if patient else 1):
            if self._status is None:
                self._status = self._ended_with()
            if self._status is not None:
                return True
            if patient:
                time.sleep(0.005)
        return False

    def _ended_with(self) -> int | None:
        """Return the exit code of the process, or the negative number of the signal."""
        if self._process is not None:
            return self._process.poll()
        try:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:  # something else in this process has reaped it
            return 0
        return os.waitstatus_to_exitcode(status) if ended else None

    def _kill(self) -> None:
        """End the process with all that it has started, and wait for it."""
        has_ended = self._has_ended()
        channel = None if has_ended else self._channel
        with nullcontext() if channel is None else channel.silenced():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
            while not has_ended:
                with suppress(ProcessLookupError):  # it was not the leader of its group yet
                    os.kill(self._pid, signal.SIGKILL)
                has_ended = self._has_ended(patient=True)

    def _failure(self, late: bool, has_ended: bool) -> str:
        """Return why there is no answer."""
        if late:
            return f"did not end within {self._limit:.3g} seconds{self._place()}"
        if not has_ended:
            return "closed the pipe of its answer"
        if self._status is not None and self._status < 0:
            name = signal.Signals(-self._status).name
            memory = "; the machine may be out of memory" if name == "SIGKILL" else ""
            return f"was killed by {name}{memory}"
        return f"ended its process with exit code {self._status}"

    def _place(self) -> str:
        """Return where the call was shortly before its time was over."""
        frames = [found.groupdict() for found in _FRAME.finditer(self._trace.text())]
        user = takewhile(lambda frame: not frame["file"].endswith(_MACHINERY), frames)
        shown = [frame for frame in user if "importlib" not in frame["file"]]
        return "".join(
            f'\n    File "{frame["file"]}", line {frame["line"]}, in {frame["name"]}'
            for frame in reversed(shown[:_FRAMES])
        )
