"""``validate`` finds what a DAG parse finds; under ``airflow`` it tries the DAG out for real."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.airflow_commands import get_kindling_cli_commands
from kindling_airflow.dag_factory.factory import load_dags
from tests.dag_factory.projects import write_definition, write_project
from tests.dag_factory.test_load_dags import DROP_IN

PROGRAM = """
import sys
from kindling_airflow.cli.main import main
status = main(sys.argv[1:])
assert not [name for name in sys.modules if name.partition(".")[0] in ("airflow", "pyspark")]
sys.exit(status)
"""


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_project(tmp_path / "shop", "a -> b")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validated(text: str) -> tuple[int, str]:
    """Return status and output of ``kindling-airflow validate``, which must not import Airflow."""
    write_definition(Path("x.kindling.yaml"), f"dag_id: x\n{text}")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "validate", "x.kindling.yaml"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def validated_by_airflow(text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return status and output of ``airflow kindling validate``."""
    write_definition(Path("x.kindling.yaml"), f"dag_id: x\n{text}")
    (group,) = get_kindling_cli_commands()
    command: Any = next(c for c in group.subcommands if c.name == "validate")
    parser = argparse.ArgumentParser()
    for argument in command.args:
        argument.add_to_parser(parser)
    status = 0
    try:
        command.func(parser.parse_args(["x.kindling.yaml"]))
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, capsys.readouterr().out


FOUND = [
    ("overrides: {c: {retries: 1}}\n", "x.kindling.yaml:3: overrides.c: 'c' matches no pipe."),
    ("on_failure_callback: gone:x\n", "x.kindling.yaml:3: on_failure_callback: module not found"),
    (
        "arguments: {qeue: x}\n",
        "x.kindling.yaml:3: arguments.qeue: the installed operator takes no",
    ),
    (
        "overrides: {a: {pool: heavy}}\n",
        "x.kindling.yaml: DAG 'x': pool 'heavy' of pipe 'a' has no",
    ),
    ("pool_slots: 9\n", "x.kindling.yaml: DAG 'x': pipe 'a' (and 1 more) takes 9 slots"),
]


@pytest.mark.parametrize(("text", "said"), FOUND)
def test_what_a_parse_refuses_is_found_without_airflow(dags: Path, text: str, said: str) -> None:
    status, output = validated(text)
    assert (status, output.splitlines()[0].startswith(said)) == (1, True), output
    (dags / "kindling_dags.py").write_bytes(DROP_IN.read_bytes())
    (broken,) = load_dags(dags / "kindling_dags.py").values()
    assert broken.dag_id.startswith("kindling_broken_definition_")


@pytest.mark.parametrize(("text", "said"), FOUND)
def test_airflow_finds_the_same(
    dags: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    status, output = validated_by_airflow(text, capsys)
    assert (status, output.splitlines()[0].startswith(said)) == (1, True), output


def test_airflow_finds_more_by_building_the_dag(
    dags: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of the argument is right, its value is not."""
    text = "arguments: {max_active_tis_per_dag: 1, depends_on_past: many}\n"
    assert validated(text)[0] == 0
    status, output = validated_by_airflow(text, capsys)
    assert status == 1
    assert output.startswith("x.kindling.yaml: Airflow rejects this DAG: TypeError: ")


def test_a_sound_definition_is_sound_for_both(
    dags: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "on_error: continue\noverrides: {a: {retries: 1}}\non_failure_callback: os.path:join\n"
    expected = "x.kindling.yaml: OK: 2 pipes in 2 generations, at most 1 in parallel\n"
    assert validated(text) == (0, expected)
    assert validated_by_airflow(text, capsys) == (0, expected)
