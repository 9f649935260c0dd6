"""What is submitted to YARN and Kubernetes: the whole command, as spark-submit gets it."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.apache.spark.hooks import spark_submit

from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import RunRequest

APPLICATION = str(Path(__file__).parents[2] / "kindling_airflow" / "runner" / "main.py")
PROGRAM = f"""#!{sys.executable}
import json, os, sys
with open({{seen!r}}, "w") as file:
    names = [n for n in os.environ if n.startswith(("PYSPARK", "SPARK", "HADOOP"))]
    json.dump([sys.argv[1:], {{{{name: os.environ[name] for name in names}}}}], file)
"""

Submitted = Callable[..., tuple[list[str], RunRequest, dict[str, str]]]


@pytest.fixture
def submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    """Run a task; return the arguments of spark-submit, the request, and its variables."""
    binary = tmp_path / "bin" / "spark-submit"
    binary.parent.mkdir()
    binary.write_text(PROGRAM.format(seen=str(tmp_path / "seen")))
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{binary.parent}:/usr/bin:/bin")
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE", "light")
    for name in ("SPARK_HOME", "SPARK_SUBMIT_OPTS", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    # As if the client of Kubernetes were installed.
    monkeypatch.setattr(spark_submit, "kube_client", object(), raising=False)

    def run(connection: dict[str, Any], **arguments: Any) -> Any:
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(connection))
        operator = KindlingPipeOperator(
            task_id="task",
            pipe_id="gold.sales",
            project_root="/project",
            modules=["pipes"],
            warehouse="s3a://lake/warehouse",
            **arguments,
        )
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id="task",
            try_number=1,
            stats_tags={},
            xcom_push=lambda *_: None,
        )
        context: Any = {"ti": ti, "dag_run": SimpleNamespace()}
        with pytest.raises(Exception, match=r".*"):  # nobody reports
            operator.execute(context)
        command, variables = json.loads((tmp_path / "seen").read_text())
        return command[:-1], RunRequest.loads(command[-1]), variables

    return run


PACKAGE = {"package": "s3a://lake/code/shop.zip", "package_digest": "sha256:1"}


def test_yarn_client_mode(submitted: Submitted) -> None:
    command, request, variables = submitted(
        {"conn_type": "spark", "host": "yarn", "extra": {"queue": "etl"}},
        **PACKAGE,
        conf={"spark.executor.memoryOverhead": "512m"},
        executor_memory="2g",
        num_executors=3,
        py_files="s3a://lake/code/more.zip",
    )
    assert command == [
        *("--master", "yarn"),
        *("--conf", "spark.executor.memoryOverhead=512m"),
        *("--py-files", "s3a://lake/code/more.zip,s3a://lake/code/shop.zip"),
        *("--num-executors", "3"),
        *("--executor-memory", "2g"),
        *("--name", "gold.sales"),
        *("--queue", "etl"),
        APPLICATION,
    ]
    assert (request.package, request.project_root) == ("sha256:1", "/project")
    # The driver is on this machine, and so are its variables: none is passed on to the cluster.
    assert variables["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert variables["SPARK_SUBMIT_OPTS"].startswith("-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
    assert "PYSPARK_PYTHON" not in variables


def test_kubernetes_client_mode(submitted: Submitted) -> None:
    command, _, variables = submitted(
        {"conn_type": "spark", "host": "k8s://https://kube", "port": 6443},
        **{**PACKAGE, "package": "s3://lake/code/shop.zip"},  # as other tools write it
        conf={
            "spark.kubernetes.namespace": "etl",
            "spark.kubernetes.container.image": "registry/spark-py:4.1.3",
        },
    )
    assert command == [
        *("--master", "k8s://https://kube:6443"),
        *("--conf", "spark.kubernetes.namespace=etl"),
        *("--conf", "spark.kubernetes.container.image=registry/spark-py:4.1.3"),
        *("--conf", "spark.kubernetes.namespace=etl"),
        *("--py-files", "s3a://lake/code/shop.zip"),
        *("--name", "gold.sales"),
        APPLICATION,
    ]
    assert variables["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert "SPARK_SUBMIT_OPTS" in variables


@pytest.mark.parametrize("host", ["yarn", "k8s://https://kube"])
def test_a_driver_on_the_cluster_gets_nothing_of_this_machines(
    submitted: Submitted, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__KINDLING__REPORT_URL", str(tmp_path / "reports"))
    (tmp_path / "bin" / "yarn").symlink_to("/bin/true")  # kills drivers
    command, request, variables = submitted(
        {"conn_type": "spark", "host": host, "extra": {"deploy-mode": "cluster"}},
        **PACKAGE,
        conf={"spark.kubernetes.file.upload.path": "s3a://lake/upload"},
    )
    assert command[command.index("--deploy-mode") + 1] == "cluster"
    assert command[-1] == APPLICATION
    assert request.report_path.startswith(f"{tmp_path}/reports/_kindling/reports/")
    assert request.claim["path"].startswith(f"{tmp_path}/reports/_kindling/claims/")
    assert command[command.index("--py-files") + 1] == "s3a://lake/code/shop.zip"
    assert request.package == "sha256:1"
    assert not [n for n in variables if n.startswith(("PYSPARK", "SPARK_SUBMIT"))], variables


def test_a_definitions_package_reaches_its_tasks(tmp_path: Path) -> None:
    from kindling_airflow.cli.main import main
    from kindling_airflow.dag_factory import kindling_dag
    from kindling_airflow.deployment.project_package import read_info
    from tests.dag_factory.projects import document, write_project

    write_project(tmp_path / "shop")
    assert main(["package", str(tmp_path / "shop")]) == 0
    task: Any = kindling_dag(tmp_path, **document(package="shop.zip")).get_task("a")
    assert task._package == str(tmp_path / "shop.zip")
    assert task._package_digest == read_info(tmp_path / "shop.zip").manifest
