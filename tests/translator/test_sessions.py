"""Which pipes share a driver, what its task is started with, and who cannot share one."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.errors import TranslationError
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.pipe_graph import PipeGraphBuilder
from kindling_airflow.translator import DagSpec, TranslateOptions, task_id, translate
from kindling_airflow.translator.session_names import session_task_id
from kindling_airflow.translator.session_settings import driver_settings, session_of
from kindling_airflow.translator.task_settings import TaskSettings, setting_problems
from tests.builders import pipes, plan

SHOP = "[src] -> orders -> daily, orders -> weekly, heavy"
RUN = {"session": "run"}


def spec(drawing: str = SHOP, tags: Any = None, **options: Any) -> DagSpec:
    return translate(plan(drawing, tags=tags), TranslateOptions("shop", "main", **options))


def refusal(drawing: str = SHOP, **options: Any) -> tuple[str, ...]:
    with pytest.raises(TranslationError) as refused:
        spec(drawing, **options)
    return tuple(text.removeprefix("DAG 'shop': ") for text in refused.value.problems)


class TestMembers:
    def test_without_the_key_each_pipe_has_its_own_driver(self) -> None:
        assert spec().sessions == spec(settings={"session": "pipe"}).sessions == ()
        assert "sessions" not in spec().to_json()

    def test_all_pipes_share_the_session_of_the_run(self) -> None:
        [session] = spec(settings=RUN).sessions
        assert session.task_id == "kindling_session_run"
        assert session.label == "session run"
        assert session.pipe_ids == session.task_ids == ("orders", "daily", "weekly", "heavy")

    def test_overrides_form_groups_and_take_pipes_out(self) -> None:
        overrides = {"heavy": {"session": "pipe"}, "*ly": {"session": "reports"}}
        first, second = spec(settings=RUN, overrides=overrides).sessions
        assert (first.name, first.pipe_ids) == ("reports", ("daily", "weekly"))
        assert (second.name, second.pipe_ids) == ("run", ("orders",))

    def test_null_in_an_override_takes_the_session_away(self) -> None:
        [session] = spec(settings=RUN, overrides={"heavy": {"session": None}}).sessions
        assert "heavy" not in session.pipe_ids

    def test_a_stream_has_its_own_driver(self) -> None:
        tags = {"orders": {"processing_mode": "streaming"}}
        own = translate(
            plan("[src] -> orders -> daily", "hybrid", tags),
            TranslateOptions("shop", "main", width=9, settings=RUN),
        )
        [session] = own.sessions
        assert session.pipe_ids == ("daily",)
        assert session_of(own.tasks()[0].settings, is_stream=True) == ""

    def test_task_ids_of_the_session_are_those_of_its_pipes(self) -> None:
        [session] = spec("my table", settings=RUN).sessions
        assert (session.pipe_ids, session.task_ids) == (("my table",), ("my_x20_table",))

    def test_no_pipe_has_the_task_id_of_a_session(self) -> None:
        for name in ("run", "x_1"):
            taken = session_task_id(name)
            assert task_id(taken) != taken
        assert task_id("kindling_session") == "kindling_session"

    @pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 41, "Ä", 3, True])
    def test_a_name_is_plain(self, name: Any) -> None:
        assert list(setting_problems({"session": name})) == [
            f"session must be 'pipe', 'run' or a name of letters, digits, '-' and '_', not {name!r}"
        ]
        assert not list(setting_problems({"session": "Heavy-2_x"}))


class TestTask:
    def test_it_is_started_as_its_pipes_would_be(self) -> None:
        spark = {"conn_id": "yarn", "driver_memory": "4g", "name": "{{ ti.task_id }}"}
        [session] = spec(
            settings={
                **RUN,
                "spark": {**spark, "conf": {"a": 1}},
                "queue": "etl",
                "executor_config": {"x": 1},
                "arguments": {"yarn_queue": "etl", "depends_on_past": True},
                "owner": "ann",
                "retries": 9,
            },
        ).sessions
        own = session.settings
        assert own.spark == {"conn_id": "yarn", "driver_memory": "4g", "conf": {"a": "1"}}
        assert (own.queue, own.owner, own.executor_config) == ("etl", "ann", {"x": 1})
        assert own.arguments == {"yarn_queue": "etl"}
        assert (own.pool, own.pool_slots, own.retries) == ("default_pool", 1, 3)

    def test_it_comes_before_every_pipe_and_nothing_waits_for_it(self) -> None:
        dag = spec(settings=RUN, overrides={"heavy": {"priority": 2**31 - 1}})
        [session] = dag.sessions
        assert session.priority_weight == max(t.priority_weight for t in dag.tasks())
        assert session.upstream == ()
        assert all(session.task_id not in node.upstream for node in dag.nodes())
        assert dag.find("kindling_session_run") is session

    def test_it_is_active_beside_the_pipes(self) -> None:
        alone, shared = spec(width=3), spec(width=3, settings=RUN)
        assert shared.max_active_tasks() == alone.max_active_tasks() + 1

    def test_what_several_of_its_pipes_read_is_kept(self) -> None:
        [session] = spec("[src] -> a -> b, a -> c, [src] -> d", settings=RUN).sessions
        level = {"level": "MEMORY_AND_DISK"}
        assert session.to_json()["shared"] == [
            {"entity_id": "a.out", **level, "readers": ["b", "c"], "writer": "a"},
            {"entity_id": "src", **level, "readers": ["a", "d"], "writer": ""},
        ]

    def test_within_a_budget_what_is_worth_most_is_kept_in_memory(self) -> None:
        drawing = "[src] -> a -> b, a -> c, [src] -> d, [small] -> b, [small] -> c"
        sizes = {"a.out": 3000, "src": 2000, "small": 900}
        registry = DataEntityRegistry()
        for entity_id, size in sizes.items():
            registry.register_entity(entity_id, tags={"size_bytes": size})
        declared = pipes(drawing)
        builder = PipeGraphBuilder(declared, entities=registry)
        known = ExecutionPlanGenerator(declared, builder).generate_plan(None, "batch")

        def levels(budget: int | None) -> dict[str, str]:
            options = TranslateOptions("shop", "main", settings=RUN, memory_budget=budget)
            [session] = translate(known, options).sessions
            return {item["entity_id"]: item["level"] for item in session.shared}

        assert levels(None) == dict.fromkeys(sizes, "MEMORY_AND_DISK")
        assert levels(4000) == {
            "a.out": "MEMORY_ONLY",
            "src": "MEMORY_AND_DISK",
            "small": "MEMORY_ONLY",
        }
        assert levels(1000) == {"small": "MEMORY_ONLY"}

    def test_what_a_pipe_outside_of_it_writes_is_not_kept(self) -> None:
        [session] = spec(
            "a -> b, a -> c", settings=RUN, overrides={"a": {"session": "pipe"}}
        ).sessions
        assert session.shared == ()


class TestRefusals:
    def test_a_pipe_with_other_settings_of_its_driver_cannot_share_it(self) -> None:
        overrides = {"heavy": {"spark": {"driver_memory": "8g", "conf": {"x": "1"}}}}
        assert refusal(settings=RUN, overrides=overrides) == (
            (
                "pipe 'heavy' overrides spark.conf 'x', spark.driver_memory and cannot share "
                "session 'run'\n"
                "  Fix: set 'session: pipe', or the name of another session, in the same override."
            ),
        )

    def test_the_remedies_work(self) -> None:
        for name in ("pipe", "big"):
            own = {"session": name, "spark": {"driver_memory": "8g"}}
            assert spec(settings=RUN, overrides={"heavy": own}).sessions

    @pytest.mark.parametrize(
        ("own", "named"),
        [
            ({"queue": "gpu"}, "queue"),
            ({"executor": "celery"}, "executor"),
            ({"executor_config": {"a": 1}}, "executor_config"),
            ({"arguments": {"driver_memory": "8g"}}, "arguments.driver_memory"),
            ({"spark": {"env_vars": {"PYSPARK_PYTHON": "p"}}}, "spark.env_vars 'PYSPARK_PYTHON'"),
            ({"spark": {"packages": "a:b:1"}}, "spark.packages"),
            ({"spark": {"conn_id": "yarn"}}, "spark.conn_id"),
        ],
    )
    def test_what_another_driver_would_need_is_named(self, own: Any, named: str) -> None:
        [problem] = refusal(settings=RUN, overrides={"heavy": own})
        assert f"overrides {named} and cannot share" in problem

    @pytest.mark.parametrize(
        "own",
        [
            {"pool": "jdbc"},
            {"pool_slots": 2},
            {"retries": 3, "execution_timeout_seconds": 9},
            {"priority": 3, "owner": "bob"},
            {"arguments": {"depends_on_past": True}},
            {"on_failure_callback": "m:f"},
            {"spark": {"name": "heavy one"}},
        ],
    )
    def test_what_concerns_the_task_alone_may_differ(self, own: Any) -> None:
        assert spec(settings=RUN, pools={"jdbc": 2}, overrides={"heavy": own}).sessions

    def test_pipes_with_the_same_difference_are_named_together(self) -> None:
        overrides = {"d": {"queue": "x"}, "e": {"queue": "x"}}
        [problem] = refusal("a, b, c, d, e", settings=RUN, overrides=overrides)
        assert problem.startswith("pipe 'd' (and 1 more) overrides queue and cannot share")

    @pytest.mark.parametrize(
        "said",
        [
            {"spark": {"deploy_mode": "cluster"}},
            {"spark": {"conf": {"spark.submit.deployMode": "cluster"}}},
            {"arguments": {"deploy_mode": "cluster"}},
        ],
    )
    def test_no_session_in_cluster_deploy_mode(self, said: Any) -> None:
        assert refusal("a, b", settings={**RUN, **said}) == (
            (
                "pipe 'a' (and 1 more) has deploy mode 'cluster' and cannot share session 'run': "
                "its driver runs where tasks cannot reach it\n"
                "  Fix: set 'session: pipe' for it, or 'deploy_mode: client'."
            ),
        )

    def test_the_pool_of_sessions_is_no_pool_of_their_pipes(self) -> None:
        assert refusal(settings=RUN, session_pool="main") == (
            (
                "session_pool 'main' is also the pool of pipe 'orders' (and 3 more): sessions "
                "would hold slots that their own pipes wait for\n"
                "  Fix: name another pool."
            ),
        )
        assert spec(session_pool="main").sessions == ()

    def test_the_pool_of_sessions_has_a_width(self) -> None:
        assert refusal(settings=RUN, session_pool="drivers") == (
            "session_pool 'drivers' has no width\n  Fix: set its slots: 'pools: {drivers: 4}'.",
        )
        [session] = spec(settings=RUN, session_pool="drivers", pools={"drivers": 1}).sessions
        assert session.settings.pool == "drivers"


def test_settings_of_a_driver_are_listed_one_by_one() -> None:
    own = TaskSettings("main", queue="q")
    assert driver_settings(own) == {"queue": "q"}
