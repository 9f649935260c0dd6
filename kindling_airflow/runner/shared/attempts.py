"""The attempts that a shared driver runs, and the rules by which it takes one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.common.immutable import freeze, thaw
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.claims import instance_name
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.driver import run_claimed
from kindling_airflow.runner.imported_code import ImportedCode
from kindling_airflow.runner.pipe.run_pipe import Hooks, failed_report
from kindling_airflow.runner.redaction import hides_secrets, properties_of, report_without_secrets
from kindling_airflow.runner.shared.attempt import Attempt
from kindling_airflow.runner.shared.shared_reads import SharedReads

__all__ = ["Attempts"]

_NEWER = "a newer attempt of its task has begun"


class Attempts:
    """Runs requests side by side; may be called by many threads.

    Args:
        code: the project's code as it was imported, with the request of the session.
        asked: that request as the task sent it.
        spark: the application's first session.
        declared: the project's declarations.

    Attributes:
        before_start: is called before the code of an attempt begins.
    """

    def __init__(
        self,
        code: ImportedCode,
        asked: RunRequest,
        spark: SparkSession,
        declared: HarvestedModules,
    ) -> None:
        self._code = code
        self._session = session = code.request
        self._asked = asked
        self._spark = spark
        self._declared = declared
        self._configured = properties_of(spark)
        self._lock = threading.Lock()
        self._by_key: dict[str, Attempt] = {}
        self._reads = SharedReads(spark, session.warehouse, session.session.get("shared", ()))
        self._is_ending = False
        self.before_start: Callable[[], None] = lambda: None

    def start(self, request: RunRequest) -> str:
        """Start an attempt, unless it is known already; return why it is refused, or "".

        An older attempt of the same task that still runs is cancelled.
        """
        with self._lock:
            if request.attempt_key in self._by_key:
                return ""
            refused = self._refusal(request)
            if refused:
                return refused
            own = replace(request, project_root=self._session.project_root)
            attempt = Attempt(own, self._spark, self._run, self._failed)
            instance = instance_name(request)
            older = [a for a in self._by_key.values() if instance_name(a.request) == instance]
            self._by_key[request.attempt_key] = attempt
        for other in older:
            other.cancel(_NEWER)
        self.before_start()
        attempt.start()
        return ""

    def find(self, key: str) -> Attempt | None:
        """Return an attempt by its key."""
        with self._lock:
            return self._by_key.get(key)

    def cancel(self, key: str, why: str) -> bool:
        """Cancel an attempt; return whether it was running."""
        found = self.find(key)
        return found is not None and found.cancel(why)

    def changed(self, ended: Iterable[str], restarted: Iterable[str]) -> None:
        """Take in what Airflow knows of the pipes: those that have ended, and that run again."""
        self._reads.restarted(restarted)
        self._reads.ended(ended)

    def end_late_jobs(self) -> None:
        """End what cancelled attempts still do in Spark; to be called every few seconds."""
        with self._lock:
            cancelled = [a for a in self._by_key.values() if a.is_cancelled]
        if cancelled:
            active = self._spark.sparkContext.statusTracker().getActiveJobsIds()
            for attempt in cancelled:
                attempt.end_late_jobs(active)

    def running(self) -> Mapping[str, str]:
        """Return the task id of each attempt that runs, by its key."""
        with self._lock:
            found = dict(self._by_key)
        return {key: a.request.task_id for key, a in found.items() if a.is_running}

    def end(self) -> None:
        """Take no more attempts, and cancel those that run."""
        with self._lock:
            self._is_ending = True
            found = list(self._by_key.values())
        for attempt in found:
            attempt.cancel("the session has ended")

    def _refusal(self, request: RunRequest) -> str:
        asked = self._asked
        if self._is_ending:
            return "the session is ending"
        if request.stream:
            return "a stream has its own driver"
        if self._spark.sparkContext._jsc is None or self._is_stopped():
            return "the session's Spark application has ended"
        if (request.project_root, request.package) != (asked.project_root, asked.package) or set(
            request.modules
        ) - set(asked.modules):
            return "the DAG has changed since the session started: its project is another one"
        if not request.code_digest or request.code_digest != self._session.code_digest:
            return "the session has imported other code of the project, of before a change of it"
        return ""

    def _is_stopped(self) -> bool:
        return bool(self._spark.sparkContext._jsc.sc().isStopped())

    def _run(self, attempt: Attempt) -> RunReport:
        pipe_id, reads = attempt.request.pipe_id, self._reads
        hooks = Hooks(
            read=reads.reader_for(attempt),
            before_publish=lambda _location: attempt.claim_publishing(),
            after_publish=lambda location: reads.published(pipe_id, location),
        )
        report = run_claimed(
            attempt.request,
            attempt.session,
            declared=self._declared,
            code=ImportedCode(attempt.request, self._code.code),
            hooks=hooks,
            configured=self._configured,
        )
        extra: dict[str, Any] = {**thaw(report.extra), "session": self._session.session["name"]}
        if shared := reads.report(pipe_id):
            extra["shared_reads"] = shared
        reads.ended((pipe_id,))
        return replace(report, extra=freeze(extra))

    def _failed(self, attempt: Attempt, error: BaseException) -> RunReport:
        report = failed_report(
            attempt.request, error, time.monotonic(), self._spark.sparkContext.applicationId
        )
        return report_without_secrets(report, hides_secrets(configured=self._configured))
