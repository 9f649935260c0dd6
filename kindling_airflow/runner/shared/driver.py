"""The life of a driver that the pipes of a run share.

    session up -> RunStart -> SessionNews ... every 2 s ... -> asked to end -> session down

It ends when the session's task says so, when its Spark application has ended, and with its JVM,
which ends with the worker. The process is left by ``os._exit``: a thread of a pipe that cannot be
interrupted does not keep it alive.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark import SparkConf
from pyspark.sql import SparkSession

from kindling_airflow.errors import SessionError
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.contracts import RunRequest, RunStart
from kindling_airflow.protocol.session_messages import SECRET_VARIABLE, SessionNews
from kindling_airflow.runner.failures.failure import describe
from kindling_airflow.runner.imported_code import ImportedCode
from kindling_airflow.runner.pipe.pipe_call import declarations_of
from kindling_airflow.runner.pipe.run_pipe import WORKER_PATH, import_path_of_workers
from kindling_airflow.runner.project_folder import with_project_in_place
from kindling_airflow.runner.providers.session_properties import settings_for
from kindling_airflow.runner.redaction import hides_secrets
from kindling_airflow.runner.session.properties import formats_of
from kindling_airflow.runner.shared.attempts import Attempts
from kindling_airflow.runner.shared.isolation import isolate_pipes
from kindling_airflow.runner.shared.output import route_output
from kindling_airflow.runner.shared.server import SessionServer

__all__ = ["run_session"]

_NEWS_SECONDS = 2.0
_IDLE_NEWS_SECONDS = 0.25
_GRACE_SECONDS = 15.0
_FAILED, _BROKEN = 1, 71


def run_session(asked: RunRequest) -> int:
    """Run a session until it is asked to end; return the exit status if it could not begin."""
    secret = bytes.fromhex(os.environ.pop(SECRET_VARIABLE, ""))
    exit_process = os._exit
    route_output()
    try:
        if not secret:
            raise SessionError("the driver of a session was started without its secret")
        code = ImportedCode.of(with_project_in_place(asked))  # before it is imported
        request = code.request
        spark, declared = _start(request)
        gateway: Any = spark.sparkContext._gateway
        if not hasattr(gateway._gateway_client, "get_thread_connection"):
            raise SessionError(
                "pipes of a session need a thread each in Java, and PYSPARK_PIN_THREAD is off\n"
                "  Fix: remove it from the environment, or set 'session: pipe'."
            )
        isolate_pipes()
        attempts = Attempts(code, asked, spark, declared)
        server = SessionServer(str(request.session["host"]), secret, attempts)
    except Exception as error:
        failure = describe(error, Path(asked.project_root))
        text = hides_secrets()(f"{failure.type}: {failure.message}\n{failure.traceback}")
        sys.stderr.write(f"The session could not begin: {text}\n")
        sys.stderr.flush()
        return _FAILED
    server.start()
    status = _serve(request, spark, attempts, server)
    sys.stdout.flush()
    ending = threading.Timer(_GRACE_SECONDS, exit_process, (status,))
    ending.daemon = True
    ending.start()
    context: Any = spark.sparkContext
    context._jsc.stop()  # stop() would wait for a thread that ends with the process
    sys.stdout.flush()
    exit_process(status)
    return status  # not reached


def _start(request: RunRequest) -> tuple[SparkSession, HarvestedModules]:
    declared = declarations_of(request, None)
    pipes = [declared.pipes.get_pipe_definition(str(name)) for name in request.session["pipes"]]
    formats = formats_of(filter(None, pipes), declared.entities)
    configured = SparkConf().get
    builder = SparkSession.builder.appName(f"session {request.session['name']}")
    builder = builder.config(WORKER_PATH, import_path_of_workers(request))
    if configured("spark.scheduler.mode") is None:  # each pipe its share, not first come first
        builder = builder.config("spark.scheduler.mode", "FAIR")
    for key, value in settings_for(formats, configured).items():
        builder = builder.config(key, value)
    return builder.getOrCreate(), declared


def _serve(
    request: RunRequest, spark: SparkSession, attempts: Attempts, server: SessionServer
) -> int:
    context = spark.sparkContext
    start = RunStart(request.attempt_key, context.applicationId, str(context.uiWebUrl or ""))
    _print(start.line())
    news = _News(request, attempts, server)
    attempts.before_start = news.tell  # a pipe that ends the driver at once is named, too
    while not server.ended.is_set():
        if news.is_due():
            attempts.end_late_jobs()
            news.tell()
        if server.ended.wait(_IDLE_NEWS_SECONDS):
            break
        if context._jsc.sc().isStopped():
            _print("The session's Spark application has ended; so does the session.")
            return _BROKEN
    news.tell_end()
    return 0


class _News:
    """Prints where the session listens and what runs in it, for its task; for any thread."""

    def __init__(self, request: RunRequest, attempts: Attempts, server: SessionServer) -> None:
        self._key, self._host = request.attempt_key, str(request.session["host"])
        self._attempts, self._server = attempts, server
        self._lock = threading.Lock()
        self._told: Mapping[str, str] = {}
        self._at = float("-inf")

    def is_due(self) -> bool:
        """Whether anything has changed, or the task would begin to wonder."""
        running = self._attempts.running()
        is_late = time.monotonic() - self._at >= _NEWS_SECONDS
        return not running or running != self._told or is_late

    def tell(self) -> None:
        """Print what runs."""
        with self._lock:
            self._told, self._at = self._attempts.running(), time.monotonic()
            self._print("ready", self._told)

    def tell_end(self) -> None:
        """Print that the session has ended."""
        with self._lock:
            self._print("ended", {})

    def _print(self, state: str, running: Mapping[str, str]) -> None:
        _print(SessionNews(self._key, state, self._host, self._server.port, running).line())


def _print(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()
