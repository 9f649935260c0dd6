"""``make cluster-demo``: the flights project as in production, on one machine.

    S3 server, PostgreSQL, Redis -> sources into s3a:// -> two Celery hosts, two schedulers, two
    triggerers -> run -> read the Iceberg tables back -> compare all of them with DuckDB

Tables are in Iceberg's JDBC catalog on PostgreSQL, files on ``s3a://lake/warehouse``. The UI runs
until Ctrl-C; ``DEMO_ONCE=1`` ends after the comparison. The exit status is 0 only if every table is
what DuckDB computes from the same sources.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.celery_airflow import CeleryAirflow
from demo.flights import DAG_ID, land, run_flights, show_summary
from demo.running import run_demo, show_run_and_stay
from demo.services import Postgres, S3Server
from demo.services.jars import class_path, fetched
from kindling_airflow.cli.main import main as kindling_airflow
from kindling_airflow.deployment.jars import FORMATS
from kindling_airflow.errors import KindlingAirflowError

__all__ = ["BUCKET", "WAREHOUSE", "ClusterDemo", "main"]

BUCKET = "lake"
WAREHOUSE = f"s3a://{BUCKET}/warehouse"
_CATALOG = "lake"
_OUTPUTS = ("bronze.*", "silver.*", "gold.*")
_READER = Path(__file__).with_name("read_tables.py")


def main() -> int:
    """Run the demo from the repository's root folder; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    root = Path.cwd()
    return run_demo(console, lambda: _demo(console, root))


def _demo(console: Console, root: Path) -> int:
    place = root / ".demo" / "cluster"
    shutil.rmtree(place, ignore_errors=True)
    with ClusterDemo(console, root / "dags", place) as cluster:
        airflow = cluster.airflow
        run_id, state = run_flights(console, airflow)
        show_summary(console, airflow, run_id, state)
        if state != "success":
            return 1
        cluster.show_hosts(run_id)
        right = cluster.compare()
        address = f"{airflow.url}/dags/{DAG_ID}/runs/{run_id}"
        show_run_and_stay(console, address, "All of it runs")
    return 0 if right else 1


class ClusterDemo:
    """All services, and the Airflow that uses them, from ``start`` to ``stop``.

    Args:
        console: shows the progress.
        dags: the folder of the samples.
        place: everything is kept here.
    """

    def __init__(self, console: Console, dags: Path, place: Path) -> None:
        self._console = console
        self._place = place
        self._sources = place / "sources"
        self._dags = place / "dags"
        land(console, dags / DAG_ID, self._sources)
        self.s3 = S3Server(place / "s3")
        iceberg = fetched(FORMATS["iceberg"]["4.1"])
        self._jars = [*self.s3.jars(), *iceberg, Postgres.jar()]
        self._install(dags)
        settings = self.s3.spark_settings().items()
        self.airflow = CeleryAirflow(
            place / "airflow",
            dags_folder=self._dags,
            warehouse=WAREHOUSE,
            spark_conf={key: value for key, value in settings if "ClassPath" not in key},
        )
        self.airflow.environment["AIRFLOW_CONN_LAKE"] = json.dumps(
            {
                "conn_type": "postgres",
                "host": "127.0.0.1",
                "port": self.airflow.database.port,
                "schema": _CATALOG,
                "login": Postgres.user,
            }
        )

    def start(self) -> None:
        """Start everything; returns when a run can be started.

        Raises:
            KindlingAirflowError: a service does not come up, or the project does not compile.
        """
        say = self._console.print
        self.s3.start()
        say(f"S3 server: {self.s3.url}, bucket {BUCKET}")
        self.s3.create_bucket(BUCKET)
        for source in sorted((self._sources / "landing").glob("*.csv")):
            self.s3.client().upload_file(str(source), BUCKET, f"warehouse/landing/{source.name}")
        if kindling_airflow(["compile", str(self._dags / f"{DAG_ID}.kindling.yaml")]) != 0:
            raise KindlingAirflowError("the project does not compile; see the errors above.")
        database = self.airflow.database
        database.start()
        database.create_database(_CATALOG)
        say(f"PostgreSQL on port {database.port}: Airflow's database, and Iceberg's catalog")
        say("Starting Redis, DAG processor, UI, two schedulers, triggerers, Celery hosts ...")
        self.airflow.start()

    def stop(self) -> None:
        """End everything."""
        self.airflow.stop()
        self.s3.stop()

    def __enter__(self) -> ClusterDemo:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def show_hosts(self, run_id: str) -> None:
        """Print how many pipes each host has run."""
        instances = self.airflow.api.task_instances(DAG_ID, run_id)
        for host, number in sorted(Counter(str(i["hostname"]) for i in instances).items()):
            self._console.print(f"{host}: {number} pipes")

    def compare(self) -> bool:
        """Read the tables through the catalog, and return whether all are what DuckDB computes."""
        from tests.oracle.compare import differences
        from tests.oracle.flights_oracle import TABLES, expected_tables

        self._console.print("Reading the tables back from the catalog ...")
        folder = self._place / "read"
        self.read_tables(TABLES, folder)
        expected = expected_tables(self._sources / "landing")
        shown = Table(title="Tables on s3a, compared with DuckDB", title_justify="left")
        shown.add_column("table")
        shown.add_column("rows", justify="right")
        shown.add_column("differences", justify="right")
        right = True
        for name in TABLES:
            wanted = expected.table(f'"{name}"')
            found = differences(folder / name, wanted)
            right = right and not found
            rows = wanted.count("*").fetchall()[0][0]
            shown.add_row(name, f"{rows:,}", "; ".join(found) or "none")
        self._console.print(shown)
        return right

    def read_tables(self, names: Iterable[str], folder: Path) -> None:
        """Copy tables of the catalog into parquet files of this machine, one folder for each.

        Raises:
            KindlingAirflowError: Spark could not read one; has its message.
        """
        conf = {**self.s3.spark_settings(), **self.catalog_settings(), **self._class_path()}
        properties = [word for item in conf.items() for word in ("--conf", "=".join(item))]
        ran = subprocess.run(
            [
                str(Path(sys.executable).parent / "spark-submit"),
                *("--master", "local[1]", *properties, str(_READER), _CATALOG, str(folder)),
                *names,
            ],
            env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise KindlingAirflowError(f"the tables cannot be read:\n{ran.stderr[-3000:]}")

    def catalog_settings(self) -> dict[str, str]:
        """Return the Spark properties with which another program finds the catalog."""
        prefix = f"spark.sql.catalog.{_CATALOG}"
        return {
            prefix: "org.apache.iceberg.spark.SparkCatalog",
            f"{prefix}.type": "jdbc",
            f"{prefix}.uri": self.airflow.database.jdbc_url(_CATALOG),
            f"{prefix}.jdbc.user": Postgres.user,
            f"{prefix}.jdbc.schema-version": "V1",
            f"{prefix}.warehouse": f"{WAREHOUSE}/_catalog/{_CATALOG}",
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
        }

    def _class_path(self) -> Mapping[str, str]:
        jars = class_path(self._jars)
        return {"spark.driver.extraClassPath": jars, "spark.executor.extraClassPath": jars}

    def _install(self, dags: Path) -> None:
        """Copy the sample, and say in its definition where tables are and what drivers load."""
        import yaml

        generated = shutil.ignore_patterns("__pycache__", "*.manifest.json")
        shutil.copytree(dags / DAG_ID, self._dags / DAG_ID, ignore=generated)
        shutil.copy(dags / "kindling_dags.py", self._dags)
        definition = yaml.safe_load((dags / f"{DAG_ID}.kindling.yaml").read_text())
        definition |= {
            "warehouse": WAREHOUSE,
            "catalog": {"name": _CATALOG, "connection": _CATALOG},
            "settings": "lake.settings.yaml",
        }
        definition["spark"]["conf"] |= self._class_path()
        path = self._dags / f"{DAG_ID}.kindling.yaml"
        path.write_text(yaml.safe_dump(definition, sort_keys=False))
        iceberg = {"tags": {"provider_type": "iceberg"}}
        settings = {"entities": dict.fromkeys(_OUTPUTS, iceberg)}
        (self._dags / "lake.settings.yaml").write_text(yaml.safe_dump(settings))


if __name__ == "__main__":
    sys.exit(main())
