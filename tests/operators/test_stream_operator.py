"""A stream's task: what it passes on of its driver's news, when it says drain, and how it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from structlog.testing import capture_logs

from kindling_airflow.operators.stream import KindlingStreamOperator, checkpoint_root
from tests.operators.stand_ins import Task, install_submit

Submit = Callable[[str], None]

# A driver that tells news until it is told to drain, or for half a minute.
UNTIL_DRAINED = """
asked = []
signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))
for beat in range(150):
    news("ready", batch_id=beat, rows_in=beat * 10)
    if asked:
        news("draining"); send(rows_written=7); sys.exit()
    time.sleep(0.2)
"""


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    monkeypatch.setattr("kindling_airflow.operators.driver.stream_watch._LOOK_SECONDS", 0.3)
    return lambda body: install_submit(tmp_path, monkeypatch, body)


class Run:
    """What Airflow says of the run at each look; the last answer stays."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, **question: Any) -> Any:
        self.asked.append(question)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"run": answer}


def stream(folder: Path, run: Run | None = None, **arguments: Any) -> Task:
    watching = {"streams": ["task", "source"], "gates": ["gate"], "stop_task_id": "stop"}
    said = {"lifetime": "continuous", "producers": ["source"], **watching, **arguments}
    return Task(folder, said, kind=KindlingStreamOperator, states=run or Run(ALIVE))


ALIVE = {"task": "running", "source": "running", "gate": "success", "stop": "deferred"}
STOPPED = {**ALIVE, "stop": "success"}
DRAINED = {**STOPPED, "source": "success"}


def lines_of(task: Task) -> tuple[Any, list[str]]:
    """Run a try; return how it ended, and its log."""
    with capture_logs() as records:
        ended = task.run()
    return ended, [r["event"] % r.get("positional_args", ()) for r in records]


class TestNews:
    def test_ready_and_progress_become_xcoms(self, tmp_path: Path, submit: Submit) -> None:
        submit("news('starting'); news('ready', batch_id=1, rows_in=5); send(rows_written=5)")
        task = stream(tmp_path)
        assert task.run()["rows_written"] == 5
        assert {"state": "ready", "batch_id": 1, "rows_in": 5}.items() <= task.pushed[
            "kindling_progress"
        ].items()
        assert task.pushed["kindling_ready"].endswith("+00:00")

    def test_the_button_to_spark_works_while_it_runs(self, tmp_path: Path, submit: Submit) -> None:
        submit("start('http://worker:4040'); news('ready'); send()")
        task = stream(tmp_path)
        task.run()
        assert task.pushed["_link_SparkPagesLink"] == "http://worker:4040"

    def test_a_stream_that_starts_is_not_ready(self, tmp_path: Path, submit: Submit) -> None:
        submit("news('starting'); send()")
        task = stream(tmp_path)
        task.run()
        assert "kindling_ready" not in task.pushed
        assert task.pushed["kindling_progress"]["state"] == "starting"

    def test_news_are_not_in_the_log_but_their_changes_are_in_the_open(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit(
            "print('26/11/24 11:27:36 INFO SparkContext: up', flush=True)\n"
            "news('ready'); news('ready'); send()"
        )
        _, lines = lines_of(stream(tmp_path))
        assert not [line for line in lines if "KINDLING-" in line]
        [told] = [line for line in lines if line.startswith("Stream is ready")]
        assert lines[lines.index(told) - 1] == "::endgroup::"

    @pytest.mark.parametrize("said", ["'x', pid='no number'", "'ready', pid=1.5"])
    def test_what_is_no_news_is_ignored(self, tmp_path: Path, submit: Submit, said: str) -> None:
        submit(f"news({said}); send()")
        task = stream(tmp_path)
        assert task.run()["status"] == "published"
        assert "kindling_progress" not in task.pushed

    def test_an_airflow_that_takes_no_xcom_ends_no_stream(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit("news('ready'); news('ready'); send()")
        task = stream(tmp_path)
        taken: list[str] = []

        class Refusing(dict[str, Any]):
            def __setitem__(self, key: str, value: Any) -> None:
                taken.append(key)
                if len(taken) <= 2:
                    raise RuntimeError("no API server")
                super().__setitem__(key, value)

        task.pushed = Refusing()
        assert task.run()["status"] == "published"
        assert "kindling_ready" in task.pushed


class TestDrain:
    def test_it_is_told_when_stop_was_asked_for_and_producers_have_ended(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit(UNTIL_DRAINED)
        run = Run(ALIVE, STOPPED, DRAINED)
        ended, lines = lines_of(stream(tmp_path, run))
        assert ended["rows_written"] == 7
        assert [line for line in lines if line.startswith(("Stopping", "Draining"))] == [
            "Stopping: 'stop' has ended; waiting for 'source' to end.",
            "Draining: 'stop' has ended; all upstream writers have finished.",
        ]
        assert len(run.asked) == 3
        assert run.asked[0] == {
            "dag_id": "dag",
            "run_ids": ["run"],
            "task_ids": ["stop", "task", "source", "gate"],
        }

    def test_an_airflow_that_does_not_answer_is_asked_again(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit(UNTIL_DRAINED)
        run = Run(RuntimeError("no API server"), RuntimeError("no API server"), DRAINED)
        ended, lines = lines_of(stream(tmp_path, run))
        assert ended["status"] == "published"
        assert len([line for line in lines if "no API server" in line]) == 1

    def test_another_stream_that_failed_for_good_is_a_reason(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit(UNTIL_DRAINED)
        run = Run({**ALIVE, "source": "up_for_retry"}, {**ALIVE, "source": "failed"})
        assert stream(tmp_path, run).run()["status"] == "published"
        assert len(run.asked) == 2

    def test_a_process_that_is_not_the_drivers_is_never_signalled(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit(f"news('ready', pid={os.getpid()}); send()")  # SIGUSR1 would end this test
        ended, lines = lines_of(stream(tmp_path, Run(DRAINED)))
        assert ended["status"] == "published"
        assert (
            f"Cannot drain: process {os.getpid()} does not belong to this task's driver." in lines
        )

    def test_a_stream_that_ends_by_itself_asks_nothing(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit("news('ready'); send(rows_written=1)")
        run = Run(DRAINED)
        alone = {"lifetime": "available_now", "producers": (), "streams": (), "gates": ()}
        stream(tmp_path, run, **alone, stop_task_id="").run()
        assert run.asked == []

    def test_one_that_is_not_ready_when_a_gate_has_failed_is_ended_for_good(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit("news('starting'); time.sleep(60)")
        run = Run({**ALIVE, "gate": "failed", "source": "upstream_failed"})
        error = stream(tmp_path, run).run()
        assert isinstance(error, AirflowFailException)
        assert str(error) == (
            "Pipe 'pipe': the stream was not ready when a gate of this run failed."
        )


class TestEnd:
    def test_a_driver_that_says_nothing_is_killed_and_tried_again(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit("news('ready'); time.sleep(60)")
        error = stream(tmp_path, silence_seconds=1.0).run()
        assert type(error) is AirflowException
        assert str(error) == (
            "Pipe 'pipe': the driver was silent for 1 s, and was killed. The next try continues "
            "from the checkpoint.\n"
            "  Fix: check whether its machine is out of memory, or its JVM only collects "
            "garbage; raise stream.silence_timeout to allow more time."
        )

    def test_before_its_first_news_a_driver_may_be_silent_for_longer(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        """Where it waits for its turn in the queue of a cluster, and logs nothing."""
        submit("time.sleep(2); news('ready'); send(rows_written=5)")
        task = stream(tmp_path, start_seconds=60.0, silence_seconds=1.0)
        assert task.run()["rows_written"] == 5

    def test_one_that_never_comes_up_is_killed_in_the_end(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit("print('submitted', flush=True); time.sleep(60)")
        error = stream(tmp_path, start_seconds=1.0, silence_seconds=60.0).run()
        assert type(error) is AirflowException
        assert str(error) == (
            "Pipe 'pipe': the driver was silent for 1 s before its session was up, and was "
            "killed. The next try continues from the checkpoint.\n"
            "  Fix: check whether it waits for resources of its cluster, or cannot reach it; "
            "raise stream.ready_timeout to allow more time."
        )

    def test_what_the_driver_reports_decides(self, tmp_path: Path, submit: Submit) -> None:
        submit("news('ready'); send(status='failed', error={'type': 'E', 'message': 'no more'})")
        assert str(stream(tmp_path).run()) == "Pipe 'pipe' failed: E: no more"

    def test_without_a_report_it_fails(self, tmp_path: Path, submit: Submit) -> None:
        submit("news('ready')")
        assert "nothing proves" in str(stream(tmp_path).run())

    def test_cluster_mode_is_refused_with_what_to_do(self, tmp_path: Path, submit: Submit) -> None:
        submit("send()")
        error = stream(tmp_path, deploy_mode="cluster").run()
        assert isinstance(error, AirflowFailException)
        assert str(error) == (
            "Pipe 'pipe': in cluster deploy mode its driver cannot be signalled, and a "
            "long-running stream needs that to drain\n"
            "  Fix: set deploy_mode client in its connection or in 'task', or set 'lifetime: "
            "available_now' in the definition."
        )

    def test_the_driver_is_asked_for_a_stream(self, tmp_path: Path, submit: Submit) -> None:
        submit("Path(request['project_root'], 'asked').write_text(json.dumps(request)); send()")
        stream(tmp_path, checkpoints="s3://lake/points").run()
        asked = json.loads((tmp_path / "asked").read_text())
        assert asked["stream"] == {"lifetime": "continuous", "checkpoints": "s3://lake/points"}


def test_checkpoints_are_found_from_airflows_home() -> None:
    home = os.environ["AIRFLOW_HOME"]
    assert [checkpoint_root(said) for said in (None, "", "/a", "hdfs://x", "points")] == [
        *("", "", "/a", "hdfs://x"),
        f"{home}/points",
    ]
