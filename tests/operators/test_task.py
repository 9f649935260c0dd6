"""What Airflow shows of a task: log, buttons, assets' events; and what passes through."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow.providers.apache.spark.operators.spark_submit as provider
import pytest
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.log import redact
from structlog.testing import capture_logs

from kindling_airflow.operators.pipe import KindlingPipeOperator
from tests.operators.stand_ins import Task, install_submit

Submit = Callable[[str], None]


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    return lambda body: install_submit(tmp_path, monkeypatch, body)


def logged(task: Task) -> tuple[Any, list[str]]:
    """Run a try; return how it ended, and what its log has as errors."""
    with capture_logs() as records:
        ended = task.run()
    errors = [record for record in records if record["log_level"] == "error"]
    return ended, [record["event"] % record.get("positional_args", ()) for record in errors]


class TestLog:
    def test_a_failure_is_told_in_the_pipes_own_words(self, tmp_path: Path, submit: Submit) -> None:
        submit(
            "error = {'type': 'PipeRunError', 'message': 'it does not fit\\n  - column x',"
            " 'traceback': 'Traceback of the pipe:\\n  File shop.py, line 3'}\n"
            "start(); send(status='failed', error=error, application_id='app-1')"
        )
        error, said = logged(Task(tmp_path))
        assert str(error) == "Pipe 'pipe' failed: PipeRunError: it does not fit"
        assert said == [
            "Pipe 'pipe' failed: PipeRunError: it does not fit",
            "  - column x",
            "Traceback of the pipe:",
            "  File shop.py, line 3",
            "To be retried: this was try 1 of 2.",
            "See also: above, under 'Spark'; in XCom 'kindling_report'",
        ]

    def test_the_last_try_and_what_cannot_heal_say_so(self, tmp_path: Path, submit: Submit) -> None:
        submit("send(status='failed', error={'type': 'E', 'message': 'm'})")
        task = Task(tmp_path, tries=1)
        assert "Not retried: try 2 was the last." in logged(task)[1]
        submit("send(status='failed', extra={'permanent': True})")
        assert "Not retried: a retry cannot succeed." in logged(Task(tmp_path))[1]

    def test_a_killed_driver_is_told_with_its_last_words(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit(
            "print('26/11/24 11:27:36 INFO SparkContext: up')\n"
            "print('26/11/24 11:27:37 WARN TaskMemoryManager: Failed to allocate', flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        error, said = logged(Task(tmp_path))
        assert str(error).startswith(
            "Pipe 'pipe': no report was received from its driver, so nothing proves that its "
            "output was published. Driver error: Error code is: -9.\n"
        )
        assert said == [
            "Pipe 'pipe': its driver ended without a report. Driver error: Error code is: -9.",
            "  It was killed, most often for lack of memory: see the system log.",
            "Its last output:",
            "  26/11/24 11:27:37 WARN TaskMemoryManager: Failed to allocate",
            "To be retried: this was try 1 of 2.",
            "See also: above, under 'Spark'",
        ]

    def test_sparks_lines_are_folded_in_the_log(self, tmp_path: Path, submit: Submit) -> None:
        submit(
            "print('26/11/24 11:27:36 INFO SparkContext: up')\n"
            "print('hello from the pipe'); start(); send()"
        )
        with capture_logs() as records:
            Task(tmp_path).run()
        lines = [record["event"] for record in records]
        begin = lines.index("::group::Spark")
        assert lines[begin : begin + 4] == [
            "::group::Spark",
            "26/11/24 11:27:36 INFO SparkContext: up",
            "::endgroup::",
            "hello from the pipe",
        ]
        assert not [line for line in lines if "KINDLING-" in line]

    def test_a_fold_ends_where_the_reader_is_interrupted(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit("print('26/11/24 11:27:36 INFO SparkContext: up', flush=True); time.sleep(600)")

        def interrupted(hook: Any, lines: Iterator[str]) -> None:
            hook.log.info(next(lines))
            hook.log.info(next(lines))
            raise Interruption

        monkeypatch.setattr(SparkSubmitHook, "_process_spark_submit_log", interrupted)
        task = Task(tmp_path)
        with capture_logs() as records, pytest.raises(Interruption):
            task.run()
        task.operator.on_kill()
        assert [record["event"] for record in records][-3:] == [
            "::group::Spark",
            "26/11/24 11:27:36 INFO SparkContext: up",
            "::endgroup::",
        ]


class Interruption(BaseException):
    """Stands for Airflow's time-out."""


class TestButtons:
    def test_the_button_to_spark_works_while_the_driver_runs(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit("start('http://worker:4040'); send(application_id='app-1')")
        task = Task(tmp_path)
        task.run()
        assert task.pushed["_link_SparkPagesLink"] == "http://worker:4040"
        assert task.operator.link_urls == {}  # its pages are gone, and nobody keeps a history

    def test_then_it_leads_to_the_history(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__HISTORY_SERVER", "http://history:18080")
        submit("send(application_id='app-1', location='gs://lake/out')")
        task = Task(tmp_path)
        task.run()
        assert task.operator.link_urls == {
            "Spark": "http://history:18080/history/app-1/",
            "Table": "https://console.cloud.google.com/storage/browser/lake/out",
        }

    @pytest.mark.parametrize(
        "said",
        ["'javascript:alert(1)'", "'http://w', attempt_key='other'", "'http://w', version=9"],
    )
    def test_what_a_driver_may_not_say_makes_no_button(
        self, tmp_path: Path, submit: Submit, said: str
    ) -> None:
        submit(f"start({said}); send()")
        task = Task(tmp_path)
        assert task.run()["status"] == "published"
        assert "_link_SparkPagesLink" not in task.pushed


class TestAssets:
    def test_the_report_is_on_the_events_of_what_was_published(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        asset, alias = Asset("out"), AssetAlias("alias")
        events = {asset: SimpleNamespace(extra={"mine": 1}), alias: SimpleNamespace(extra={})}
        submit("send()")
        task = Task(tmp_path, {"outlets": [asset, alias]}, outlet_events=events)
        report = task.run()
        assert events[asset].extra == {"mine": 1, "kindling_report": report}
        assert events[alias].extra == {}

    @pytest.mark.parametrize("status", ["skipped", "failed"])
    def test_what_was_not_published_is_no_event(
        self, tmp_path: Path, submit: Submit, status: str
    ) -> None:
        asset = Asset("out")
        events = {asset: SimpleNamespace(extra={})}
        submit(f"send(status={status!r})")
        Task(tmp_path, {"outlets": [asset]}, outlet_events=events).run()
        assert events[asset].extra == {}


class TestPassingThrough:
    def test_every_argument_of_the_providers_operator(self) -> None:
        """Each one, with a value of its own, ends where the provider's operator puts it."""
        special = {"self", "kwargs", "reconnect_on_retry"}
        names = inspect.signature(provider.SparkSubmitOperator.__init__).parameters.keys() - special
        values: dict[str, Any] = {name: f"value of {name}" for name in names}
        values.update(conf={"a": "b"}, env_vars={"c": "d"}, application_args=["e"])
        common = {"task_id": "t"}
        theirs = provider.SparkSubmitOperator(**common, **values)
        ours = KindlingPipeOperator(**common, pipe_id="p", project_root="/p", modules=[], **values)
        known = {**vars(theirs), "_task_type": None, "task_type": None}
        different = {
            name
            for name, value in known.items()
            if name in vars(ours) and vars(ours)[name] != value
        }
        assert different <= {"_BaseOperator__init_kwargs", "start_trigger_args"}
        assert len(names) > 30

    def test_every_argument_of_airflows_operator(self) -> None:
        def callback(_context: Any) -> None:
            pass

        said: dict[str, Any] = {
            "on_failure_callback": callback,
            "on_retry_callback": callback,
            "on_success_callback": callback,
            "on_skipped_callback": callback,
            "executor_config": {"pod_override": "x"},
            "executor": "LocalExecutor",
            "queue": "spark",
            "max_active_tis_per_dag": 2,
            "retry_exponential_backoff": True,
        }
        operator = KindlingPipeOperator(
            task_id="t", pipe_id="p", project_root="/p", modules=[], **said
        )
        plain = BaseOperator(task_id="t", **said)
        assert {name: getattr(operator, name) for name in said} == {
            name: getattr(plain, name) for name in said
        }

    def test_an_argument_that_nobody_knows_is_refused(self) -> None:
        with pytest.raises(TypeError, match="unknown_thing"):
            KindlingPipeOperator(
                task_id="t", pipe_id="p", project_root="/p", modules=[], unknown_thing=1
            )

    def test_arguments_of_the_application_come_behind_the_request(
        self, tmp_path: Path, submit: Submit
    ) -> None:
        submit("send(reason=repr(sys.argv[-2:]), status='skipped')")
        error = Task(tmp_path, {"application_args": ["a", "b"]}).run()
        assert str(error).endswith("skipped: ['a', 'b']")

    def test_openlineage_from_spark_gets_the_parent_run(
        self, tmp_path: Path, submit: Submit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            provider,
            "inject_parent_job_information_into_spark_properties",
            lambda conf, context: {**conf, "spark.openlineage.parentRunId": context["ti"].run_id},
        )
        monkeypatch.setattr(
            provider,
            "inject_transport_information_into_spark_properties",
            lambda conf, context: {
                **conf,
                "spark.openlineage.transport.type": "http",
                "spark.openlineage.transport.auth.apiKey": "ol-key-4711",
            },
        )
        submit("send(reason=' '.join(sys.argv), status='skipped')")
        arguments = {
            "conf": {"spark.a": "1"},
            "openlineage_inject_parent_job_info": True,
            "openlineage_inject_transport_info": True,
        }
        told = str(Task(tmp_path, arguments).run())
        assert "--conf spark.a=1 --conf spark.openlineage.parentRunId=run" in told
        assert "--conf spark.openlineage.transport.type=http" in told
        assert "ol-key-4711" not in told  # though the driver has it
        assert redact("apiKey=ol-key-4711 logged") == "apiKey=*** logged"
        assert "spark.openlineage" not in str(Task(tmp_path, {"conf": {"spark.a": "1"}}).run())

    def test_a_hidden_value_reaches_the_driver(self, tmp_path: Path, submit: Submit) -> None:
        seen = tmp_path / "seen"
        submit(
            f"Path({str(seen)!r}).write_text(' '.join(sys.argv) + os.environ['SHOP_TOKEN']); send()"
        )
        arguments = {
            "conf": {"spark.hadoop.fs.s3a.secret.key": "task-key-4711"},
            "env_vars": {"SHOP_TOKEN": "task-token-0815"},
        }
        assert Task(tmp_path, arguments).run()["status"] == "published"
        text = seen.read_text()
        assert "--conf spark.hadoop.fs.s3a.secret.key=task-key-4711" in text
        assert text.endswith("task-token-0815")


class TestOrderOfTries:
    def test_a_later_try_of_airflow_compares_greater(self, tmp_path: Path, submit: Submit) -> None:
        import uuid6

        from kindling_airflow.operators.pipe import _order_of

        first, second = uuid6.uuid7(), uuid6.uuid7()
        orders = [_order_of(SimpleNamespace(id=ti_id, try_number=1)) for ti_id in (first, second)]
        assert orders == sorted(orders)
        assert len(set(orders)) == 2

    def test_without_such_an_id_the_number_counts(self) -> None:
        from kindling_airflow.operators.pipe import _order_of

        orders = [_order_of(SimpleNamespace(id=None, try_number=n)) for n in (2, 10)]
        assert orders == sorted(orders)

    def test_mapped_tasks_are_told_apart(self) -> None:
        from kindling_airflow.operators.pipe import _task_of

        ids = {_task_of(SimpleNamespace(task_id="t", map_index=n)) for n in (-1, 0, 1)}
        assert ids == {"t", "t[0]", "t[1]"}


def test_a_task_ends_with_its_worker(tmp_path: Path, submit: Submit) -> None:
    """worker -> task -> driver; the worker is killed without a word."""
    submit(f"Path({str(tmp_path / 'driver')!r}).write_text(str(os.getpid())); time.sleep(600)")
    task = (
        "import os; from pathlib import Path; from tests.operators.stand_ins import Task; "
        f"Path({str(tmp_path / 'task')!r}).write_text(str(os.getpid())); "
        f"Task(Path({str(tmp_path)!r})).run()"
    )
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {task!r}])"
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    pids = [tmp_path / "task", tmp_path / "driver"]
    try:
        _until(lambda: all(path.exists() and path.read_text() for path in pids))
    finally:
        worker.kill()
        worker.wait()
    _until(lambda: not any(_is_alive(int(path.read_text())) for path in pids))


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
    return state != "Z"
