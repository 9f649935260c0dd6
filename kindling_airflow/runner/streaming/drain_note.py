"""What is left when a stream was stopped before its source had nothing more, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling_airflow.runner.streaming.running import StreamFacts


def leftovers(facts: StreamFacts, drained: bool | None, progress: Mapping[str, Any]) -> str:
    """Return what a stream that was drained has left, and what that means; "" for nothing.

    Args:
        facts: what is known of the stream.
        drained: whether it was done in time; None if nobody can tell.
        progress: its last numbers.
    """
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
