"""One place under two ids is found where a DAG is parsed, wherever its warehouse is configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError

PIPES = """\
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(entityid="alias", tags={"provider.path": "/lake/tables/./a"})


@DataPipes.pipe(pipeid="a", input_entity_ids=[], output_entity_id="a")
def make_a(): ...


@DataPipes.pipe(pipeid="b", input_entity_ids=["alias"], output_entity_id="b")
def make_b(alias): ...
"""


def definition(folder: Path, warehouse: str) -> Definition:
    (folder / "shop").mkdir()
    (folder / "shop" / "pipes_of_places.py").write_text(PIPES)
    file = folder / "shop.kindling.yaml"
    file.write_text(f"dag_id: shop\nproject: shop\n{warehouse}")
    return Definition.from_file(file)


def test_a_definition_with_an_absolute_warehouse_does_not_compile(tmp_path: Path) -> None:
    found = definition(tmp_path, "warehouse: file:/lake/tables\n")
    with pytest.raises(DefinitionError, match="entities 'a' and 'alias' are the same folder"):
        compile_definition(found)


def test_a_dag_whose_warehouse_is_that_of_airflow_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = compile_definition(definition(tmp_path, ""))
    monkeypatch.setenv("AIRFLOW__KINDLING__WAREHOUSE", "/elsewhere")
    assert build_dag(compiled).task_ids
    monkeypatch.setenv("AIRFLOW__KINDLING__WAREHOUSE", "/lake/tables")
    with pytest.raises(DefinitionError, match="entities 'a' and 'alias' are the same folder"):
        build_dag(compiled)


def test_a_warehouse_that_only_a_run_knows_is_not_compared(tmp_path: Path) -> None:
    compiled = compile_definition(definition(tmp_path, 'warehouse: "{{ params.place }}"\n'))
    assert build_dag(compiled).task_ids
