"""One Spark session for the runner's tests, and a project whose pipes a test writes itself."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntities, DataEntityRegistry
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.contracts import RunReport, RunRequest


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A local session, small and in UTC."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[1]")
        .appName("tests")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    yield session
    # Java may have ended already, with processes that tests of schedulers end.
    with suppress(OSError, Py4JError):
        session.stop()
    # py4j's connections log when they are deleted: at the end of the interpreter, that is, to
    # handlers whose streams pytest has closed by then.
    gateway = SparkContext._gateway
    if gateway is not None:
        with suppress(OSError, Py4JError, subprocess.TimeoutExpired):
            gateway.shutdown()
            gateway.proc.stdin.close()  # which ends Java
            gateway.proc.wait(60)
    SparkContext._gateway = SparkContext._jvm = None


@dataclass
class Project:
    """Declarations, a warehouse, and the session to run them in."""

    spark: Any
    warehouse: Path
    declared: HarvestedModules

    def entity(self, entityid: str, **declaration: Any) -> None:
        """Declare an entity."""
        with DataEntities.declaring_into(self.declared.entities):
            DataEntities.entity(entityid, **declaration)

    def pipe(
        self, output: str, function: Callable[..., Any], *inputs: str, **declaration: Any
    ) -> None:
        """Declare a pipe whose id is that of its output."""
        with DataPipes.declaring_into(self.declared.pipes):
            DataPipes.pipe(
                output, input_entity_ids=list(inputs), output_entity_id=output, **declaration
            )(function)

    def request(self, pipe_id: str, **changes: Any) -> RunRequest:
        """Return a fresh request."""
        request = RunRequest(
            attempt_key=uuid.uuid4().hex,
            pipe_id=pipe_id,
            project_root=str(Path(__file__).parent),
            modules=(),
            warehouse=str(self.warehouse),
            dag_id="dag",
            run_id="run",
            task_id=pipe_id,
        )
        return replace(request, **changes)

    def run(self, pipe_id: str, **changes: Any) -> RunReport:
        """Run a pipe here and now."""
        from kindling_airflow.runner.pipe.run_pipe import run_pipe

        return run_pipe(self.request(pipe_id, **changes), self.spark, declared=self.declared)

    def table(self, name: str) -> Path:
        """Return where a table lies."""
        return self.warehouse / name

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        """Return a table's rows, sorted, as any other tool would read them."""
        frame = self.spark.read.parquet(str(self.table(name)))
        return sorted(map(tuple, frame.collect()), key=repr)


@pytest.fixture
def project(spark: Any, tmp_path: Path) -> Project:
    """An empty project with an empty warehouse."""
    warehouse = tmp_path / "ware house"
    warehouse.mkdir()
    return Project(spark, warehouse, HarvestedModules(DataPipesRegistry(), DataEntityRegistry()))
