"""A note of a run that the scheduler's side writes and tasks read: tasks cannot see pools."""

from __future__ import annotations

__all__ = ["uncounted_text"]


def uncounted_text(pool: str) -> str:
    """Return what the note of a run says of a pool in which a deferred task takes no slot.

    The tasks of the run look for this text, and wait in their workers then.
    """
    return (
        f"Pool {pool!r} does not count deferred tasks, so pipes of shared sessions wait in their "
        "workers. Fix: tick 'Include Deferred' for it under Admin > Pools."
    )
