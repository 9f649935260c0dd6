"""A PostgreSQL on this machine, with a data folder of its own.

It is not run as root: there, the system's user ``postgres`` runs it, with root's right to reach
folders. Others close those above its data while it runs: pytest does, whenever a session begins.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from demo.services.jars import POSTGRESQL_JDBC, fetched
from demo.services.processes import Daemon, ServiceError, free_ports

__all__ = ["Postgres"]

_USER = "kindling"
_RUNS_AS = "postgres"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # a test's data does not outlive the machine
    "max_connections": "200",
}


class Postgres:
    """A server, from ``start`` to ``stop``; its data outlives a stop.

    Args:
        folder: of its data and its log; created if missing.
    """

    user = _USER

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._data = folder.resolve() / "data"
        self._folder = folder.resolve()
        settings = {**_SETTINGS, "port": str(self.port)}.items()
        options = [word for name, value in settings for word in ("-c", f"{name}={value}")]
        self.daemon = Daemon(
            "PostgreSQL",
            [*_as_user(), _program("postgres"), "-D", str(self._data), *options],
            log=self._folder / "postgres.log",
            ready=self._answers,
        )

    def start(self) -> None:
        """Start the server; returns when it answers queries."""
        if not (self._data / "PG_VERSION").is_file():
            self._initialise()
        self.daemon.start()

    def stop(self) -> None:
        """End the server."""
        self.daemon.stop()

    def __enter__(self) -> Postgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def create_database(self, name: str) -> None:
        """Create a database."""
        self.sql(f'CREATE DATABASE "{name}"')

    def sql(self, statement: str, database: str = "postgres") -> list[str]:
        """Run a statement; return its rows as lines of values separated by ``|``.

        Raises:
            ServiceError: it failed; has the server's message.
        """
        ran = self._psql(statement, database)
        if ran.returncode != 0:
            raise ServiceError(f"{statement!r}: {ran.stderr.strip()}")
        return ran.stdout.splitlines()

    def sqlalchemy_url(self, database: str, driver: str = "psycopg2") -> str:
        """Return a database's address for SQLAlchemy."""
        return f"postgresql+{driver}://{_USER}@127.0.0.1:{self.port}/{database}"

    def jdbc_url(self, database: str) -> str:
        """Return a database's address for JDBC; log in as :attr:`user`, without a password."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{database}"

    @staticmethod
    def jar() -> Path:
        """Return the jar of the JDBC driver."""
        return fetched([POSTGRESQL_JDBC])[0]

    def _initialise(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if _as_user():
            self._data.mkdir()
            shutil.chown(self._data, _RUNS_AS)
        ran = subprocess.run(
            [
                *_as_user(),
                _program("initdb"),
                *("-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8"),
                *("--locale=C", "--no-sync"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise ServiceError(f"initdb failed:\n{ran.stdout}{ran.stderr}")

    def _answers(self) -> bool:
        return self._psql("SELECT 1", "postgres").returncode == 0

    def _psql(self, statement: str, database: str) -> subprocess.CompletedProcess[str]:
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, "-d", database)
        return subprocess.run(
            [_program("psql"), "-X", "-A", "-t", "-q", *where, "-c", statement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def _as_user() -> Sequence[str]:
    """Return what a command starts with so that it is not run by root."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    try:
        account = pwd.getpwnam(_RUNS_AS)
    except KeyError:
        setpriv = None
    if setpriv is None:
        raise ServiceError(
            f"PostgreSQL does not run as root, and there is no user {_RUNS_AS!r} or no setpriv\n"
            "  Fix: apt-get install postgresql util-linux, or do not run this as root."
        )
    ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    reach = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    # Killed with its parent: a change of the user clears what the parent has set.
    return (setpriv, *ids, *reach, "--pdeathsig", "KILL")


def _program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs.

    Raises:
        ServiceError: it is not installed.
    """
    found = shutil.which(name)
    if found is not None:
        # A link, such as /usr/local/bin/initdb, hides the folder that has them all.
        return found
    beside = shutil.which("initdb")
    folders = [Path(beside).resolve().parent] if beside else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    raise ServiceError(f"PostgreSQL's {name!r} was not found\n  Fix: apt-get install postgresql.")
