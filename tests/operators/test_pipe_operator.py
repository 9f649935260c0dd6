"""The operator against drivers that print what they like: real processes named spark-submit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)
from structlog.testing import capture_logs

from kindling_airflow.common.immutable import freeze
from kindling_airflow.operators.driver.hook import interpreter_defaults
from kindling_airflow.operators.pipe import KindlingPipeOperator, warehouse_root
from kindling_airflow.protocol.contracts import REPORT_MARKER, RunReport, RunRequest
from tests.operators.stand_ins import install_submit

Driver = Callable[[str], None]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Let ``spark-submit`` be a program with this body."""
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    return lambda body: install_submit(tmp_path, monkeypatch, body)


class Pushed(dict[str, Any]):
    """The task instance's XComs."""


def run(tmp_path: Path, **arguments: Any) -> tuple[Any, Pushed]:
    pushed = Pushed()
    operator = KindlingPipeOperator(
        task_id="task",
        pipe_id="pipe",
        project_root=str(tmp_path),
        modules=["pipes"],
        warehouse=str(tmp_path / "warehouse"),
        **arguments,
    )
    ti = SimpleNamespace(
        dag_id="dag",
        run_id="run",
        task_id="task",
        try_number=1,
        xcom_push=pushed.__setitem__,
    )
    context: Any = {"ti": ti, "dag_run": SimpleNamespace()}
    try:
        return operator.execute(context), pushed
    except Exception as error:
        return error, pushed


def test_a_published_report_is_success_and_the_tasks_xcom(tmp_path: Path, driver: Driver) -> None:
    driver("print('working'); send()")
    result, pushed = run(tmp_path)
    assert result == pushed["kindling_report"]
    assert (result["status"], result["rows_written"]) == ("published", 3)
    assert result["inputs"] == [{"entity_id": "in", "rows": 5}]


def test_the_request_names_everything_that_the_driver_needs(tmp_path: Path, driver: Driver) -> None:
    driver(f"open({str(tmp_path / 'request')!r}, 'w').write(sys.argv[-1]); send()")
    settings = {"entities": {"in": {"merge_columns": ("id",), "tags": {"x": 1}}}}
    run(tmp_path, plan_digest="sha256:1", settings=settings)
    request = RunRequest.loads((tmp_path / "request").read_text())
    assert request == RunRequest(
        attempt_key=request.attempt_key,
        pipe_id="pipe",
        project_root=str(tmp_path),
        modules=("pipes",),
        warehouse=str(tmp_path / "warehouse"),
        plan_digest="sha256:1",
        dag_id="dag",
        run_id="run",
        task_id="task",
        settings=freeze(settings),
        attempt_order="000000001",
    )


def test_every_attempt_has_a_key_of_its_own(tmp_path: Path, driver: Driver) -> None:
    driver(f"open({str(tmp_path / 'keys')!r}, 'a').write(request['attempt_key'] + ' '); send()")
    run(tmp_path)
    run(tmp_path)
    first, second = (tmp_path / "keys").read_text().split()
    assert first != second


def test_the_driver_of_an_earlier_attempt_has_ended_when_the_next_one_starts(
    tmp_path: Path, driver: Driver
) -> None:
    warehouse = str(tmp_path / "warehouse")
    earlier = RunRequest(
        "earlier", "pipe", "", (), warehouse, dag_id="dag", run_id="run", task_id="task",
        attempt_order="000000000",
    )  # fmt: skip
    command = [sys.executable, "-c", "input()", earlier.dumps()]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        state = f"open('/proc/{process.pid}/stat').read().rpartition(')')[2].split()[0]"
        driver(f"send(reason={state})")
        result, _ = run(tmp_path)
        process.kill()
    assert (result["reason"], process.returncode) == ("Z", -9)


def test_a_driver_that_ends_well_without_a_report_fails(tmp_path: Path, driver: Driver) -> None:
    driver("print('all fine')")
    error, pushed = run(tmp_path)
    assert type(error) is AirflowException
    assert str(error) == (
        "Pipe 'pipe': no report was received from its driver, so nothing proves that its output "
        "was published. The driver ended with status 0.\n"
        "  Fix: find what ended the driver early (os._exit or sys.exit in the pipe, a killed "
        "process, lack of memory); in cluster deploy mode, driver and worker need the same "
        "warehouse."
    )
    assert pushed == {}


def test_a_report_of_another_attempt_does_not_count(tmp_path: Path, driver: Driver) -> None:
    driver("send(attempt_key='yesterday')")
    error, _ = run(tmp_path)
    assert type(error) is AirflowException
    assert "the report received is from another attempt (yesterday)" in str(error)


def test_a_report_of_another_release_is_an_error_that_says_so(
    tmp_path: Path, driver: Driver
) -> None:
    driver("send(version=99)")
    error, _ = run(tmp_path)
    assert type(error) is AirflowException
    assert "the run report is not of version 1" in str(error)


def test_a_garbled_report_fails(tmp_path: Path, driver: Driver) -> None:
    driver(f"print('{REPORT_MARKER}' + '{{not json')")
    error, _ = run(tmp_path)
    assert "the run report is not a JSON document" in str(error)


def test_a_report_behind_other_text_on_its_line_is_found(tmp_path: Path, driver: Driver) -> None:
    driver("sys.stdout.write('no line end ... '); send()")
    assert run(tmp_path)[0]["status"] == "published"


def test_a_killed_driver_fails(tmp_path: Path, driver: Driver) -> None:
    driver("os.kill(os.getpid(), signal.SIGKILL)")
    error, _ = run(tmp_path)
    assert type(error) is AirflowException
    assert "Error code is: -9" in str(error)


def test_a_failed_report_is_a_failure_that_may_be_retried(tmp_path: Path, driver: Driver) -> None:
    driver(
        "send(status='failed',"
        " error={'type': 'OSError', 'message': 'disk full', 'traceback': 'T'})\n"
        "sys.exit(1)"
    )
    error, pushed = run(tmp_path)
    assert type(error) is AirflowException
    assert str(error) == "Pipe 'pipe' failed: OSError: disk full"
    assert pushed["kindling_report"]["status"] == "failed"


def test_a_failure_that_cannot_heal_is_not_retried(tmp_path: Path, driver: Driver) -> None:
    driver(
        "send(status='failed', extra={'permanent': True},"
        " error={'type': 'AnalysisException', 'message': 'no column x'})"
    )
    assert type(run(tmp_path)[0]) is AirflowFailException


def test_a_failed_report_without_a_reason_fails(tmp_path: Path, driver: Driver) -> None:
    driver("send(status='failed')")
    assert str(run(tmp_path)[0]) == "Pipe 'pipe' failed without an error in its report."


def test_a_skipped_report_skips_the_task(tmp_path: Path, driver: Driver) -> None:
    driver("send(status='skipped', reason=\"'in' has no rows\")")
    error, pushed = run(tmp_path)
    assert type(error) is AirflowSkipException
    assert str(error) == "Pipe 'pipe' skipped: 'in' has no rows"
    assert pushed["kindling_report"]["status"] == "skipped"


def test_what_is_published_stays_a_success_when_the_driver_ends_badly(
    tmp_path: Path, driver: Driver
) -> None:
    driver("send(); sys.exit(3)")
    assert run(tmp_path)[0]["status"] == "published"


def test_what_a_pipe_does_not_keep_is_a_warning_in_the_tasks_log(
    tmp_path: Path, driver: Driver
) -> None:
    item = {
        "name": "unique(id)",
        "expects": "id is unique",
        "on_violation": "warn",
        "outcome": "warned",
        "rows": 1000,
        "violations": 3,
    }
    driver(f"send(expectations=[{item!r}])")
    with capture_logs() as records:
        result, _ = run(tmp_path)
    assert result["expectations"] == [item]
    told = "expectation 'unique(id)' warned (id is unique): 3 of 1,000 rows (0.3 %)"
    warnings = [record for record in records if record["log_level"] == "warning"]
    assert told in [word for r in warnings for word in (r["event"], *r.get("positional_args", ()))]


def test_the_driver_inherits_no_standard_input(tmp_path: Path, driver: Driver) -> None:
    driver("send(reason=repr(sys.stdin.read()), status='skipped')")
    assert "''" in str(run(tmp_path)[0])


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_the_driver_dies_with_the_process_that_started_it(tmp_path: Path, driver: Driver) -> None:
    driver(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    program = (
        "from tests.operators.test_pipe_operator import run; from pathlib import Path; "
        f"run(Path({str(tmp_path)!r}))"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    pid_file = tmp_path / "pid"
    try:
        _until(lambda: pid_file.exists() and pid_file.read_text() != "")
    finally:
        worker.kill()
        worker.wait()
    driver_pid = int(pid_file.read_text())
    _until(lambda: not _is_alive(driver_pid))


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("this did not happen within a minute")


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # an orphan that nobody reaps is dead all the same


def test_arguments_of_the_providers_operator_pass_through() -> None:
    operator = KindlingPipeOperator(
        task_id="t",
        pipe_id="p",
        project_root="/p",
        modules=[],
        conf={"spark.a": "1"},
        executor_memory="2g",
        num_executors=3,
    )
    assert (operator.conf, operator.name) == ({"spark.a": "1"}, "p")
    assert (operator._executor_memory, operator._num_executors) == ("2g", 3)
    assert "warehouse" in KindlingPipeOperator.template_fields


def test_the_driver_runs_on_the_tasks_python_unless_the_deployment_says_otherwise() -> None:
    path = os.environ["PATH"]
    assert interpreter_defaults({"PATH": path}, "local[2]", "sh") == {
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": sys.executable,
    }
    assert interpreter_defaults({"PATH": path}, "spark://host:7077", "sh") == {
        "PYSPARK_DRIVER_PYTHON": sys.executable
    }
    assert interpreter_defaults({"PATH": path, "PYSPARK_PYTHON": "python3"}, "local", "sh") == {}


def test_a_spark_submit_beside_the_interpreter_is_found_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spark-submit").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    defaults = interpreter_defaults({"PATH": str(tmp_path)}, "yarn", "spark-submit")
    assert defaults["PATH"] == f"{tmp_path}{os.pathsep}{tmp_path / 'bin'}"


def test_a_relative_warehouse_starts_from_airflow_home(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.configuration import AIRFLOW_HOME

    monkeypatch.delenv("AIRFLOW__KINDLING__WAREHOUSE", raising=False)
    assert warehouse_root(None) == f"{AIRFLOW_HOME}/warehouse"
    assert warehouse_root("lake") == f"{AIRFLOW_HOME}/lake"
    assert warehouse_root("/lake") == "/lake"
    assert warehouse_root("s3a://lake/x") == "s3a://lake/x"
    monkeypatch.setenv("AIRFLOW__KINDLING__WAREHOUSE", "/configured")
    assert warehouse_root(None) == "/configured"


def test_the_report_is_one_line_that_survives_the_way_back() -> None:
    report = RunReport(attempt_key="k", pipe_id="p\nq", status="skipped", reason="a\nb\u2028c")
    line = report.line()
    assert len(line.splitlines()) == 1
    assert RunReport.loads(line.removeprefix(REPORT_MARKER)) == report
    assert json.loads(line.removeprefix(REPORT_MARKER))["version"] == 1
