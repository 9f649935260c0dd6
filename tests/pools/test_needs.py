"""What DAGs need of pools, and how that compares with what there is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.pools.needs import (
    PoolNeed,
    PoolState,
    PoolVerdict,
    compare,
    deferring_pools,
    needs_of_tasks,
)


def task(pool: str, slots: int = 1, width: int | None = None, **more: Any) -> SimpleNamespace:
    said = {"task_type": "KindlingPipeOperator", "pool": pool, "pool_slots": slots, **more}
    return SimpleNamespace(**said, pool_width=width)


def verdict(slots: int | None, wanted: int = 4, least: int = 2) -> PoolVerdict:
    return PoolVerdict("p", (PoolNeed("p", "dag", wanted, least),), slots)


class TestNeeds:
    def test_a_pool_is_as_wide_as_its_tasks_say_or_else_the_dag(self) -> None:
        tasks = [task("own"), task("jdbc", 2, width=3), task("own", 2), task("jdbc", 1, width=3)]
        assert needs_of_tasks("dag", tasks, 8) == (
            PoolNeed("jdbc", "dag", 3, 2),
            PoolNeed("own", "dag", 8, 2),
        )

    def test_other_peoples_tasks_do_not_count(self) -> None:
        assert needs_of_tasks("dag", [task("p", task_type="BashOperator")], 8) == ()
        assert needs_of_tasks("dag", [SimpleNamespace()], 8) == ()

    def test_a_session_takes_a_slot_in_its_pool(self) -> None:
        session = task("drivers", width=2, task_type="KindlingSessionOperator")
        assert needs_of_tasks("dag", [session], 8) == (PoolNeed("drivers", "dag", 2, 1),)

    def test_pipes_beside_a_session_may_be_deferred(self) -> None:
        session = task("drivers", task_type="KindlingSessionOperator")
        other = task("theirs", task_type="BashOperator")
        assert deferring_pools([task("own"), task("jdbc"), session, other]) == {"own", "jdbc"}
        assert deferring_pools([task("own"), other]) == frozenset()

    def test_tasks_of_an_earlier_release_say_no_width(self) -> None:
        old = task("p")
        del old.pool_width
        assert needs_of_tasks("dag", [old], 8) == (PoolNeed("p", "dag", 8, 1),)

    def test_airflows_own_pool_is_wanted_only_as_large_as_its_largest_task(self) -> None:
        tasks = [task("default_pool"), task("default_pool", 3)]
        assert needs_of_tasks("dag", tasks, 200) == (PoolNeed("default_pool", "dag", 3, 3),)

    def test_streams_that_live_on_take_their_slots_together(self) -> None:
        def stream(name: str, slots: int = 1) -> SimpleNamespace:
            return task("p", slots, task_type="KindlingStreamOperator", task_id=name)

        streams = [stream("a"), stream("b", 2)]
        stop = SimpleNamespace(task_type="StopStreamsOperator", task_id="stop_streams")
        assert needs_of_tasks("dag", [*streams, stop], 8) == (PoolNeed("p", "dag", 8, 3, 2),)
        beside = [*streams, stop, task("p", 2), task("p")]
        assert needs_of_tasks("dag", beside, 8) == (PoolNeed("p", "dag", 8, 5, 2),)
        assert needs_of_tasks("dag", streams, 8) == (PoolNeed("p", "dag", 8, 2),)

    def test_the_streams_of_one_group_say_nothing_of_those_of_another(self) -> None:
        named = {"task_type": "KindlingStreamOperator"}
        tasks = [
            *(task("p", **named, task_id=f"living.{name}") for name in "abc"),
            *(task("p", **named, task_id=f"ending.{name}") for name in "abcd"),
            SimpleNamespace(task_type="StopStreamsOperator", task_id="living.stop_streams"),
        ]
        assert needs_of_tasks("dag", tasks, 8) == (PoolNeed("p", "dag", 8, 4, 3),)


class TestCompare:
    @pytest.mark.parametrize(
        ("slots", "state"),
        [
            (None, PoolState.MISSING),
            (-1, PoolState.OK),  # without a limit
            (0, PoolState.TOO_SMALL),
            (1, PoolState.TOO_SMALL),
            (2, PoolState.NARROWER),
            (3, PoolState.NARROWER),
            (4, PoolState.OK),
            (9, PoolState.OK),
        ],
    )
    def test_states(self, slots: int | None, state: PoolState) -> None:
        assert verdict(slots).state is state
        assert state.is_fatal == (state in (PoolState.MISSING, PoolState.TOO_SMALL))

    def test_dags_that_share_a_pool_are_judged_together(self) -> None:
        needs = [
            PoolNeed("shared", "b", 2, 1),
            PoolNeed("alone", "a", 1, 1),
            PoolNeed("shared", "a", 5, 3),
        ]
        alone, shared = compare(needs, {"shared": 4, "unrelated": 1})
        assert (alone.pool, alone.slots, alone.state) == ("alone", None, PoolState.MISSING)
        assert [need.dag_id for need in shared.needs] == ["a", "b"]
        assert (shared.wanted, shared.least, shared.slots) == (5, 3, 4)

    def test_a_pool_is_never_wanted_smaller_than_its_largest_task(self) -> None:
        assert verdict(None, wanted=1, least=3).wanted == 3

    def test_what_to_do_is_said(self) -> None:
        assert verdict(None).advice() == (
            "Pool 'p' does not exist, so its tasks stay scheduled. Fix: run 'airflow kindling "
            "pools --apply', or create it with 4 slots under Admin > Pools."
        )
        assert verdict(1).advice() == (
            "Pool 'p' has 1 slot, but a task takes 2, so it stays scheduled. Fix: give the pool "
            "more slots, or the task fewer."
        )
        assert "Pool 'p' has 0 slots, but" in verdict(0).advice()

    def test_it_can_be_read_by_programs(self) -> None:
        assert verdict(3).to_json() == {
            "pool": "p",
            "state": "narrower",
            "slots": 3,
            "wanted": 4,
            "least": 2,
            "dags": ["dag"],
        }


def test_a_pool_without_room_for_all_streams_is_too_small() -> None:
    (found,) = compare([PoolNeed("p", "dag", 4, 4, 3), PoolNeed("p", "other", 1, 1)], {"p": 2})
    assert found.state is PoolState.TOO_SMALL
    assert found.advice() == (
        "Pool 'p' has 2 slots, but long-running streams and the tasks beside them take 4, so "
        "some stay scheduled. Fix: give the pool more slots, or the tasks fewer."
    )
