"""The report of a stream that has ended or was stopped, and the errors of one that is too slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling_airflow.common.immutable import freeze
from kindling_airflow.errors import PipeTimeoutError
from kindling_airflow.protocol.contracts import InputReport, RunReport, RunRequest
from kindling_airflow.runner.streaming.running import RunningStream, StreamFacts
from kindling_airflow.runner.streaming.stall_watch import StallWatch
from kindling_airflow.tags.stream_settings import StreamSettings


def stream_report(
    request: RunRequest,
    stream: RunningStream,
    *,
    seconds: float,
    application_id: str,
    drained: Mapping[str, bool | None],
) -> RunReport:
    """Return what a stream did since it was started."""
    facts, progress = stream.facts, stream.progress()
    note = drain_note(facts, drained.get("drained", True), progress)
    extra = {"output": dict(facts.description), "stream": dict(progress), **drained}
    return RunReport(
        attempt_key=request.attempt_key,
        pipe_id=request.pipe_id,
        status="published",
        output_entity_id=facts.output_id,
        location=facts.location,
        rows_written=stream.rows_out,
        inputs=(InputReport(facts.driving_id, stream.rows_in),),
        duration_seconds=round(seconds, 3),
        application_id=application_id,
        plan_digest=request.plan_digest,
        code_digest=request.code_digest,
        expectations=stream.expectations,
        extra=freeze({**extra, **({"note": note} if note else {})}),
    )


def drain_note(facts: StreamFacts, drained: bool | None, progress: Mapping[str, Any]) -> str:
    """Return what a stream that was not drained in time means for its output; "" if it was."""
    if drained:
        return ""
    if drained is None:
        what = (
            "with a continuous trigger, Spark does not report whether it had read everything when "
            "it was stopped"
        )
    else:
        limit = facts.settings.drain_timeout
        lag = progress.get("lag")
        behind = "" if lag is None else f" (behind by {lag:,} as of its last batch)"
        what = f"it was still processing data after {limit:g} s{behind}, and was stopped"
    sends = facts.description.get("format") == "kafka"
    again = " Records that were being sent are sent again." if sends else ""
    verb = "may not be" if drained is None else "was not"
    longer = "" if drained is None else " Increase stream.drain_timeout to allow more time."
    return (
        f"stream {facts.pipe_id!r} {verb} drained: {what}. No data is lost: the next run continues "
        f"from the checkpoint; until then {facts.output_id!r} may lack rows.{again}{longer}"
    )


def stall_watch_of(settings: StreamSettings) -> StallWatch:
    """Return a watch with the limits of a pipe's query."""
    pause = settings.trigger.seconds if settings.trigger.kind == "processing_time" else None
    return StallWatch(settings.stall_timeout, pause or 0.0)


def stalled(query: str, settings: StreamSettings, status: object) -> PipeTimeoutError:
    """Return the error of a query that makes no progress."""
    return PipeTimeoutError(
        f"{query} has stalled: no progress for {settings.stall_timeout:g} s: {status}\n"
        "  Fix: check the Spark UI for what it is waiting for; increase stream.stall_timeout if a "
        "single task of a batch takes longer."
    )
