"""DAGs of plans with streams: gates, the task that stops them, when they run, what is refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.context import (
    _AIRFLOW_PARSING_CONTEXT_DAG_ID,
    _AIRFLOW_PARSING_CONTEXT_TASK_ID,
)
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.dag_factory.factory import try_out
from kindling_airflow.dag_factory.task_group import kindling_task_group
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.task_doc import stream_text
from kindling_airflow.errors import DefinitionError
from kindling_airflow.manifest import Manifest
from kindling_airflow.pools.needs import needs_of_tasks
from kindling_airflow.triggers.run_states import StopRule
from tests.builders import pipes
from tests.dag_factory.projects import document

CHAIN = "[src] -> ingest -> clean -> alert, clean -> daily"
STREAM = {"processing_mode": "streaming"}
HYBRID = {"strategy": "hybrid"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path


def manifest(**tags: dict[str, Any]) -> Manifest:
    """Return three streams and a batch pipe, all of them over Delta tables."""
    tagged = {name: {**STREAM, **tags.get(name, {})} for name in ("ingest", "clean", "alert")}
    registry, entities = pipes(CHAIN, {**tags, **tagged}), DataEntityRegistry()
    touched = [e for pipe in registry for e in (*pipe.input_entity_ids, pipe.output_entity_id)]
    for entity_id in dict.fromkeys(touched):
        entities.register_entity(
            entity_id, tags={"provider_type": "delta"}, schema="id BIGINT, at TIMESTAMP"
        )
    return Manifest.from_registries(registry, entities, modules=["shop.pipes"])


def compiled(folder: Path, declared: Manifest | None = None, **keys: Any) -> Compiled:
    definition = Definition.from_document(
        document(**{**HYBRID, **keys}), base=folder, source="here"
    )
    return compile_definition(definition, declared or manifest())


def built(folder: Path, **keys: Any) -> DAG:
    return build_dag(compiled(folder, **keys))


def refusal(folder: Path, **keys: Any) -> tuple[str, ...]:
    with pytest.raises(DefinitionError) as refused:
        compiled(folder, **keys)
    return tuple(text.removeprefix("here: ") for text in refused.value.problems)


def stored(dag: DAG) -> Any:
    """Return the DAG as the scheduler has it."""
    dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def runs(dag: DAG) -> str:
    """Return when runs start, in the scheduler's words."""
    return str(stored(dag).timetable.summary)


def edges(dag: Any) -> set[tuple[str, str]]:
    return {(task.task_id, down) for task in dag.tasks for down in task.downstream_task_ids}


EDGES = {
    ("ready_0", "ready_1"),
    ("ready_0", "clean"),
    ("ready_1", "ready_2"),
    ("ready_1", "ingest"),
    ("ready_2", "daily"),
}
EVERYTHING = [
    *("alert", "clean", "daily", "ingest"),
    *("ready_0", "ready_1", "ready_2", "stop_streams"),
]


class TestLivingStreams:
    def test_edges_are_those_of_the_specification(self, folder: Path) -> None:
        dag = stored(built(folder))
        outcome = {(name, "kindling_outcome") for name in EVERYTHING}
        assert edges(dag) == EDGES | outcome
        assert dag.get_task("clean").trigger_rule == "all_success"
        assert dag.get_task("stop_streams").trigger_rule == "none_failed"

    def test_gates_are_in_the_groups_of_their_generations(self, folder: Path) -> None:
        groups = stored(built(folder)).task_group.children
        assert list(groups["generation_0"].children) == ["alert", "ready_0"]
        assert list(groups["generation_3"].children) == ["daily"]
        assert {"stop_streams", "kindling_outcome"} < set(groups)

    def test_a_stream_knows_whom_to_watch(self, folder: Path) -> None:
        task: Any = built(folder, checkpoints="/checkpoints").get_task("clean")
        assert type(task).__name__ == "KindlingStreamOperator"
        assert task._rule == StopRule(
            "stop_streams",
            ("ingest", "clean", "alert"),
            ("ready_0", "ready_1", "ready_2"),
            ("ingest",),
        )
        assert task.lifetime == "continuous"
        assert task.checkpoints == "/checkpoints"

    def test_a_stream_knows_how_long_its_driver_may_say_nothing(self, folder: Path) -> None:
        tags = {"clean": {"stream.silence_timeout": "1h", "stream.ready_timeout": "20m"}}
        task: Any = build_dag(compiled(folder, manifest(**tags))).get_task("clean")
        assert task._silence_limits == (3600.0, 1200.0)

    def test_gates_and_the_stop_know_their_streams(self, folder: Path) -> None:
        dag = built(folder, lifetime="bounded", duration="30m")
        gate: Any = dag.get_task("ready_1")
        assert type(gate).__name__ == "ReadyGateOperator"
        assert (tuple(gate.streams), gate.stop_task_id) == (("clean",), "stop_streams")
        assert (gate.timeout_seconds, gate.earlier) == (600, ("alert",))
        stop: Any = dag.get_task("stop_streams")
        assert type(stop).__name__ == "StopStreamsOperator"
        assert tuple(stop.streams) == ("ingest", "clean", "alert")
        assert stop.after_seconds == 1800

    def test_watching_takes_no_slot_of_the_pool_and_goes_where_the_pipes_go(
        self, folder: Path
    ) -> None:
        dag = built(folder, width=4, queue="spark", owner="data", retries=1)
        for name in ("ready_0", "stop_streams"):
            task = dag.get_task(name)
            assert (task.pool, task.queue, task.owner) == ("default_pool", "spark", "data")
        assert dag.get_task("clean").pool == "kindling_shop"
        assert dag.max_active_tasks == 4 + 3 + 1
        (need,) = needs_of_tasks("shop", stored(dag).tasks, dag.max_active_tasks)
        assert (need.pool, need.wanted) == ("kindling_shop", 4)

    def test_a_stream_is_tried_again_from_its_checkpoint(self, folder: Path) -> None:
        task = built(folder).get_task("clean")
        assert (task.retries, task.retry_delay) == (10, timedelta(seconds=10))
        assert (task.retry_exponential_backoff, task.max_retry_delay) == (2.0, timedelta(minutes=5))
        assert built(folder).get_task("daily").retries == 0

    def test_a_task_says_what_its_query_does(self, folder: Path) -> None:
        tags = {"stream.trigger": "10s", "stream.watermark": "at 5m"}
        dag = build_dag(compiled(folder, manifest(clean=tags), checkpoints="hdfs://lake/points/"))
        assert dag.get_task("clean").doc == (
            "Pipe clean: reads ingest.out; writes clean.out.\n"
            "Stream: a batch every 10 s; writes by append; rows may be 300 s late by at; "
            "checkpoint hdfs://lake/points/clean."
        )
        assert dag.get_task("alert").doc.endswith("checkpoint hdfs://lake/points/alert.")
        other = build_dag(compiled(folder, manifest(clean={"stream.checkpoint": "/own/place"})))
        assert other.get_task("clean").doc.endswith(
            "a batch as soon as the previous one has ended; writes by append; checkpoint "
            "/own/place."
        )
        assert other.get_task("alert").doc.endswith(
            "checkpoint <warehouse>/_kindling/checkpoints/alert."
        )
        assert other.get_task("daily").doc == "Pipe daily: reads clean.out; writes daily.out."

    def test_a_worker_builds_the_one_task_that_it_wants(self, folder: Path) -> None:
        whole = compiled(folder)
        for name in EVERYTHING:
            dag = build_dag(whole, name)
            assert dag.task_ids == [name]
            one, among_all = dag.get_task(name), build_dag(whole).get_task(name)
            assert type(one) is type(among_all)
            for known in ("streams", "_rule"):
                assert getattr(one, known, None) == getattr(among_all, known, None)

    def test_two_parses_make_one_version(self, folder: Path) -> None:
        first, second = (DagSerialization.to_dict(_placed(built(folder))) for _ in range(2))
        assert json.dumps(first) == json.dumps(second)

    def test_it_is_what_validate_tries_out(self, folder: Path) -> None:
        try_out(compiled(folder))


def _placed(dag: DAG) -> DAG:
    dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
    return dag


class TestAvailableNow:
    def test_it_is_a_plan_in_forward_order(self, folder: Path) -> None:
        dag = stored(built(folder, lifetime="available_now", width=1))
        assert edges(dag) == {("ingest", "clean"), ("clean", "alert"), ("clean", "daily")}
        assert list(dag.task_group.children) == ["generation_0", "generation_1", "generation_2"]
        assert dag.timetable.summary != "@continuous"

    def test_each_stream_ends_by_itself(self, folder: Path) -> None:
        task: Any = built(folder, lifetime="available_now").get_task("clean")
        assert task.lifetime == "available_now"
        assert task._rule == StopRule("", (), (), ())
        assert task.retries == 0

    def test_pipes_can_be_chosen(self, folder: Path) -> None:
        assert "select" in built(folder, lifetime="available_now").params

    def test_schedules_and_streams_of_a_batch_plan(self, folder: Path) -> None:
        keys = {"strategy": "batch", "lifetime": "available_now"}
        dag = built(folder, **keys, schedule="0 3 * * *", start_date="2026-01-01", catchup=True)
        assert type(dag.get_task("clean")).__name__ == "KindlingStreamOperator"
        assert type(dag.get_task("daily")).__name__ == "KindlingPipeOperator"
        assert runs(built(folder, **keys, schedule="@continuous")) == "@continuous"


class TestSchedules:
    def test_streams_that_live_on_start_again_by_themselves(self, folder: Path) -> None:
        dag = built(folder)
        assert runs(dag) == "@continuous"
        assert dag.start_date == datetime(2000, 1, 1, tzinfo=timezone.utc)
        assert (dag.max_active_runs, dag.catchup) == (1, False)
        own = built(folder, start_date="2026-01-31")
        assert own.start_date == datetime(2026, 1, 31, tzinfo=timezone.utc)

    def test_runs_that_fail_in_a_row_end_it_unless_somebody_says_otherwise(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def most(**keys: Any) -> int:
            return int(stored(built(folder, **keys)).max_consecutive_failed_dag_runs)

        assert most() == 3
        assert most(lifetime="available_now", schedule="@continuous") == 3
        assert most(dag_run={"max_consecutive_failed": 7}) == 7
        assert most(dag_run={"max_consecutive_failed": 0}) == 0
        assert most(schedule=None) == 0
        assert most(lifetime="bounded", duration="1h") == 0
        monkeypatch.setenv("AIRFLOW__CORE__MAX_CONSECUTIVE_FAILED_DAG_RUNS_PER_DAG", "9")
        assert (most(), most(schedule=None)) == (9, 9)

    def test_a_run_begins_at_once_and_the_next_one_where_it_was_begun(self, folder: Path) -> None:
        dag = stored(built(folder))
        restriction = TimeRestriction(dag.start_date, None, catchup=False)

        def following(interval: Any) -> Any:
            return dag.timetable.next_dagrun_info(
                last_automated_data_interval=interval, restriction=restriction
            )

        before = datetime.now(timezone.utc)
        first = following(None)
        assert first.data_interval.start == dag.start_date
        assert before <= first.run_after <= datetime.now(timezone.utc)
        assert following(first.data_interval).data_interval.start == first.data_interval.end

    def test_a_schedule_that_is_said_is_the_schedule(self, folder: Path) -> None:
        assert runs(built(folder, schedule=None)) == "None"
        daily = built(folder, schedule="@daily", start_date="2026-01-01")
        assert runs(daily) == "0 0 * * *"

    def test_a_bounded_run_starts_when_it_is_told_to(self, folder: Path) -> None:
        bounded = {"lifetime": "bounded", "duration": "1h"}
        assert runs(built(folder, **bounded)) == "None"
        again = built(folder, **bounded, schedule="@continuous")
        assert runs(again) == "@continuous"

    def test_a_batch_plan_does_not_run_for_ever(self, folder: Path) -> None:
        assert runs(built(folder, strategy="batch")) == "None"
        assert refusal(folder, strategy="batch", schedule="@continuous") == (
            (
                "schedule: '@continuous' is for streams, and the plan has none\n"
                "  Fix: use a cron expression, or 'every'."
            ),
        )

    def test_a_run_that_starts_by_itself_asks_nobody(self, folder: Path) -> None:
        text = "params.day: has no default, which scheduled runs need\n  Fix: add one."
        asking = {"params": {"day": {"type": "string"}}}
        assert refusal(folder, **asking) == (text,)
        assert "day" in compiled(folder, **asking, schedule=None).definition.params


class TestChoice:
    def test_no_form_asks_for_pipes(self, folder: Path) -> None:
        assert "select" not in built(folder).params

    @pytest.mark.parametrize("name", ["clean", "daily"])
    def test_a_run_for_some_pipes_is_refused(self, folder: Path, name: str) -> None:
        task: Any = built(folder).get_task(name)
        run = SimpleNamespace(conf={"select": "clean"})
        with pytest.raises(AirflowFailException) as refused:
            task._pre_execute_hook({"dag_run": run, "params": {}, "ti": SimpleNamespace(task=task)})
        assert str(refused.value) == (
            "This run selects some pipes (select: 'clean'), but the streams of a plan run "
            "together, because each waits until the others are ready\n"
            "  Fix: start a run without 'select'; with lifetime: available_now it can select."
        )

    def test_what_the_definition_wants_called_before_a_pipe_is_called(self, folder: Path) -> None:
        called: list[Any] = []
        task: Any = built(folder, arguments={"pre_execute": called.append}).get_task("clean")
        ti = SimpleNamespace(task=task)
        context = {"dag_run": SimpleNamespace(conf={}), "params": {}, "ti": ti}
        task._pre_execute_hook(context)
        assert called == [context]


class TestRefusals:
    def test_two_runs_at_once(self, folder: Path) -> None:
        text = (
            "max_active_runs: concurrent runs would stop each other's streams\n"
            "  Fix: use 1, the default."
        )
        assert refusal(folder, max_active_runs=2) == (text,)
        assert refusal(folder, max_active_runs=2, lifetime="available_now") == (text,)

    def test_runs_for_the_past(self, folder: Path) -> None:
        keys = {"schedule": "@daily", "start_date": "2026-01-01", "catchup": True}
        assert refusal(folder, **keys) == (
            (
                "catchup: a run for a past interval cannot rewind its streams\n"
                "  Fix: remove it, or use lifetime: available_now."
            ),
        )

    def test_runs_that_may_not_be_as_long_as_their_streams_live(self, folder: Path) -> None:
        limited = {"dag_run": {"timeout_seconds": 3600}}
        text = "dag_run.timeout_seconds: a run fails after 3600 s, and its streams run {}\n  Fix: "
        assert refusal(folder, **limited) == (
            text.format("until it is stopped") + "use lifetime: bounded with a shorter duration.",
        )
        assert refusal(folder, **limited, lifetime="bounded", duration="1h") == (
            text.format("3600 s") + "use lifetime: bounded with a shorter duration.",
        )
        assert compiled(folder, **limited, lifetime="bounded", duration="59m").spec.stop

    def test_a_lifetime_or_checkpoints_without_streams(self, folder: Path) -> None:
        assert refusal(folder, strategy="batch", lifetime="bounded", duration="1h") == (
            (
                "lifetime: 'bounded' is for streams, and a plan of strategy 'batch' runs pipe "
                "'ingest' "
                "(and 2 more) as a batch pipe\n"
                "  Fix: use strategy 'config_based', or lifetime 'available_now'."
            ),
        )
        assert refusal(folder, strategy="batch", checkpoints="/checkpoints") == (
            "checkpoints: is for streams, and the plan has none\n  Fix: remove it.",
        )

    def test_a_duration_and_a_bounded_lifetime_belong_together(self, folder: Path) -> None:
        assert refusal(folder, lifetime="bounded") == (
            "lifetime: 'bounded' needs a duration\n  Fix: add 'duration: 1h'.",
        )
        assert refusal(folder, duration="1h") == (
            (
                "duration: 'duration' requires lifetime: bounded\n"
                "  Fix: add 'lifetime: bounded', or remove the key."
            ),
        )
        assert refusal(folder, lifetime="bounded", duration="1 hour") == (
            (
                "duration: must be a number of seconds, minutes, hours or days, such as 90s, 30m "
                "or 1h, not '1 hour'"
            ),
        )
        assert [
            text.partition(":")[0] for text in refusal(folder, lifetime="x", duration="1h")
        ] == ["lifetime"]

    def test_streams_that_could_not_run(self, folder: Path) -> None:
        declared = manifest(clean={"stream.trigger": "soon"}, daily={"stream.trigger": "10s"})
        with pytest.raises(DefinitionError) as refused:
            compiled(folder, declared, width=1)
        assert [text.partition("\n")[0] for text in refused.value.problems] == [
            (
                "here: DAG 'shop': pool 'kindling_shop' has a width of 1, but its 3 streams take 3 "
                "for as "
                "long as the run lasts, and the largest batch pipe takes 1 more: some would wait "
                "forever"
            ),
            "here: pipe 'clean': tag stream.trigger is 'soon'",
            "here: pipe 'daily': tag 'stream.trigger' is for streams, and this is a batch pipe",
        ]


class TestGroup:
    def group(self, folder: Path, dag: DAG, **keys: Any) -> Any:
        with dag:
            start, end = EmptyOperator(task_id="start"), EmptyOperator(task_id="end")
            keys = {"project": "shop", **HYBRID, **keys}
            group = kindling_task_group(manifest(), group_id="orders", base=folder, **keys)
            start >> group >> end
        return group

    def test_it_stands_between_other_tasks(self, folder: Path) -> None:
        dag = DAG("mine", schedule=None, max_active_runs=1)
        self.group(folder, dag)
        first = {"orders.alert", "orders.ready_0", "orders.stop_streams"}
        assert edges(stored(dag)) == {
            *((f"orders.{before}", f"orders.{after}") for before, after in EDGES),
            *((f"orders.{name}", "orders.kindling_outcome") for name in EVERYTHING),
            *(("start", name) for name in first),
            ("orders.kindling_outcome", "end"),
        }
        task: Any = dag.get_task("orders.clean")
        assert task._rule == StopRule(
            "orders.stop_streams",
            ("orders.ingest", "orders.clean", "orders.alert"),
            ("orders.ready_0", "orders.ready_1", "orders.ready_2"),
            ("orders.ingest",),
        )

    def test_a_choice_of_its_own_is_refused(self, folder: Path) -> None:
        dag = DAG("mine", schedule=None, max_active_runs=1)
        self.group(folder, dag)
        task: Any = dag.get_task("orders.clean")
        run = SimpleNamespace(conf={"select.orders": "clean"})
        with pytest.raises(AirflowFailException, match=r"select\.orders: 'clean'"):
            task._pre_execute_hook({"dag_run": run, "params": {}})

    @pytest.mark.parametrize("name", EVERYTHING)
    def test_a_worker_builds_the_one_task_that_it_wants(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "mine")
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_TASK_ID, f"orders.{name}")
        dag = DAG("mine", schedule=None, max_active_runs=1)
        self.group(folder, dag)
        assert sorted(dag.task_ids) == sorted(["start", "end", f"orders.{name}"])

    def test_a_worker_that_wants_another_task_builds_tasks_that_do_nothing(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "mine")
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_TASK_ID, "end")
        dag = DAG("mine", schedule=None, max_active_runs=1)
        self.group(folder, dag)
        assert {type(task) for task in dag.tasks} == {EmptyOperator}
        assert len(dag.tasks) == len(EVERYTHING) + 3

    def test_a_gate_of_an_earlier_group_is_all_that_is_built(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "mine")
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_TASK_ID, "one.ready_0")
        with DAG("mine", schedule=None, max_active_runs=1) as dag:
            for name in ("one", "two"):
                kindling_task_group(
                    manifest(), group_id=name, base=folder, project="shop", **HYBRID
                )
        assert dag.task_ids == ["one.ready_0"]

    def test_a_dag_without_room_for_all_streams_is_refused(self, folder: Path) -> None:
        with pytest.raises(DefinitionError) as refused:
            self.group(folder, DAG("mine", schedule=None, max_active_tasks=4, max_active_runs=2))
        assert refused.value.problems == (
            (
                "kindling_task_group 'orders': DAG 'mine' may have 2 runs at once, and the streams "
                "of "
                "one would stop those of the other\n  Fix: give the DAG max_active_runs=1."
            ),
            (
                "kindling_task_group 'orders': DAG 'mine' may have 4 tasks active at once, and 3 "
                "long-running streams need 5: some would wait forever\n"
                "  Fix: give the DAG max_active_tasks=5 at least."
            ),
        )

    def test_streams_that_end_by_themselves_need_no_room(self, folder: Path) -> None:
        dag = DAG("mine", schedule=None, max_active_tasks=1, max_active_runs=1)
        self.group(folder, dag, lifetime="available_now")
        assert "orders.stop_streams" not in dag.task_ids


def test_a_task_says_where_rows_may_come_twice() -> None:
    pipe = DataPipesRegistry().register_pipe("send", input_entity_ids=["a"], output_entity_id="b")
    query = "a batch as soon as the previous one has ended; writes by append; checkpoint /c/send"
    text = f"Stream: {query}."
    assert stream_text(pipe, "/c", EntityMetadata("b")) == text
    topic = EntityMetadata("b", tags={"provider_type": "kafka"})
    assert stream_text(pipe, "/c", topic) == (
        f"{text} Rows are sent at least once: after a crash, or a stop within a batch, those of "
        "the batch come again."
    )
