"""Hosts without containers: own mounts, process ids and name, but this one's loopback interface.

A host's processes see folders of the host under the paths that others have folders of theirs under.
Needs Linux, and root or user namespaces.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from demo.services.processes import Daemon, ServiceError

__all__ = ["Host"]

_BOOT_SECONDS = 600.0


class Host:
    """One host, which runs one command from ``start`` to ``stop``.

    Args:
        name: its host name.
        command: what it runs.
        mounts: folders of the host by the paths under which its processes see them; all exist.
        environment: the variables of its processes.
        log: where its output is kept.
        ready: asks whether the command serves.

    Raises:
        ServiceError: this is not Linux.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        mounts: Mapping[Path, Path],
        environment: Mapping[str, str],
        log: Path,
        ready: Callable[[], bool],
    ) -> None:
        if sys.platform != "linux":
            raise ServiceError("hosts of their own need Linux's namespaces")
        self.name = name
        # The shell stays: it is the host's first process, and all others end with it.
        steps = [
            f"hostname {shlex.quote(name)}",
            *(
                f"mount --bind {shlex.quote(str(own))} {shlex.quote(str(seen))}"
                for seen, own in mounts.items()
            ),
            f"{shlex.join(command)} & wait $!",
        ]
        as_user = () if os.geteuid() == 0 else ("--map-root-user",)
        self.daemon = Daemon(
            f"host {name}",
            [
                *("unshare", *as_user, "--mount", "--uts", "--pid", "--fork", "--mount-proc"),
                *("--kill-child", "bash", "-c", " && ".join(steps)),
            ],
            log=log,
            ready=ready,
            environment=environment,
        )

    def start(self) -> None:
        """Start the host; returns when its command serves."""
        self.daemon.start()

    def stop(self) -> None:
        """End the host and all its processes."""
        self.power_off()

    def power_off(self) -> None:
        """Kill all processes at once, as a power cut does; returns when they are gone."""
        self.thaw()
        self.daemon.stop(grace=0)

    def restart(self) -> None:
        """Switch the host off and on again; returns when its command serves."""
        self.power_off()
        self.daemon.launch()
        self.daemon.await_ready(_BOOT_SECONDS)

    def freeze(self) -> None:
        """Stop all processes of the host where they are, as a paused virtual machine does."""
        for member in self._signalled(signal.SIGSTOP):
            member.suspend()  # those that were started meanwhile

    def thaw(self) -> None:
        """Let all processes go on."""
        self._signalled(signal.SIGCONT)

    @property
    def answers(self) -> bool:
        """Whether its command serves."""
        return self.daemon.answers

    def processes(self) -> list[psutil.Process]:
        """Return the host's processes, by the ids that they have outside of it."""
        own = self.daemon.family()
        return [member for member in own if member.pid != self.daemon.pid]

    def _signalled(self, number: int) -> list[psutil.Process]:
        """Signal all processes; return those that there were when this ended."""
        if not self.daemon.is_running:
            return []
        for member in self.processes():
            with suppress(psutil.NoSuchProcess):
                member.send_signal(number)
        return self.processes()
