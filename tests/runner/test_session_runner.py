"""Many pipes on one session: shared reads, job groups, cancellation, with a real executor."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.generation_executor import (
    Cancellable,
    GenerationExecutor,
    PipeStatus,
    SharedReads,
    signals,
)
from kindling_airflow.runner.session.runner import SessionPipeRunner
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

PATIENCE = 60.0  # only what hangs for good runs into it


def runner_of(project: Project, **more: Any) -> SessionPipeRunner:
    return SessionPipeRunner(project.spark, project.declared, str(project.warehouse), **more)


def plan_of(project: Project, *shared: str, level: str = "MEMORY_AND_DISK") -> ExecutionPlan:
    plan = ExecutionPlanGenerator(project.declared.pipes).generate_batch_plan()
    said = [
        {"entity_id": e, "consumers": plan.graph.entity_consumers[e], "level": level}
        for e in shared
    ]
    metadata = {**plan.metadata, "cache_recommendations": said}
    return ExecutionPlan(plan.pipe_ids, plan.generations, plan.graph, plan.strategy, metadata)


def keeps_anything(project: Project) -> bool:
    """Tell whether the session holds any persisted table."""
    return not project.spark._jsparkSession.sharedState().cacheManager().isEmpty()


@pytest.fixture
def reads() -> Iterator[list[tuple[str, str, str]]]:
    """What was told of reads: (entity, pipe, hit or miss)."""
    told: list[tuple[str, str, str]] = []

    def hit(_: Any, *, entity_id: str, pipe_id: str, **__: Any) -> None:
        told.append((entity_id, pipe_id, "hit"))

    def miss(_: Any, *, entity_id: str, pipe_id: str, **__: Any) -> None:
        told.append((entity_id, pipe_id, "miss"))

    with signals.cache_hit.connected_to(hit), signals.cache_miss.connected_to(miss):
        yield told


def declare_fan_out(project: Project, readers: int = 3) -> list[str]:
    """Declare ``source``, and pipes that read it and tell in ``seen`` what they got."""
    seen: list[str] = []
    project.pipe("source", lambda: project.spark.range(5))

    def reader(source: Any) -> Any:
        seen.append(str(source.storageLevel))
        return source.selectExpr("id + 1 AS id")

    for n in range(readers):
        project.pipe(f"reader.{n}", reader, "source")
    return seen


def test_the_runner_offers_what_the_executor_looks_for(project: Project) -> None:
    runner = runner_of(project)
    assert isinstance(runner, Cancellable)
    assert isinstance(runner, SharedReads)


def test_a_plan_runs_side_by_side_on_one_session(project: Project) -> None:
    declare_fan_out(project)
    runner = runner_of(project, run_id="night", plan_digest="sha256:0")
    result = GenerationExecutor(runner).execute_batch(plan_of(project), parallel=True)
    assert result.all_succeeded
    assert [r.report.rows_written for r in result.pipe_results] == [5] * 4
    assert {r.report.plan_digest for r in result.pipe_results} == {"sha256:0"}
    assert project.rows("reader.2") == [(1,), (2,), (3,), (4,), (5,)]
    assert result.cache_metrics["entities"] == {}


def test_a_pipe_that_is_to_skip_empty_inputs_is_skipped_and_its_dependents_run(
    project: Project,
) -> None:
    skips = {"tags": {"on_empty_input": "skip"}}
    project.pipe("empty", lambda: project.spark.range(0))
    project.pipe("idle", lambda empty: empty, "empty", **skips)
    project.pipe("later", lambda empty: empty, "empty")
    project.pipe("behind", lambda idle: idle, "idle")
    result = GenerationExecutor(runner_of(project)).execute(plan_of(project))
    ends = {r.pipe_id: r.status for r in result.pipe_results}
    assert ends == {
        "empty": PipeStatus.SUCCESS,
        "idle": PipeStatus.SKIPPED,
        "later": PipeStatus.SUCCESS,
        "behind": PipeStatus.SKIPPED,
    }
    reasons = {r.pipe_id: r.reason for r in result.pipe_results}
    assert reasons["idle"] == "'empty' has no rows"
    assert reasons["behind"].startswith("'idle' does not exist yet at ")


def test_a_table_of_the_project_that_is_gone_is_a_failure_that_names_its_writer(
    project: Project,
) -> None:
    project.pipe("silver", lambda: project.spark.range(3))
    project.pipe("gold", lambda silver: silver, "silver")
    runner = runner_of(project)
    assert runner("silver").status == "published"
    shutil.rmtree(project.table("silver"))
    for run in (runner, runner_of(project)):  # gone since, and not part of the run
        report = run("gold")
        assert report.error is not None
        assert report.extra["permanent"] is True
        assert report.error.message == (
            f"pipe 'gold': input 'silver' does not exist at {str(project.table('silver'))!r}; pipe "
            "'silver' writes it, and was not skipped in this run for lack of data\n"
            "  Fix: run pipe 'silver' first; if it has run, look for what moved or deleted the "
            "table, or for a warehouse or provider.path that differs between the two."
        )


@pytest.mark.parametrize("parallel", [False, True], ids=["sequential", "parallel"])
def test_consumers_of_one_slice_share_one_persisted_read(
    project: Project, reads: list[tuple[str, str, str]], parallel: bool
) -> None:
    seen = declare_fan_out(project)
    plan = plan_of(project, "source")
    executor = GenerationExecutor(runner_of(project))
    result = executor.execute(plan, parallel, auto_cache=True)
    assert result.all_succeeded
    assert sorted(kind for _, _, kind in reads) == ["hit", "hit", "miss"]
    assert {(entity, pipe) for entity, pipe, _ in reads} == {
        ("source", f"reader.{n}") for n in range(3)
    }
    assert seen == ["Disk Memory Deserialized 1x Replicated"] * 3
    assert result.cache_metrics == {
        "hits": 2,
        "misses": 1,
        "entities": {"source": {"level": "MEMORY_AND_DISK", "hits": 2, "misses": 1}},
    }
    assert not keeps_anything(project)


@pytest.mark.parametrize(
    ("level", "storage"),
    [
        ("MEMORY_ONLY", "Memory Deserialized 1x Replicated"),
        ("DISK_ONLY", "Disk Serialized 1x Replicated"),
        ("NONE", "Serialized 1x Replicated"),
    ],
)
def test_levels_are_those_of_spark(project: Project, level: str, storage: str) -> None:
    seen = declare_fan_out(project, readers=2)
    plan = plan_of(project, "source", level=level)
    assert GenerationExecutor(runner_of(project)).execute(plan, auto_cache=True).all_succeeded
    assert seen == [storage] * 2
    assert not keeps_anything(project)


def test_without_being_asked_to_nothing_is_kept(project: Project) -> None:
    seen = declare_fan_out(project, readers=2)
    assert GenerationExecutor(runner_of(project)).execute(plan_of(project, "source")).all_succeeded
    assert seen == ["Serialized 1x Replicated"] * 2


def test_a_failed_reader_leaves_nothing_kept(project: Project) -> None:
    project.pipe("source", lambda: project.spark.range(5))

    def broken(source: Any) -> Any:
        source.count()
        raise ValueError("no")

    project.pipe("broken.1", broken, "source")
    project.pipe("broken.2", broken, "source")
    plan = plan_of(project, "source")
    result = GenerationExecutor(runner_of(project)).execute(plan, auto_cache=True)
    assert result.failed_pipes == ("broken.1", "broken.2")
    assert result.cache_metrics["hits"] == 1
    assert not keeps_anything(project)


def test_pipes_with_a_slice_of_their_own_never_share(
    project: Project, reads: list[tuple[str, str, str]]
) -> None:
    """A pipe with a watermark reads what it has not seen; a pipe reads its own prior state."""
    project.entity("source", tags={"write_mode": "append"})
    project.entity("fresh", tags={"write_mode": "append"})
    project.pipe("source", lambda: project.spark.range(5))
    project.pipe("fresh", lambda source: source, "source", use_watermark=True)
    project.pipe("whole.1", lambda source: source, "source")
    project.pipe("whole.2", lambda source: source, "source")
    plan = plan_of(project, "source")
    assert GenerationExecutor(runner_of(project)).execute(plan, auto_cache=True).all_succeeded
    assert reads == [("source", "whole.1", "miss"), ("source", "whole.2", "hit")]


def test_what_was_kept_of_a_table_is_forgotten_when_it_is_published(project: Project) -> None:
    """Spark matches kept data by path, so a republished table would be read as it was before."""
    rows = [3]
    project.pipe("table", lambda: project.spark.range(rows[0]))
    project.pipe("copy", lambda table: table, "table")
    runner = runner_of(project)
    told: list[tuple[str, bool]] = []
    assert runner("table").rows_written == 3
    runner.share("table", "MEMORY_ONLY", lambda pipe_id, hit: told.append((pipe_id, hit)))
    assert runner("copy").rows_written == 3
    assert keeps_anything(project)
    rows[0] = 7
    assert runner("table").rows_written == 7
    assert runner("copy").rows_written == 7
    runner.release("table")
    assert told == [("copy", False), ("copy", False)]
    assert not keeps_anything(project)
    assert runner("copy").rows_written == 7
    assert len(told) == 2


def test_an_unknown_level_is_refused(project: Project) -> None:
    with pytest.raises(ValueError, match=r"^unknown storage level 'FAST'$"):
        runner_of(project).share("table", "FAST", lambda *_: None)


def test_each_pipe_is_a_job_group_of_its_own(project: Project) -> None:
    seen: dict[str, tuple[str, str]] = {}
    context = project.spark.sparkContext

    def tell(run: Any) -> Any:
        said = map(context.getLocalProperty, ("spark.jobGroup.id", "spark.job.description"))
        seen[run.pipe_id] = tuple(said)
        return run.spark.range(1)

    project.pipe("a", tell)
    project.pipe("b", tell)
    runner = runner_of(project)
    runner("a")
    runner("b")
    assert [seen[p][1] for p in ("a", "b")] == ["pipe a", "pipe b"]
    assert seen["a"][0] != seen["b"][0]
    assert context.getLocalProperty("spark.jobGroup.id") is None


def test_a_pipe_out_of_time_loses_its_jobs_and_publishes_nothing(project: Project) -> None:
    """The others go on at once; the try ends by itself, because its Spark jobs are cancelled."""
    ended = threading.Event()

    def slow(run: Any) -> Any:
        from pyspark.sql import functions as F

        def dawdle(n):  # type: ignore[no-untyped-def]
            time.sleep(PATIENCE)
            return n

        try:
            run.spark.range(1).select(F.udf(dawdle, "long")("id")).collect()
        finally:
            ended.set()
        return run.spark.range(1)

    project.pipe("slow", slow)
    project.pipe("after", lambda slow: slow, "slow")
    project.pipe("other", lambda: project.spark.range(2))
    began = time.monotonic()
    executor = GenerationExecutor(runner_of(project))
    overrides = {"slow": {"timeout_seconds": 3}}
    result = executor.execute(plan_of(project), overrides=overrides)
    assert time.monotonic() - began < PATIENCE
    slow_result, other, after = result.pipe_results
    assert (slow_result.status, slow_result.timed_out) == (PipeStatus.FAILED, True)
    assert other.status is PipeStatus.SUCCESS
    assert (after.status, after.reason) == (PipeStatus.NOT_RUN, "upstream pipe 'slow' failed")
    assert ended.wait(PATIENCE)
    assert not project.table("slow").exists()


def test_a_cancelled_pipe_that_uses_no_spark_does_not_publish(project: Project) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def stubborn(run: Any) -> Any:
        frame = run.spark.range(1)
        begun.set()
        assert go_on.wait(PATIENCE)
        return frame

    project.pipe("stubborn", stubborn)
    runner = runner_of(project)
    reports: list[Any] = []
    thread = threading.Thread(target=lambda: reports.append(runner("stubborn")))
    thread.start()
    assert begun.wait(PATIENCE)
    runner.cancel("stubborn")
    go_on.set()
    thread.join(PATIENCE)
    (report,) = reports
    assert report.status == "failed"
    assert not project.table("stubborn").exists()
    runner.cancel("stubborn")  # it does not run any more: nothing happens
    assert runner("stubborn").status == "published"
