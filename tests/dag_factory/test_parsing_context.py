"""What a worker builds: the task that it starts, and nothing else of the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.exceptions import SerializationError
from airflow.sdk.definitions.context import (
    _AIRFLOW_PARSING_CONTEXT_DAG_ID,
    _AIRFLOW_PARSING_CONTEXT_TASK_ID,
)
from airflow.serialization.serialized_objects import DagSerialization

from kindling_airflow.dag_factory.factory import kindling_dag, load_dags
from kindling_airflow.errors import DefinitionError
from tests.dag_factory.projects import document, imports_of, write_definition, write_project
from tests.dag_factory.test_load_dags import DROP_IN

MODULE, ZERO = "pipes_drawn", "division by zero"


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A dags folder: a sound DAG ``shop``, and all around it definitions that are broken."""
    folder = tmp_path / "dags"
    folder.mkdir()
    shutil.copy(DROP_IN, folder)
    write_project(folder / "shop", "a -> b")
    write_definition(folder / "shop.kindling.yaml", "dag_id: shop\n")
    project = write_project(folder / "raising")
    module = project / "pipes_drawn.py"
    module.write_text(module.read_text() + "1 / 0\n")
    write_definition(folder / "raising.kindling.yaml", "dag_id: raising\nproject: raising\n")
    write_definition(folder / "wrong.kindling.yaml", "dag_id: wrong\nwidth: 0\n")
    (folder / "syntax.kindling.yaml").write_text("dag_id: [")
    return folder


def want(monkeypatch: pytest.MonkeyPatch, dag_id: str, task_id: str | None = None) -> None:
    """Say what is wanted, as Airflow's task runner does."""
    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, dag_id)
    if task_id is not None:
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_TASK_ID, task_id)


def bag(dags: Path) -> BundleDagBag:
    return BundleDagBag(
        dags / "kindling_dags.py", bundle_path=dags, bundle_name="dags-folder", safe_mode=True
    )


def test_only_the_wanted_task_of_the_wanted_dag_is_built(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(monkeypatch, "shop", "b")
    found = bag(dags)
    assert {dag_id: dag.task_ids for dag_id, dag in found.dags.items()} == {"shop": ["b"]}
    assert found.import_errors == {}


def test_no_other_project_is_imported(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want(monkeypatch, "shop", "b")
    load_dags(dags / "kindling_dags.py")
    assert imports_of(dags / "shop") == ["pipes_drawn"]
    assert imports_of(dags / "raising") == []
    monkeypatch.undo()
    load_dags(dags / "kindling_dags.py")
    assert imports_of(dags / "raising") == ["pipes_drawn"]


def test_a_wanted_dag_without_a_wanted_task_is_whole(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(monkeypatch, "shop")
    (dag,) = load_dags(dags / "kindling_dags.py").values()
    assert dag.task_ids == ["a", "b"]
    assert list(dag.task_group.children) == ["generation_0", "generation_1"]


@pytest.mark.parametrize(
    ("dag_id", "said"),
    [
        ("wrong", "wrong.kindling.yaml:3: width: must be at least 1, not 0"),
        (
            "raising",
            f"raising.kindling.yaml: module {MODULE!r} failed to import: ZeroDivisionError: {ZERO}",
        ),
    ],
)
def test_a_wanted_task_of_a_broken_dag_says_so_to_who_waits_for_it(
    dags: Path, monkeypatch: pytest.MonkeyPatch, dag_id: str, said: str
) -> None:
    want(monkeypatch, dag_id, "a")
    with pytest.raises(DefinitionError) as caught:
        load_dags(dags / "kindling_dags.py")
    assert str(caught.value).splitlines()[0] == said
    found = bag(dags)
    assert found.dags == {}
    assert said in found.import_errors["kindling_dags.py"]


def test_a_broken_dag_that_the_command_line_wants_does_no_harm_to_the_others(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import error of the DAG file would mark all its DAGs in the database."""
    want(monkeypatch, "wrong")
    found = bag(dags)
    assert found.import_errors == {}
    (broken,) = found.dags.values()
    with pytest.raises(SerializationError) as caught:
        DagSerialization.to_dict(broken)
    assert str(caught.value) == "wrong.kindling.yaml:3: width: must be at least 1, not 0"


def test_a_dag_of_another_file_is_none_of_the_factorys(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(monkeypatch, "elsewhere", "a")
    assert load_dags(dags / "kindling_dags.py") == {}
    assert imports_of(dags / "shop") == []


def test_the_second_definition_of_a_dag_id_is_not_taken_for_the_first(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_definition(dags / "zzz.kindling.yaml", "dag_id: shop\npipes: [b]\n")
    want(monkeypatch, "shop", "a")
    (dag,) = load_dags(dags / "kindling_dags.py").values()
    assert dag.task_ids == ["a"]


def test_a_dag_from_python_has_the_wanted_task_alone(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(monkeypatch, "shop", "a")
    assert kindling_dag(dags / "own.py", **document()).task_ids == ["a"]


def test_a_dag_from_python_that_the_command_line_does_not_want_is_whole(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``airflow dags test`` stores every DAG of the file that it parses."""
    want(monkeypatch, "elsewhere")
    assert kindling_dag(dags / "own.py", **document()).task_ids == ["a", "b"]


def test_a_dag_from_python_of_no_wanted_task_is_empty_and_costs_nothing(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(monkeypatch, "shop", "a")
    dag = kindling_dag(dags / "own.py", dag_id="raising", project="raising")
    assert (dag.dag_id, dag.task_ids) == ("raising", [])
    assert imports_of(dags / "raising") == []
