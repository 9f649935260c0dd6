"""Cache recommendations, applied: when an entity is shared, when it is released, what is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from kindling_airflow.errors import ExecutionError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor import (
    ExecutionInterrupted,
    ExecutionResult,
    GenerationExecutor,
    PipeStatus,
)
from tests.builders import plan
from tests.generation_executor.simulation import (
    Does,
    Pipes,
    Simulation,
    busy,
    fails,
    listening,
    never,
)

READ = {"entity_id": "a.out", "consumers": ["b", "c"], "level": "MEMORY_AND_DISK"}


class SharingPipes(Pipes):
    """A runner that keeps what it is told to; each pipe of ``reads`` reads these entities."""

    def __init__(self, reads: dict[str, list[str]], script: Any = None) -> None:
        super().__init__(Simulation(), script)
        self.reads = reads
        self.kept: dict[str, Callable[[str, bool], None]] = {}
        self.seen: set[str] = set()
        self.story: list[str] = []
        self.broken: set[str] = set()

    def share(self, entity_id: str, level: str, on_read: Callable[[str, bool], None]) -> None:
        self.story.append(f"share {entity_id} {level}")
        if "share" in self.broken:
            raise RuntimeError("no memory")
        self.kept[entity_id] = on_read

    def release(self, entity_id: str) -> None:
        self.story.append(f"release {entity_id}")
        if "release" in self.broken:
            raise RuntimeError("gone")
        del self.kept[entity_id]

    def __call__(self, pipe_id: str) -> Any:
        self.story.append(pipe_id)
        for entity_id in self.reads.get(pipe_id, ()):
            if entity_id in self.kept:
                self.kept[entity_id](pipe_id, entity_id in self.seen)
                self.seen.add(entity_id)
        return super().__call__(pipe_id)


def recommending(drawing: str, *reads: Any) -> ExecutionPlan:
    drawn = plan(drawing)
    metadata = {**drawn.metadata, "cache_recommendations": reads}
    return ExecutionPlan(drawn.pipe_ids, drawn.generations, drawn.graph, "batch", metadata)


def run(pipes: Pipes, planned: ExecutionPlan, **options: Any) -> ExecutionResult:
    options = {"auto_cache": True, **options}
    executor = GenerationExecutor(pipes, threads=pipes.simulation.threads)
    return executor.execute(planned, **options)


def test_an_entity_is_shared_before_its_first_reader_and_released_after_its_last() -> None:
    pipes = SharingPipes({"b": ["a.out"], "c": ["a.out"]})
    result = run(pipes, recommending("a -> b, a -> x -> c -> d", READ))
    assert pipes.story == [
        "a",
        "share a.out MEMORY_AND_DISK",
        "b",
        "x",
        "c",
        "release a.out",
        "d",
    ]
    assert result.cache_metrics == {
        "hits": 1,
        "misses": 1,
        "entities": {"a.out": {"level": "MEMORY_AND_DISK", "hits": 1, "misses": 1}},
    }
    assert result.get_summary()["cache_metrics"] == result.cache_metrics


def test_reads_are_told_while_their_pipe_runs() -> None:
    pipes = SharingPipes({"b": ["a.out"], "c": ["a.out"]})
    names = ("cache_recommended", "cache_hit", "cache_miss", "pipe_started", "pipe_completed")
    with listening(*names) as heard:
        run(pipes, recommending("a -> b, a -> c", READ))
    assert [(name, said.get("pipe_id")) for name, said in heard] == [
        ("cache_recommended", None),
        ("pipe_started", "a"),
        ("pipe_completed", "a"),
        ("pipe_started", "b"),
        ("cache_miss", "b"),
        ("pipe_completed", "b"),
        ("pipe_started", "c"),
        ("cache_hit", "c"),
        ("pipe_completed", "c"),
    ]
    recommended = heard[0][1]
    assert (recommended["entity_id"], recommended["consumers"]) == ("a.out", ("b", "c"))
    assert (recommended["level"], recommended["applied"]) == ("MEMORY_AND_DISK", True)
    assert heard[4][1]["entity_id"] == "a.out"


def test_the_planners_own_recommendations_are_understood() -> None:
    planned = plan("a -> b, a -> c")
    pipes = SharingPipes({"b": ["a.out"], "c": ["a.out"]})
    result = run(pipes, planned)
    assert [name for name in pipes.story if name.startswith("share")] != []
    assert result.cache_metrics["hits"] == 1


@pytest.mark.parametrize(
    ("why", "read", "options"),
    [
        ("nobody asked", READ, {"auto_cache": False}),
        ("not worth it", {**READ, "level": "NONE"}, {}),
        ("one reader in the plan", {**READ, "consumers": ["b", "elsewhere"]}, {}),
        ("one reader, named twice", {**READ, "consumers": ["b", "b"]}, {}),
    ],
)
def test_what_is_not_applied_is_told_as_such(why: str, read: Any, options: dict[str, Any]) -> None:
    pipes = SharingPipes({"b": ["a.out"]})
    with listening("cache_recommended") as heard:
        result = run(pipes, recommending("a -> b, a -> c", read), **options)
    assert [said["applied"] for _, said in heard] == [False]
    assert pipes.story == ["a", "b", "c"]
    assert result.cache_metrics == {"hits": 0, "misses": 0, "entities": {}}


def test_a_runner_that_cannot_share_runs_without_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worthless = {**READ, "entity_id": "x", "level": "NONE"}
    planned = recommending("a -> b, a -> c", READ, worthless, {**READ, "entity_id": "fx"})
    with caplog.at_level(logging.WARNING), listening("cache_recommended") as heard:
        result = run(Pipes(Simulation()), planned)
    assert result.all_succeeded
    assert [said["applied"] for _, said in heard] == [False, False, False]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "auto_cache has no effect: the pipe runner cannot cache entities, so every pipe re-reads "
        "'a.out', 'fx'\n"
        "  Fix: add the methods share and release to the runner, or omit auto_cache."
    )


def test_of_many_entities_that_cannot_be_kept_ten_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    many = [{**READ, "entity_id": f"e{n:02}"} for n in range(12)]
    for reads, end in ((many[:10], "'e09'"), (many, "'e09' and 2 more")):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            run(Pipes(Simulation()), recommending("a -> b, a -> c", *reads))
        (record,) = caplog.records
        assert record.getMessage().splitlines()[0].endswith(f"'e08', {end}")


@pytest.mark.parametrize(
    ("read", "options"),
    [(READ, {"auto_cache": False}), ({**READ, "level": "NONE"}, {})],
    ids=["nobody asked", "nothing to keep"],
)
def test_where_nothing_is_lost_nothing_is_logged(
    read: Any, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run(Pipes(Simulation()), recommending("a -> b, a -> c", read), **options)
        run(SharingPipes({}), recommending("a -> b, a -> c", READ))
    assert caplog.records == []


def test_a_failed_producer_shares_nothing() -> None:
    pipes = SharingPipes({}, {"a": Does(1, fails())})
    run(pipes, recommending("a -> b, a -> c", READ))
    assert pipes.story == ["a"]


@pytest.mark.parametrize("outcome", [fails(), {"status": "skipped"}])
def test_readers_that_fail_or_skip_release_too(outcome: Any) -> None:
    script = {"b": Does(1, outcome), "c": Does(1, outcome)}
    pipes = SharingPipes({"b": ["a.out"]}, script)
    run(pipes, recommending("a -> b, a -> c, a -> x -> y", READ))
    assert pipes.story[2:] == ["b", "c", "release a.out", "x", "y"]


def test_readers_that_are_not_run_are_not_waited_for() -> None:
    """c does not run because x failed: when that is known, nobody reads any more."""
    pipes = SharingPipes({"b": ["a.out"]}, {"x": Does(1, fails())})
    run(pipes, recommending("a -> b, a -> c, x -> y -> c, a -> d -> e -> f", READ))
    assert pipes.story[-4:] == ["d", "release a.out", "e", "f"]


def test_a_reader_out_of_time_releases_too() -> None:
    pipes = SharingPipes({"b": ["a.out"]}, {"c": Does(never)})
    run(pipes, recommending("a -> b, a -> c -> d", READ), pipe_timeout=5)
    assert pipes.story[-1] == "release a.out"


def test_a_time_limit_holds_however_much_is_read_beside_it() -> None:
    """b reads a hundred times at once, each read is told for a second; d ends in time, c never."""
    read = {**READ, "consumers": ["b", "c", "d"]}
    pipes = SharingPipes({"b": ["a.out"] * 100}, {"c": Does(never), "d": Does(4)})
    with busy(pipes.simulation, 1, "cache_hit", "cache_miss"):
        result = run(
            pipes, recommending("a -> b, a -> c, a -> d", read), parallel=True, pipe_timeout=5
        )
    _, b, c, d = result.pipe_results
    assert (c.timed_out, c.duration_seconds) == (True, 5)
    assert [b.status, d.status] == [PipeStatus.SUCCESS, PipeStatus.SUCCESS]
    assert (result.cache_metrics["hits"], result.cache_metrics["misses"]) == (99, 1)
    assert result.duration_seconds == 101


def test_fail_fast_leaves_nothing_shared() -> None:
    pipes = SharingPipes({}, {"b": Does(1, fails())})
    run(pipes, recommending("a -> b, a -> c", READ), error_strategy="fail_fast")
    assert pipes.story == ["a", "share a.out MEMORY_AND_DISK", "b", "release a.out"]


def test_an_interrupt_between_two_readers_releases() -> None:
    pipes = SharingPipes({"b": ["a.out"]})
    raising = {"cache_miss": KeyboardInterrupt()}
    with listening(raising=raising), pytest.raises(ExecutionInterrupted) as raised:
        run(pipes, recommending("a -> b, a -> c", READ))
    assert pipes.story == ["a", "share a.out MEMORY_AND_DISK", "b", "release a.out"]
    assert raised.value.result.cache_metrics["misses"] == 1


def test_reads_that_were_reported_before_an_interrupt_are_told_before_the_end_of_their_pipe() -> (
    None
):
    """b has read twice and has ended when the interrupt comes, with the first of its reads."""
    pipes = SharingPipes({"b": ["a.out", "a.out"]}, {"b": Does(0)})
    names = ("cache_miss", "cache_hit", "pipe_completed", "pipe_failed")
    raising = {"cache_miss": KeyboardInterrupt()}
    with listening(*names, raising=raising) as heard, pytest.raises(ExecutionInterrupted) as raised:
        run(pipes, recommending("a -> b, a -> c", READ))
    assert [(name, said["pipe_id"]) for name, said in heard] == [
        ("pipe_completed", "a"),
        ("cache_miss", "b"),
        ("cache_hit", "b"),
        ("pipe_completed", "b"),
    ]
    assert raised.value.result.cache_metrics["hits"] == 1


def test_an_interrupt_that_is_interrupted_releases_too() -> None:
    pipes = SharingPipes({"b": ["a.out"]})
    raising = {name: KeyboardInterrupt() for name in ("cache_miss", "pipe_failed")}
    with listening(raising=raising), pytest.raises(ExecutionInterrupted):
        run(pipes, recommending("a -> b, a -> c", READ))
    assert pipes.story[-1] == "release a.out"
    assert pipes.kept == {}


@pytest.mark.parametrize("what", ["share", "release"])
def test_a_runner_that_fails_at_sharing_is_logged_and_the_pipes_run(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipes = SharingPipes({"b": ["a.out"], "c": ["a.out"]})
    pipes.broken = {what}
    with caplog.at_level(logging.ERROR):
        result = run(pipes, recommending("a -> b, a -> c", READ))
    assert result.all_succeeded
    assert pipes.story.count("release a.out") == 1
    shown = caplog.records[0].getMessage().splitlines()[0]
    assert shown == f"entity 'a.out' cannot be {what}d"


def test_two_entities_are_shared_each_for_itself() -> None:
    other = {"entity_id": "x.out", "consumers": ["c", "d"], "level": "DISK_ONLY"}
    pipes = SharingPipes({"b": ["a.out"], "c": ["a.out", "x.out"], "d": ["x.out"]})
    result = run(pipes, recommending("a -> b, a -> c, x -> c, x -> d", READ, other))
    assert pipes.story == [
        "a",
        "x",
        "share a.out MEMORY_AND_DISK",
        "share x.out DISK_ONLY",
        "b",
        "c",
        "release a.out",
        "d",
        "release x.out",
    ]
    assert (result.cache_metrics["hits"], result.cache_metrics["misses"]) == (2, 2)


BROKEN = [
    "all of them",
    {"entity_id": 3, "consumers": "b", "level": "memory_only"},
    {"entity_id": "e", "consumers": ["b", 4], "level": "NONE"},
    READ,
    READ,
]
LEVEL_PROBLEM = (
    "metadata: cache_recommendations[1].level: unknown value 'memory_only'.\n"
    "  Fix: use one of MEMORY_ONLY, MEMORY_AND_DISK, DISK_ONLY, NONE."
)
PROBLEMS = (
    "metadata: cache_recommendations[0] must be an object, not 'all of them'",
    "metadata: cache_recommendations[1].consumers must be a list of pipes, not 'b'",
    "metadata: cache_recommendations[1].entity_id must be a string, not 3",
    LEVEL_PROBLEM,
    "metadata: cache_recommendations[2].consumers must be a list of pipes, not ('b', 4)",
    "metadata: cache_recommendations[4]: entity 'a.out' is listed twice",
)


def test_recommendations_that_make_no_sense_are_all_told_before_anything_runs() -> None:
    pipes = SharingPipes({})
    with pytest.raises(ExecutionError) as refused:
        run(pipes, recommending("a -> b, a -> c", *BROKEN))
    assert refused.value.problems == PROBLEMS
    assert pipes.story == []


def test_recommendations_must_be_a_list() -> None:
    drawn = plan("a")
    metadata = {"cache_recommendations": "a.out"}
    planned = ExecutionPlan(drawn.pipe_ids, drawn.generations, drawn.graph, "batch", metadata)
    with pytest.raises(ExecutionError) as refused:
        run(SharingPipes({}), planned)
    assert str(refused.value) == "metadata: cache_recommendations must be a list, not 'a.out'"


def test_recommendations_that_nobody_applies_may_be_anything() -> None:
    result = run(SharingPipes({}), recommending("a", *BROKEN), auto_cache=False)
    assert result.pipe_results[0].status is PipeStatus.SUCCESS
