"""Cluster deploy mode: the report comes by file, and a task that runs again does run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import airflow.providers.apache.spark.hooks.spark_submit as provider_hook
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.report_file import _place, read_report_file, report_path
from kindling_airflow.operators.driver.submitting import SubmittingOperator
from tests.operators.stand_ins import Master, Task, install_submit, standalone_master

Submit = Callable[[str], None]

follows_drivers = pytest.mark.skipif(
    not hasattr(provider_hook.SparkSubmitHook, "query_yarn_application_status"),
    reason="the Spark provider does not remember drivers before 6.3",
)
COUNT = "open(Path(__file__).parent / 'submissions', 'a').write('x')\n"


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    return lambda body: install_submit(tmp_path, monkeypatch, COUNT + body)


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Iterator[Master]:
    """A standalone master, and the connection to it in cluster deploy mode."""
    monkeypatch.setattr("kindling_airflow.operators.driver.report_file._PAUSE_SECONDS", 0.0)
    with standalone_master() as served:
        extra = {"deploy-mode": "cluster", "rest-port": served.port}
        connection = {"conn_type": "spark", "host": "spark://127.0.0.1", "port": 7077}
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({**connection, "extra": extra}))
        yield served


def connect(monkeypatch: pytest.MonkeyPatch, host: str, **extra: Any) -> None:
    said = {"conn_type": "spark", "host": host, "extra": {"deploy-mode": "cluster", **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(said))


def submissions(folder: Path) -> int:
    return len((folder / "bin" / "submissions").read_text())


@follows_drivers
class TestStandalone:
    def test_the_report_comes_by_a_file_that_is_taken_away(
        self, tmp_path: Path, submit: Submit, master: Master
    ) -> None:
        master.states["driver-1"] = "FINISHED"
        submit("write(); print('Driver successfully submitted as driver-1')")
        task = Task(tmp_path)
        assert task.run()["status"] == "published"
        assert task.pushed["kindling_report"]["rows_written"] == 3
        assert list((tmp_path / "warehouse" / "_kindling" / "reports").iterdir()) == []

    def test_a_task_that_succeeded_and_is_cleared_runs_again(
        self, tmp_path: Path, submit: Submit, master: Master
    ) -> None:
        master.states["driver-1"] = "FINISHED"
        submit("write(); print('submitted as driver-1')")
        task = Task(tmp_path)
        assert task.run()["status"] == "published"
        assert task.store == {}
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 2

    def test_a_driver_that_ended_while_nobody_looked_does_not_count(
        self, tmp_path: Path, submit: Submit, master: Master
    ) -> None:
        """Whether the task was cleared, or its worker lost, cannot be told apart."""
        master.states.update({"driver-1": "FINISHED", "driver-2": "FINISHED"})
        submit("write(); print('submitted as driver-2')")
        task = Task(tmp_path)
        task.store.update(spark_job_id="driver-1", kindling_attempt="earlier")
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 1

    def test_a_driver_that_is_still_at_work_is_taken_up(
        self, tmp_path: Path, submit: Submit, master: Master
    ) -> None:
        """Its worker was lost; the report that counts is the one that this driver was asked for."""
        submit("sys.exit('a second driver')")
        task = Task(tmp_path)
        warehouse = str(tmp_path / "warehouse")
        task.store.update(
            spark_job_id="driver-1", kindling_attempt="earlier", kindling_warehouse=warehouse
        )
        master.states["driver-1"] = "RUNNING"
        report = {"version": 1, "attempt_key": "earlier", "pipe_id": "pipe", "status": "published"}
        path = Path(report_path(warehouse, "earlier"))
        path.parent.mkdir(parents=True)
        path.write_text(f"KINDLING-REPORT {json.dumps(report)}")
        # It ends when it is asked for the second time.
        states = iter(["RUNNING", "FINISHED"])
        master.states = _Changing(states)
        assert task.run()["attempt_key"] == "earlier"
        assert not (tmp_path / "bin" / "submissions").exists()
        assert task.store == {}

    def test_a_driver_that_the_master_does_not_know_any_more_is_replaced(
        self, tmp_path: Path, submit: Submit, master: Master, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(SubmittingOperator._fetch_driver_status.retry, "sleep", _no_pause)
        master.states["driver-2"] = "FINISHED"
        submit("write(); print('submitted as driver-2')")
        task = Task(tmp_path)
        task.store.update(spark_job_id="driver-1", kindling_attempt="earlier")
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 1

    def test_a_driver_that_fails_says_why(
        self, tmp_path: Path, submit: Submit, master: Master
    ) -> None:
        master.states["driver-1"] = "FAILED"
        submit(
            "write(status='failed', extra={'permanent': True},"
            " error={'type': 'AnalysisException', 'message': 'no column x'})\n"
            "print('submitted as driver-1')"
        )
        error = Task(tmp_path).run()
        assert type(error) is AirflowFailException
        assert str(error) == "Pipe 'pipe' failed: AnalysisException: no column x"

    def test_no_report_is_no_success(self, tmp_path: Path, submit: Submit, master: Master) -> None:
        master.states["driver-1"] = "FINISHED"
        submit("print('submitted as driver-1')")
        error = Task(tmp_path).run()
        assert type(error) is AirflowException
        assert str(error) == (
            "Pipe 'pipe': no report was received from its driver, so nothing proves that its "
            "output was published. The driver ended with status 0.\n"
            "  Fix: find what ended the driver early (os._exit or sys.exit in the pipe, a killed "
            "process, lack of memory); in cluster deploy mode, driver and worker need the same "
            "warehouse."
        )

    def test_the_driver_is_killed_with_its_task(
        self, tmp_path: Path, submit: Submit, master: Master, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit("print('submitted as driver-1')")
        task = Task(tmp_path)
        master.states["driver-1"] = "RUNNING"

        def kill_while_it_runs(_seconds: float) -> None:
            hook = task.operator._hook
            if hook is not None and hook._driver_id:  # others sleep as well
                task.operator.on_kill()

        monkeypatch.setattr("time.sleep", kill_while_it_runs)
        error = task.run()
        assert master.killed == ["driver-1"]
        assert str(error) == ("Pipe 'pipe': the task was killed, and its driver with it.")


class TestYarn:
    def test_default_arguments_work(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, "yarn")
        submit("write(); print('INFO Client: Submitted application application_1_0001')")
        task = Task(tmp_path)
        assert task.run()["status"] == "published"
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 2

    @follows_drivers
    def test_durable_without_the_api_is_refused_as_by_the_provider(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, "yarn")
        submit("write()")
        error = Task(tmp_path, {"durable": True}).run()
        assert type(error) is ValueError
        assert "requires yarn_track_via_rm_api=True" in str(error)

    def test_the_application_is_killed_without_the_api(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, "yarn")
        yarn = tmp_path / "bin" / "yarn"
        submit("print('application_1_0001', flush=True); time.sleep(600)")
        yarn.write_text(f'#!/bin/sh\necho "$@" > {tmp_path / "killed"}\n')
        yarn.chmod(0o755)
        task = Task(tmp_path)
        original = provider_hook.SparkSubmitHook._process_spark_submit_log

        def kill_at_the_first_line(hook: Any, lines: Iterator[str]) -> None:
            original(hook, iter([next(lines)]))
            task.operator.on_kill()
            original(hook, lines)

        monkeypatch.setattr(
            provider_hook.SparkSubmitHook, "_process_spark_submit_log", kill_at_the_first_line
        )
        error = task.run()
        assert "the task was killed" in str(error)
        assert (tmp_path / "killed").read_text() == "application -kill application_1_0001\n"

    @follows_drivers
    def test_without_the_command_the_api_is_asked(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, "yarn", yarn_resourcemanager_webapp_address="http://127.0.0.1:1")
        submit("print('application_1_0001')\nwrite()")
        asked: list[str] = []
        monkeypatch.setattr(
            provider_hook.SparkSubmitHook,
            "_kill_yarn_application",
            lambda _hook, application: asked.append(application),
        )
        monkeypatch.setattr(provider_hook.SparkSubmitHook, "on_kill", _no_such_command)
        task = Task(tmp_path)
        task.run()
        task.operator.on_kill()
        assert asked == ["application_1_0001"]


class TestKubernetes:
    def test_the_report_comes_by_file(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(provider_hook, "kube_client", object(), raising=False)
        connect(monkeypatch, "k8s://https://127.0.0.1:6443", namespace="spark")
        submit("write(); print('exit code: 0')")
        task = Task(tmp_path)
        assert task.run()["status"] == "published"
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 2


class TestTheFile:
    def test_a_deploy_mode_that_stands_in_conf_counts_as_well(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "yarn"}')
        submit("write()")
        arguments = {"conf": {"spark.submit.deployMode": "cluster"}}
        assert Task(tmp_path, arguments).run()["status"] == "published"

    def test_in_client_mode_no_file_is_asked_for(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local"}')
        submit("send(reason=repr(request['report_path']), status='skipped')")
        assert str(Task(tmp_path).run()) == "Pipe 'pipe' skipped: ''"

    def test_a_file_that_shows_late_is_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "report.json"
        text = 'KINDLING-REPORT {"version": 1}'
        monkeypatch.setattr("time.sleep", lambda _seconds: path.write_text(text))
        assert read_report_file(str(path)) == '{"version": 1}'
        assert not path.exists()

    def test_a_uri_of_a_shared_folder_is_a_path(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_text("KINDLING-REPORT {}")
        assert read_report_file(f"file://{path}") == "{}"

    @pytest.mark.parametrize(
        ("said", "meant"),
        [("s3a://lake/w/r.json", "s3://lake/w/r.json"), ("gs://l/r", "gs://l/r")],
    )
    def test_object_stores_are_read_through_airflow(
        self, said: str, meant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[Any] = []
        monkeypatch.setenv("AIRFLOW__KINDLING__WAREHOUSE_CONN_ID", "lake")
        monkeypatch.setattr(
            "airflow.sdk.ObjectStoragePath", lambda uri, conn_id: made.append((uri, conn_id))
        )
        _place(said)
        assert made == [(meant, "lake")]

    def test_a_store_that_the_worker_cannot_read_is_an_error_that_says_so(self) -> None:
        with pytest.raises(ReportError) as refused:
            read_report_file("nosuch://lake/_kindling/reports/k.json")
        text = str(refused.value)
        assert text.startswith(
            "the report of a driver on the cluster cannot be read from "
            "'nosuch://lake/_kindling/reports/k.json': "
        )
        assert text.endswith(
            "  Fix: give the worker access to the warehouse: install the Airflow provider of its "
            "storage, and set [kindling] warehouse_conn_id to the connection."
        )


class _Changing(dict[str, str]):
    """A driver's states, one for each time that it is asked for."""

    def __init__(self, states: Iterator[str]) -> None:
        self._states = states

    def __contains__(self, driver: object) -> bool:
        return True

    def get(self, driver: str, default: Any = None) -> Any:
        return next(self._states)


def _no_pause(_seconds: float) -> None:
    pass


def _no_such_command(_hook: Any) -> None:
    raise FileNotFoundError("yarn")
