"""The code in the pages works: it is compiled here, and, as a system test, run."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from tests.docs.pages import DOCS, PAGES, ROOT, blocks

EXAMPLES = DOCS / "examples"
FIRST = EXAMPLES / "first_pipeline"
_IGNORED = shutil.ignore_patterns("*.manifest.json", "__pycache__")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A copy of the tutorial's folder."""
    return Path(shutil.copytree(FIRST, tmp_path / "my-pipelines", ignore=_IGNORED))


def test_the_first_pipeline_compiles_to_two_generations(first: Path) -> None:
    compiled = compile_definition(Definition.from_file(first / "dags" / "orders.kindling.yaml"))
    assert [g.pipe_ids for g in compiled.plan.generations] == [
        ("silver.orders",),
        ("gold.revenue_by_day",),
    ]
    assert (compiled.spec.pool, compiled.spec.width) == ("kindling_orders", 2)


def test_the_dag_file_is_the_one_to_copy() -> None:
    copied = (FIRST / "dags" / "kindling_dags.py").read_bytes()
    assert copied == (ROOT / "dags" / "kindling_dags.py").read_bytes()


def test_a_dag_from_python_has_the_pipes_and_the_schedule(first: Path) -> None:
    dag_file = first / "dags" / "orders_dag.py"
    shutil.copy(EXAMPLES / "dag_from_python" / "orders_dag.py", dag_file)
    dag = runpy.run_path(str(dag_file))["dag"]
    assert dag.dag_id == "orders_nightly"
    assert sorted(dag.task_ids) == ["gold.revenue_by_day", "silver.orders"]
    assert dag.get_task("gold.revenue_by_day").upstream_task_ids == {"silver.orders"}
    assert dag.max_active_tasks == 2


def test_a_group_stands_between_the_other_tasks(first: Path) -> None:
    dag_file = first / "dags" / "nightly_dag.py"
    shutil.copy(EXAMPLES / "task_group" / "nightly_dag.py", dag_file)
    dag = runpy.run_path(str(dag_file))["dag"]
    assert dag.get_task("report").upstream_task_ids == {"orders.kindling_outcome"}
    assert dag.get_task("orders.silver.orders").upstream_task_ids == {"files_are_there"}


def test_the_overrides_do_what_the_page_says() -> None:
    path = EXAMPLES / "overrides" / "dags" / "orders.kindling.yaml"
    tasks = {
        t.pipe_id: t.settings for t in compile_definition(Definition.from_file(path)).spec.tasks()
    }
    silver, gold = tasks["silver.orders"], tasks["gold.revenue_by_day"]
    assert (silver.pool, silver.retries, silver.execution_timeout_seconds) == ("jdbc", 1, None)
    assert (gold.retries, gold.execution_timeout_seconds) == (3, 3600)
    assert gold.spark["conf"] == {"spark.sql.shuffle.partitions": "8"}


def test_the_broken_definition_has_the_three_problems() -> None:
    with pytest.raises(DefinitionError) as refused:
        Definition.from_file(EXAMPLES / "broken" / "dags" / "orders.kindling.yaml")
    assert len(refused.value.problems) == 3


def test_request_and_report_are_of_this_release_and_of_one_attempt() -> None:
    texts = {n: (EXAMPLES / f"silver.flights.{n}.json").read_text() for n in ("request", "report")}
    request, report = RunRequest.loads(texts["request"]), RunReport.loads(texts["report"])
    for text, contract in ((texts["request"], RunRequest), (texts["report"], RunReport)):
        assert set(json.loads(text)) == {"version", *(f.name for f in fields(contract))}
    assert report.attempt_key == request.attempt_key
    assert (report.pipe_id, report.plan_digest) == (request.pipe_id, request.plan_digest)
    compiled = compile_definition(Definition.from_file(ROOT / "dags" / "flights.kindling.yaml"))
    task = compiled.spec.find(request.task_id)
    assert task is not None
    assert (task.pipe_id, compiled.definition.modules) == (request.pipe_id, request.modules)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_and_python_blocks_can_be_read(page: Path) -> None:
    for text in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(text), dict)
    for text in blocks(page, "python"):
        if not text.startswith(">>>"):
            compile(
                text if "def " in text or "@" not in text else f"{text}def f(): ...", "-", "exec"
            )


@pytest.mark.system
def test_the_first_pipeline_does_what_the_tutorial_says(first: Path) -> None:
    for pipe_id in ("silver.orders", "gold.revenue_by_day"):
        assert _run(first, pipe_id).status == "published"
    table = _table_of(first)
    assert table in blocks(DOCS / "tutorial.md", "text")

    source = first / "warehouse" / "landing" / "orders.csv"
    source.write_text(source.read_text().replace("amount", "total"))
    assert _run(first, "silver.orders").status == "failed"
    assert _table_of(first) == table


def _run(folder: Path, pipe_id: str) -> RunReport:
    """Run a pipe in a driver of its own, as its task does."""
    request = RunRequest(
        attempt_key="attempt",
        pipe_id=pipe_id,
        project_root=str(folder / "dags" / "orders"),
        modules=("orders_pipeline",),
        warehouse=str(folder / "warehouse"),
    )
    command: list[Any] = [Path(sys.executable).parent / "spark-submit", "--master", "local[1]"]
    command += ["--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=2"]
    command += ["--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"]
    command += [ROOT / "kindling_airflow" / "runner" / "main.py"]
    done = subprocess.run(
        [*command, request.dumps()],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    marked = [line for line in done.stdout.splitlines() if line.startswith("KINDLING-REPORT ")]
    assert len(marked) == 1, done.stderr[-4000:]
    return RunReport.loads(marked[0].removeprefix("KINDLING-REPORT "))


def _table_of(folder: Path) -> str:
    script = (FIRST / "show_table.sh").read_text().replace("python -c", f"{sys.executable} -c")
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout
