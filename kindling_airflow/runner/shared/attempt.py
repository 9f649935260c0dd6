"""One attempt of a pipe in a shared driver: its thread, its session, its output, its end."""

from __future__ import annotations

import ctypes
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.errors import PipeRunError
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.java import java_class
from kindling_airflow.runner.shared.output import OWNER, Transcript

__all__ = ["Attempt", "AttemptCancelled"]


_JAVA_SESSION = "org.apache.spark.sql.classic.SparkSession"


class AttemptCancelled(BaseException):
    """Raised in the thread of a cancelled attempt; no ``except Exception`` of a pipe catches it."""


class Attempt:
    """Runs one request in its own thread and session.

    It publishes or is cancelled, whichever comes first. Cancelling ends its Spark jobs and raises
    :class:`AttemptCancelled` in its Python code; its connection to Java is shut, because a thread
    that was interrupted while it read an answer would wait for the rest of it. A call into C
    (``time.sleep``, a database's client) is not interrupted: its thread goes on until the call
    returns, and then ends; it cannot publish any more.

    Args:
        request: what to run.
        spark: the application's first session.
        run: runs the request in a session, and returns the report.
        failed: makes the report of an attempt that ended with an error.
    """

    def __init__(
        self,
        request: RunRequest,
        spark: SparkSession,
        run: Callable[[Attempt], RunReport],
        failed: Callable[[Attempt, BaseException], RunReport],
    ) -> None:
        self.request = request
        self.session: SparkSession = spark
        self.transcript = Transcript()
        self.report: RunReport | None = None
        self._spark = spark
        self._run = run
        self._failed = failed
        self._group = f"kindling-{request.attempt_key}"
        self._lock = threading.Lock()
        self._why = ""  # it is cancelled
        self._is_publishing = False
        self._connections: list[Any] = []  # of its threads, to Java
        self._thread = threading.Thread(
            target=self._work, name=f"kindling-{request.pipe_id}", daemon=True
        )
        setattr(self._thread, OWNER, self)

    @property
    def is_running(self) -> bool:
        """Whether it has no report yet."""
        return self.report is None

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled before it could publish."""
        return bool(self._why)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def enter(self) -> None:
        """Make the current thread one of this attempt, for Spark."""
        context: Any = self._spark.sparkContext
        context.setJobGroup(self._group, f"pipe {self.request.pipe_id}")
        context.setLocalProperty("spark.scheduler.pool", self.request.pipe_id)
        session: Any = self.session
        java_class(self._spark, _JAVA_SESSION).setActiveSession(session._jsparkSession)
        connection = _thread_connection(self._spark)
        with self._lock:
            self._connections.append(connection)

    def cancel(self, why: str) -> bool:
        """End it, unless it has ended or is publishing; return whether it was running.

        Args:
            why: for the log.
        """
        with self._lock:
            if self._is_publishing or self._why or not self.is_running:
                return False
            self._why = why
            self._raise_in_thread()
            connections = [c.socket for c in self._connections if c is not None]
        for connection in filter(None, connections):
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._end_jobs()
        return True

    def end_late_jobs(self, active: Collection[int]) -> None:
        """End the Spark jobs that a cancelled attempt has started since.

        Java may have been planning a query when it was cancelled; and Spark refuses future jobs of
        a cancelled group, but not the stages that adaptive execution submits.

        Args:
            active: the ids of all jobs of the application that run.
        """
        if not self.is_cancelled or not active:
            return
        tracker = self._spark.sparkContext.statusTracker()
        if not set(active).isdisjoint(tracker.getJobIdsForGroup(self._group)):
            self._end_jobs()

    def claim_publishing(self) -> None:
        """Begin to publish, after which it cannot be cancelled.

        Raises:
            PipeRunError: it was cancelled.
        """
        with self._lock:
            if self._why:
                raise PipeRunError(self._cancelled_text())
            self._is_publishing = True

    def wait(self, offset: int, seconds: float) -> tuple[str, int, RunReport | None]:
        """Return what it has printed from a place on, once there is more, and its report.

        Args:
            offset: the place.
            seconds: how long to wait at most.
        """
        changed = self.transcript.changed
        with changed:
            changed.wait_for(
                lambda: self.report is not None or self.transcript.read(offset)[1] > offset, seconds
            )
            report = self.report
            text, end = self.transcript.read(offset)
        return text, end, report

    def _work(self) -> None:
        try:
            try:
                self.session = self._spark.newSession()
                self.enter()
                report = self._run(self)
            except BaseException as error:  # user code, or its cancelling: anything may come out
                report = self._failed(self, error)
            self._settle(report)
        except AttemptCancelled as error:  # raised once at most, and here when it was over
            self._settle(self._failed(self, error))

    def _settle(self, report: RunReport) -> None:
        with self.transcript.changed:
            self.report = report
            self.transcript.changed.notify_all()

    def _end_jobs(self) -> None:
        context: Any = self._spark.sparkContext
        context._jsc.sc().cancelJobGroupAndFutureJobs(self._group)

    def _raise_in_thread(self) -> None:
        ident = self._thread.ident
        if ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(AttemptCancelled)
            )

    def _cancelled_text(self) -> str:
        return f"pipe {self.request.pipe_id!r} was cancelled: {self._why}; its output is unchanged"


def _thread_connection(spark: SparkSession) -> Any:
    """Return the connection of the current thread to Java, which no other thread uses."""
    gateway: Any = spark.sparkContext._gateway
    return gateway._gateway_client.get_thread_connection()
