"""A throw-away Airflow deployment on this machine: real scheduler, real UI, no leftovers.

    with LocalAirflow(home, dags_folder=dags, warehouse=warehouse) as airflow:
        airflow.api.trigger("flights")

``airflow standalone`` runs as a child in a session of its own, on a free port of the loopback
interface, with a SQLite database, the LocalExecutor and a connection ``spark_default`` to local
Spark. Leaving the block ends every process that was started, by its id.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from demo.airflow_api import AirflowApi
from demo.services.processes import family_of
from kindling_airflow.errors import LocalAirflowError

__all__ = ["LocalAirflow", "free_port"]

_STARTUP_SECONDS = 240.0
_GRACE_SECONDS = 5.0
_LINGER_SECONDS = 2.0
_TAIL_LINES = 40

_SPARK_DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def free_port() -> int:
    """Return a free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LocalAirflow:
    """One deployment, from ``start`` to ``stop``.

    Args:
        home: AIRFLOW_HOME; created if missing. An existing database is reused.
        dags_folder: the folder of DAG files.
        warehouse: root of the entities' tables; a folder, or a URI.
        spark_conf: Spark properties for every driver, on top of those that suit a small machine.
        profile: folder of the start-up profile that small drivers start with; None for none.
        environment: variables on top of this process's own.
        parallelism: tasks at once, over all DAGs.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path,
        warehouse: Path | str,
        spark_conf: Mapping[str, str] | None = None,
        profile: Path | None = None,
        environment: Mapping[str, str] | None = None,
        parallelism: int = 4,
    ) -> None:
        self.home = home.resolve()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = self.home / "standalone.log"
        self.api = AirflowApi(self.url)
        properties = {**_SPARK_DEFAULTS, **(spark_conf or {})}.items()
        self._submit_options = " ".join(f"-D{k}={v}" for k, v in sorted(properties))
        self._profile = {
            "AIRFLOW__KINDLING__START_PROFILE": "off" if profile is None else "light",
            "AIRFLOW__KINDLING__START_PROFILE_FOLDER": ""
            if profile is None
            else str(profile.resolve()),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.environment = self._environment(
            dags_folder.resolve(),
            str(warehouse.resolve() if isinstance(warehouse, Path) else warehouse),
            parallelism,
            environment or {},
        )

    def _environment(
        self, dags_folder: Path, warehouse: str, parallelism: int, more: Mapping[str, str]
    ) -> dict[str, str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW_", "SPARK_"))
        }
        path = os.pathsep.join(
            (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
        )
        connection = {"conn_type": "spark", "host": "local[1]"}
        return {
            **inherited,
            "PATH": path,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # a busy machine is no error
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            # The default is one second, and small tasks take less.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__KINDLING__WAREHOUSE": warehouse,
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(connection),
            # Not a spark-defaults.conf: its folder on the class path would rule out a class
            # archive.
            "SPARK_SUBMIT_OPTS": self._submit_options,
            "SPARK_LOCAL_IP": "127.0.0.1",
            **self._profile,
            **more,
        }

    def start(self) -> None:
        """Start the deployment and wait until its scheduler, DAG processor and API answer.

        Raises:
            LocalAirflowError: it ended early or did not come up; has the end of its log.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + _STARTUP_SECONDS
        while not self.api.is_healthy():
            status = self._process.poll()
            if status is not None or time.monotonic() > deadline:
                tail = self._log_tail()
                self.stop()
                ended = f"ended with status {status}" if status is not None else "did not come up"
                raise LocalAirflowError(
                    f"airflow standalone {ended}; the end of {str(self.log_path)!r}:\n{tail}"
                )
            time.sleep(0.5)

    def stop(self) -> None:
        """End every process of the deployment; returns when all are gone."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._log is not None:
            self._log.close()
            self._log = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``airflow <arguments>`` in the deployment's environment; return what it printed."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def reset(self) -> None:
        """Delete database, logs and settings of an earlier start; the tables are kept."""
        if self._process is not None:
            raise LocalAirflowError("a running deployment cannot be reset\n  Fix: stop it first.")
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _log_tail(self) -> str:
        with suppress(OSError):
            text = self.log_path.read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-_TAIL_LINES:])
        return "(no log)"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Terminate the children of a process, then interrupt it; kill what is left after a while.

    The children are signalled directly: their parent may ignore interrupts, as all processes that a
    shell has started in the background.

    Args:
        process: the leader of a session of its own; it may have ended already.
    """
    family, components = family_of(process), _children(process)
    for component in components:
        with suppress(psutil.NoSuchProcess):
            component.terminate()
    psutil.wait_procs(components, timeout=_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LINGER_SECONDS)
    _, alive = psutil.wait_procs(family | family_of(process), timeout=_LINGER_SECONDS)
    for survivor in alive:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(alive, timeout=_LINGER_SECONDS)  # orphans are for init to reap
    process.wait(_GRACE_SECONDS)


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the children of a process; none if it has ended."""
    if process.poll() is None:  # else its id may be another's by now
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(process.pid).children()
    return []
