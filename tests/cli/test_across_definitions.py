"""What several definitions are to each other, as ``validate`` reports it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags.places import places_of
from tests.dag_factory.projects import write_definition, write_project

RUNS = (
    "concurrent runs fail or overwrite each other; write it in one DAG, or set another warehouse "
    "for one"
)


class Dags:
    """A folder of definitions, each with a project of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def add(self, dag_id: str, drawing: str, more: str = "", *, named: str = "") -> None:
        name = named or dag_id
        write_project(self.folder / name, drawing, module=f"pipes_{name}")
        text = f"dag_id: {dag_id}\nproject: {name}\n{more}"
        write_definition(self.folder / f"{name}.kindling.yaml", text)

    def declare(self, name: str, *entities: str) -> None:
        lines = ["from kindling_airflow import DataEntities", *entities]
        (self.folder / name / f"entities_{name}.py").write_text("\n".join(lines) + "\n")

    def validate(self, status: int = 0, *more: str) -> str:
        names = sorted(path.name for path in self.folder.glob("*.kindling.yaml"))
        assert main(["validate", *names, *more]) == status
        return self._capsys.readouterr().out

    def notes(self) -> list[str]:
        return [
            line.removeprefix("note: ")
            for line in self.validate().splitlines()
            if line.startswith("note:")
        ]

    def json(self, status: int = 0) -> Any:
        return json.loads(self.validate(status, "--json"))


@pytest.fixture
def dags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Dags:
    monkeypatch.chdir(tmp_path)
    return Dags(tmp_path, capsys)


def test_definitions_with_nothing_in_common(dags: Dags) -> None:
    dags.add("one", "a -> b")
    dags.add("two", "c -> d")
    assert dags.notes() == []
    assert dags.json() == {"one.kindling.yaml": [], "two.kindling.yaml": []}


def test_one_dag_id_in_two_files_is_a_problem(dags: Dags) -> None:
    dags.add("shop", "a -> b", named="one")
    dags.add("shop", "c -> d", named="two")
    problem = (
        "two.kindling.yaml:1: dag_id: 'shop' is already the dag_id of one.kindling.yaml\n"
        "  Fix: set another dag_id in this definition."
    )
    shape = "OK: 2 pipes in 2 generations, at most 1 in parallel"
    assert dags.validate(1) == f"one.kindling.yaml: {shape}\n{problem}\n"
    assert dags.json(1) == {"one.kindling.yaml": [], "two.kindling.yaml": [problem]}


def test_a_file_that_is_named_twice_is_one(dags: Dags) -> None:
    dags.add("shop", "a -> b")
    assert main(["validate", "shop.kindling.yaml", "./shop.kindling.yaml"]) == 0


class TestTables:
    def test_two_dags_that_write_one_table(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales")
        dags.add("two", "other -> sales")
        assert dags.notes() == [
            f"DAGs 'one' and 'two' both write 'sales.out' (folder 'sales.out'): {RUNS}"
        ]

    def test_under_two_ids(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales", "warehouse: /lake/\n")
        dags.add("two", "other -> orders", "warehouse: /elsewhere\n")
        dags.declare(
            "two", "DataEntities.entity('orders.out', tags={'provider.path': '/lake/sales.out'})"
        )
        assert dags.notes() == [
            (
                "DAGs 'one' and 'two' both write 'sales.out', which is 'orders.out' (folder "
                f"'/lake/sales.out'): {RUNS}"
            )
        ]

    def test_in_a_catalog(self, dags: Dags) -> None:
        for name, table in (("one", "shop.Sales"), ("two", "shop.sales")):
            dags.add(name, f"{name} -> sales", f"warehouse: /{name}\n")
            tags = f"{{'provider_type': 'table', 'provider.table': {table!r}}}"
            dags.declare(name, f"DataEntities.entity('sales.out', tags={tags})")
        assert "both write 'sales.out' (table 'spark_catalog.shop.sales')" in dags.notes()[0]

    def test_in_two_warehouses_they_are_two(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales")
        dags.add("two", "raw -> sales", "warehouse: /elsewhere\n")
        assert dags.notes() == []

    def test_a_reader_and_a_writer_that_declare_it_otherwise(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales")
        dags.add("two", "[sales.out] -> report")
        dags.declare(
            "one", "DataEntities.entity('sales.out', schema='id INT', partition_columns=['id'])"
        )
        dags.declare(
            "two",
            "DataEntities.entity('sales.out', schema='id BIGINT', tags={'provider_type': 'delta'})",
        )
        assert dags.notes() == [
            (
                "DAGs 'one' and 'two' declare entity 'sales.out' (folder 'sales.out') "
                "differently: provider_type 'parquet' and 'delta', schema 'id INT' and 'id "
                "BIGINT', partition_columns ['id'] and none; share one declaration"
            )
        ]

    def test_a_reader_need_not_declare_a_table_in_full(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales")
        dags.add("two", "[sales.out] -> report")
        dags.declare("one", "DataEntities.entity('sales.out', schema='id INT')")
        assert dags.notes() == []

    def test_places_of_other_kinds(self) -> None:
        topic = EntityMetadata("t", tags={"provider_type": "kafka", "provider.connection": "b"})
        assert places_of(topic, "/lake") == (("topic", "b/t"),)
        assert places_of(EntityMetadata("f", tags={"provider_type": "csv"}), "/lake") == ()


class TestAssets:
    def test_what_each_dag_waits_for(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales")
        dags.add("two", "[sales.out] -> report", "schedule: assets\n")
        text = dags.validate()
        assert "DAG 'two' waits for asset 'warehouse/sales.out': updated by DAG 'one'\n" in text
        assert dags.notes() == []
        assert dags.json()["*"] == {
            "waits_for": {
                "two": [{"asset": "warehouse/sales.out", "of": "all", "updated_by": ["one"]}]
            }
        }

    def test_an_entity_that_was_renamed(self, dags: Dags) -> None:
        dags.add("one", "raw -> silver_sales")
        dags.add(
            "two", "[silver_sale.out] -> report", "schedule: {any: [warehouse/silver_sale.out]}\n"
        )
        [note] = dags.notes()
        assert note == (
            "DAG 'two' waits for asset 'warehouse/silver_sale.out', which none of these "
            "definitions updates: its runs start only if something else updates it. Did you mean "
            "'silver_sales.out'?"
        )
        together = dags.json()["*"]
        assert together["notes"] == [note]
        assert together["waits_for"]["two"][0]["updated_by"] == []

    def test_a_writer_that_updates_no_assets(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales", "assets: false\n")
        dags.add("two", "[sales.out] -> report", "schedule: assets\n")
        assert dags.notes() == [
            (
                "DAG 'two' waits for asset 'warehouse/sales.out', which none of these "
                "definitions updates: its runs start only if something else updates it. DAG "
                "'one' writes that entity, but updates no assets (assets: false)."
            )
        ]

    def test_alone_a_dag_may_wait_for_anything(self, dags: Dags) -> None:
        dags.add("two", "[sales.out] -> report", "schedule: assets\n")
        assert dags.notes() == []
        assert "not updated by any of these\n" in dags.validate()

    def test_dags_that_wait_for_each_other(self, dags: Dags) -> None:
        dags.add("one", "[report.out] -> sales", "schedule: assets\n")
        dags.add("three", "[bills.out] -> report", "schedule: assets\n")
        dags.add("two", "[sales.out] -> bills", "schedule: assets\n")
        assert dags.notes() == [
            (
                "DAGs 'one', 'three', 'two' wait for each other (assets 'warehouse/bills.out', "
                "'warehouse/report.out', 'warehouse/sales.out'): none of them starts by itself, "
                "and once one is started, runs follow each other endlessly"
            )
        ]

    def test_a_dag_that_waits_for_itself(self, dags: Dags) -> None:
        dags.add("one", "raw -> sales", "schedule: {all: [warehouse/sales.out]}\n")
        [note] = dags.notes()
        assert note.startswith("DAG 'one' waits for an asset that it updates itself")


def test_a_pool_of_two_sizes(dags: Dags) -> None:
    dags.add("one", "a -> b", "pool: shared\nwidth: 8\n")
    dags.add("two", "c -> d", "pools: {shared: 2}\n")
    dags.add("three", "e -> f", "pool: shared\nwidth: 8\n")
    assert dags.notes() == [
        (
            "pool 'shared' is given 2 slots by DAG 'two', 8 slots by DAG 'one': it gets those of "
            "the DAG that runs first; set one size, or use one pool for each DAG"
        )
    ]
