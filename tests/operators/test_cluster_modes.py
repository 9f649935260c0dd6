"""Cluster deploy mode: the report comes by file; what is killed is known to be dead, or not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow.providers.apache.spark.hooks.spark_submit as provider_hook
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

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
    monkeypatch.setattr("kindling_airflow.operators.driver.report_channels._PAUSE_SECONDS", 0.0)
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
        task.store.update(spark_job_id="driver-1", kindling_attempt="earlier")
        master.states["driver-1"] = "RUNNING"
        report = {"version": 1, "attempt_key": "earlier", "pipe_id": "pipe", "status": "published"}
        path = tmp_path / "warehouse" / "_kindling" / "reports" / "earlier.json"
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
        assert str(error) == (
            "Pipe 'pipe': the task was killed, and its driver with it (the master reports driver-1 "
            "as KILLED)."
        )
        assert claims(tmp_path) == []


class TestYarnByCommand:
    """Where only the command ``yarn`` can kill a driver, spark-submit waits for its end."""

    def test_the_driver_is_submitted_and_waited_for(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, "yarn")
        submit("write(); print('INFO Client: Submitted application application_1_0001')")
        install_yarn(tmp_path, "exit 0")
        task = Task(tmp_path)
        assert task.run()["status"] == "published"
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 2

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (
                0,
                ", and its driver with it (the command 'yarn' has killed application_1_0001).",
            ),
            (
                3,
                ". Whether its driver has ended is not known: 'yarn application -kill "  # noqa: ISC004
                "application_1_0001' ended with 3. Its claim is revoked: it does not publish.",
            ),
        ],
    )
    def test_the_application_is_killed_by_it(
        self,
        tmp_path: Path,
        submit: Submit,
        monkeypatch: pytest.MonkeyPatch,
        status: int,
        said: str,
    ) -> None:
        connect(monkeypatch, "yarn")
        submit("print('application_1_0001', flush=True); time.sleep(600)")
        install_yarn(tmp_path, f'echo "$@" > {tmp_path / "killed"}; exit {status}')
        task = Task(tmp_path)
        original = provider_hook.SparkSubmitHook._process_spark_submit_log

        def kill_at_the_first_line(hook: Any, lines: Iterator[str]) -> None:
            original(hook, iter([next(lines)]))
            task.operator.on_kill()
            original(hook, lines)

        monkeypatch.setattr(
            provider_hook.SparkSubmitHook, "_process_spark_submit_log", kill_at_the_first_line
        )
        assert str(task.run()) == f"Pipe 'pipe': the task was killed{said}"
        assert (tmp_path / "killed").read_text() == "application -kill application_1_0001\n"
        assert claims(tmp_path) == []

    def test_without_anything_that_kills_nothing_is_submitted(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, "yarn")
        submit("write()")
        error = Task(tmp_path).run()
        assert type(error) is AirflowFailException
        assert str(error) == (
            "Nothing was submitted: in cluster deploy mode nothing could kill the driver on YARN, "
            "because the address of its resource manager is not known\n"
            "  Fix: set yarn_resourcemanager_webapp_address in the extra of connection "
            "'spark_default' (such as http://rm:8088), or [kindling] yarn_resource_manager, or "
            "HADOOP_CONF_DIR on the worker to a folder with yarn-site.xml; or use deploy_mode "
            "client."
        )
        assert not (tmp_path / "bin" / "submissions").exists()

    @follows_drivers
    def test_a_durable_driver_needs_more_than_the_command(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, "yarn")
        install_yarn(tmp_path, "exit 0")
        submit("write()")
        error = Task(tmp_path, {"durable": True}).run()
        assert type(error) is AirflowFailException
        assert str(error).startswith("Nothing was submitted: ")


class Pods:
    """Kubernetes' API, as far as the provider asks it."""

    class ApiException(Exception):  # noqa: N818 (its name there)
        status = 404

    def __init__(self, *phases: str) -> None:
        self.phases = [*phases]
        self.deleted: list[str] = []

    def get_kube_client(self) -> Any:
        return self

    def read_namespaced_pod(self, name: str, namespace: str) -> Any:
        assert (name, namespace) == ("pipe-1-driver", "spark")
        phase = self.phases.pop(0) if len(self.phases) > 1 else self.phases[0]
        if phase == "gone":
            raise self.ApiException(phase)
        return SimpleNamespace(status=SimpleNamespace(phase=phase, container_statuses=()))

    def delete_namespaced_pod(self, name: str, namespace: str, **_options: Any) -> None:
        self.deleted.append(f"{namespace}/{name}")


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Pods:
    """A connection to Kubernetes in cluster deploy mode, and its API."""
    import airflow.providers.apache.spark.operators.spark_submit as provider_operator

    pods = Pods("Running", "Succeeded")
    monkeypatch.setattr(provider_hook, "kube_client", pods, raising=False)
    monkeypatch.setattr(provider_operator, "kube_client", pods, raising=False)
    client = SimpleNamespace(V1DeleteOptions=dict)
    monkeypatch.setitem(sys.modules, "kubernetes", SimpleNamespace(client=client))
    connect(monkeypatch, "k8s://https://127.0.0.1:6443", namespace="spark")
    return pods


@follows_drivers
class TestKubernetes:
    """The API of Kubernetes follows the driver, unless the deployment says otherwise."""

    def test_the_report_comes_by_file(
        self, tmp_path: Path, submit: Submit, pods: Pods, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.sleep", _no_pause)
        submit("write(); print('pod name: pipe-1-driver')")
        task = Task(tmp_path)
        assert task.run()["status"] == "published"
        assert pods.deleted == ["spark/pipe-1-driver"]
        pods.phases = ["Succeeded"]
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 2
        assert claims(tmp_path) == []

    @pytest.mark.parametrize(
        ("after", "said"),
        [
            (
                "gone",
                ", and its driver with it (Kubernetes has deleted pod pipe-1-driver).",
            ),
            (
                "Running",
                ". Whether its driver has ended is not known: Kubernetes reports pod pipe-1-driver "  # noqa: ISC004
                "as Running. Its claim is revoked: it does not publish.",
            ),
        ],
    )
    def test_the_log_says_what_was_seen_of_a_killed_driver(
        self,
        tmp_path: Path,
        submit: Submit,
        pods: Pods,
        monkeypatch: pytest.MonkeyPatch,
        after: str,
        said: str,
    ) -> None:
        monkeypatch.setattr("kindling_airflow.operators.driver.hook._SEEN_SECONDS", 0.1)
        submit("print('pod name: pipe-1-driver')")
        task = Task(tmp_path)
        pods.phases = ["Running"]

        def kill_while_it_runs(seconds: float) -> None:
            if seconds >= 20 and not pods.deleted:  # the provider's pause
                pods.phases = [after]
                task.operator.on_kill()
                pods.phases = ["gone"]

        monkeypatch.setattr("time.sleep", kill_while_it_runs)
        assert str(task.run()) == f"Pipe 'pipe': the task was killed{said}"
        assert pods.deleted == ["spark/pipe-1-driver"]
        assert claims(tmp_path) == []

    def test_a_spark_submit_that_waits_is_left_to_wait(
        self, tmp_path: Path, submit: Submit, pods: Pods
    ) -> None:
        submit("write(); print('exit code: 0')")
        conf = {"spark.kubernetes.submission.waitAppCompletion": "true"}
        assert Task(tmp_path, {"conf": conf}).run()["status"] == "published"


class TestKubernetesThatWaits:
    def test_the_pod_is_deleted_with_a_spark_submit_that_waits(
        self, tmp_path: Path, submit: Submit, pods: Pods, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The provider deletes it only while spark-submit runs."""
        submit("print('pod name: pipe-1-driver', flush=True); time.sleep(600)")
        task = Task(tmp_path, {"conf": {"spark.kubernetes.submission.waitAppCompletion": "true"}})
        original = provider_hook.SparkSubmitHook._process_spark_submit_log

        def kill_at_the_first_line(hook: Any, lines: Iterator[str]) -> None:
            original(hook, iter([next(lines)]))
            pods.phases = ["gone"]
            task.operator.on_kill()
            original(hook, lines)

        monkeypatch.setattr(
            provider_hook.SparkSubmitHook, "_process_spark_submit_log", kill_at_the_first_line
        )
        assert "and its driver with it (Kubernetes has deleted pod" in str(task.run())
        assert pods.deleted == ["spark/pipe-1-driver"]


class TestDeployMode:
    def test_one_that_stands_in_conf_counts_as_well(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "yarn"}')
        install_yarn(tmp_path, "exit 0")
        submit("write(reason=' '.join(sys.argv), status='skipped')")
        arguments = {"conf": {"spark.submit.deployMode": "cluster"}}
        said = str(Task(tmp_path, arguments).run())
        assert "--deploy-mode cluster" in said
        assert "spark.submit.deployMode" not in said

    def test_in_client_mode_no_file_is_asked_for(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local"}')
        submit("send(reason=repr([request['report_path'], request['claim']]), status='skipped')")
        assert str(Task(tmp_path).run()) == "Pipe 'pipe' skipped: ['', {}]"


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


def install_yarn(folder: Path, body: str) -> None:
    """Let the command ``yarn`` be a shell script, beside spark-submit."""
    command = folder / "bin" / "yarn"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f"#!/bin/sh\n{body}\n")
    command.chmod(0o755)


def claims(folder: Path) -> list[str]:
    """Return the names of the claims that stand."""
    return sorted(p.name for p in (folder / "warehouse" / "_kindling" / "claims").iterdir())
