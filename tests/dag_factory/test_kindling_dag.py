"""A DAG from Python is the DAG of a definition file with the same keys."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from kindling_airflow import kindling_dag
from kindling_airflow.dag_factory.factory import load_dags
from kindling_airflow.errors import DefinitionError
from tests.dag_factory.projects import document, write_project

KEYS: dict[str, Any] = document(
    description="One line.",
    schedule="0 3 * * *",
    start_date="2026-01-01",
    timezone="Europe/Berlin",
    tags=["sample"],
    pipes=["a", "b"],
    width=2,
    retries=1,
    spark={"conf": {"spark.ui.enabled": False}},
)


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop", "a -> b, c")
    return tmp_path


def serialised(dag: DAG) -> str:
    dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
    return json.dumps(DagSerialization.to_dict(dag), sort_keys=True)


def test_same_keys_same_dag(dags: Path) -> None:
    (dags / "x.kindling.yaml").write_text(yaml.safe_dump(KEYS))
    (from_file,) = load_dags(dags / "x.py").values()
    assert serialised(kindling_dag(dags / "x.py", **KEYS)) == serialised(from_file)


def test_other_keys_other_dag(dags: Path) -> None:
    one, other = (kindling_dag(dags, **document(width=width)) for width in (1, 2))
    assert serialised(one) != serialised(other)


def test_paths_start_from_the_calling_file_or_from_a_folder(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dags / "elsewhere").mkdir()
    monkeypatch.chdir(dags / "elsewhere")
    (dags / "own.py").touch()
    for base in (dags / "own.py", str(dags / "own.py"), dags, "../own.py", ".."):
        assert kindling_dag(base, **document()).task_ids == ["a", "c", "b"]


def test_a_start_date_may_be_an_object_of_python(dags: Path) -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    dag = kindling_dag(dags, **document(schedule="@daily", start_date=moment))
    assert dag.start_date == moment


def test_a_dag_file_may_call_it(dags: Path) -> None:
    (dags / "own.py").write_text(
        "from kindling_airflow import kindling_dag\n"
        "dag = kindling_dag(__file__, dag_id='own', project='shop', pipes=['c'])\n"
    )
    bag = BundleDagBag(dags / "own.py", bundle_path=dags, bundle_name="dags-folder")
    assert {dag_id: dag.task_ids for dag_id, dag in bag.dags.items()} == {"own": ["c"]}
    assert bag.import_errors == {}


def test_errors_name_the_caller(dags: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        kindling_dag(dags / "own.py", dag_id="own", projet="shop", width="2")
    assert str(caught.value) == (
        "3 problems in the definition:\n"
        "1. kindling_dag in own.py: key 'project' is missing\n"
        "  Fix: add 'project: ...'.\n"
        "2. kindling_dag in own.py: projet: unknown key 'projet'. Did you mean 'project'?\n"
        "3. kindling_dag in own.py: width: must be a whole number, not '2'"
    )


def test_errors_of_the_pipes_name_the_caller(dags: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        kindling_dag(dags / "own.py", **document(pipes=["d"]))
    assert str(caught.value) == (
        "kindling_dag in own.py: unknown pipe 'd'.\n"
        "  Fix: correct the id, or import the module that declares the pipe."
    )
