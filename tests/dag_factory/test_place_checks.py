"""Places that Airflow knows: its own warehouse, and machines that have different disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.executors.local_executor import LocalExecutor
from airflow.sdk import DAG

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.dag_factory.place_checks import configured_executors, runs_elsewhere
from kindling_airflow.errors import DefinitionError
from tests.dag_factory.projects import compiled

EXECUTOR, SHARED = "AIRFLOW__CORE__EXECUTOR", "AIRFLOW__KINDLING__SHARED_WAREHOUSE"
WAREHOUSE = "AIRFLOW__KINDLING__WAREHOUSE"
FIX = (
    "  Fix: use storage that every machine reaches ([kindling] warehouse, or the key 'warehouse'), "
    "such as hdfs://, or s3a:// with tables of a catalog. If all machines mount this folder from "
    "one network disk, set [kindling] shared_warehouse = True."
)


class MyLocalExecutor(LocalExecutor):
    """An executor of a deployment's own."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path


def built(folder: Path, **keys: Any) -> DAG:
    return build_dag(compiled(folder, "a -> b", **keys))


def refusal(folder: Path, **keys: Any) -> str:
    with pytest.raises(DefinitionError) as refused:
        built(folder, **keys)
    return str(refused.value)


@pytest.mark.parametrize(
    ("executor", "name"),
    [
        ("CeleryExecutor", "CeleryExecutor"),
        ("KubernetesExecutor", "KubernetesExecutor"),
        ("CeleryExecutor,LocalExecutor", "CeleryExecutor"),
        ("away:acme.executors.EcsExecutor", "EcsExecutor"),
    ],
)
def test_a_local_warehouse_is_refused_where_tasks_run_on_several_machines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, executor: str, name: str
) -> None:
    monkeypatch.setenv(EXECUTOR, executor)
    text = refusal(folder, warehouse="/data/lake")
    assert text.endswith(
        f": tables are written to '/data/lake', a local disk, and {name} runs tasks on several "
        f"machines, each of which has another disk: a task would not find what another one has "
        f"written\n{FIX}"
    )
    assert "AIRFLOW_HOME" not in text
    assert "/warehouse', a local disk" in refusal(folder)


@pytest.mark.parametrize("executor", ["LocalExecutor", f"x:{__name__}.MyLocalExecutor"])
def test_on_one_machine_a_local_warehouse_is_fine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.setenv(EXECUTOR, executor)
    assert built(folder).task_ids
    assert built(folder, warehouse="file:///data/lake").task_ids


def test_a_mounted_disk_is_one_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTOR, "CeleryExecutor")
    monkeypatch.setenv(SHARED, "True")
    assert built(folder).task_ids


def test_storage_that_all_machines_reach_is_fine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXECUTOR, "CeleryExecutor")
    assert built(folder, warehouse="hdfs://nn/lake").task_ids
    assert built(folder, warehouse="{{ var.value.lake }}").task_ids
    monkeypatch.setenv(WAREHOUSE, "hdfs://nn/lake")
    assert built(folder).task_ids


def test_one_task_that_runs_elsewhere_is_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXECUTOR, "LocalExecutor,CeleryExecutor")
    assert built(folder).task_ids
    text = refusal(folder, overrides={"b": {"executor": "CeleryExecutor"}}, warehouse="/lake")
    assert "CeleryExecutor runs tasks on several machines" in text


def test_drivers_of_a_cluster_are_on_other_machines(folder: Path) -> None:
    conf = {"spark.submit.deployMode": "cluster"}
    for spark in ({"deploy_mode": "cluster"}, {"conf": conf}):
        text = refusal(folder, warehouse="/lake", spark=spark)
        assert "deploy mode 'cluster' runs drivers on several machines" in text
        assert built(folder, warehouse="hdfs://nn/x", spark=spark).task_ids


def test_airflows_own_warehouse_is_checked_as_one_of_the_definition(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WAREHOUSE, "oss://lake")
    assert "entity 'a.out', parquet" in refusal(folder)
    with pytest.raises(DefinitionError, match=r"entity 'a\.out', parquet"):
        compiled(folder, "a -> b", warehouse="oss://lake")
    # with both, each entity once
    assert refusal(folder).count("without losing rows") == 2


def test_executors_are_found_by_alias_and_by_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTOR, "LocalExecutor, k8s:KubernetesExecutor;team=acme.MyExecutor")
    assert configured_executors() == {
        "LocalExecutor": "LocalExecutor",
        "k8s": "KubernetesExecutor",
        "KubernetesExecutor": "KubernetesExecutor",
        "acme.MyExecutor": "acme.MyExecutor",
    }
    assert runs_elsewhere("acme.MyExecutor")
    assert not runs_elsewhere("airflow.executors.local_executor.LocalExecutor")


def test_compiling_alone_knows_no_executor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTOR, "CeleryExecutor")
    assert compiled(folder, "a -> b").spec.tasks()
