"""What the commands say of a definition with streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.cli.main import main

PIPES = """\
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(entityid="clicks", tags={"provider_type": "json"}, schema="id BIGINT")
DataEntities.entity(entityid="clean", schema="id BIGINT")


STREAM = {"processing_mode": "streaming"}


@DataPipes.pipe(
    "clean",
    input_entity_ids=["clicks"],
    output_entity_id="clean",
    tags={**STREAM, "stream.trigger": "10s"},
)
def clean(clicks): ...


@DataPipes.pipe("alert", input_entity_ids=["clean"], output_entity_id="alerts", tags=STREAM)
def alert(clean): ...
"""


@pytest.fixture
def definition(tmp_path: Path) -> str:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "clicks_pipes.py").write_text(PIPES)
    path = tmp_path / "shop.kindling.yaml"
    path.write_text("dag_id: shop\nproject: shop\nstrategy: config_based\n")
    return str(path)


def test_it_is_sound(definition: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", definition]) == 0
    assert capsys.readouterr().out == (
        f"{definition}: OK: 2 pipes in 2 generations, 2 of them streams\n"
    )


def test_what_compile_refuses_validate_refuses(
    definition: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(definition)
    path.write_text(path.read_text() + "width: 1\nmax_active_runs: 2\n")
    for command in ("validate", "compile"):
        assert main([command, definition]) == 1
        said = capsys.readouterr()
        assert "max_active_runs: concurrent runs" in said.out + said.err
    path.write_text(path.read_text().replace("max_active_runs: 2\n", ""))
    assert main(["validate", definition]) == 1
    assert "its 2 streams take 2 for as long as the run lasts" in capsys.readouterr().out


def test_explain_says_what_the_query_does(
    definition: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", definition, "clean"]) == 0
    text = capsys.readouterr().out
    assert "Pipe 'clean' is in generation 1 (0 to 1), with no other pipes\n" in text
    assert "Stream: a batch every 10 s; writes by append; checkpoint clean\n" in text


def test_there_is_nothing_to_backfill(definition: str, capsys: pytest.CaptureFixture[str]) -> None:
    month = ("--from-date", "2013-01-01", "--to-date", "2013-01-31")
    assert main(["backfill-plan", definition, *month]) == 1
    assert capsys.readouterr().err == (
        f"{definition}: streams cannot be backfilled: they continue from their checkpoints, "
        "whatever the interval of a run\n"
        "  Fix: start a run with 'airflow dags trigger', or backfill the batch pipes in a "
        "separate definition.\n"
    )
