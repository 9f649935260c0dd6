"""``settings`` and ``version``, on both command lines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow import __version__
from kindling_airflow.cli.airflow_commands import get_kindling_cli_commands
from kindling_airflow.cli.main import main
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from tests.docs.pages import DOCS

EXAMPLE = "overrides/dags/orders.kindling.yaml"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("*.manifest.json", "__pycache__")
    folder = shutil.copytree(DOCS / "examples", tmp_path / "examples", ignore=ignored)
    return Path(folder) / EXAMPLE


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["settings", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("pipe", ["silver.orders", "gold.revenue_by_day"])
def test_it_shows_what_the_task_gets(
    path: Path, capsys: pytest.CaptureFixture[str], pipe: str
) -> None:
    document = shown(capsys, str(path), pipe)
    spec = compile_definition(Definition.from_file(path)).spec
    (task,) = [task for task in spec.tasks() if task.pipe_id == pipe]
    found: dict[str, Any] = {}
    for setting in document.pop("settings"):
        place = found
        for key in setting["key"][:-1]:
            place = place.setdefault(key, {})
        place[setting["key"][-1]] = setting["value"]
    assert found == task.settings.to_json()
    assert document == {
        "dag_id": "orders",
        "pipe_id": pipe,
        "task_id": task.task_id,
        "priority_weight": task.priority_weight,
        "trigger_rule": "none_failed",
    }


def test_the_text_has_each_setting_with_its_source(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = path.read_text().replace("silver.orders:\n", "silver.orders:\n    priority: 7\n")
    path.write_text(text.replace("conf: {spark", "conf: {a.url: 'x://u:hunter2@h', spark", 1))
    assert main(["settings", str(path), "silver.orders"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "pool jdbc override 'silver.orders' (overrides default)" in lines
    assert "priority 7 override 'silver.orders'" in lines
    assert "spark.conf.a.url x://u:***@h definition" in lines
    assert "arguments.depends_on_past true override 'silver.orders'" in lines


def test_streams_have_defaults_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    path = DOCS.parent / "dags" / "streams.kindling.yaml"
    definition = Definition.from_file(path)
    task = next(t for t in compile_definition(definition).spec.tasks() if t.stream is not None)
    document = shown(capsys, str(path), task.pipe_id)
    found = {tuple(setting["key"]): setting["value"] for setting in document["settings"]}
    assert found[("retries",)] == task.settings.retries


def test_what_it_cannot_show_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", str(path), "silver.order"]) == 2
    assert "has no pipe 'silver.order'. Did you mean 'silver.orders'?" in capsys.readouterr().err
    project = path.parents[2] / "first_pipeline" / "dags" / "orders"
    assert main(["settings", str(project), "silver.orders"]) == 2
    assert "name a definition (*.kindling.yaml)" in capsys.readouterr().err


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"kindling-airflow {__version__}\n"
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"airflow-provider-kindling {__version__}\npython 3.")
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["airflow-provider-kindling"] == __version__


def test_what_is_not_installed_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import PackageNotFoundError

    from kindling_airflow.cli import version_command

    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(version_command, "version", version)
    assert main(["version"]) == 0
    assert "sqlglot (not installed)" in capsys.readouterr().out


def test_airflow_has_both(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    from airflow.cli.cli_parser import get_parser

    (group,) = get_kindling_cli_commands()
    names = {command.name for command in group.subcommands}  # type: ignore[union-attr]
    assert {"settings", "version"} <= names
    parser = get_parser()
    called = parser.parse_args(["kindling", "settings", str(path), "silver.orders"])
    called.func(called)
    assert "Task 'silver.orders' of DAG 'orders'" in capsys.readouterr().out
    called = parser.parse_args(["kindling", "version"])
    called.func(called)
    assert f"airflow-provider-kindling {__version__}" in capsys.readouterr().out
