"""The operator that runs the driver which pipes of a run share."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    conf,
)
from airflow.sdk.log import mask_secret

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.common.wording import counted, first_of
from kindling_airflow.errors import ReportError, SessionError
from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.operators.driver.failure_text import driver_end
from kindling_airflow.operators.driver.hidden_values import masked
from kindling_airflow.operators.driver.hook import DriverHook
from kindling_airflow.operators.driver.process_watch import ending_with_the_worker
from kindling_airflow.operators.driver.stream_watch import Watchdog
from kindling_airflow.operators.driver.submitting import SubmittingOperator
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.operators.run_watch import WatchesRun
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.protocol.session_messages import (
    SECRET_VARIABLE,
    SESSION_MARKER,
    SessionNews,
    session_news_in_line,
)
from kindling_airflow.triggers.run_states import States, all_ended, ended
from kindling_airflow.triggers.session_access import SESSION_KEY, SessionPlace, secret_key

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["KindlingSessionOperator"]

_MOST_DRIVERS = 3
_LOOPBACK = "127.0.0.1"
_ELSEWHERE = ("192.0.2.1", 9)  # of the network that RFC 5737 sets aside
_LOOK_SECONDS, _IDLE_LOOK_SECONDS = 1.9, 0.9
_SOON_SECONDS, _JUST_IDLE_SECONDS = 0.2, 2.0  # the pipe that has just ended may be the last one
_START_SECONDS, _SILENCE_SECONDS = 600.0, 180.0
_ASK_SECONDS = 5.0
_MOST_NAMED = 5
# What a task is in when nobody waits for its attempt any more. A deferred task is queued again when
# its attempt has ended, so these are not among them.
_LET_GO = frozenset(
    {"success", "failed", "skipped", "upstream_failed", "removed", "up_for_retry", "restarting"}
)


class KindlingSessionOperator(WatchesRun, KindlingPipeOperator):
    """Runs a driver for pipes of a run, until all of their tasks have ended.

    It says where the driver listens in the XCom ``kindling_session``. A driver that dies is started
    again; the pipes that ran in it are named in the log. Where no driver can be had the task is
    skipped, because pipes that find no session start their own drivers: the session never
    decides how a run ends.

    Args:
        session_name: the session's name in the definition.
        pipe_ids: its pipes.
        pipe_tasks: their tasks.
        shared: the entities that the driver keeps between its pipes, as ``SessionSpec.shared``.
        **kwargs: arguments of ``KindlingPipeOperator``.
    """

    session_name: str
    pipe_ids: tuple[str, ...]
    pipe_tasks: tuple[str, ...]
    _shared_entities: tuple[Mapping[str, Any], ...]
    _place: SessionPlace | None = None
    _running: Mapping[str, Any] = FrozenDict()
    _over: Set[str] = frozenset()  # the pipes of which the driver knows that they ended
    _generation = 0
    _has_ended = False
    _looked_at = float("-inf")
    _busy_at = float("-inf")
    _had_trouble = False
    _watchdog: Watchdog | None = None

    def __init__(
        self,
        *,
        session_name: str,
        pipe_ids: Sequence[str],
        pipe_tasks: Sequence[str],
        shared: Sequence[Mapping[str, Any]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"pipe_id": f"session {session_name}", **kwargs})
        vars(self).update(
            session_name=session_name,
            pipe_ids=tuple(pipe_ids),
            pipe_tasks=tuple(pipe_tasks),
            _shared_entities=tuple(shared),
        )

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """Run drivers until the pipes have ended; return how many there were.

        Raises:
            AirflowSkipException: no driver can be had.
            AirflowException: the task was killed.
        """
        self._ti = context["ti"]
        self._generation = self._ti.try_number - 1
        if not secret_key():
            raise AirflowSkipException(
                f"Session {self.session_name!r} is not started, because the deployment has no key "
                "to derive its secret from; its pipes start their own drivers\n"
                "  Fix: set [kindling] session_secret, or [core] fernet_key, on all workers."
            )
        self._complete_arguments()
        last = self._generation + _MOST_DRIVERS
        while not self._is_over():
            if self._generation == last:
                raise AirflowSkipException(
                    f"Session {self.session_name!r} is given up after {_MOST_DRIVERS} drivers; its "
                    "pipes start their own drivers\n"
                    "  Fix: see above what ended the drivers, and which pipes ran in them."
                )
            self._generation += 1
            self._drive(context)
        self.log.info("Session %r has ended: so have its pipes.", self.session_name)
        return {"drivers": self._generation}

    def _drive(self, context: Context) -> None:
        """Run one driver to its end."""
        try:
            self.request = self._request(context)
        except OSError as unknown:
            raise AirflowSkipException(
                f"Session {self.session_name!r} is not started, because this worker has no "
                f"address at which tasks could reach it ({unknown}); its pipes start their own "
                "drivers\n"
                "  Fix: set [kindling] session_host on the workers."
            ) from unknown
        self._hook, self._place, self._running = None, None, FrozenDict()
        self._has_ended, self._over = False, frozenset()
        self._watchdog = Watchdog(_SILENCE_SECONDS, _START_SECONDS, self.end_submission)
        error: Exception | None = None
        try:
            with ending_with_the_worker(self.end_submission), self._watchdog.watching():
                SubmittingOperator.execute(self, context)
        except AirflowFailException as failure:
            raise AirflowSkipException(
                f"Session {self.session_name!r} is not started; its pipes start their own "
                f"drivers: {failure}"
            ) from failure
        except (AirflowException, RuntimeError, OSError, ValueError) as failure:
            error = failure
        if self.was_killed:
            raise AirflowException(
                f"Session {self.session_name!r}: the task was killed, and its driver with it."
            )
        if not self._has_ended:
            self._report_death(error)

    def _report_death(self, error: Exception | None) -> None:
        self.log.error(
            "The driver %d of session %r has died. %s",
            self._generation,
            self.session_name,
            driver_end(error),
        )
        suspects = sorted(map(repr, self._running.values()))
        if suspects:
            self.log.error(
                "While it died %s ran in it: %s. They fail or are retried, in their own "
                "drivers; what they have published stands.",
                counted(len(suspects), "pipe"),
                first_of(suspects, _MOST_NAMED),
            )
        for line in self._output.last_lines() if self._place is None else ():
            self.log.error("  %s", line)

    def _request(self, context: Context) -> RunRequest:
        return replace(
            self._bare_request(context),
            code_drift="ignore",  # a pipe that is for other code than this is not run
            session=FrozenDict(
                name=self.session_name,
                pipes=self.pipe_ids,
                host=listening_address(),
                shared=self._shared_entities,
            ),
        )

    def _get_hook(self) -> DriverHook:
        hook = super()._get_hook()
        if self.request is not None:
            secret = self._place_of(self.request, 0).secret().hex()
            mask_secret(secret)
            hook.give({SECRET_VARIABLE: secret})
        if self._watchdog is not None:
            hook.watched = self._watchdog.over
        return hook

    def _prepare(self, hook: DriverHook) -> NoReturn:  # noqa: ARG002 (of one in cluster mode)
        raise AirflowFailException(
            "its driver would run on the cluster, where tasks cannot reach it\n"
            "  Fix: set deploy_mode client in its connection or in 'spark', or 'session: pipe'."
        )

    def _driver_output(self) -> DriverOutput:
        return _SessionOutput(self._on_start, self._on_news)

    def _on_news(self, text: str) -> None:
        try:
            news = SessionNews.loads(text)
        except ReportError:
            return  # of another release: nobody finds the session
        if self.request is None or news.attempt_key != self.request.attempt_key:
            return
        if self._watchdog is not None:
            self._watchdog.on_news()
        self._running = news.running
        if self._running:
            self._busy_at = time.monotonic()
        self._has_ended = news.state == "ended"
        if self._place is None:
            self._announce(self._place_of(self.request, news.port))
        if not self._has_ended:
            self._look()

    def _announce(self, place: SessionPlace) -> None:
        try:
            self._ti.xcom_push(SESSION_KEY, place.to_json())
        except Exception as error:
            self._say_trouble(f"Airflow does not accept XCom {SESSION_KEY!r}; retrying: {error}")
            return
        self._place, self._had_trouble = place, False
        self._say(
            f"Session {self.session_name!r} listens at {place.host}:{place.port} for "
            f"{counted(len(self.pipe_ids), 'pipe')}"
        )

    def _look(self) -> None:
        """Cancel attempts that no task waits for, and end the driver with its last pipe."""
        now = time.monotonic()
        if self._running:
            pause = _LOOK_SECONDS
        elif now - self._busy_at < _JUST_IDLE_SECONDS:
            pause = _SOON_SECONDS
        else:
            pause = _IDLE_LOOK_SECONDS
        if self._place is None or now - self._looked_at < pause:
            return
        self._looked_at = now
        states = self._states()
        if all_ended(states, self.pipe_tasks):
            self._ask({"do": "end"})
            return
        self._pass_on(states)
        for key, task_id in self._running.items():
            if states and states.get(task_id, "removed") in _LET_GO:
                self._cancel(key, task_id, f"its task is {states.get(task_id)}")

    def _cancel(self, key: str, task_id: str, why: str) -> None:
        answer = self._ask({"do": "cancel", "attempt": key, "why": why})
        if answer is not None and answer.get("cancelled"):
            self._say(f"Cancelled attempt of {task_id!r}: {why}")

    def _pass_on(self, states: States) -> None:
        """Send the driver which pipes have ended, and which run once more, since the last time."""
        if not states:
            return
        over = {p for p, t in zip(self.pipe_ids, self.pipe_tasks, strict=True) if ended(states, t)}
        new, again = sorted(over - self._over), sorted(self._over - over)
        if not new and not again:
            return
        if self._ask({"do": "states", "ended": new, "restarted": again}) is not None:
            self._over = over

    def _is_over(self) -> bool:
        return all_ended(self._states(), self.pipe_tasks)

    def _states(self) -> States:
        """Return the states of the pipes' tasks; none while Airflow does not answer."""
        try:
            states = self._states_of_run(list(self.pipe_tasks))
        except Exception as error:
            self._say_trouble(f"Airflow does not return the states of this run; retrying: {error}")
            return {}
        self._had_trouble = False
        return states

    def _ask(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send the driver a message; return its answer, or None without one."""
        if self._place is None:
            return None
        try:
            with self._place.connect() as channel:
                return channel.ask(message, _ASK_SECONDS)
        except SessionError as error:
            self._say_trouble(f"The driver does not take {message['do']!r}; retrying: {error}")
        return None

    def _place_of(self, request: RunRequest, port: int) -> SessionPlace:
        return SessionPlace(
            dag_id=request.dag_id,
            run_id=request.run_id,
            task_id=request.task_id,
            attempt=request.attempt_key,
            host=str(request.session["host"]),
            port=port,
            generation=self._generation,
        )

    def _say_trouble(self, text: str) -> None:
        if not self._had_trouble:
            self._say(text)
        self._had_trouble = True


class _SessionOutput(DriverOutput):
    """Reads the lines of a session's driver.

    Args:
        on_start: as in :class:`DriverOutput`.
        on_session: called with the JSON text of the session's news.
    """

    def __init__(self, on_start: Any, on_session: Any) -> None:
        super().__init__(on_start, lambda _text: None, masked)
        self._on_session = on_session

    def _without_news(self, line: str) -> tuple[str, bool]:
        news = session_news_in_line(line)
        if news is None:
            return super()._without_news(line)
        self._on_session(news)
        return line.partition(SESSION_MARKER)[0], True


def listening_address() -> str:
    """Return where the driver of a session listens: ``[kindling] session_host``.

    The default is the loopback interface where only the local executor runs all tasks, and the
    worker's own address elsewhere: that of its name, or, where its name is the loopback
    interface's or unknown, as is usual on Debian, that of the interface that leads out.

    Raises:
        OSError: the worker has no address but the loopback interface's, and no name.
    """
    configured = conf.get("kindling", "session_host", fallback="")
    if configured:
        return str(configured)
    executors = conf.get("core", "executor", fallback="").split(",")
    if all("LocalExecutor" in name for name in executors):
        return _LOOPBACK
    try:
        named = socket.gethostbyname(socket.getfqdn())
    except OSError:
        return _outward_address()
    if not ip_address(named).is_loopback:
        return named
    try:
        return _outward_address()
    except OSError:
        return named  # there is only this machine


def _outward_address() -> str:
    """Return the address of the interface that leads out; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_ELSEWHERE)
        return str(probe.getsockname()[0])
