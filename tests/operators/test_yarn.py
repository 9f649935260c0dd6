"""YARN in cluster mode: followed, killed and taken up through the resource manager's interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import airflow.providers.apache.spark.hooks.spark_submit as provider_hook
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from structlog.testing import capture_logs

from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.report_channels import FolderChannel
from kindling_airflow.operators.driver.yarn import NoAnswerError, ResourceManager
from kindling_airflow.protocol.contracts import TaskClaim
from tests.operators.stand_ins import Task, Yarn, install_submit, yarn_cluster

Submit = Callable[[str], None]
follows_drivers = pytest.mark.skipif(
    not hasattr(provider_hook.SparkSubmitHook, "query_yarn_application_status"),
    reason="the Spark provider does not remember drivers before 6.3",
)
COUNT = "open(Path(__file__).parent / 'submissions', 'a').write('x')\n"
APP = "application_1_0001"


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    return lambda body: install_submit(tmp_path, monkeypatch, COUNT + body)


@pytest.fixture
def yarn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Yarn]:
    """YARN, and the connection to it in cluster deploy mode."""
    monkeypatch.setattr("kindling_airflow.operators.driver.report_channels._PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("kindling_airflow.operators.driver.yarn_driver._POLL_SECONDS", 0.01)
    monkeypatch.setattr("kindling_airflow.operators.driver.cluster_run._KILL_SECONDS", 0.3)
    monkeypatch.setenv("HADOOP_USER_NAME", "etl")
    with yarn_cluster() as served:
        monkeypatch.setenv("STAND_IN_YARN", served.address)
        connect(monkeypatch, yarn_resourcemanager_webapp_address=served.address)
        yield served


def connect(monkeypatch: pytest.MonkeyPatch, **extra: Any) -> None:
    said = {"conn_type": "spark", "host": "yarn", "extra": {"deploy-mode": "cluster", **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(said))


def task_of(folder: Path, **arguments: Any) -> Task:
    return Task(folder, {"status_poll_interval": 0, **arguments})


def submissions(folder: Path) -> int:
    counted = folder / "bin" / "submissions"
    return len(counted.read_text()) if counted.exists() else 0


def kindling(folder: Path, kind: str) -> list[str]:
    place = folder / "warehouse" / "_kindling" / kind
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def earlier(folder: Path, **changes: Any) -> Task:
    """Return a task whose first try was lost while its driver, of attempt ``lost``, ran."""
    task = task_of(folder, **changes.pop("arguments", {}))
    lost = changes.pop("lost", "lost")
    task.run_before("000000001", TaskClaim(lost, "", **{"max_tries": 1, **changes}))
    return task


def report(folder: Path, key: str, **changes: Any) -> None:
    document = {"version": 1, "attempt_key": key, "pipe_id": "pipe", "status": "published"}
    path = folder / "warehouse" / "_kindling" / "reports" / f"{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"hello\nKINDLING-REPORT {json.dumps({**document, **changes})}\n")


def kill_when_running(monkeypatch: pytest.MonkeyPatch, task: Task) -> None:
    """End a task from outside, as Airflow's signal does, while it waits for its driver."""
    monkeypatch.setattr(
        "kindling_airflow.operators.driver.yarn_driver.time.sleep",
        lambda _seconds: None if task.operator.was_killed else task.operator.on_kill(),
    )


class TestOneRun:
    def test_the_driver_is_followed_to_its_end_and_leaves_nothing(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        submit(f"write(); on_yarn('{APP}', 'ACCEPTED', 'RUNNING', 'RUNNING', 'FINISHED')")
        task = task_of(tmp_path)
        assert task.run()["status"] == "published"
        assert yarn.apps[APP]["states"] == ["FINISHED"]
        assert task.pushed["_link_SparkPagesLink"] == f"{yarn.address}/proxy/{APP}/"
        assert task.run()["status"] == "published"  # cleared: it runs again
        assert submissions(tmp_path) == 2
        assert [kindling(tmp_path, kind) for kind in ("claims", "leases", "reports")] == [[]] * 3

    def test_what_the_driver_printed_is_in_the_tasks_log(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        submit(f"write('hello from the pipe\\n'); on_yarn('{APP}', 'FINISHED')")
        with capture_logs() as records:
            task_of(tmp_path).run()
        events = [r["event"] % r.get("positional_args", ()) for r in records]
        assert "hello from the pipe" in events
        assert not [event for event in events if "KINDLING-REPORT" in event]

    def test_without_a_file_the_nodes_log_has_the_report(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        """A driver whose session does not start cannot write files."""
        submit(
            "error = {'type': 'SparkException', 'message': 'no such queue'}\n"
            "failed = json.dumps({**report, 'status': 'failed', 'error': error})\n"
            f"on_yarn('{APP}', 'FINISHED', final='FAILED', request=failed)"
        )

        def printed(_yarn: Yarn) -> str:
            return f"from the node\nKINDLING-REPORT {_yarn.apps[APP]['request']}"

        yarn.output = _Computed(lambda: printed(yarn))
        with capture_logs() as records:
            error = task_of(tmp_path).run()
        assert str(error) == "Pipe 'pipe' failed: SparkException: no such queue"
        assert "from the node" in [record["event"] for record in records]

    def test_a_failed_application_says_why(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        submit(f"on_yarn('{APP}', 'FAILED', diagnostics='AM exceeded its memory')")
        with capture_logs() as records:
            error = task_of(tmp_path).run()
        place = f"See also: above, under 'Spark'; on the cluster: yarn logs -applicationId {APP}"
        assert place in [r["event"] % r.get("positional_args", ()) for r in records]
        assert type(error) is AirflowException
        assert str(error).startswith(
            "Pipe 'pipe': no report was received from its driver, so nothing proves that its "
            f"output was published. Driver error: {APP} ended on YARN as FAILED, FAILED: AM "
            "exceeded its memory\n"
        )

    def test_an_application_that_spark_submit_has_lost_is_killed(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        submit(f"on_yarn('{APP}', 'ACCEPTED'); sys.exit(7)")
        with capture_logs() as records:
            error = task_of(tmp_path).run()
        assert "Driver error: Error code is: 7." in str(error)
        assert yarn.apps[APP]["states"] == ["KILLED"]
        said = f"The driver is not wanted any more: YARN reports {APP} as KILLED"
        assert said in [r["event"] % r.get("positional_args", ()) for r in records]

    def test_the_application_carries_its_attempt_and_is_started_once(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        submit(f"write(reason=' '.join(sys.argv), status='skipped'); on_yarn('{APP}', 'FINISHED')")
        said = str(task_of(tmp_path, conf={"spark.yarn.tags": "mine"}).run())
        key = yarn.apps[APP]["tags"].removeprefix("mine,kindling-")
        assert f'"attempt_key":"{key}"' in said
        assert "--conf spark.yarn.maxAppAttempts=1 " in said
        assert "--conf spark.yarn.submit.waitAppCompletion=false" in said

    def test_a_resource_manager_that_is_away_for_a_while_is_asked_again(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(f"write(); on_yarn('{APP}', 'RUNNING', 'RUNNING', 'FINISHED')")
        down = iter([True, True, False])
        monkeypatch.setattr(
            "kindling_airflow.operators.driver.yarn_driver.time.sleep",
            lambda _seconds: setattr(yarn, "is_down", next(down, False)),
        )
        with capture_logs() as records:
            assert task_of(tmp_path).run()["status"] == "published"
        assert len([r for r in records if "YARN does not answer" in r["event"]]) == 1

    def test_one_that_stays_away_ends_the_task_and_the_claim(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kindling_airflow.operators.driver.yarn_driver._SILENCE_SECONDS", -1.0)
        submit(f"on_yarn('{APP}', 'RUNNING')")
        monkeypatch.setattr(
            "kindling_airflow.operators.driver.yarn_driver.time.sleep",
            lambda _seconds: setattr(yarn, "is_down", True),
        )
        error = task_of(tmp_path).run()
        assert f"YARN has not reported the state of {APP}" in str(error)
        assert kindling(tmp_path, "claims") == []


class _Computed(dict[str, str]):
    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def get(self, _key: str, _default: Any = None) -> Any:
        return self._text()


class TestKilled:
    def test_the_application_is_killed_and_seen_dead(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(f"on_yarn('{APP}', 'RUNNING')")
        task = task_of(tmp_path)
        kill_when_running(monkeypatch, task)
        assert str(task.run()) == (
            "Pipe 'pipe': the task was killed, and its driver with it (YARN reports "
            f"{APP} as KILLED)."
        )
        assert yarn.apps[APP]["states"] == ["KILLED"]
        assert kindling(tmp_path, "claims") == []

    def test_a_death_that_was_not_seen_is_not_claimed(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        yarn.is_deaf = True
        submit(f"on_yarn('{APP}', 'RUNNING')")
        task = task_of(tmp_path)
        kill_when_running(monkeypatch, task)
        assert str(task.run()) == (
            "Pipe 'pipe': the task was killed. Whether its driver has ended is not known: YARN was "
            f"asked to kill {APP} and still reports it as RUNNING. Its claim is revoked: it does "
            "not publish."
        )
        assert kindling(tmp_path, "claims") == []

    def test_neither_is_one_where_nothing_answers(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(f"on_yarn('{APP}', 'RUNNING')")
        task = task_of(tmp_path)

        def cut_off(_seconds: float) -> None:
            yarn.is_down = True
            if not task.operator.was_killed:
                monkeypatch.setattr(
                    "kindling_airflow.operators.driver.task_claims.TaskClaims.end", _no_storage
                )
                task.operator.on_kill()

        monkeypatch.setattr("kindling_airflow.operators.driver.yarn_driver.time.sleep", cut_off)
        assert str(task.run()) == (
            "Pipe 'pipe': the task was killed. Whether its driver has ended is not known: YARN "
            f"could not be asked to kill {APP}, or for its state: {yarn.address} answers 503: This "
            "is standby RM. Its claim could not be revoked (OSError: no route); it lapses within a "
            "minute."
        )

    def test_an_application_that_was_not_seen_yet_is_found_by_its_tag(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(f"print('uploading', flush=True); on_yarn('{APP}', 'ACCEPTED'); time.sleep(600)")
        task = task_of(tmp_path)
        original = task.kind._get_hook

        def get_hook(operator: Any) -> Any:
            hook = original(operator)

            def watched(lines: Iterator[Any]) -> Iterator[Any]:
                next(lines)
                while APP not in yarn.apps:
                    pass
                operator.on_kill()
                yield from ()

            hook.watched = watched
            return hook

        monkeypatch.setattr(task.kind, "_get_hook", get_hook)
        assert "and its driver with it" in str(task.run())
        assert yarn.apps[APP]["states"] == ["KILLED"]


def _no_storage(_claims: Any) -> bool:
    raise OSError("no route")


class TestRetry:
    """The worker of the first try was lost."""

    def test_a_living_driver_is_taken_up(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit("sys.exit('a second driver')")
        task = earlier(tmp_path)
        yarn.run(APP, "lost", "RUNNING", "RUNNING", "RUNNING", "FINISHED")
        leases: list[list[str]] = []

        def ends(_seconds: float) -> None:
            leases.append(kindling(tmp_path, "leases"))
            report(tmp_path, "lost")

        monkeypatch.setattr("kindling_airflow.operators.driver.yarn_driver.time.sleep", ends)
        assert task.run()["attempt_key"] == "lost"
        assert submissions(tmp_path) == 0
        assert [name.rpartition(".")[2] for name in leases[0]] == ["000000001", "000000002"]
        assert [kindling(tmp_path, kind) for kind in ("claims", "leases", "reports")] == [[]] * 3

    def test_the_finished_report_of_a_lost_try_is_accepted(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        submit("sys.exit('a second driver')")
        task = earlier(tmp_path)
        yarn.run(APP, "lost", "FINISHED")
        report(tmp_path, "lost")
        with capture_logs() as records:
            assert task.run()["attempt_key"] == "lost"
        assert submissions(tmp_path) == 0
        assert "hello" in [record["event"] for record in records]
        assert kindling(tmp_path, "claims") == []

    def test_a_report_that_cannot_be_read_just_now_counts_for_the_next_try(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(f"write(); on_yarn('{APP}', 'FINISHED')")
        task = task_of(tmp_path)

        def away(_channel: Any, attempt_key: str, _looks: int = 1) -> None:
            raise ReportError(f"no route to {attempt_key}")

        with monkeypatch.context() as patch:
            patch.setattr(FolderChannel, "fetch", away)
            assert "no route to" in str(task.run())
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 1
        assert kindling(tmp_path, "claims") == kindling(tmp_path, "reports") == []

    @pytest.mark.parametrize("status", ["failed", "none"])
    def test_one_that_did_not_publish_is_done_again(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, status: str
    ) -> None:
        submit("write(); on_yarn('application_1_0002', 'FINISHED')")
        task = earlier(tmp_path)
        yarn.run(APP, "lost", "FINISHED")
        if status != "none":
            report(tmp_path, "lost", status=status)
        assert task.run()["status"] == "published"
        assert submissions(tmp_path) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"max_tries": 0},
            {"plan_digest": "sha256:of another plan"},
            {"code_digest": "sha256:of other code"},
            pytest.param({"arguments": {"durable": False}}, marks=follows_drivers),
        ],
    )
    def test_a_task_that_was_cleared_or_compiled_anew_runs_again(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, changes: dict[str, Any]
    ) -> None:
        """Airflow raises the number of tries when a task is cleared, and not for a retry."""
        submit("write(); on_yarn('application_1_0002', 'FINISHED')")
        task = earlier(tmp_path, **changes)
        yarn.run(APP, "lost", "RUNNING")
        report(tmp_path, "lost")
        assert task.run()["attempt_key"] != "lost"
        assert submissions(tmp_path) == 1
        assert yarn.apps[APP]["states"] == ["KILLED"]
        assert kindling(tmp_path, "claims") == []

    def test_of_several_the_latest_is_taken_up_and_the_others_are_revoked(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        submit("sys.exit('a second driver')")
        task = task_of(
            tmp_path,
        )
        for number in (1, 2):
            task.run_before(f"00000000{number}", TaskClaim(f"lost{number}", "", max_tries=1))
        task.tries = 2
        yarn.run(APP, "lost2", "FINISHED")
        report(tmp_path, "lost2")
        assert task.run()["attempt_key"] == "lost2"
        assert kindling(tmp_path, "claims") == []

    def test_a_try_that_wakes_up_late_leaves_the_driver_to_the_one_that_took_it_up(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit(f"on_yarn('{APP}', 'RUNNING')")
        task = task_of(tmp_path)

        def taken_over(_seconds: float) -> None:
            folder = tmp_path / "warehouse" / "_kindling" / "leases"
            (own,) = folder.iterdir()
            own.with_name(f"{own.name.rpartition('.')[0]}.000000002").touch()
            task.operator.on_kill()

        monkeypatch.setattr("kindling_airflow.operators.driver.yarn_driver.time.sleep", taken_over)
        assert str(task.run()) == (
            "Pipe 'pipe': the task was ended; its driver was taken up by a newer try, and is left "
            "to it."
        )
        assert yarn.apps[APP]["states"] == ["RUNNING"]
        assert len(kindling(tmp_path, "claims")) == 1

    def test_the_state_of_the_earlier_driver_must_be_known(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit("sys.exit('a second driver')")
        task = earlier(tmp_path)

        def silent(_manager: Any, _tag: str) -> None:
            raise NoAnswerError("it is not there")

        monkeypatch.setattr(ResourceManager, "tagged", silent)
        error = task.run()
        assert str(error).startswith(
            "Nothing was submitted: YARN does not report the state of an earlier attempt's driver: "
            "it is not there\n"
        )
        assert submissions(tmp_path) == 0
        assert len(kindling(tmp_path, "claims")) == 1  # for the next try


class TestAddress:
    def test_the_workers_hadoop_configuration_has_it(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch)
        host = yarn.address.removeprefix("http://")
        conf = tmp_path / "hadoop"
        conf.mkdir()
        (conf / "yarn-site.xml").write_text(
            "<configuration><property><name>yarn.resourcemanager.webapp.address</name>"
            f"<value>{host}</value></property></configuration>"
        )
        submit(f"write(); on_yarn('{APP}', 'FINISHED')")
        env = {"env_vars": {"HADOOP_CONF_DIR": str(conf)}}
        assert task_of(tmp_path, **env).run()["status"] == "published"

    def test_a_setting_has_it(
        self, tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch)
        monkeypatch.setenv(
            "AIRFLOW__KINDLING__YARN_RESOURCE_MANAGER", f"127.0.0.1:1,{yarn.address}"
        )
        submit(f"write(); on_yarn('{APP}', 'FINISHED')")
        assert task_of(tmp_path).run()["status"] == "published"

    def test_one_that_does_not_answer_is_told_before_anything_is_submitted(
        self, tmp_path: Path, submit: Submit, yarn: Yarn
    ) -> None:
        yarn.is_down = True
        submit("write()")
        error = task_of(tmp_path).run()
        assert str(error).startswith(
            "Nothing was submitted: YARN's resource manager does not answer: "
            f"{yarn.address} answers 503: This is standby RM\n"
        )
        assert submissions(tmp_path) == 0


@pytest.mark.parametrize("answer", ["[]", "<html>", '{"app": {"id": 1}}'])
def test_an_answer_that_makes_no_sense_is_no_answer(
    yarn: Yarn, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    class Answer:
        ok, text = True, answer

        def json(self) -> Any:
            return json.loads(answer)

    monkeypatch.setattr("requests.request", lambda *_a, **_k: Answer())
    with pytest.raises(NoAnswerError):
        ResourceManager([yarn.address]).application(APP)


def test_a_report_channel_that_does_not_work_is_refused_before_anything_is_submitted(
    tmp_path: Path, submit: Submit, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On HDFS every try failed after its pipe had published: the report was out of reach."""
    monkeypatch.setenv("AIRFLOW__KINDLING__REPORT_URL", "nosuch://lake/reports")
    submit(f"on_yarn('{APP}', 'FINISHED')")
    error = task_of(tmp_path).run()
    assert type(error) is AirflowFailException
    assert str(error).startswith(
        "Nothing was submitted: the worker cannot write and read back a small file in "
        "'nosuch://lake/reports' ([kindling] report_url), by which a driver in cluster deploy mode "
        "reports: "
    )
    assert submissions(tmp_path) == 0
