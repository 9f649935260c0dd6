"""The signals of an execution: blinker signals, all named ``orchestrator.*``.

    from kindling_airflow.generation_executor.signals import pipe_failed

    @pipe_failed.connect
    def page_on_call(sender, *, pipe_id, result, **_): ...

The sender is the executor (for ``plan_generated`` the orchestrator), everything else is a keyword
argument, listed in ``PAYLOADS``. A receiver should take ``**_``: later releases may add to them. A
receiver that raises is logged and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from blinker import Namespace, Signal

__all__ = [
    "NAMESPACE",
    "PAYLOADS",
    "cache_hit",
    "cache_miss",
    "cache_recommended",
    "emit",
    "execution_completed",
    "execution_failed",
    "execution_started",
    "generation_completed",
    "generation_failed",
    "generation_started",
    "pipe_completed",
    "pipe_failed",
    "pipe_retrying",
    "pipe_skipped",
    "pipe_started",
    "plan_generated",
]

NAMESPACE = Namespace()

_RUN = ("run_id", "plan")
_PIPE = (*_RUN, "pipe_id", "generation_number")

PAYLOADS: Mapping[str, tuple[str, ...]] = {
    "orchestrator.plan_generated": ("plan", "pipe_ids", "strategy"),
    "orchestrator.execution_started": _RUN,
    "orchestrator.execution_completed": (*_RUN, "result"),
    "orchestrator.execution_failed": (*_RUN, "result"),
    "orchestrator.generation_started": (*_RUN, "generation", "pipe_ids"),
    "orchestrator.generation_completed": (*_RUN, "generation", "result"),
    "orchestrator.generation_failed": (*_RUN, "generation", "result"),
    "orchestrator.pipe_started": _PIPE,
    "orchestrator.pipe_completed": (*_PIPE, "result"),
    "orchestrator.pipe_failed": (*_PIPE, "result", "exception"),
    "orchestrator.pipe_retrying": (*_PIPE, "attempt", "error", "exception", "wait_seconds"),
    "orchestrator.pipe_skipped": (*_PIPE, "result"),
    "orchestrator.cache_recommended": (*_RUN, "entity_id", "consumers", "level", "applied"),
    "orchestrator.cache_hit": (*_RUN, "entity_id", "pipe_id"),
    "orchestrator.cache_miss": (*_RUN, "entity_id", "pipe_id"),
}
"""The keyword arguments of each signal."""


def _signal(name: str, doc: str) -> Signal:
    return NAMESPACE.signal(f"orchestrator.{name}", doc=doc)


plan_generated = _signal("plan_generated", "A plan was created and is valid; nothing has run.")
execution_started = _signal("execution_started", "A plan begins.")
execution_completed = _signal("execution_completed", "A plan ended and all its pipes succeeded.")
execution_failed = _signal("execution_failed", "A plan ended; a pipe failed or did not run.")
generation_started = _signal("generation_started", "At least one pipe of a generation will run.")
generation_completed = _signal(
    "generation_completed", "Every pipe of a generation has succeeded; of streams: is ready."
)
generation_failed = _signal(
    "generation_failed",
    "A generation ended; a pipe failed or did not run; of streams: they did not become ready.",
)
pipe_started = _signal("pipe_started", "A pipe begins; completed, failed or skipped will follow.")
pipe_completed = _signal("pipe_completed", "A pipe did its work.")
pipe_failed = _signal("pipe_failed", "A pipe failed, and is not retried.")
pipe_retrying = _signal("pipe_retrying", "An attempt failed; a retry follows after a wait.")
pipe_skipped = _signal(
    "pipe_skipped", "A pipe had nothing to do (after pipe_started), or was not run (without it)."
)
cache_recommended = _signal("cache_recommended", "An entity is worth keeping between its readers.")
cache_hit = _signal("cache_hit", "A pipe got an entity that was already read.")
cache_miss = _signal("cache_miss", "A pipe read an entity, which is kept for later readers.")


def emit(
    signal: Signal, sender: object, on_error: Callable[[str, Exception], None], /, **payload: Any
) -> None:
    """Send a signal to every receiver, whatever the others do."""
    if signal.is_muted:
        return
    for receiver in signal.receivers_for(sender):
        try:
            receiver(sender, **payload)
        except Exception as error:
            on_error(str(getattr(signal, "name", signal)), error)
