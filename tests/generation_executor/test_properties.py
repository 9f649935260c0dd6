"""Every execution, against a model that knows nothing of threads, slots or clocks.

Random graphs, random scripts (how often each pipe fails, how long each try takes), random options.
The model decides each pipe by looking at its own script and its producers; the invariants are
looked up in what the pipes saw of the time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.generation_executor import (
    ExecutionResult,
    GenerationExecutor,
    PipeStatus,
    Skipped,
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
from tests.strategies import acyclic_pipes

GRACE = 10  # how long after the interval a try that ran out of time may still end


@dataclass(frozen=True)
class Case:
    """One execution to be made."""

    plan: ExecutionPlan
    script: dict[str, list[Does]]
    retries: dict[str, int]
    interval: float
    timeout: float | None
    workers: int
    strategy: str

    def options(self, parallel: bool) -> dict[str, Any]:
        return {
            "parallel": parallel,
            "max_workers": self.workers,
            "error_strategy": self.strategy,
            "pipe_timeout": self.timeout,
            "retry_interval_seconds": self.interval,
            "overrides": {p: {"retry.attempts": n} for p, n in self.retries.items()},
        }


def tries() -> st.SearchStrategy[Does]:
    seconds = st.sampled_from([0.0, 1.0, 2.0, 4.0, 5.0, 30.0, never])
    outcome = st.sampled_from([None, None, None, fails(), fails(), Skipped("none"), SystemExit(1)])
    return st.builds(Does, seconds, outcome)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    pipes = draw(acyclic_pipes())
    planned = ExecutionPlanGenerator(pipes).generate_batch_plan()
    script = {p: draw(st.lists(tries(), min_size=1, max_size=3)) for p in planned.pipe_ids}
    hangs = any(does.seconds == never for entries in script.values() for does in entries)
    timeout = draw(st.sampled_from([3.0, 5.0] if hangs else [None, 3.0, 5.0]))
    return Case(
        plan=planned,
        script=script,
        retries={p: draw(st.integers(0, 2)) for p in planned.pipe_ids},
        interval=draw(st.sampled_from([0.0, 1.0, 10.0])),
        timeout=timeout,
        workers=draw(st.integers(1, 4)),
        strategy=draw(st.sampled_from(["skip_dependents", "continue", "fail_fast"])),
    )


def execute(
    case: Case, parallel: bool, telling: float = 0.0
) -> tuple[ExecutionResult, Pipes, list[Any]]:
    """Execute a case; a receiver takes so many seconds to be told that a pipe is completed."""
    sim = Simulation()
    pipes = Pipes(sim, case.script)
    executor = GenerationExecutor(pipes, threads=sim.threads, new_run_id=lambda: "run")
    with listening() as heard, busy(sim, telling, "pipe_completed"):
        result = executor.execute(case.plan, **case.options(parallel))
    return result, pipes, heard


def end_of(case: Case, pipe_id: str) -> tuple[str, int]:
    """Return how a pipe ends if it is run, and after how many tries."""
    entries = case.script[pipe_id]
    allowed = case.retries[pipe_id] + 1
    for n in range(allowed):
        does = entries[min(n, len(entries) - 1)]
        late = case.timeout is not None and does.seconds > case.timeout
        if not late and isinstance(does.outcome, SystemExit):
            return "failed", n + 1
        if not late and not isinstance(does.outcome, Exception):
            return ("skipped" if isinstance(does.outcome, Skipped) else "success"), n + 1
        if late and does.seconds > (case.timeout or 0) + case.interval + GRACE:
            return "failed", n + 1
    return "failed", allowed


def model(case: Case) -> dict[str, str]:
    """Return the status of each pipe when they run one after the other."""
    found: dict[str, str] = {}
    stopped = False
    for generation in case.plan.generations:
        for pipe_id in generation:
            upstream = [found[p] for p in case.plan.graph.get_dependencies(pipe_id)]
            blocked = case.strategy == "skip_dependents" and {"failed", "not_run"} & set(upstream)
            found[pipe_id] = "not_run" if stopped or blocked else end_of(case, pipe_id)[0]
            stopped = stopped or (case.strategy == "fail_fast" and found[pipe_id] == "failed")
    return found


def statuses(result: ExecutionResult) -> dict[str, str]:
    return {r.pipe_id: r.status.value for r in result.pipe_results}


@given(cases())
def test_sequential_execution_does_what_the_model_does(case: Case) -> None:
    result, pipes, _ = execute(case, parallel=False)
    assert statuses(result) == model(case)
    for found in result.pipe_results:
        if found.status != "not_run":
            assert found.attempts == end_of(case, found.pipe_id)[1]
            assert found.attempts == pipes.started.count(found.pipe_id)


@given(cases())
def test_parallel_execution_comes_to_the_same(case: Case) -> None:
    """But under fail_fast, where what runs beside the failure is up to the times."""
    result, pipes, _ = execute(case, parallel=True)
    if case.strategy != "fail_fast":
        assert statuses(result) == model(case)
        return
    failed = [r for r in result.pipe_results if r.status == "failed"]
    if not failed:
        assert statuses(result) == model(case)
        return
    ran = {r.pipe_id for r in result.pipe_results if r.status != "not_run"}
    assert set(pipes.started) == ran
    generations = {case.plan.find_pipe_generation(r.pipe_id) for r in failed}
    assert len(generations) == 1
    assert all((case.plan.find_pipe_generation(p) or 0) <= max(generations) for p in ran)


@given(cases(), st.booleans())
def test_every_pipe_has_exactly_one_result_and_the_figures_add_up(
    case: Case, parallel: bool
) -> None:
    result, _, _ = execute(case, parallel)
    assert [r.pipe_id for r in result.pipe_results] == [p for g in case.plan.generations for p in g]
    summary = result.get_summary()
    counts = [summary[f"{s}_count"] for s in ("success", "failed", "skipped", "not_run")]
    assert sum(counts) == summary["total_pipes"] == len(case.plan.pipe_ids)
    well = {"success", "skipped"}
    assert summary["all_succeeded"] == (set(statuses(result).values()) <= well)
    for found in result.pipe_results:
        assert (found.attempts == 0) == (found.status == "not_run")
        assert (found.error is None) == (found.error_type is None) == (found.status != "failed")
        assert bool(found.reason) or found.status != "not_run"


@given(cases(), st.booleans())
def test_no_pipe_starts_before_its_generation_and_its_producers_are_done(
    case: Case, parallel: bool
) -> None:
    result, pipes, _ = execute(case, parallel)
    ended: dict[str, float] = {}
    for found in result.pipe_results:
        starts = [s.start for s in pipes.spans if s.pipe_id == found.pipe_id]
        if starts:
            ended[found.pipe_id] = starts[0] + found.duration_seconds
    for earlier, later in pairwise(case.plan.generations):
        starts = [s.start for s in pipes.spans if s.pipe_id in later]
        assert all(ended[p] <= start for p in earlier if p in ended for start in starts)
    for edge in case.plan.graph.edges:
        starts = [s.start for s in pipes.spans if s.pipe_id == edge.to_pipe]
        assert all(ended[edge.from_pipe] <= start for start in starts if edge.from_pipe in ended)


@given(cases(), st.booleans())
def test_there_are_never_more_tries_at_once_than_workers(case: Case, parallel: bool) -> None:
    """Attempts that ran out of time do not count: nobody waits for them any more."""
    _, pipes, _ = execute(case, parallel)
    limit = never if case.timeout is None else case.timeout
    spans = [(s.start, min(s.end, s.start + limit)) for s in pipes.spans]
    for moment, _ in spans:
        at_once = sum(start <= moment < end for start, end in spans)
        assert at_once <= (case.workers if parallel else 1)


@given(cases(), st.booleans())
def test_a_pipe_never_has_two_tries_at_once(case: Case, parallel: bool) -> None:
    """Not even if the first one ran out of time: both would write the same table."""
    _, pipes, _ = execute(case, parallel)
    by_pipe = defaultdict(list)
    for span in pipes.spans:
        by_pipe[span.pipe_id].append(span)
    for spans in by_pipe.values():
        for first, second in pairwise(spans):
            assert first.end <= second.start


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 4.0, 5.0, 30.0, never]), min_size=1, max_size=12),
    st.integers(1, 5),
    st.sampled_from([0.5, 2.0, 7.0]),
)
def test_a_time_limit_bounds_the_wait_but_for_one_receiver(
    seconds: list[float], workers: int, telling: float
) -> None:
    """However busy others keep the executing thread, what is late is given up at the next look."""
    names = [f"p{n}" for n in range(len(seconds))]
    script = {p: [Does(n)] for p, n in zip(names, seconds, strict=True)}
    drawn = plan(", ".join(names))
    case = Case(drawn, script, {}, 0.0, 5.0, workers, "continue")
    result, _, _ = execute(case, parallel=True, telling=telling)
    for found, takes in zip(result.pipe_results, seconds, strict=True):
        assert found.status is (PipeStatus.FAILED if found.timed_out else PipeStatus.SUCCESS)
        if takes <= 5:
            assert not found.timed_out
        elif takes == never:
            assert found.timed_out
        if found.timed_out:
            assert 5 <= found.duration_seconds <= 5 + telling


@given(cases(), st.booleans())
def test_every_beginning_that_is_told_has_exactly_one_end(case: Case, parallel: bool) -> None:
    result, _, heard = execute(case, parallel)
    names = [name for name, _ in heard]
    assert names[0] == "execution_started"
    assert names[-1] == "execution_completed" if result.all_succeeded else "execution_failed"
    assert sum(name.startswith("execution_") for name in names) == 2
    stories = defaultdict(list)
    generation: Any = None
    for name, said in heard:
        if name == "generation_started":
            assert generation is None
            generation = said["generation"].number
        elif name in ("generation_completed", "generation_failed"):
            assert generation == said["generation"].number
            well = said["result"].all_succeeded
            assert name == ("generation_completed" if well else "generation_failed")
            assert said["result"] == result.generation_results[generation]
            generation = None
        elif name.startswith("pipe_"):
            stories[said["pipe_id"]].append(name)
            if name != "pipe_skipped" or len(stories[said["pipe_id"]]) > 1:
                assert generation == said["generation_number"]
    assert generation is None
    for found in result.pipe_results:
        begun, *between, end = (
            stories[found.pipe_id] if found.attempts else ("", *stories[found.pipe_id])
        )
        assert begun == ("pipe_started" if found.attempts else "")
        retries = max(0, found.attempts - 1)
        # A retry that was announced may be called off: by fail_fast, or by a try that does not end.
        assert between in (["pipe_retrying"] * retries, ["pipe_retrying"] * (retries + 1))
        expected = {"success": "pipe_completed", "failed": "pipe_failed"}
        assert end == expected.get(found.status.value, "pipe_skipped")


@given(cases(), st.booleans())
def test_an_execution_in_virtual_time_is_the_same_every_time(case: Case, parallel: bool) -> None:
    first, one, _ = execute(case, parallel)
    second, other, _ = execute(case, parallel)
    assert first.to_json() == second.to_json()
    assert one.spans == other.spans
