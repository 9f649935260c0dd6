"""A Redis on this machine: the installed one, or one unpacked from the packages of apt."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from demo.services.jars import DOWNLOADS
from demo.services.processes import Daemon, ServiceError, free_ports

__all__ = ["Redis"]

_PACKAGE = "redis-server"
_UNPACKED = DOWNLOADS / "redis"


class Redis:
    """A server that keeps everything in memory, from ``start`` to ``stop``.

    Args:
        folder: of its log; created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder.resolve()
        self.daemon: Daemon | None = None

    def start(self) -> None:
        """Start the server; returns when it answers."""
        program, libraries = _program()
        self._folder.mkdir(parents=True, exist_ok=True)
        arguments = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "")
        self.daemon = Daemon(
            "Redis",
            [str(program), *arguments, "--dir", str(self._folder)],
            log=self._folder / "redis.log",
            ready=self._answers,
            environment={**os.environ, **libraries},
        )
        self.daemon.start()

    def stop(self) -> None:
        """End the server."""
        if self.daemon is not None:
            self.daemon.stop()

    def __enter__(self) -> Redis:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _program() -> tuple[Path, dict[str, str]]:
    """Return the server's program and the variables that it needs.

    Raises:
        ServiceError: it is not installed, and its packages cannot be downloaded.
    """
    installed = shutil.which("redis-server")
    if installed is not None:
        return Path(installed), {}
    if not (_UNPACKED / "usr/bin/redis-server").is_file():
        _unpack()
    libraries = next(iter((_UNPACKED / "usr/lib").glob("*-linux-gnu")))
    return _UNPACKED / "usr/bin/redis-server", {"LD_LIBRARY_PATH": str(libraries)}


def _unpack() -> None:
    """Unpack the packages of Redis that are not installed; installs nothing."""
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DOWNLOADS, prefix=".redis-") as scratch:
        root = Path(scratch, "root")
        try:
            missing = _missing_packages()
            os.chmod(scratch, 0o777)  # noqa: PTH101, S103 - apt downloads as a user of its own
            _run("apt-get", "-qq", "download", *missing, folder=scratch)
            for package in Path(scratch).glob("*.deb"):
                _run("dpkg", "-x", str(package), str(root), folder=scratch)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or error
            raise ServiceError(
                f"Redis is not installed, and cannot be downloaded: {said}\n"
                f"  Fix: apt-get update, or apt-get install {_PACKAGE}."
            ) from error
        if not _UNPACKED.exists():
            root.rename(_UNPACKED)


def _missing_packages() -> list[str]:
    """Return the packages that an installation of Redis would add."""
    would = _run("apt-get", "-qq", "--simulate", "--no-install-recommends", "install", _PACKAGE)
    return [line.split()[1] for line in would.splitlines() if line.startswith("Inst ")]


def _run(*command: str, folder: str | None = None) -> str:
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
