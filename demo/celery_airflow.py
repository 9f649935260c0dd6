"""A throw-away Airflow of several hosts on this machine: Celery workers, PostgreSQL, Redis.

    with CeleryAirflow(home, dags_folder=dags, warehouse=warehouse) as airflow:
        airflow.workers["worker-1"].power_off()

Schedulers and triggerers run twice, each on a host of its own. So does each worker, with its own
AIRFLOW_HOME and its own copy of the DAG files. Logs are in one folder, as on a shared file system.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

from demo.hosts import Host
from demo.local_airflow import LocalAirflow
from demo.services.postgres import Postgres
from demo.services.processes import Daemon, ServiceError, wait_until
from demo.services.redis import Redis

__all__ = ["CeleryAirflow"]

_DATABASE = "airflow"
_UP_SECONDS = 600.0
_GRACE_SECONDS = 1.0
_HEARTBEAT_TIMEOUT = 60


class CeleryAirflow(LocalAirflow):
    """One deployment, from ``start`` to ``stop``.

    Args:
        home: AIRFLOW_HOME of schedulers, triggerers and API server; parent of the workers' own.
        workers: number of Celery workers, each a host named ``worker-1`` and so on.
        concurrency: tasks of a worker at once.
        replicas: number of schedulers, and of triggerers.
        heartbeat_timeout: seconds after which a task without a heartbeat counts as lost.
        options: as for :class:`LocalAirflow`.
    """

    def __init__(
        self,
        home: Path,
        *,
        workers: int = 2,
        concurrency: int = 2,
        replicas: int = 2,
        heartbeat_timeout: int = _HEARTBEAT_TIMEOUT,
        **options: Any,
    ) -> None:
        super().__init__(home, **options)
        self.database = Postgres(self.home / "postgres")
        self.redis = Redis(self.home / "redis")
        self._dags = Path(self.environment["AIRFLOW__CORE__DAGS_FOLDER"])
        self._concurrency = concurrency
        self.environment |= self._of_a_cluster(heartbeat_timeout)
        self._replicas = replicas
        self._number_of_workers = workers
        self.schedulers: dict[str, Host] = {}
        self.triggerers: dict[str, Host] = {}
        self.workers: dict[str, Host] = {}
        self._others: list[Daemon] = []

    def start(self) -> None:
        """Start the services and all components; returns when all of them serve.

        Raises:
            ServiceError: one of them does not come up; has the end of its log.
        """
        self._make_components()
        try:
            self.install()
            self.database.start()
            self.redis.start()
            if _DATABASE not in self.database.sql("SELECT datname FROM pg_database"):
                self.database.create_database(_DATABASE)
            migrated = self.run("db", "migrate")
            if migrated.returncode != 0:
                raise ServiceError(f"airflow db migrate failed:\n{migrated.stderr[-3000:]}")
            components = self._components()
            for component in components:
                component.launch()
            for component in components:
                component.await_ready(_UP_SECONDS)
            wait_until(self.api.is_healthy, "Airflow is healthy", _UP_SECONDS, look=0.5)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process of the deployment; returns when all are gone."""
        for component in self._components():
            component.stop(grace=_GRACE_SECONDS)
        self.redis.stop()
        self.database.stop()

    def sql(self, statement: str) -> list[str]:
        """Run a statement on Airflow's database; return its rows, values separated by ``|``."""
        return self.database.sql(statement, _DATABASE)

    def _components(self) -> list[Daemon]:
        hosts = [worker.daemon for worker in self.workers.values()]
        pairs = [*self.schedulers.values(), *self.triggerers.values()]
        return [*self._others, *(one.daemon for one in pairs), *hosts]

    def _make_components(self) -> None:
        """Make what is started, with the environment as it is by now."""
        self._others = [self._component("api-server", "--workers", "1")]
        self._others.append(self._component("dag-processor"))
        numbers = range(1, self._replicas + 1)
        self.schedulers = {f"scheduler-{n}": self._replica("scheduler", n) for n in numbers}
        self.triggerers = {f"triggerer-{n}": self._replica("triggerer", n) for n in numbers}
        hosts = range(1, self._number_of_workers + 1)
        self.workers = {f"worker-{n}": self._worker(n) for n in hosts}

    def _of_a_cluster(self, heartbeat_timeout: int) -> dict[str, str]:
        database = self.database.sqlalchemy_url(_DATABASE)
        return {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database.replace('+psycopg2', '')}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(self._concurrency),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(heartbeat_timeout),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
        }

    def _component(self, name: str, *arguments: str) -> Daemon:
        return Daemon(
            f"the {name}",
            [sys.executable, "-m", "airflow", name, *arguments],
            log=self.home / "logs" / f"{name}.log",
            ready=lambda: name == "dag-processor" or self.api.answers(),
            environment=self.environment,
        )

    def _replica(self, component: str, number: int) -> Host:
        name = f"{component}-{number}"
        # Their log servers would listen on all interfaces.
        return Host(
            name,
            [sys.executable, "-m", "airflow", component, "--skip-serve-logs"],
            mounts={},
            environment=self.environment,
            log=self.home / "logs" / f"{name}.log",
            ready=lambda: self._has_reported(name),
        )

    def _has_reported(self, host: str) -> bool:
        """Return whether the scheduler or triggerer of a host has been heard of lately."""
        return self.sql(
            f"SELECT 1 FROM job WHERE hostname = '{host}' AND state = 'running' "  # noqa: S608
            "AND latest_heartbeat > now() - interval '20 seconds' LIMIT 1"
        ) == ["1"]

    def _worker(self, number: int) -> Host:
        name = f"worker-{number}"
        own = self.home / "hosts" / name
        return Host(
            name,
            [sys.executable, "-m", "airflow", "celery", "worker", "--skip-serve-logs"],
            mounts={self.home / "worker": own / "home", self._dags: own / "dags"},
            environment={
                **self.environment,
                "AIRFLOW_HOME": str(self.home / "worker"),
            },
            log=self.home / "logs" / f"{name}.log",
            ready=lambda: self._answers(name),
        )

    def install(self) -> None:
        """Give each worker its copy of the DAG files, as a deployment would."""
        (self.home / "worker").mkdir(parents=True, exist_ok=True)
        for name in self.workers:
            own = self.home / "hosts" / name
            (own / "home").mkdir(parents=True, exist_ok=True)
            shutil.rmtree(own / "dags", ignore_errors=True)
            shutil.copytree(self._dags, own / "dags")

    def _answers(self, name: str) -> bool:
        """Ask a worker through the broker."""
        from celery import Celery

        with Celery(broker=self.redis.url) as app:
            answers = app.control.ping(timeout=2.0, destination=[f"celery@{name}"])
        return bool(answers)
