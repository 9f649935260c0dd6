"""The task of a session: where it says it listens, whom it cancels, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException
from structlog.testing import capture_logs

from kindling_airflow.operators import session as session_module
from kindling_airflow.operators.session import KindlingSessionOperator, listening_address
from kindling_airflow.triggers.session_access import SESSION_KEY, SessionPlace
from tests.operators.stand_in_session import KEY, TASK, Airflow
from tests.operators.stand_ins import install_submit

# A driver of a session: it listens, prints its news, notes what it is asked, and ends when told.
SERVES = """
import socket, threading
from kindling_airflow.errors import SessionError
from kindling_airflow.protocol.session_channel import accept
from kindling_airflow.protocol.session_messages import SessionNews
secret = bytes.fromhex(os.environ["KINDLING_SESSION_SECRET"])
listener = socket.create_server((request["session"]["host"], 0))
ended, folder = threading.Event(), Path(request["project_root"])
def talk(connection):
    channel = accept(connection, secret)
    try:
        while channel is not None:
            message = channel.receive(60)
            with (folder / "asked").open("a") as file:
                file.write(json.dumps(message) + chr(10))
            channel.send({})
            if message["do"] == "end":
                ended.set()
    except SessionError:
        pass
def serve():
    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
def say(state, **running):
    port = listener.getsockname()[1]
    host = request["session"]["host"]
    print(SessionNews(request["attempt_key"], state, host, port, running).line(), flush=True)
def serve_until_the_end(**running):
    start()
    while not ended.is_set():
        say("ready", **running)
        ended.wait(0.05)
    say("ended")
    os._exit(0)
"""
ALIVE = {"a": "running", "b": None}
OVER = {"a": "success", "b": "skipped"}


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let ``spark-submit`` be a driver of a session with this body."""
    monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_SECRET", KEY)
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    monkeypatch.setattr(session_module, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(session_module, "_IDLE_LOOK_SECONDS", 0.0)
    return lambda body: install_submit(tmp_path, monkeypatch, SERVES + body)


class Tried:
    """One try of the session's task."""

    def __init__(self, folder: Path, *states: Any, number: int = 1, **arguments: Any) -> None:
        self.folder = folder
        self.pushed: list[tuple[str, Any]] = []
        self.operator = KindlingSessionOperator(
            task_id=TASK,
            session_name="run",
            pipe_ids=("pipe a", "pipe b"),
            pipe_tasks=("a", "b"),
            project_root=str(folder),
            modules=["pipes"],
            warehouse=str(folder / "warehouse"),
            **arguments,
        )
        airflow = Airflow(list(states))
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id=TASK,
            try_number=number,
            xcom_push=lambda key, value: self.pushed.append((key, value)),
            get_task_states=airflow.get_task_states,
        )
        with capture_logs() as logs:
            try:
                self.outcome: Any = self.operator.execute({"ti": ti})  # type: ignore[typeddict-item]
            except Exception as error:
                self.outcome = error
        self.log = [
            str(e["event"]) % e["positional_args"] if e.get("positional_args") else str(e["event"])
            for e in logs
        ]

    def places(self) -> list[SessionPlace]:
        """Return where the drivers have listened."""
        found = [SessionPlace.from_json(v) for key, v in self.pushed if key == SESSION_KEY]
        return [place for place in found if place is not None]

    def asked(self) -> str:
        """Return what the drivers were asked."""
        return (self.folder / "asked").read_text()


def test_it_says_where_it_listens_and_ends_with_its_pipes(tmp_path: Path, driver: Any) -> None:
    driver("serve_until_the_end()")
    tried = Tried(tmp_path, ALIVE, ALIVE, ALIVE, OVER)
    assert tried.outcome == {"drivers": 1}
    [place] = tried.places()
    assert (place.dag_id, place.run_id, place.task_id) == ("dag", "run", TASK)
    assert (place.host, place.generation) == ("127.0.0.1", 1)
    assert tried.log[-1] == "Session 'run' has ended: so have its pipes."
    assert any(line.startswith("Session 'run' listens at 127.0.0.1:") for line in tried.log)


def test_the_secret_is_in_no_xcom_log_or_command(tmp_path: Path, driver: Any) -> None:
    driver(f"open({str(tmp_path / 'argv')!r}, 'w').write(repr(sys.argv)); serve_until_the_end()")
    tried = Tried(tmp_path, ALIVE, ALIVE, OVER)
    [place] = tried.places()
    seen = "".join([str(tried.pushed), *tried.log, (tmp_path / "argv").read_text()])
    assert place.secret().hex() not in seen
    assert KEY not in seen


def test_no_driver_is_started_for_pipes_that_have_ended(tmp_path: Path, driver: Any) -> None:
    driver("sys.exit(9)")
    tried = Tried(tmp_path, OVER)
    assert tried.outcome == {"drivers": 0}
    assert tried.pushed == []


@pytest.mark.parametrize(
    ("state", "is_cancelled"),
    [
        *(("failed", True), ("up_for_retry", True), ("restarting", True), ("success", True)),
        *(("running", False), ("deferred", False), ("queued", False), ("scheduled", False)),
        (None, False),
    ],
)
def test_an_attempt_that_no_task_waits_for_is_cancelled(
    tmp_path: Path, driver: Any, state: str | None, is_cancelled: bool
) -> None:
    driver("serve_until_the_end(k1='a')")
    states = {"a": state, "b": None}
    Tried(tmp_path, *[states] * 4, OVER)
    assert ('"cancel", "attempt": "k1"' in (tmp_path / "asked").read_text()) is is_cancelled


def test_the_driver_knows_which_pipes_have_ended(tmp_path: Path, driver: Any) -> None:
    driver("serve_until_the_end()")
    done = {"a": "success", "b": "running"}
    tried = Tried(tmp_path, ALIVE, done, done, ALIVE, done, OVER)
    states = [line for line in tried.asked().splitlines() if '"states"' in line]
    assert states == [
        '{"do": "states", "ended": ["pipe a"], "restarted": []}',
        '{"do": "states", "ended": [], "restarted": ["pipe a"]}',
        '{"do": "states", "ended": ["pipe a"], "restarted": []}',
    ]


def test_a_driver_that_dies_is_started_again_and_its_pipes_are_named(
    tmp_path: Path, driver: Any
) -> None:
    driver(
        """
flag = folder / "flag"
if flag.exists():
    serve_until_the_end()
flag.write_text("")
say("ready", k1="b", k2="a")
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    tried = Tried(tmp_path, *[ALIVE] * 12, OVER)
    assert tried.outcome == {"drivers": 2}
    assert [place.generation for place in tried.places()] == [1, 2]
    assert (
        "While it died 2 pipes ran in it: 'a', 'b'. They fail or are retried, in their own "
        "drivers; what they have published stands." in tried.log
    )


def test_a_session_without_luck_is_skipped(tmp_path: Path, driver: Any) -> None:
    driver("print('no Java'); sys.exit(1)")
    tried = Tried(tmp_path, ALIVE)
    assert type(tried.outcome) is AirflowSkipException
    assert str(tried.outcome).startswith("Session 'run' is given up after 3 drivers")
    assert tried.log.count("  no Java") == 3


def test_another_try_counts_on(tmp_path: Path, driver: Any) -> None:
    driver("serve_until_the_end()")
    tried = Tried(tmp_path, ALIVE, ALIVE, OVER, number=2)
    assert [place.generation for place in tried.places()] == [2]


def test_a_deployment_without_a_key_has_no_session(
    tmp_path: Path, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver("sys.exit(9)")
    monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_SECRET", "")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    tried = Tried(tmp_path, ALIVE)
    assert type(tried.outcome) is AirflowSkipException
    assert "set [kindling] session_secret, or [core] fernet_key" in str(tried.outcome)


def test_a_connection_in_cluster_deploy_mode_has_no_session(
    tmp_path: Path, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver("sys.exit(9)")
    extra = '{"deploy-mode": "cluster"}'.replace('"', '\\"')
    connection = f'{{"conn_type": "spark", "host": "yarn", "extra": "{extra}"}}'
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", connection)
    tried = Tried(tmp_path, ALIVE)
    assert type(tried.outcome) is AirflowSkipException
    assert "its driver would run on the cluster, where tasks cannot reach it" in str(tried.outcome)


def test_an_airflow_that_does_not_answer_ends_nothing(tmp_path: Path, driver: Any) -> None:
    driver("serve_until_the_end()")
    broken = RuntimeError("no answer")
    tried = Tried(tmp_path, broken, broken, broken, {}, ALIVE, broken, OVER)
    assert tried.outcome == {"drivers": 1}
    text = "Airflow does not return the states of this run; retrying: no answer"
    assert tried.log.count(text) == 3  # once in a row


def test_a_killed_task_is_no_reason_to_start_another_driver(
    tmp_path: Path, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver("serve_until_the_end()")
    look = KindlingSessionOperator._look

    def kill(self: Any) -> None:
        look(self)
        self.on_kill()
        self.end_submission()

    monkeypatch.setattr(KindlingSessionOperator, "_look", kill)
    tried = Tried(tmp_path, ALIVE)
    assert type(tried.outcome) is AirflowException
    assert str(tried.outcome) == ("Session 'run': the task was killed, and its driver with it.")


class TestAddress:
    def test_only_loopback_where_all_tasks_run_on_one_machine(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
        assert listening_address() == "127.0.0.1"

    def test_the_workers_own_address_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor,CeleryExecutor")
        monkeypatch.setattr("socket.gethostbyname", lambda _name: "10.0.0.9")
        assert listening_address() == "10.0.0.9"

    @pytest.mark.parametrize("name", ["loopback", "unknown"])
    def test_where_its_name_is_of_no_use_that_of_the_way_out(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
        monkeypatch.setattr("socket.gethostbyname", _named(name))
        monkeypatch.setattr(session_module, "_outward_address", lambda: "10.0.0.8")
        assert listening_address() == "10.0.0.8"

    def test_the_loopback_interface_where_there_is_no_way_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
        monkeypatch.setattr("socket.gethostbyname", _named("loopback"))
        monkeypatch.setattr(session_module, "_ELSEWHERE", ("999.999.999.999", 9))
        assert listening_address() == "127.0.1.1"

    def test_a_worker_without_an_address_starts_no_session(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
        monkeypatch.setattr("socket.gethostbyname", _named("unknown"))
        monkeypatch.setattr(session_module, "_ELSEWHERE", ("999.999.999.999", 9))
        outcome = Tried(tmp_path, ALIVE).outcome
        assert type(outcome) is AirflowSkipException
        assert str(outcome).startswith(
            "Session 'run' is not started, because this worker has no address at which tasks could "
            "reach it ("
        )
        assert str(outcome).endswith(
            "); its pipes start their own drivers\n"
            "  Fix: set [kindling] session_host on the workers."
        )

    def test_the_way_out_has_an_address_or_there_is_none(self) -> None:
        with suppress(OSError):
            assert ip_address(session_module._outward_address())

    def test_what_is_configured_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__SESSION_HOST", "10.0.0.7")
        assert listening_address() == "10.0.0.7"


def _named(how: str) -> Any:
    """Return a look-up of names that finds the loopback interface, or nothing."""

    def look_up(_name: str) -> str:
        if how == "unknown":
            raise OSError("Name or service not known")
        return "127.0.1.1"

    return look_up
