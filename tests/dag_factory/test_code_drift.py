"""Two workers with different copies of a project under one plan: each task says so, or fails."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk.definitions.context import (
    _AIRFLOW_PARSING_CONTEXT_DAG_ID,
    _AIRFLOW_PARSING_CONTEXT_TASK_ID,
)

from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory.factory import load_dags
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import RunRequest
from tests.dag_factory.projects import write_definition
from tests.dag_factory.test_load_dags import DROP_IN

MODE = "AIRFLOW__KINDLING__CODE_DRIFT"
PIPES = """\
from kindling_airflow import DataPipes
from shop import rates

@DataPipes.pipe(pipeid="a", input_entity_ids=["raw"], output_entity_id="a.out")
def a(raw):
    return raw.where("amount > 0")

@DataPipes.pipe(pipeid="b", input_entity_ids=["a.out"], output_entity_id="b.out")
def b(a_out):
    from shop import late
    return a_out
"""


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The copy of the DAGs folder on the first worker."""
    folder = tmp_path / "first"
    files = {"__init__": "", "pipes": PIPES, "rates": "EUR = 1.1\n", "late": "FACTOR = 2\n"}
    (folder / "project" / "shop").mkdir(parents=True)
    for name, text in files.items():
        (folder / "project" / "shop" / f"{name}.py").write_text(text)
    write_definition(
        folder / "shop.kindling.yaml",
        "dag_id: shop\nproject: {path: project, modules: [shop.pipes]}\n",
    )
    shutil.copy(DROP_IN, folder)
    return folder


@pytest.fixture
def second(first: Path) -> Path:
    """The copy on the second worker: the body of one function is another."""
    folder = copied(first)
    edit(folder, "pipes", "amount > 0", "amount > 1")
    return folder


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name("second")))


def edit(folder: Path, module: str, old: str, new: str) -> None:
    path = folder / "project" / "shop" / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def compile_(folder: Path) -> None:
    assert main(["compile", str(folder / "shop.kindling.yaml")]) == 0


class Worker:
    """What a worker with this DAGs folder does for one task after another of a run."""

    def __init__(self, folder: Path, reports: dict[str, Any]) -> None:
        self._folder = folder
        self._reports = reports

    def start(self, task_id: str) -> tuple[KindlingPipeOperator, RunRequest]:
        """Parse the DAG file for a task, make the checks before it, return its request."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "shop")
            patch.setenv(_AIRFLOW_PARSING_CONTEXT_TASK_ID, task_id)
            (dag,) = load_dags(self._folder / "kindling_dags.py").values()
        task: Any = dag.get_task(task_id)
        ti = SimpleNamespace(
            task=task,
            task_id=task_id,
            dag_id="shop",
            run_id="run",
            try_number=1,
            xcom_pull=lambda task_ids, key: self._reports.get(task_ids),
        )
        context: Any = {"ti": ti, "dag_run": SimpleNamespace(conf={}), "params": {}, "dag": dag}
        task._pre_execute_hook(context)
        return task, task._request(context)

    def finish(self, task_id: str) -> RunRequest:
        """Run a task whose driver finds what its request names."""
        _, request = self.start(task_id)
        self._reports[task_id] = {
            "plan_digest": request.plan_digest,
            "code_digest": request.code_digest,
        }
        return request


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    return [text for text in found if "code" in text]


@pytest.fixture
def caplog(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    log = logging.getLogger("a task of a test")
    monkeypatch.setattr(KindlingPipeOperator, "log", log)
    return caplog


@pytest.mark.parametrize("is_compiled", [False, True])
def test_one_plan_with_two_copies_of_the_code_is_noticed(
    first: Path, second: Path, caplog: pytest.LogCaptureFixture, is_compiled: bool
) -> None:
    if is_compiled:
        compile_(first)
        compile_(second)
    reports: dict[str, Any] = {}
    one = Worker(first, reports).finish("a")
    _, two = Worker(second, reports).start("b")
    assert one.plan_digest == two.plan_digest
    assert one.code_digest != two.code_digest
    (text,) = lines(caplog)
    assert text == (
        "this run mixes two states of the project's code: this task has code "
        f"{two.code_digest}, upstream tasks had others: 'a' ({one.code_digest})\n"
        "  Fix: deploy the same copy of the project to every worker, or use a package; then start "
        "a new run."
    )


@pytest.mark.parametrize("is_compiled", [False, True])
def test_equal_copies_are_no_news(
    first: Path, caplog: pytest.LogCaptureFixture, is_compiled: bool
) -> None:
    if is_compiled:
        compile_(first)
    second, reports = copied(first), {}
    (second / "project" / "shop" / "data.csv").write_text("1\n")
    (second / "project" / "other.py").write_text("X = 1\n")
    one, two = Worker(first, reports).finish("a"), Worker(second, reports).finish("b")
    assert one.code_digest == two.code_digest != ""
    assert one.code_roots == two.code_roots == ("shop",)
    assert lines(caplog) == []


def test_a_module_that_is_imported_late_counts(first: Path) -> None:
    second = copied(first)
    edit(second, "late", "2", "3")
    one, two = Worker(first, {}).finish("b"), Worker(second, {}).finish("b")
    assert one.plan_digest == two.plan_digest
    assert one.code_digest != two.code_digest


def test_mixed_code_can_fail_the_task_and_another_try_may_succeed(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODE, "fail")
    reports: dict[str, Any] = {}
    Worker(first, reports).finish("a")
    with pytest.raises(AirflowException, match="mixes two states") as failed:
        Worker(second, reports).start("b")
    assert not isinstance(failed.value, AirflowFailException)
    assert Worker(first, reports).finish("b").code_drift == "fail"


def test_mixed_code_can_be_ignored(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(MODE, "ignore")
    compile_(first)
    shutil.copy(first / "shop.manifest.json", second)
    reports: dict[str, Any] = {}
    Worker(first, reports).finish("a")
    assert Worker(second, reports).finish("b").code_drift == "ignore"
    assert lines(caplog) == []


def test_a_copy_that_differs_from_the_compiled_manifest_is_noticed_by_every_task(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compile_(first)
    shutil.copy(first / "shop.manifest.json", second)
    text = (
        "the project's code on this worker differs from that of the compiled manifest: "
        "'shop/pipes.py'\n"
        "  Fix: compile the manifest again, and deploy it with the same copy of the project to "
        "every worker."
    )
    assert Worker(second, {}).finish("a").code_digest != Worker(first, {}).finish("a").code_digest
    assert lines(caplog) == [text]
    monkeypatch.setenv(MODE, "fail")
    with pytest.raises(AirflowException) as failed:
        Worker(second, {}).start("a")
    assert str(failed.value) == text


def test_the_compiled_manifest_names_the_code_that_it_was_made_from(first: Path) -> None:
    harvested = Worker(first, {}).finish("b")
    compile_(first)
    second = copied(first)
    edit(second, "late", "2", "3")  # is not imported when a project is harvested
    asked = Worker(second, {}).finish("b")
    assert asked.code_digest == harvested.code_digest


def test_a_manifest_of_an_earlier_build_is_compiled_anew(first: Path) -> None:
    expected = Worker(first, {}).finish("b")
    compile_(first)
    path = first / "shop.manifest.json"
    head, start, tail = path.read_text().partition('"guard": ')
    line, end, rest = tail.partition(",\n")
    guard = json.loads(line)
    del guard["code"]
    path.write_text(head + start + json.dumps(guard) + end + rest)
    found = Worker(first, {}).finish("b")
    assert (found.code_digest, found.code_roots) == (expected.code_digest, ("shop",))


def test_code_that_cannot_be_identified_is_reported(
    first: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kindling_airflow.manifest.project_code.MOST_ENTRIES", 2)
    request = Worker(first, {}).finish("a")
    assert request.code_digest == ""
    (text,) = lines(caplog)
    assert "cannot be identified: more than 2 files and folders are beneath 'shop'" in text
    monkeypatch.setenv(MODE, "fail")
    with pytest.raises(AirflowException, match="cannot be identified"):
        Worker(first, {}).start("a")


def test_an_unknown_mode_is_an_error(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODE, "loudly")
    with pytest.raises(AirflowFailException) as failed:
        Worker(first, {}).start("a")
    assert str(failed.value) == (
        "[kindling] code_drift is 'loudly'\n  Fix: set it to one of warn, fail, ignore."
    )
