"""What a definition may say beyond the plan, in Airflow's own objects."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, DeadlineAlert, DeadlineReference, Param, SyncCallback
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given, settings

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.errors import DefinitionError
from kindling_airflow.plugin.pool_listener import needed_pools
from kindling_airflow.translator import asset_identifier
from tests.dag_factory.projects import compiled
from tests.dag_factory.test_build import DIAMOND, edges, operator, round_trip
from tests.strategies import pipe_ids

FIX = "\n  Fix: correct the name, or put the module into the DAGs folder or the project."
NAME = "\n  Fix: correct the name."
CALL = "\n  Fix: name a function."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "kindling_test_alerts.py").write_text(
        "def page(context): ...\n"
        "class Notifier:\n"
        "    def __init__(self, text): self.text = text\n"
        "    def __call__(self, context): ...\n"
        "async def late(context): ...\n"
        "NUMBER = 5\n"
    )
    return tmp_path


def built(folder: Path, drawing: str = DIAMOND, **keys: Any) -> DAG:
    return build_dag(compiled(folder, drawing, **keys))


def refusal(folder: Path, **keys: Any) -> str:
    with pytest.raises(DefinitionError) as refused:
        built(folder, "a -> b", **keys)
    return str(refused.value)


class TestAssets:
    def test_a_task_takes_in_and_gives_out_the_assets_of_its_pipe(self, folder: Path) -> None:
        task = round_trip(built(folder, "[raw] -> a")).get_task("a")
        assert [(a.name, a.uri) for a in task.inlets] == [("warehouse/raw", "warehouse/raw")]
        assert [(a.name, a.uri) for a in task.outlets] == [("warehouse/a.out", "warehouse/a.out")]

    def test_one_entity_is_one_object(self, folder: Path) -> None:
        dag = built(folder, "a -> b, a -> c")
        (written,), *read = (
            operator(dag, "a").outlets,
            operator(dag, "b").inlets,
            operator(dag, "c").inlets,
        )
        assert all(asset is written for (asset,) in read)

    def test_a_name_of_its_own_and_no_assets_at_all(self, folder: Path) -> None:
        own = operator(built(folder, "a", assets="s3a://lake/x/"), "a")
        assert [asset.uri for asset in own.outlets] == ["s3a://lake/x/a.out"]
        assert operator(built(folder, "a", assets=False), "a").outlets == []

    @given(pipe_ids())
    @settings(max_examples=50)
    def test_airflow_takes_every_identifier_as_it_is(self, entity_id: str) -> None:
        for namespace in ("warehouse", "s3a://lake/tables", "lake/%7B%7B", "file:///lake"):
            identifier = asset_identifier(namespace)(entity_id)
            asset = Asset(name=identifier, uri=identifier)
            assert asset.name == asset.uri == identifier

    def test_a_dag_may_be_run_by_updates_of_assets(self, folder: Path) -> None:
        one = round_trip(built(folder, schedule={"any": ["warehouse/x", "warehouse/y"]}))
        assert [asset.uri for _, asset in one.timetable.asset_condition.iter_assets()] == [
            "warehouse/x",
            "warehouse/y",
        ]
        kinds = {
            mode: type(
                round_trip(built(folder, schedule={mode: ["x", "y"]})).timetable.asset_condition
            ).__name__
            for mode in ("all", "any")
        }
        assert kinds == {"all": "SerializedAssetAll", "any": "SerializedAssetAny"}


class TestTaskSettings:
    def test_an_override_reaches_its_operator_and_no_other(self, folder: Path) -> None:
        dag = built(
            folder,
            retries=1,
            pools={"heavy": 3},
            overrides={
                "b": {
                    "pool": "heavy",
                    "pool_slots": 2,
                    "queue": "big",
                    "owner": "bea",
                    "retries": 5,
                    "retry_delay_seconds": 2,
                    "retry_exponential_backoff": True,
                    "max_retry_delay_seconds": 60,
                    "execution_timeout_seconds": 90,
                    "priority": 77,
                    "executor_config": {"pod": {"cpu": 2}},
                    "arguments": {"depends_on_past": True},
                    "spark": {"conf": {"x": 1}, "driver_memory": "4g", "name": "heavy one"},
                }
            },
        )
        task = round_trip(dag).get_task("b")
        assert (task.pool, task.pool_slots, task.queue, task.owner) == ("heavy", 2, "big", "bea")
        assert (task.retries, task.retry_delay) == (5, timedelta(seconds=2))
        assert (task.retry_exponential_backoff, task.max_retry_delay) == (
            2.0,
            timedelta(seconds=60),
        )
        assert task.execution_timeout == timedelta(seconds=90)
        assert (task.priority_weight, task.depends_on_past) == (77, True)
        assert task.executor_config == {"pod": {"cpu": 2}}
        assert (operator(dag, "b").conf, operator(dag, "b").name) == ({"x": "1"}, "heavy one")
        assert operator(dag, "b")._driver_memory == "4g"
        other = round_trip(dag).get_task("c")
        assert (other.pool, other.pool_slots, other.retries) == ("kindling_shop", 1, 1)
        assert (other.execution_timeout, other.priority_weight) == (None, 2)

    def test_what_is_not_said_is_airflows_default(self, folder: Path) -> None:
        task = round_trip(built(folder, "a")).get_task("a")
        assert (task.queue, task.owner, task.retries) == ("default", "airflow", 0)
        assert (task.retry_delay, task.execution_timeout) == (timedelta(seconds=300), None)

    def test_tasks_do_not_share_a_conf_that_a_policy_may_change(self, folder: Path) -> None:
        dag = built(folder, "a, b", spark={"conf": {"x": 1}})
        one, other = operator(dag, "a"), operator(dag, "b")
        assert one.conf is not None
        one.conf["y"] = "2"
        assert other.conf == {"x": "1"}

    def test_the_scheduler_knows_the_slots_of_every_pool(self, folder: Path) -> None:
        over = {"a": {"pool": "heavy"}}
        dag = built(folder, "a, b", width=2, pools={"heavy": 9}, overrides=over)
        serialised = round_trip(dag)
        assert serialised.max_active_tasks == 11
        assert {t.task_id: t.pool_width for t in serialised.tasks} == {"a": 9, "b": 2}
        assert {n.pool: n.wanted for n in needed_pools(serialised)} == {
            "heavy": 9,
            "kindling_shop": 2,
        }

    def test_an_argument_that_the_operator_does_not_take_is_found_by_airflow(
        self, folder: Path
    ) -> None:
        with pytest.raises(TypeError, match="Invalid arguments were passed to KindlingPipe"):
            build_dag(compiled(folder, "a", complete=False, arguments={"depends_on_pats": True}))


class TestErrorStrategies:
    def test_only_fail_fast_asks_before_a_pipe_begins(self, folder: Path) -> None:
        class Instance:
            dag_id, run_id, task_id = "shop", "run", "a"
            task: Any = None
            asked = 0

            def get_ti_count(self, **_: Any) -> int:
                self.asked += 1
                return 0

        for strategy, asked in (("skip_dependents", 0), ("continue", 0), ("fail_fast", 1)):
            task: Any = operator(built(folder, "a", on_error=strategy), "a")
            instance = Instance()
            instance.task = task
            task._pre_execute_hook({"ti": instance})
            assert instance.asked == asked

    def test_rules_joins_and_outcome_are_the_translators(self, folder: Path) -> None:
        dag = built(folder, "a -> b", on_error="continue", barrier="generation")
        assert {t.task_id: t.trigger_rule for t in round_trip(dag).tasks} == {
            "a": "none_failed",
            "b": "all_done",
            "generation_0_done": "all_done",
            "kindling_outcome": "none_failed",
        }
        assert edges(dag) == {
            ("a", "b"),
            ("a", "generation_0_done"),
            ("generation_0_done", "b"),
            ("a", "kindling_outcome"),
            ("b", "kindling_outcome"),
        }

    def test_the_scheduler_closes_them_without_a_worker(self, folder: Path) -> None:
        """It does so for EmptyOperators without callbacks, inlets and outlets."""
        dag = built(
            folder,
            "a -> b",
            on_error="continue",
            barrier="generation",
            on_success_callback="kindling_test_alerts:page",
        )
        empties = [task for task in dag.tasks if isinstance(task, EmptyOperator)]
        assert [task.task_display_name for task in empties] == ["generation 0 done", "outcome"]
        for task in empties:
            assert not [*task.inlets, *task.outlets, *task.on_success_callback]
        for task in round_trip(dag).tasks:
            assert task.inherits_from_empty_operator == task.task_id.endswith(("done", "outcome"))

    @pytest.mark.parametrize("wanted", ["generation_0_done", "kindling_outcome"])
    def test_a_worker_may_want_them_too(self, folder: Path, wanted: str) -> None:
        made = compiled(folder, "a -> b", on_error="continue", barrier="generation")
        assert build_dag(made, only_task=wanted).task_ids == [wanted]

    def test_groups_by_tag_are_what_the_ui_shows(self, folder: Path) -> None:
        dag = round_trip(built(folder, "a -> b", group_by="tag:layer"))
        (group,) = dag.task_group.children.values()
        assert (group.group_id, group.label) == ("_x_layer_", "no layer")
        assert list(group.children) == ["a", "b"]


class TestCallbacks:
    def test_references_are_resolved_for_every_task(self, folder: Path) -> None:
        dag = built(folder, "a, b", on_failure_callback="kindling_test_alerts:page")
        one, other = (operator(dag, name).on_failure_callback for name in "ab")
        assert [callback.__name__ for callback in one] == ["page"]  # type: ignore[union-attr]
        assert one == other
        assert round_trip(dag).get_task("a").has_on_failure_callback

    def test_a_class_is_called_with_its_arguments(self, folder: Path) -> None:
        said = {"class": "kindling_test_alerts:Notifier", "kwargs": {"text": "hello"}}
        dag = built(folder, "a", on_retry_callback=["kindling_test_alerts:page", said])
        page, notifier = operator(dag, "a").on_retry_callback  # type: ignore[misc]
        assert (page.__name__, notifier.text) == ("page", "hello")

    def test_objects_of_python_are_taken_as_they_are(self, folder: Path) -> None:
        def own(context: Any) -> None: ...

        dag = built(
            folder,
            "a, b",
            on_success_callback=own,
            overrides={"b": {"on_success_callback": [own, own], "executor_config": {"pod": own}}},
        )
        assert operator(dag, "a").on_success_callback == [own]
        assert operator(dag, "b").on_success_callback == [own, own]
        assert operator(dag, "b").executor_config == {"pod": own}

    def test_those_of_the_run_are_the_dags(self, folder: Path) -> None:
        run = {"on_failure_callback": "kindling_test_alerts:page"}
        dag = built(folder, "a", dag_run=run)
        assert [callback.__name__ for callback in dag.on_failure_callback] == ["page"]
        assert not operator(dag, "a").on_failure_callback

    def test_an_override_may_take_one_away(self, folder: Path) -> None:
        dag = built(
            folder,
            "a, b",
            on_failure_callback="kindling_test_alerts:page",
            overrides={"b": {"on_failure_callback": None}},
        )
        assert operator(dag, "a").on_failure_callback
        assert not operator(dag, "b").on_failure_callback

    def test_a_worker_resolves_those_of_its_task_alone(self, folder: Path) -> None:
        over = {"b": {"on_failure_callback": "gone:gone"}}
        made = compiled(folder, "a, b", complete=False, overrides=over)
        assert build_dag(made, only_task="a").task_ids == ["a"]
        with pytest.raises(DefinitionError):
            build_dag(made)


class TestRuns:
    def test_parameters_are_those_of_airflow(self, folder: Path) -> None:
        params = {
            "region": "EU",
            "days": {"default": 7, "type": "integer", "minimum": 1, "description": "How far."},
            "own": Param(3, type="integer"),
        }
        dag = round_trip(built(folder, "a", params=params))
        assert dag.params.dump() == {"select": None, "region": "EU", "days": 7, "own": 3}
        found = dag.params.get_param("days")
        assert (found.description, found.schema) == ("How far.", {"type": "integer", "minimum": 1})

    def test_limits_of_a_run(self, folder: Path) -> None:
        run = {"timeout_seconds": 60, "max_consecutive_failed": 3}
        dag = round_trip(built(folder, "a", dag_run=run))
        assert dag.dagrun_timeout == timedelta(seconds=60)
        assert dag.max_consecutive_failed_dag_runs == 3

    def test_names_access_and_pausing(self, folder: Path) -> None:
        dag = round_trip(
            built(
                folder,
                "a",
                dag_display_name="The shop",
                is_paused_upon_creation=True,
                access_control={"Viewer": {"DAGs": ["can_read"]}},
            )
        )
        assert (dag.dag_display_name, dag.is_paused_upon_creation) == ("The shop", True)
        assert {role: set(a["DAGs"]) for role, a in dag.access_control.items()} == {
            "Viewer": {"can_read"}
        }

    @pytest.mark.parametrize(
        ("reference", "expected"),
        [
            ("queued_at", DeadlineReference.DAGRUN_QUEUED_AT),
            ("logical_date", DeadlineReference.DAGRUN_LOGICAL_DATE),
            ("average_runtime", DeadlineReference.AVERAGE_RUNTIME()),
            (
                "2026-03-01T06:00:00Z",
                DeadlineReference.FIXED_DATETIME(datetime(2026, 3, 1, 6, tzinfo=timezone.utc)),
            ),
        ],
    )
    def test_deadlines(self, folder: Path, reference: str, expected: Any) -> None:
        said = {
            "reference": reference,
            "interval_seconds": 60,
            "callback": "kindling_test_alerts:late",
            "kwargs": {"text": "late"},
        }
        dag = built(folder, "a", dag_run={"deadline": [said, {**said, "interval_seconds": 90}]})
        first, second = dag.deadline or []
        assert (first.reference, first.interval) == (expected, timedelta(seconds=60))
        assert second.interval == timedelta(seconds=90)
        assert type(first.callback).__name__ == "AsyncCallback"
        assert first.callback.path == "kindling_test_alerts.late"
        assert first.callback.kwargs == {"text": "late"}
        dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
        assert len(DagSerialization.to_dict(dag)["dag"]["deadline"]) == 2

    def test_a_deadline_of_python_and_one_with_a_plain_function(self, folder: Path) -> None:
        alert: Any = DeadlineAlert(
            DeadlineReference.DAGRUN_QUEUED_AT, timedelta(1), SyncCallback("a.b")
        )
        assert built(folder, "a", dag_run={"deadline": alert}).deadline == [alert]
        said = {
            "reference": "queued_at",
            "interval_seconds": 60,
            "callback": "kindling_test_alerts:page",
        }
        (found,) = built(folder, "a", dag_run={"deadline": said}).deadline or []
        assert type(found.callback).__name__ == "SyncCallback"


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ("kindling_no_alerts:page", f"module not found: 'kindling_no_alerts'{FIX}"),
            (
                "kindling_test_alerts:pgae",
                "module 'kindling_test_alerts' has no 'pgae'. Did you mean 'page'?" + NAME,
            ),
            (
                "kindling_test_alerts:NUMBER",
                "'kindling_test_alerts:NUMBER' is an int, not a callable" + CALL,
            ),
            ("kindling_objects:_0", f"module not found: 'kindling_objects'{FIX}"),
        ],
    )
    def test_what_stands_for_nothing_is_named_with_its_key(
        self, folder: Path, reference: str, said: str
    ) -> None:
        assert refusal(folder, on_failure_callback=reference) == (
            f"here: on_failure_callback: {said}"
        )

    def test_all_are_named_at_once(self, folder: Path) -> None:
        text = refusal(
            folder,
            on_failure_callback="gone:a",
            overrides={"b": {"on_retry_callback": ["gone:b"]}},
            dag_run={
                "on_success_callback": "gone:c",
                "deadline": {
                    "reference": "queued_at",
                    "interval_seconds": 1,
                    "callback": "gone:d",
                },
            },
        )
        assert [line.split(": module")[0] for line in text.splitlines() if "not found" in line] == [
            "1. here: dag_run.deadline.callback",
            "2. here: dag_run.on_success_callback",
            "3. here: on_failure_callback",
            "4. here: overrides.b.on_retry_callback",
        ]

    def test_a_module_that_raises_keeps_its_error(self, folder: Path) -> None:
        (folder / "shop" / "kindling_bad.py").write_text("1 / 0\n")
        assert refusal(folder, on_failure_callback="kindling_bad:x") == (
            "here: on_failure_callback: module 'kindling_bad' failed to import: "
            "ZeroDivisionError: division by zero\n  Fix: correct the module."
        )

    def test_wrong_kwargs_of_a_class(self, folder: Path) -> None:
        said = {"class": "kindling_test_alerts:Notifier", "kwargs": {"txt": 1}}
        assert refusal(folder, on_failure_callback=said) == (
            "here: on_failure_callback: 'kindling_test_alerts:Notifier' does not take these "
            "kwargs: TypeError: Notifier.__init__() got an unexpected keyword argument 'txt'\n"
            "  Fix: correct the kwargs."
        )

    def test_projects_may_have_modules_of_one_name(self, folder: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        (other / "shop").mkdir(parents=True)
        (other / "shop" / "kindling_test_alerts.py").write_text("def page(context): return 'other'")
        found = [
            operator(built(place, "a", on_failure_callback="kindling_test_alerts:page"), "a")
            for place in (folder, other)
        ]
        (first,), (second,) = (task.on_failure_callback for task in found)  # type: ignore[misc]
        assert (first(None), second(None)) == (None, "other")

    def test_a_module_may_lie_beside_the_definition(self, folder: Path) -> None:
        (folder / "kindling_beside.py").write_text("def page(context): ...")
        dag = built(folder, "a", on_failure_callback="kindling_beside:page")
        assert operator(dag, "a").on_failure_callback

    def test_an_installed_module_needs_no_folder(self, folder: Path) -> None:
        dag = built(folder, "a", on_failure_callback="os.path:join")
        assert operator(dag, "a").on_failure_callback
