"""What is worth knowing of a sound source is said, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.cli.main import main

MANY = """\
from kindling_airflow import DataPipes

for number in range(301):
    DataPipes.pipe(f"pipe_{number}", output_entity_id=f"table_{number}", sql="SELECT 1 AS n")
"""
TOPIC = """\
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(entityid="clicks", tags={"provider_type": "json"}, schema="id BIGINT")
DataEntities.entity(
    entityid="seen",
    schema="id BIGINT",
    tags={"provider_type": "kafka", "provider.connection": "broker"},
)


@DataPipes.pipe(
    "clean",
    input_entity_ids=["clicks"],
    output_entity_id="seen",
    tags={"processing_mode": "streaming"},
)
def clean(clicks): ...
"""


def write(folder: Path, pipes: str, more: str = "") -> str:
    (folder / "shop").mkdir()
    (folder / "shop" / "noted_pipes.py").write_text(pipes)
    path = folder / "shop.kindling.yaml"
    path.write_text(f"dag_id: shop\nproject: shop\nstrategy: config_based\n{more}")
    return str(path)


def notes(capsys: pytest.CaptureFixture[str], command: str, source: str) -> list[str]:
    assert main([command, source]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if "note:" in line]


@pytest.mark.parametrize("command", ["validate", "compile"])
def test_many_assets(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    [note] = notes(capsys, command, write(tmp_path, MANY))
    assert note == (
        "  note: its tasks update 301 assets; Airflow's Graph of the DAG will take long to open, "
        "or will not: 'assets: false' mends that, or several DAGs"
    )


@pytest.mark.parametrize(
    ("pipes", "more"), [(MANY, "assets: false\n"), (MANY.replace("301", "300"), "")]
)
def test_not_so_many_assets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pipes: str, more: str
) -> None:
    assert notes(capsys, "validate", write(tmp_path, pipes, more)) == []


def test_rows_that_may_come_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [note] = notes(capsys, "validate", write(tmp_path, TOPIC))
    assert note == (
        "  note: pipe 'clean' sends rows to a topic at least once: after a crash, those of a "
        "batch come again"
    )


def test_a_project_or_a_plan_has_no_assets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, MANY)
    assert notes(capsys, "validate", str(tmp_path / "shop")) == []
    plan = tmp_path / "plan.json"
    assert main(["plan", str(tmp_path / "shop"), "--json"]) == 0
    plan.write_text(capsys.readouterr().out)
    assert notes(capsys, "validate", str(plan)) == []
