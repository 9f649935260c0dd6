"""``kindling_task_group``: a plan between other tasks, whole, in part, or as a stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Label, TaskGroup

from kindling_airflow import Manifest, kindling_task_group
from kindling_airflow.definitions.compile import plan_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError
from kindling_airflow.manifest.harvest import harvest
from kindling_airflow.operators.pipe import KindlingPipeOperator
from tests.dag_factory.projects import document, imports_of, write_definition, write_project
from tests.dag_factory.test_build import edges, round_trip
from tests.dag_factory.test_parsing_context import want

DRAWING = "a -> b -> d, a -> c -> d, lone"


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop", DRAWING)
    write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\nwidth: 3\n")
    return tmp_path


def between(dags: Path, *group_ids: str, **keys: Any) -> DAG:
    """Return a DAG ``mine`` with groups between a task ``start`` and a task ``end``."""
    with DAG("mine", schedule=None) as dag:
        last: Any = EmptyOperator(task_id="start")
        for group_id in group_ids or ("orders",):
            group = kindling_task_group("shop.kindling.yaml", group_id=group_id, base=dags, **keys)
            last = last >> group
        last >> EmptyOperator(task_id="end")
    return dag


def refusal(dags: Path, plan: Any = "shop.kindling.yaml", **keys: Any) -> str:
    with DAG("mine", schedule=None), pytest.raises(DefinitionError) as refused:
        kindling_task_group(plan, **{"group_id": "orders", "base": dags, **keys})
    return str(refused.value)


class TestWhole:
    def test_pipes_stand_between_the_other_tasks(self, dags: Path) -> None:
        assert edges(round_trip(between(dags))) == {
            ("start", "orders.a"),
            ("start", "orders.lone"),
            ("orders.a", "orders.b"),
            ("orders.a", "orders.c"),
            ("orders.b", "orders.d"),
            ("orders.c", "orders.d"),
            ("orders.d", "orders.kindling_outcome"),
            ("orders.lone", "orders.kindling_outcome"),
            ("orders.kindling_outcome", "end"),
        }

    def test_groups_are_inside_of_the_group(self, dags: Path) -> None:
        group = round_trip(between(dags)).task_group.children["orders"]
        assert list(group.children) == [
            "orders.generation_0",
            "orders.generation_1",
            "orders.generation_2",
            "orders.kindling_outcome",
        ]
        assert list(group.children["orders.generation_1"].children) == ["orders.b", "orders.c"]
        assert group.topological_sort()

    def test_the_same_plan_may_stand_in_one_dag_more_than_once(self, dags: Path) -> None:
        dag = round_trip(between(dags, "one", "two"))
        assert len(dag.task_ids) == 2 + 2 * 6
        assert ("one.kindling_outcome", "two.a") in edges(dag)
        assert dag.task_group.topological_sort()

    def test_two_groups_of_one_id_are_refused(self, dags: Path) -> None:
        with pytest.raises(DefinitionError) as refused:
            between(dags, "one", "one")
        assert str(refused.value) == (
            "kindling_task_group 'one': group_id 'one' has already been added to the DAG"
        )

    def test_it_may_stand_in_a_group_of_the_users(self, dags: Path) -> None:
        with DAG("mine", schedule=None) as dag, TaskGroup("outer") as outer:
            inner = kindling_task_group("shop.kindling.yaml", group_id="inner", base=dags)
            EmptyOperator(task_id="start") >> inner
        assert "outer.inner.b" in dag.task_ids
        assert list(outer.children) == ["outer.inner", "outer.start"]
        assert ("outer.start", "outer.inner.a") in edges(round_trip(dag))

    def test_pipes_know_pool_settings_strategy_assets_and_weights(self, dags: Path) -> None:
        dag = between(dags, on_error="continue", overrides={"b": {"retries": 3}}, pool="mine")
        task = round_trip(dag).get_task("orders.b")
        assert (task.pool, task.pool_width, task.retries) == ("mine", 3, 3)
        assert (task.trigger_rule, task.priority_weight) == ("all_done", 2)
        assert [asset.name for asset in task.outlets] == ["warehouse/b.out"]
        assert round_trip(dag).get_task("orders.kindling_outcome").trigger_rule == "none_failed"

    def test_the_pool_is_named_by_the_definition(self, dags: Path) -> None:
        assert round_trip(between(dags)).get_task("orders.a").pool == "kindling_shop"

    def test_a_single_pipe_can_be_reached(self, dags: Path) -> None:
        with DAG("mine", schedule=None) as dag:
            group = kindling_task_group("shop.kindling.yaml", group_id="orders", base=dags)
            group.pipe("b") >> EmptyOperator(task_id="after_b")
        assert ("orders.b", "after_b") in edges(dag)
        with pytest.raises(DefinitionError) as refused:
            group.pipe("lonee")
        assert str(refused.value) == (
            "task group 'orders' has no pipe 'lonee'. Did you mean 'lone'?"
        )

    def test_relative_paths_start_from_the_file_of_the_dag(self, dags: Path) -> None:
        (dags / "mine.py").write_text(
            "from airflow.sdk import DAG\n"
            "from kindling_airflow import kindling_task_group\n"
            "with DAG('mine', schedule=None) as dag:\n"
            "    kindling_task_group('shop.kindling.yaml', group_id='orders')\n"
        )
        found: dict[str, Any] = {}
        exec(compile((dags / "mine.py").read_text(), str(dags / "mine.py"), "exec"), found)
        assert "orders.a" in found["dag"].task_ids

    def test_default_arguments_of_the_dag_count_where_the_definition_is_silent(
        self, dags: Path
    ) -> None:
        with DAG("mine", schedule=None, default_args={"owner": "me", "retries": 7}) as dag:
            kindling_task_group(
                "shop.kindling.yaml", group_id="g", base=dags, overrides={"b": {"retries": 1}}
            )
        assert [dag.get_task(f"g.{name}").retries for name in "ab"] == [7, 1]
        assert dag.get_task("g.a").owner == "me"


class TestSources:
    @pytest.fixture
    def made(self, dags: Path) -> tuple[Manifest, Any]:
        definition = Definition.from_document(document(), base=dags, source="here")
        planned = plan_definition(definition)
        return planned.base, planned.plan

    def ids(self, plan: Any, dags: Path, **keys: Any) -> list[str]:
        with DAG("mine", schedule=None) as dag:
            kindling_task_group(plan, group_id="g", base=dags, **keys)
        return sorted(task.removeprefix("g.") for task in dag.task_ids)

    EVERY = ("a", "b", "c", "d", "kindling_outcome", "lone")

    def test_a_manifest_as_an_object_or_a_file(
        self, dags: Path, made: tuple[Manifest, Any]
    ) -> None:
        made[0].write(dags / "shop.manifest.json")
        for plan in (made[0], "shop.manifest.json", dags / "shop.manifest.json"):
            assert self.ids(plan, dags, project="shop") == list(self.EVERY)
        assert self.ids(made[0], dags, project="shop", select="+b") == ["a", "b", self.EVERY[4]]

    def test_a_plan_as_an_object_or_a_file(self, dags: Path, made: tuple[Manifest, Any]) -> None:
        (dags / "plan.json").write_text(json.dumps(made[1].to_json()))
        for plan in (made[1], "plan.json"):
            assert self.ids(plan, dags, project="shop") == list(self.EVERY)

    def test_pool_of_what_is_no_definition_is_named_by_the_dag(
        self, dags: Path, made: tuple[Manifest, Any]
    ) -> None:
        with DAG("mine", schedule=None) as dag:
            kindling_task_group(made[1], group_id="g", base=dags, project="shop")
        assert dag.get_task("g.a").pool == "kindling_mine"

    def test_keys_of_the_call_take_the_place_of_the_files(self, dags: Path) -> None:
        assert self.ids("shop.kindling.yaml", dags, pipes=["lone"]) == ["kindling_outcome", "lone"]


class TestRefusals:
    def test_without_a_dag(self, dags: Path) -> None:
        with pytest.raises(DefinitionError) as refused:
            kindling_task_group("shop.kindling.yaml", group_id="g", base=dags)
        assert str(refused.value) == (
            "kindling_task_group 'g': called outside of a DAG\n  Fix: call it inside 'with "
            "DAG(...):'."
        )

    def test_a_group_id_that_airflow_cannot_take(self, dags: Path) -> None:
        assert refusal(dags, group_id="my group").startswith(
            "kindling_task_group 'my group': The key 'my group' has to be made of alphanumeric"
        )

    def test_ids_that_airflow_could_not_keep(self, dags: Path) -> None:
        write_project(dags / "long", "p" * 190, module="pipes_long")
        write_definition(dags / "long.kindling.yaml", "dag_id: long\nproject: long\n")
        path = "long.kindling.yaml"
        assert refusal(dags, path, group_id="g" * 60) == (
            f"long.kindling.yaml: the id of task '{'p' * 190}' has 251 characters behind group "
            f"'{'g' * 60}', and Airflow allows 250\n  Fix: give the group a shorter id."
        )

    def test_keys_of_the_whole_dag(self, dags: Path) -> None:
        assert refusal(dags, schedule="@daily", tags=["x"]) == (
            "2 problems in the definition:\n"
            "1. kindling_task_group 'orders': 'schedule' is a DAG-level key\n"
            "  Fix: set it on the DAG.\n"
            "2. kindling_task_group 'orders': 'tags' is a DAG-level key\n"
            "  Fix: set it on the DAG."
        )

    def test_arguments_of_airflows_dag_belong_to_it(self, dags: Path) -> None:
        assert refusal(dags, default_args={}, max_active_tasks=3, schedule=None) == (
            "3 problems in the definition:\n"
            "1. kindling_task_group 'orders': 'default_args' is an argument of the DAG\n"
            "  Fix: pass it to DAG(...).\n"
            "2. kindling_task_group 'orders': 'max_active_tasks' is an argument of the DAG\n"
            "  Fix: pass it to DAG(...).\n"
            "3. kindling_task_group 'orders': 'schedule' is a DAG-level key\n"
            "  Fix: set it on the DAG."
        )

    def test_keys_of_the_call_are_checked_like_the_files(self, dags: Path) -> None:
        assert refusal(dags, widht=3).startswith(
            "shop.kindling.yaml: widht: unknown key 'widht'. Did you mean 'width'?"
        )

    def test_a_choice_among_what_was_chosen(self, dags: Path) -> None:
        manifest = harvest(dags / "shop")
        definition = Definition.from_document(document(), base=dags, source="here")
        made = plan_definition(definition, manifest).plan
        assert refusal(dags, made, project="shop", select="a") == (
            "kindling_task_group 'orders': 'select' selects or orders pipes, which a plan already "
            "does\n  Fix: remove it, or pass the manifest instead of the plan."
        )

    def test_a_plan_of_another_project(self, dags: Path) -> None:
        write_project(dags / "other", "a -> bee", module="pipes_other")
        definition = Definition.from_document(document(), base=dags, source="here")
        made = plan_definition(definition).plan
        assert refusal(dags, made, project="other").splitlines()[:3] == [
            "4 problems in the definition:",
            "1. kindling_task_group 'orders': the plan has pipe 'b', which the project does not.",
            "  Fix: plan this project again.",
        ]

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("gone.json", None, "cannot read '{dags}/gone.json': No such file or directory"),
            ("x.json", "{", "x.json is not a JSON document: "),
            ("x.json", "{}", "x.json: manifest schema version None is unknown"),
            ("x.json", '{"generations": 5}', "x.json: "),
        ],
    )
    def test_a_file_that_is_none(self, dags: Path, name: str, text: str | None, said: str) -> None:
        if text is not None:
            (dags / name).write_text(text)
        expected = "kindling_task_group 'orders': " + said.format(dags=dags)
        assert refusal(dags, name, project="shop").startswith(expected)


def standing(dag: DAG) -> dict[str, str]:
    return {
        task.task_id: "pipe" if isinstance(task, KindlingPipeOperator) else "empty"
        for task in dag.tasks
    }


class TestWorker:
    @pytest.fixture
    def wants(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        return lambda dag_id, name=None: want(monkeypatch, dag_id, name)

    def test_a_pipe_is_built_alone_and_nothing_gets_wrong_edges(
        self, dags: Path, wants: Callable[..., None]
    ) -> None:
        whole = between(dags, "one")
        wants("mine", "one.b")
        dag = between(dags, "one")
        assert standing(dag) == {"start": "empty", "one.b": "pipe", "end": "empty"}
        assert edges(dag) <= edges(whole)

    def test_it_is_the_task_that_the_scheduler_has(
        self, dags: Path, wants: Callable[..., None]
    ) -> None:
        whole = between(dags, "one", on_error="fail_fast", overrides={"b": {"queue": "q"}})
        wants("mine", "one.b")
        alone = between(dags, "one", on_error="fail_fast", overrides={"b": {"queue": "q"}})
        for name in ("queue", "pool", "retries", "trigger_rule", "priority_weight", "pipe_id"):
            assert getattr(alone.get_task("one.b"), name) == getattr(whole.get_task("one.b"), name)

    @pytest.mark.parametrize("wanted", ["one.kindling_outcome", "one.generation_0_done"])
    def test_so_is_a_task_beside_the_pipes(
        self, dags: Path, wants: Callable[..., None], wanted: str
    ) -> None:
        wants("mine", wanted)
        dag = between(dags, "one", barrier="generation")
        assert set(dag.task_ids) == {"start", wanted, "end"}

    def test_for_another_task_all_ids_and_edges_stand_without_pipes(
        self, dags: Path, wants: Callable[..., None]
    ) -> None:
        """A ShortCircuitOperator at ``start`` asks its DAG whom it has to skip."""
        whole = between(dags, "one", "two")
        wants("mine", "start")
        dag = between(dags, "one", "two")
        assert set(standing(dag).values()) == {"empty"}
        assert edges(dag) == edges(whole)
        assert set(dag.task_group.get_task_group_dict()) == set(
            whole.task_group.get_task_group_dict()
        )

    def test_groups_behind_the_one_of_the_wanted_pipe_stay_empty(
        self, dags: Path, wants: Callable[..., None]
    ) -> None:
        wants("mine", "one.b")
        dag = between(dags, "one", "two")
        assert standing(dag) == {"start": "empty", "one.b": "pipe", "end": "empty"}
        assert edges(dag) == set()

    def test_a_task_of_another_dag_costs_nothing(
        self, dags: Path, wants: Callable[..., None]
    ) -> None:
        wants("elsewhere", "x")
        assert standing(between(dags, "one")) == {"start": "empty", "end": "empty"}
        assert imports_of(dags / "shop") == []

    def test_a_dag_without_a_wanted_task_is_whole(
        self, dags: Path, wants: Callable[..., None]
    ) -> None:
        whole = between(dags, "one")
        wants("mine")
        assert edges(between(dags, "one")) == edges(whole)

    @pytest.mark.parametrize("wanted", ["one.b", "one.d", "start", "after", "two.a"])
    def test_a_file_that_reaches_single_pipes_works_whatever_is_wanted(
        self, dags: Path, wants: Callable[..., None], wanted: str
    ) -> None:
        wants("mine", wanted)
        with DAG("mine", schedule=None) as dag:
            groups = [
                kindling_task_group("shop.kindling.yaml", group_id=name, base=dags)
                for name in ("one", "two")
            ]
            groups[0].pipe("b") >> EmptyOperator(task_id="after") >> groups[1].pipe("c")
            EmptyOperator(task_id="start") >> Label("yes") >> groups[0]
            groups[0] >> Label("then") >> groups[1]
            [groups[1]] >> EmptyOperator(task_id="end")
        assert dag.has_task(wanted)
        assert isinstance(dag.get_task(wanted), KindlingPipeOperator) == ("." in wanted)


class TestWayBack:
    """Edges that lead out of a group and in again: Airflow runs them today and warns of nothing."""

    def dag(self, dags: Path, *, back: bool) -> DAG:
        with DAG("mine", schedule=None) as dag:
            group = kindling_task_group("shop.kindling.yaml", group_id="orders", base=dags)
            between, then = EmptyOperator(task_id="check"), EmptyOperator(task_id="then")
            group.pipe("a") >> between >> then
            if back:
                then >> group.pipe("d")
        return dag

    def test_it_is_said_with_the_way(self, dags: Path, caplog: pytest.LogCaptureFixture) -> None:
        round_trip(self.dag(dags, back=True))
        assert "Task group 'orders' waits for itself: orders.a >> check >> then >> orders.d." in (
            caplog.text
        )
        assert "Fix: make two groups of the plan" in caplog.text

    def test_edges_that_lead_out_alone_are_as_ever(
        self, dags: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        round_trip(self.dag(dags, back=False))
        assert "waits for itself" not in caplog.text
