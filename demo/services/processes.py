"""One process of a service: readiness is asked for, and it is gone with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from kindling_airflow.errors import KindlingAirflowError

__all__ = ["Daemon", "ServiceError", "family_of", "free_ports", "is_listening", "wait_until"]

_UP_SECONDS = 180.0
_GRACE_SECONDS = 10.0
_GONE_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_TAIL_CHARACTERS = 5000
_SET_PARENT_DEATH_SIGNAL = 1


class ServiceError(KindlingAirflowError):
    """A service could not be started, or ended early."""


def free_ports(number: int) -> list[int]:
    """Return different free TCP ports of the loopback interface."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def is_listening(port: int) -> bool:
    """Return whether something accepts connections on a port of the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


def wait_until(
    holds: Callable[[], bool], what: str, seconds: float = _UP_SECONDS, look: float = _LOOK_SECONDS
) -> None:
    """Return as soon as a condition holds.

    Raises:
        ServiceError: it did not hold in time; names ``what``.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ServiceError(f"{what}: not within {seconds:.0f} s")
        time.sleep(look)


class Daemon:
    """One process in a session of its own, which is killed if its parent dies.

    Args:
        name: what it is called in errors.
        command: its program and arguments.
        log: where its output is kept.
        ready: asks the service whether it is up; called until it says so.
        environment: its variables; None for those of this process.
        folder: its working directory.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._ready = ready
        self._environment = None if environment is None else dict(environment)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id.

        Raises:
            ServiceError: it is not running.
        """
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def answers(self) -> bool:
        """Whether the service says that it is up."""
        return self._ready()

    def launch(self) -> None:
        """Start the process without waiting for the service."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    def await_ready(self, seconds: float = _UP_SECONDS) -> None:
        """Return as soon as the service says that it is up.

        Raises:
            ServiceError: it ended, or was not up in time; shows the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not self._ready():
            ended = not self.is_running
            if ended or time.monotonic() > deadline:
                why = "ended" if ended else f"is not up after {seconds:.0f} s"
                tail = self.tail()
                self.stop()
                raise ServiceError(f"{self.name} {why}; the end of {str(self.log)!r}:\n{tail}")
            time.sleep(_LOOK_SECONDS)

    def start(self) -> None:
        """Start the process and wait until the service is up.

        Raises:
            ServiceError: it ended, or was not up in time; shows the end of its log.
        """
        self.launch()
        self.await_ready()

    def stop(self, *, grace: float = _GRACE_SECONDS) -> None:
        """End the process and all its descendants; returns when they are gone."""
        process, self._process = self._process, None
        if process is None:
            return
        family = list(family_of(process))
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=_GONE_SECONDS)
        if process.poll() is None:
            process.kill()
        process.wait()

    def kill(self) -> None:
        """Kill the process, and nothing else, as a crash would; ``stop`` cleans up after it."""
        os.kill(self.pid, signal.SIGKILL)

    def family(self) -> list[psutil.Process]:
        """Return the process and its descendants."""
        return [] if self._process is None else list(family_of(self._process))

    def tail(self) -> str:
        """Return the end of the log."""
        with suppress(OSError):
            return self.log.read_text(errors="replace")[-_TAIL_CHARACTERS:]
        return "(no log)"


def family_of(process: subprocess.Popen[bytes]) -> set[psutil.Process]:
    """Return a process, its descendants, and the other processes of its session."""
    family: set[psutil.Process] = set()
    if process.poll() is None:  # else its id may be another's by now
        with suppress(psutil.NoSuchProcess):
            leader = psutil.Process(process.pid)
            family = {leader, *leader.children(recursive=True)}
    for pid in psutil.pids():
        with suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(pid) == process.pid:
                family.add(psutil.Process(pid))
    return family


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
