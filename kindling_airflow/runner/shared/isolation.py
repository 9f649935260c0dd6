"""Keeps the pipes of one driver apart: each has its own session, and none can end the driver.

| in a pipe's thread | does |
|---|---|
| ``SparkSession.builder.getOrCreate()``, ``getActiveSession()`` | returns the pipe's own session |
| ``spark.stop()``, ``SparkContext.stop()``, ``os._exit()`` | fails the pipe, and nothing else |
| ``threading.Thread(...).start()`` | starts a thread of the same pipe |

What pipes still share, because there is one of it in a process or a Spark application: imported
modules and their state, environment variables, the working folder, Hadoop's configuration, tables
that are cached by name, and the logging configuration.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.shared.output import OWNER, owner_of_thread

__all__ = ["isolate_pipes"]

_ACTIVE = "getActiveSession"


def isolate_pipes() -> None:
    """Change this process so that its pipes do not meet; once for its life."""
    _own_sessions()
    _refused_ends()
    _owned_threads()


def _own_sessions() -> None:
    builder: Any = SparkSession.Builder
    get_or_create = builder.getOrCreate
    get_active: Any = SparkSession.getActiveSession

    def own_or_create(self: Any) -> SparkSession:
        owner = owner_of_thread()
        if owner is None:
            return get_or_create(self)  # type: ignore[no-any-return]
        session: Any = owner.session
        module = SparkSession._get_j_spark_session_module(session._jvm)
        module.applyModifiableSettings(session._jsparkSession, self._options)
        return session  # type: ignore[no-any-return]

    def own_or_active(_: Any) -> Any:
        owner = owner_of_thread()
        return get_active() if owner is None else owner.session

    builder.getOrCreate = own_or_create
    setattr(SparkSession, _ACTIVE, classmethod(own_or_active))


def _refused_ends() -> None:
    process = os.getpid()

    def guarded(kind: Any, name: str, shown: str) -> None:
        end = getattr(kind, name)

        def refuse_in_pipe(*arguments: Any, **named: Any) -> Any:
            owner = owner_of_thread()
            if owner is None or os.getpid() != process:  # a child process may end itself
                return end(*arguments, **named)
            raise PipeRunError(
                f"pipe {owner.request.pipe_id!r} called {shown}, which would end the session that "
                "it shares with other pipes; they go on\n"
                "  Fix: remove the call: the driver stops its session itself. Return the "
                "DataFrame, or raise an error."
            )

        setattr(kind, name, refuse_in_pipe)

    guarded(SparkSession, "stop", "spark.stop()")
    guarded(SparkContext, "stop", "SparkContext.stop()")
    guarded(os, "_exit", "os._exit()")


def _owned_threads() -> None:
    start = threading.Thread.start

    def start_owned(self: threading.Thread) -> None:
        owner = owner_of_thread()
        if owner is not None:
            setattr(self, OWNER, owner)
            run = self.run

            def run_in_session() -> None:
                owner.enter()
                run()

            self.run = run_in_session  # type: ignore[method-assign]
        start(self)

    threading.Thread.start = start_owned  # type: ignore[method-assign]
