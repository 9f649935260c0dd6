"""Many pipes on one Spark session: what a ``GenerationExecutor`` calls.

    run_pipe = SessionPipeRunner(spark, import_declarations(root, modules), warehouse)
    GenerationExecutor(run_pipe).execute_batch(plan, parallel=True, auto_cache=True)
    GenerationExecutor(run_pipe).execute_streaming(streaming_plan)

Each attempt is its own Spark job group, named after the pipe, so that it can be seen in Spark's UI
and be cancelled alone. Pipes that run at once share the session's executors; with
``spark.scheduler.mode=FAIR`` a large one does not hold up the others.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.pipe.inputs import read_entity
from kindling_airflow.runner.pipe.run_pipe import Hooks, run_pipe
from kindling_airflow.runner.pipe.shared_frames import SharedFrames, Slice
from kindling_airflow.runner.providers.interface import EntityProvider
from kindling_airflow.runner.providers.memory_tables import MemoryTables
from kindling_airflow.runner.redaction import hides_secrets, report_without_secrets
from kindling_airflow.runner.session.stream import SessionStream
from kindling_airflow.runner.streaming import run_stream, start_stream
from kindling_airflow.tags.inputs import WriterEnd, end_of, with_missing_judged
from kindling_airflow.tags.intervals import IntervalSlice

_Run = Callable[[RunRequest, "_Attempt"], RunReport]


@dataclass(slots=True)
class _Attempt:
    """An attempt that runs; it publishes or is cancelled, whichever comes first."""

    pipe_id: str
    group: str
    cancelled: bool = False
    published: bool = False


class SessionPipeRunner:
    """Runs pipes on one session, each in the thread that calls; may be called by many at once.

    Args:
        spark: the session; a classic one, not Spark Connect.
        declared: the project's declarations.
        warehouse: root of the entities' tables, a path or URI.
        run_id: names the run to the pipes, and for what a failed try left behind; default: random.
        interval_start, interval_end: the run's data interval, ISO 8601, or None.
        parameters: what the run is started with, of JSON types.
        project_root: the user's code; what is shown of an error begins there.
        plan_digest: the plan, for the reports.
        code_digest: the project's code, for the reports.
        checkpoints: the root of the streams' checkpoints; "" for the warehouse's own.
        on_missing_interval: what pipes do without an interval: ``full`` or ``fail``.
    """

    def __init__(
        self,
        spark: SparkSession,
        declared: HarvestedModules,
        warehouse: str,
        *,
        run_id: str | None = None,
        interval_start: str | None = None,
        interval_end: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        project_root: str = ".",
        plan_digest: str = "",
        code_digest: str = "",
        checkpoints: str = "",
        on_missing_interval: str = "full",
    ) -> None:
        self.spark = spark
        self._declared = declared
        self._template = RunRequest(
            attempt_key="",
            pipe_id="",
            project_root=project_root,
            modules=(),
            warehouse=str(warehouse),
            plan_digest=plan_digest,
            code_digest=code_digest,
            run_id=uuid.uuid4().hex if run_id is None else run_id,
            interval_start=interval_start,
            interval_end=interval_end,
            parameters=freeze(parameters or {}),
            on_missing_interval=on_missing_interval,
        )
        self._checkpoints = checkpoints
        self.hide = hides_secrets(spark)
        self._frames = SharedFrames()
        self._memory = MemoryTables()
        self._lock = threading.Lock()
        self._running: list[_Attempt] = []
        self._ends: dict[str, WriterEnd] = {}

    def __call__(self, pipe_id: str) -> RunReport:
        """Run a pipe and return its report; a pipe that fails is a report as well."""
        return self._tried(pipe_id, self._template, self._run)

    def catch_up(self, pipe_id: str) -> RunReport:
        """Run a pipe as a stream that takes what is there and ends, and return its report."""
        return self._tried(pipe_id, self._as_stream("available_now"), self._catch_up)

    def start(self, pipe_id: str) -> SessionStream:
        """Start a pipe as a stream, and return without waiting until it is ready.

        Raises:
            KindlingAirflowError: it cannot be started.
        """
        key = uuid.uuid4().hex
        request = self._as_stream("continuous")
        request = replace(request, attempt_key=key, pipe_id=pipe_id, task_id=pipe_id)
        hooks = Hooks(after_publish=self._frames.forget, memory=self._memory)
        stream = start_stream(request, self.spark, self._declared, hooks)
        with self._lock:
            self._ends[pipe_id] = "running"
        return SessionStream(request, stream, self.spark.sparkContext.applicationId, self.hide)

    def cancel(self, pipe_id: str) -> None:
        """End the Spark jobs of a running pipe, and keep it from publishing.

        A pipe that is publishing already does so, whole. Python code that does not call Spark goes
        on, for nothing. A pipe that does not run is left in peace.
        """
        with self._lock:
            found = [a for a in self._running if a.pipe_id == pipe_id and not a.published]
            for attempt in found:
                attempt.cancelled = True
        for attempt in found:
            self.spark.sparkContext._jsc.sc().cancelJobGroupAndFutureJobs(attempt.group)

    def share(self, entity_id: str, level: str, on_read: Callable[[str, bool], None]) -> None:
        """Keep an entity between its readers; see :class:`SharedFrames`."""
        self._frames.share(entity_id, level, on_read)

    def release(self, entity_id: str) -> None:
        """Keep an entity no longer."""
        self._frames.release(entity_id)

    def _tried(self, pipe_id: str, template: RunRequest, run: _Run) -> RunReport:
        """Run a pipe as a job group that can be cancelled."""
        key = uuid.uuid4().hex
        request = replace(template, attempt_key=key, pipe_id=pipe_id, task_id=pipe_id)
        attempt = _Attempt(pipe_id, f"kindling-{key}")
        context = self.spark.sparkContext
        with self._lock:
            self._running.append(attempt)
        try:
            context.setJobGroup(attempt.group, f"pipe {pipe_id}")
            report = with_missing_judged(run(request, attempt), self._end_of)
            with self._lock:
                self._ends[pipe_id] = end_of(report.to_json())
            return report_without_secrets(report, self.hide)
        finally:
            with self._lock:
                self._running.remove(attempt)
            context._jsc.clearJobGroup()

    def _end_of(self, pipe_id: str) -> WriterEnd:
        """Return how a pipe has ended that ran, or did not run, on this session."""
        with self._lock:
            return self._ends.get(pipe_id, "other")

    def _run(self, request: RunRequest, attempt: _Attempt) -> RunReport:
        hooks = Hooks(
            read=self._read,
            before_publish=lambda _location: self._claim(attempt),
            after_publish=self._frames.forget,
            memory=self._memory,
        )
        return run_pipe(request, self.spark, declared=self._declared, hooks=hooks)

    def _catch_up(self, request: RunRequest, attempt: _Attempt) -> RunReport:
        hooks = Hooks(
            before_publish=lambda _location: self._check(attempt),
            after_publish=self._frames.forget,
            memory=self._memory,
        )
        return run_stream(
            request, self.spark, declared=self._declared, hooks=hooks, say=lambda _line: None
        )

    def _as_stream(self, lifetime: str) -> RunRequest:
        stream = {"lifetime": lifetime, "checkpoints": self._checkpoints}
        return replace(self._template, stream=freeze(stream))

    def _check(self, attempt: _Attempt) -> None:
        if attempt.cancelled:
            raise EntityError(
                f"pipe {attempt.pipe_id!r} was cancelled; it continues from its checkpoint"
            )

    def _claim(self, attempt: _Attempt) -> None:
        with self._lock:
            if attempt.cancelled:
                raise PipeRunError(
                    f"pipe {attempt.pipe_id!r} was cancelled; its output is unchanged"
                )
            attempt.published = True

    def _read(
        self,
        pipe: PipeMetadata,
        entity: EntityMetadata,
        provider: EntityProvider,
        part: IntervalSlice | None,
    ) -> tuple[DataFrame, int | None]:
        """Read an input: shared, unless the pipe reads something that is its alone."""
        if entity.entityid == pipe.output_entity_id:
            return read_entity(pipe, entity, provider, part)
        interval = None if part is None else (part.start.isoformat(), part.end.isoformat())
        wanted = Slice(entity.entityid, provider.describe(entity).location, interval)
        return self._frames.read(
            wanted, pipe.pipeid, lambda: read_entity(pipe, entity, provider, part)
        )
