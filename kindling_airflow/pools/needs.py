"""What pools DAGs need, and how that compares with what exists.

A pool is *wanted* with as many slots as the DAG's definition gives it. With fewer slots it still
works, only narrower: whoever made it so has a reason. With fewer slots than one task takes, that
task never runs; without a pool no task of it does, and Airflow shows no error for either. Streams
that live on are like one task: all of them hold their slots at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = [
    "DEFAULT_POOL",
    "PoolNeed",
    "PoolState",
    "PoolVerdict",
    "SlotCount",
    "compare",
    "needs_of_tasks",
]

DEFAULT_POOL = "default_pool"
_STREAM_TYPE = "KindlingStreamOperator"
_STOP_TYPE, _STOP_ID = "StopStreamsOperator", "stop_streams"
_TASK_TYPES = ("KindlingPipeOperator", _STREAM_TYPE)
_UNLIMITED = -1  # Airflow's word for a pool without a limit


class PoolState(str, Enum):
    """How a pool compares with what is needed of it."""

    OK = "ok"
    NARROWER = "narrower"
    TOO_SMALL = "too small"
    MISSING = "missing"

    @property
    def is_fatal(self) -> bool:
        """Whether tasks wait in it for ever."""
        return self in (PoolState.TOO_SMALL, PoolState.MISSING)


@dataclass(frozen=True, slots=True, order=True)
class PoolNeed:
    """What one DAG needs of one pool.

    Attributes:
        pool: its name.
        dag_id: the DAG.
        wanted: the slots that the DAG's definition gives it.
        least: the slots that its largest task takes; where streams live on, all of them together
            and the largest other task besides.
        streams: how many streams live on in it.
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
        living: those of streams that live on, together.
        largest: those of the largest other task.
        streams: how many streams there are.
    """

    living: int = 0
    largest: int = 0
    streams: int = 0

    def add(self, slots: int, *, lives_on: bool) -> None:
        """Count a task."""
        if lives_on:
            self.living += slots
            self.streams += 1
        else:
            self.largest = max(self.largest, slots)

    @property
    def least(self) -> int:
        """The slots without which some task never runs."""
        return self.living + self.largest


@dataclass(frozen=True, slots=True)
class PoolVerdict:
    """One pool with everything that is needed of it.

    Attributes:
        pool: its name.
        needs: by DAG, sorted; never empty.
        slots: what it has; None where there is none, -1 where it has no limit.
    """

    pool: str
    needs: tuple[PoolNeed, ...]
    slots: int | None

    @property
    def wanted(self) -> int:
        """The slots that it is created with: what the widest of its DAGs wants."""
        return max(max(need.wanted, need.least) for need in self.needs)

    @property
    def least(self) -> int:
        """The slots without which some task never runs."""
        return max(need.least for need in self.needs)

    @property
    def state(self) -> PoolState:
        """How it compares."""
        if self.slots is None:
            return PoolState.MISSING
        if self.slots == _UNLIMITED or self.slots >= self.wanted:
            return PoolState.OK
        return PoolState.NARROWER if self.slots >= self.least else PoolState.TOO_SMALL

    def advice(self) -> str:
        """Return what to do about a pool in which tasks wait for ever, as one sentence."""
        if self.state is PoolState.MISSING:
            return (
                f"Pool {self.pool!r} does not exist, so its tasks stay scheduled. "
                "Fix: 'airflow kindling pools --apply', or create it with "
                f"{self.wanted} slots under Admin > Pools."
            )
        streams = max(need.streams for need in self.needs if need.least == self.least)
        if streams:
            return (
                f"Pool {self.pool!r} has {_slots(self.slots)}, but streams that live on, and what "
                f"runs beside them, take {self.least}, so some stay scheduled. Fix: give the pool "
                "more slots, or the tasks fewer."
            )
        return (
            f"Pool {self.pool!r} has {_slots(self.slots)}, but a task takes {self.least}, so it "
            "stays scheduled. Fix: give the pool more slots, or the task fewer."
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "pool": self.pool,
            "state": self.state.value,
            "slots": self.slots,
            "wanted": self.wanted,
            "least": self.least,
            "dags": [need.dag_id for need in self.needs],
        }


def needs_of_tasks(dag_id: str, tasks: Iterable[Any], width: int) -> tuple[PoolNeed, ...]:
    """Return what a DAG's pipes need, one entry per pool, sorted.

    Args:
        dag_id: the DAG.
        tasks: its tasks as Airflow has them, parsed or deserialized; those that are no pipes do not
            count.
        width: the slots of a pool for which its tasks say nothing: the DAG's ``max_active_tasks``.
    """
    tasks = list(tasks)
    # The streams of a group live on if the group has a task that stops them, by a name of its own.
    stops = [str(task.task_id) for task in tasks if _type(task) == _STOP_TYPE]
    living = tuple([name.removesuffix(_STOP_ID) for name in stops])
    counts: dict[str, SlotCount] = {}
    wanted: dict[str, int] = {}
    for task in tasks:
        if _type(task) not in _TASK_TYPES:
            continue
        slots, pool = int(task.pool_slots), task.pool
        lives_on = _type(task) == _STREAM_TYPE and task.task_id.startswith(living)
        counts.setdefault(pool, SlotCount()).add(slots, lives_on=lives_on)
        said = getattr(task, "pool_width", None) or width
        if pool == DEFAULT_POOL:  # Airflow's own, for whatever there is
            said = slots
        wanted[pool] = max(wanted.get(pool, 1), said)
    return tuple(
        sorted(
            PoolNeed(pool, dag_id, wanted[pool], count.least, count.streams)
            for pool, count in counts.items()
        )
    )


def _type(task: Any) -> str:
    return str(getattr(task, "task_type", ""))


def compare(needs: Iterable[PoolNeed], existing: Mapping[str, int]) -> tuple[PoolVerdict, ...]:
    """Return a verdict on every pool that is needed, sorted by name.

    Args:
        needs: of any number of DAGs.
        existing: the slots of each pool that there is.
    """
    by_pool: dict[str, list[PoolNeed]] = {}
    for need in sorted(needs):
        by_pool.setdefault(need.pool, []).append(need)
    return tuple(PoolVerdict(p, tuple(n), existing.get(p)) for p, n in by_pool.items())


def _slots(number: int | None) -> str:
    return "1 slot" if number == 1 else f"{number} slots"
