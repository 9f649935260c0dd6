"""The pools that DAGs need, compared with those that exist.

A pool is *wanted* with the slots that the DAG's definition gives it. With fewer it works, only
narrower, which may be intended. With fewer than one task takes, that task never runs; without the
pool none of its tasks do, and Airflow shows no error for either. Long-running streams count as one
task, because they hold their slots at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kindling_airflow.common.shared_ids import DEFAULT_POOL, STOP_ID

__all__ = [
    "UNLIMITED",
    "PoolNeed",
    "PoolState",
    "PoolVerdict",
    "SlotCount",
    "compare",
    "deferring_pools",
    "needs_of_tasks",
]

_STREAM_TYPE = "KindlingStreamOperator"
_STOP_TYPE = "StopStreamsOperator"
_PIPE_TYPE, _SESSION_TYPE = "KindlingPipeOperator", "KindlingSessionOperator"
_TASK_TYPES = (_PIPE_TYPE, _SESSION_TYPE, _STREAM_TYPE)
UNLIMITED = -1  # the slots of a pool without a limit


class PoolState(str, Enum):
    """How the slots of a pool compare with the needed ones."""

    OK = "ok"
    NARROWER = "narrower"
    TOO_SMALL = "too small"
    MISSING = "missing"

    @property
    def is_fatal(self) -> bool:
        """Whether tasks wait in it forever."""
        return self in (PoolState.TOO_SMALL, PoolState.MISSING)


@dataclass(frozen=True, slots=True, order=True)
class PoolNeed:
    """What one DAG needs of one pool.

    Attributes:
        pool: its name.
        dag_id: the DAG.
        wanted: the slots that the DAG's definition gives it.
        least: the slots of its largest task, plus those of all long-running streams.
        streams: the number of long-running streams.
    """

    pool: str
    dag_id: str
    wanted: int
    least: int
    streams: int = 0


@dataclass(slots=True)
class SlotCount:
    """The slots that tasks take of one pool, counted task by task.

    Attributes:
        streaming: those of all long-running streams.
        largest: those of the largest other task.
        streams: the number of long-running streams.
    """

    streaming: int = 0
    largest: int = 0
    streams: int = 0

    def add(self, slots: int, *, is_long_running: bool) -> None:
        """Count a task."""
        if is_long_running:
            self.streaming += slots
            self.streams += 1
        else:
            self.largest = max(self.largest, slots)

    @property
    def least(self) -> int:
        """The slots without which some task never runs."""
        return self.streaming + self.largest


@dataclass(frozen=True, slots=True)
class PoolVerdict:
    """One pool with the needs of its DAGs.

    Attributes:
        pool: its name.
        needs: by DAG, sorted; never empty.
        slots: its slots; None if it does not exist, :data:`UNLIMITED` without a limit.
    """

    pool: str
    needs: tuple[PoolNeed, ...]
    slots: int | None

    @property
    def wanted(self) -> int:
        """The slots that it is created with: the maximum of its DAGs."""
        return max(max(need.wanted, need.least) for need in self.needs)

    @property
    def least(self) -> int:
        """The slots without which some task never runs."""
        return max(need.least for need in self.needs)

    @property
    def state(self) -> PoolState:
        """How its slots compare."""
        if self.slots is None:
            return PoolState.MISSING
        if self.slots == UNLIMITED or self.slots >= self.wanted:
            return PoolState.OK
        return PoolState.NARROWER if self.slots >= self.least else PoolState.TOO_SMALL

    def advice(self) -> str:
        """Return how to correct a pool in which tasks wait forever, as text."""
        if self.state is PoolState.MISSING:
            return (
                f"Pool {self.pool!r} does not exist, so its tasks stay scheduled. "
                "Fix: run 'airflow kindling pools --apply', or create it with "
                f"{self.wanted} slots under Admin > Pools."
            )
        streams = max(need.streams for need in self.needs if need.least == self.least)
        if streams:
            return (
                f"Pool {self.pool!r} has {_slots(self.slots)}, but long-running streams and the "
                f"tasks beside them take {self.least}, so some stay scheduled. Fix: give the pool "
                "more slots, or the tasks fewer."
            )
        return (
            f"Pool {self.pool!r} has {_slots(self.slots)}, but a task takes {self.least}, so it "
            "stays scheduled. Fix: give the pool more slots, or the task fewer."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON document."""
        return {
            "pool": self.pool,
            "state": self.state.value,
            "slots": self.slots,
            "wanted": self.wanted,
            "least": self.least,
            "dags": [need.dag_id for need in self.needs],
        }


def needs_of_tasks(dag_id: str, tasks: Iterable[Any], width: int) -> tuple[PoolNeed, ...]:
    """Return the needs of a DAG's pipes, one per pool, sorted.

    Args:
        dag_id: the DAG.
        tasks: its tasks, parsed or deserialized; those that are not pipes are ignored.
        width: the default slots of a pool: the DAG's ``max_active_tasks``.
    """
    tasks = list(tasks)
    # The streams of a group are long-running if the group has a task that stops them.
    stops = [str(task.task_id) for task in tasks if _type(task) == _STOP_TYPE]
    streaming = tuple([name.removesuffix(STOP_ID) for name in stops])
    counts: dict[str, SlotCount] = {}
    wanted: dict[str, int] = {}
    for task in tasks:
        if _type(task) not in _TASK_TYPES:
            continue
        slots, pool = int(task.pool_slots), task.pool
        is_long_running = _type(task) == _STREAM_TYPE and task.task_id.startswith(streaming)
        counts.setdefault(pool, SlotCount()).add(slots, is_long_running=is_long_running)
        own_width = getattr(task, "pool_width", None) or width
        if pool == DEFAULT_POOL:  # Airflow's own, shared by all DAGs
            own_width = slots
        wanted[pool] = max(wanted.get(pool, 1), own_width)
    return tuple(
        sorted(
            PoolNeed(pool, dag_id, wanted[pool], count.least, count.streams)
            for pool, count in counts.items()
        )
    )


def deferring_pools(tasks: Iterable[Any]) -> frozenset[str]:
    """Return the pools of pipes that may wait in the triggerer: those of a DAG with a session.

    Args:
        tasks: of the DAG, parsed or deserialized.
    """
    tasks = list(tasks)
    if not any(_type(task) == _SESSION_TYPE for task in tasks):
        return frozenset()
    return frozenset(str(task.pool) for task in tasks if _type(task) == _PIPE_TYPE)


def _type(task: Any) -> str:
    return str(getattr(task, "task_type", ""))


def compare(needs: Iterable[PoolNeed], existing: Mapping[str, int]) -> tuple[PoolVerdict, ...]:
    """Return a verdict on every needed pool, sorted by name.

    Args:
        needs: of any number of DAGs.
        existing: the slots of existing pools.
    """
    by_pool: dict[str, list[PoolNeed]] = {}
    for need in sorted(needs):
        by_pool.setdefault(need.pool, []).append(need)
    return tuple(PoolVerdict(p, tuple(n), existing.get(p)) for p, n in by_pool.items())


def _slots(number: int | None) -> str:
    return "1 slot" if number == 1 else f"{number} slots"
