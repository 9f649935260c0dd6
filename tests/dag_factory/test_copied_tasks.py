"""Copied tasks are what Airflow's constructor would have made, or they are not copied."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from itertools import combinations, count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup
from airflow.sdk.definitions.param import ParamsDict, process_params
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import assume, given, settings

from kindling_airflow import kindling_task_group
from kindling_airflow.dag_factory import copied_tasks
from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.dag_factory.copied_tasks import TaskKind
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.manifest import Manifest
from kindling_airflow.operators.pipe import KindlingPipeOperator
from tests.dag_factory.projects import compiled, document
from tests.dag_factory.test_build import edges
from tests.strategies import acyclic_pipes

WIDE = (
    "[raw] -> s.a -> s.b, s.a -> s.c, s.a -> s.d, s.a -> s.e, [raw] -> s.f, "
    "g.a -> g.b, g.c, g.d -> g.e -> g.f, g.g"
)
DAY = datetime(2026, 3, 1, tzinfo=timezone.utc)


class Pod:
    """What only Python has."""


def note(context: Any) -> None:
    """Be a callback."""


RICH: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "times and retries": {
        "retries": 4,
        "retry_delay_seconds": 30,
        "retry_exponential_backoff": 3,
        "max_retry_delay_seconds": 900,
        "execution_timeout_seconds": 7200,
        "start_date": "2026-01-01",
    },
    "containers": {
        "spark": {
            "conf": {"spark.x": "1", "spark.secret.token": "s3cr3t"},
            "env_vars": {"PASSWORD": "{{ conn.x.password }}", "A": "b"},
            "verbose": True,
        },
        "executor_config": {"pod": {"cpu": [1, 2, {"deep": []}], "own": Pod()}},
        "params": {"country": "NL", "day": {"default": 3, "type": "integer", "minimum": 1}},
    },
    "callbacks": {"on_failure_callback": note, "on_success_callback": [note, note]},
    "overrides": {
        "overrides": {
            "s.*": {"retries": 1, "owner": "us", "spark": {"conf": {"spark.y": "2"}}},
            "s.b": {"pool_slots": 2, "on_retry_callback": note},
            "g.*": {"arguments": {"max_active_tis_per_dag": 3}},
        },
        "width": 5,
    },
    "documented by the definition": {"arguments": {"doc_md": "Ours.", "doc": "Ours as well."}},
    "named by the definition": {"spark": {"name": "{{ task.task_id }}"}},
    "barriers and errors": {"barrier": "generation", "on_error": "continue"},
    "fail fast": {"on_error": "fail_fast"},
    "no assets": {"assets": False},
}


@pytest.fixture
def constructed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Return what calls a function while every task is the constructor's."""

    def call(build: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(copied_tasks._Copies, "would_be", lambda *_: False)
            return build()

    return call


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the ids of the tasks that are copies, as they are made."""
    made: list[str] = []
    task = copied_tasks._Copies.task

    def noted(self: Any, own: dict[str, Any]) -> Any:
        made.append(own["task_id"])
        return task(self, own)

    monkeypatch.setattr(copied_tasks._Copies, "task", noted)
    return made


def serialised(dag: DAG) -> str:
    dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
    return json.dumps(DagSerialization.to_dict(dag))


def containers(value: Any) -> Iterator[Any]:
    """Yield what can change of a value, itself among it, at every depth."""
    inner: Iterable[Any] = ()
    if isinstance(value, ParamsDict):
        inner = [value.get_param(name) for name in value]
    elif isinstance(value, Param):
        inner = vars(value).values()
    elif isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, (list, set, tuple)):
        inner = value
    if isinstance(value, (ParamsDict, Param, dict, list, set)):
        yield value
    for item in inner:
        yield from containers(item)


class TestTheSame:
    @pytest.mark.parametrize("keys", RICH.values(), ids=RICH)
    def test_serialised_dag_is_the_constructors_letter_by_letter(
        self, tmp_path: Path, constructed: Any, copies: list[str], keys: dict[str, Any]
    ) -> None:
        made = compiled(tmp_path, WIDE, **keys)
        by_constructor = serialised(constructed(lambda: build_dag(made)))
        assert not copies
        assert serialised(build_dag(made)) == by_constructor
        assert len(copies) >= 6

    @pytest.mark.parametrize("keys", RICH.values(), ids=RICH)
    def test_attributes_are_the_constructors_in_their_order(
        self, tmp_path: Path, constructed: Any, keys: dict[str, Any]
    ) -> None:
        made = compiled(tmp_path, WIDE, **keys)
        copied, by_constructor = build_dag(made), constructed(lambda: build_dag(made))
        assert list(copied.task_dict) == list(by_constructor.task_dict)
        for name, task in copied.task_dict.items():
            ours, theirs = vars(task), vars(by_constructor.get_task(name))
            assert list(ours) == list(theirs)
            apart = {"_dag", "task_group", "resources", "_pre_execute_hook"}
            assert {k: v for k, v in ours.items() if k not in apart | {INIT}} == {
                k: v for k, v in theirs.items() if k not in apart | {INIT}
            }
            own, other = ours.get(INIT, {}), theirs.get(INIT, {})
            left_out = {"dag", "task_group", "pre_execute"}
            assert list(own) == list(other)
            assert {k: v for k, v in own.items() if k not in left_out} == {
                k: v for k, v in other.items() if k not in left_out
            }
            assert task.task_group is not None
            assert task.task_group.group_id == by_constructor.get_task(name).task_group.group_id
            assert task.dag is copied

    def test_a_query_has_its_text_and_a_python_pipe_its_own(
        self, tmp_path: Path, constructed: Any, copies: list[str]
    ) -> None:
        registry = DataPipesRegistry()
        for n in range(4):
            registry.register_pipe(
                f"p{n}", input_entity_ids=[f"e{n}"], output_entity_id=f"o{n}", tags={"x": "y"}
            )
            registry.register_pipe(
                f"q{n}",
                sql=f"SELECT {n} FROM o{n}",
                input_entity_ids=[f"o{n}"],
                output_entity_id=f"r{n}",
            )
        made = _compiled(tmp_path, registry)
        by_constructor = serialised(constructed(lambda: build_dag(made)))
        dag = build_dag(made)
        assert serialised(dag) == by_constructor
        assert sorted(copies) == ["p2", "p3", "q2", "q3"]
        assert "SELECT 3 FROM o3" in str(dag.get_task("q3").doc_md)
        assert dag.get_task("q3")._settings == {"pipes": {"q3": {"input_entity_ids": ("o3",)}}}  # type: ignore[union-attr]

    @given(acyclic_pipes(max_pipes=8))
    @settings(max_examples=40)
    def test_any_graph(self, tmp_path_factory: Any, pipes: DataPipesRegistry) -> None:
        assume(list(pipes.get_pipe_ids()))
        made = _compiled(tmp_path_factory.getbasetemp(), pipes)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(copied_tasks._Copies, "would_be", lambda *_: False)
            by_constructor = serialised(build_dag(made))
        assert serialised(build_dag(made)) == by_constructor

    def test_the_request_to_the_driver(self, tmp_path: Path, constructed: Any) -> None:
        made = compiled(tmp_path, WIDE, **RICH["overrides"])
        copied, by_constructor = build_dag(made), constructed(lambda: build_dag(made))
        for task in copied.tasks:
            if isinstance(task, KindlingPipeOperator):
                theirs = _request(by_constructor.get_task(task.task_id))
                assert dataclasses.replace(_request(task), attempt_key="x") == theirs

    def test_a_group_in_a_users_dag(self, tmp_path: Path, constructed: Any) -> None:
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "many.py").write_text(
            "from kindling_airflow import DataPipes\n"
            "def copy(**inputs): ...\n"
            "for n in range(9):\n"
            "    DataPipes.pipe(pipeid=f'p{n}', input_entity_ids=[f'e{n // 2}'],"
            " output_entity_id=f'e{n + 1}')(copy)\n"
        )

        def mine() -> DAG:
            defaults = {"retries": 7, "params": {"x": 1}, "email_on_retry": False}
            with (
                DAG("mine", schedule=None, default_args=defaults, params={"y": 2}) as dag,
                TaskGroup("outer", default_args={"queue": "big"}),
            ):
                kindling_task_group(
                    tmp_path / "shop.kindling.yaml", group_id="inner", base=tmp_path
                )
            return dag

        (tmp_path / "shop.kindling.yaml").write_text("dag_id: shop\nproject: shop\n")
        dag = mine()
        assert serialised(dag) == serialised(constructed(mine))
        last = dag.get_task("outer.inner.p8")
        assert (last.retries, last.queue) == (7, "big")
        given = process_params(dag, last, None, suppress_exception=False)
        assert given == {"x": 1, "y": 2}


class TestNothingShared:
    @pytest.mark.parametrize("keys", RICH.values(), ids=RICH)
    def test_no_two_tasks_hold_one_container(self, tmp_path: Path, keys: dict[str, Any]) -> None:
        tasks = [
            task
            for task in build_dag(compiled(tmp_path, WIDE, **keys)).tasks
            if isinstance(task, KindlingPipeOperator)
        ]
        held = [{id(found): found for found in containers(_state(task))} for task in tasks]
        assert all(len(ids) > 10 for ids in held)
        for one, other in combinations(held, 2):
            assert not one.keys() & other.keys()

    def test_a_policy_changes_the_task_that_it_changes(self, tmp_path: Path) -> None:
        dag = build_dag(compiled(tmp_path, WIDE, **RICH["containers"]))
        before = {task.task_id: _shown(task) for task in dag.tasks if task.task_id != "s.e"}
        changed: Any = dag.get_task("s.e")
        changed.conf["spark.x"] = "9"
        changed.env_vars = {}
        changed.retries = 9
        changed.executor_config["pod"]["cpu"].append(3)
        changed.params["country"] = "BE"
        changed.on_failure_callback.append(note)
        changed.inlets.clear()
        changed.set_downstream(dag.get_task("g.g"))
        after = {task.task_id: _shown(task) for task in dag.tasks if task.task_id != "s.e"}
        assert after.pop("g.g") != before.pop("g.g")
        assert after == before
        assert (changed.retries, changed.upstream_task_ids) == (9, {"s.a"})

    def test_a_copy_can_be_copied_and_prepared_like_any_task(self, tmp_path: Path) -> None:
        dag = build_dag(compiled(tmp_path, WIDE))
        ready = dag.get_task("g.g").prepare_for_execution()
        assert ready.task_id == "g.g"
        assert serialised(copy.deepcopy(dag)) == serialised(dag)


class TestNotCopied:
    def test_tasks_of_which_the_constructor_makes_something_unknown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: list[str]
    ) -> None:
        _let_constructor_add(monkeypatch, object)
        dag = build_dag(compiled(tmp_path, WIDE))
        assert not copies
        assert len({id(task.token) for task in _pipes(dag)}) == 13

    def test_tasks_of_which_the_constructor_makes_something_different_each(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: list[str]
    ) -> None:
        _let_constructor_add(monkeypatch, count().__next__)
        dag = build_dag(compiled(tmp_path, WIDE))
        assert not copies
        assert sorted(task.token for task in _pipes(dag)) == list(range(13))

    def test_tasks_with_an_object_each_of_airflows_own(
        self, tmp_path: Path, copies: list[str]
    ) -> None:
        dag = build_dag(compiled(tmp_path, WIDE, arguments={"resources": {"cpus": 2}}))
        assert not copies
        assert len({id(task.resources) for task in _pipes(dag)}) == 13

    def test_tasks_with_a_new_container_each_are(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: list[str]
    ) -> None:
        _let_constructor_add(monkeypatch, lambda: {"new": []})
        dag = build_dag(compiled(tmp_path, WIDE))
        assert copies
        assert len({id(task.token["new"]) for task in _pipes(dag)}) == 13

    def test_tasks_that_take_in_what_another_task_returns(self, copies: list[str]) -> None:
        with DAG("d", schedule=None) as dag:
            first = EmptyOperator(task_id="first")
        kind = TaskKind({**_arguments(dag), "application_args": [first.output]})
        for n in range(4):
            kind.task(_own(dag, f"t{n}"))
        assert not copies
        assert first.downstream_task_ids == {"t0", "t1", "t2", "t3"}

    def test_tasks_inside_of_a_setup_tasks_block(self, copies: list[str]) -> None:
        with DAG("d", schedule=None) as dag:
            opened, closed = EmptyOperator(task_id="open"), EmptyOperator(task_id="close")
            with closed.as_teardown(setups=opened):
                kind = TaskKind(_arguments(dag))
                for n in range(4):
                    kind.task(_own(dag, f"t{n}"))
        assert not copies
        assert {("open", f"t{n}") for n in range(4)} <= edges(dag)

    @pytest.mark.parametrize(
        ("task_id", "text"),
        [
            ("t x", "has to be made of alphanumeric characters"),
            ("t" * 251, "has to be less than 250 characters, not 251"),
            ("t2", "Task id 't2' has already been added to the D(AG|ag)"),
        ],
    )
    def test_ids_that_airflow_refuses(self, task_id: str, text: str) -> None:
        dag = DAG("d", schedule=None)
        kind = TaskKind(_arguments(dag))
        for n in range(3):
            kind.task(_own(dag, f"t{n}"))
        with pytest.raises(Exception, match=text):
            kind.task(_own(dag, task_id))

    def test_tasks_without_a_group(self, copies: list[str]) -> None:
        dag = DAG("d", schedule=None)
        kind = TaskKind(_arguments(dag))
        for n in range(4):
            kind.task(_own(dag, f"t{n}", task_group=None))
        assert not copies
        assert list(dag.task_group.children) == ["t0", "t1", "t2", "t3"]

    def test_only_these_are_not(self, copies: list[str]) -> None:
        dag = DAG("d", schedule=None)
        kind = TaskKind(_arguments(dag))
        for n in range(4):
            kind.task(_own(dag, f"t{n}"))
        assert copies == ["t2", "t3"]

    def test_weights_that_no_database_holds(self, copies: list[str]) -> None:
        dag = DAG("d", schedule=None)
        kind = TaskKind(_arguments(dag))
        tasks = [kind.task(_own(dag, f"t{n}", priority_weight=2**n)) for n in range(27, 34)]
        assert [task.priority_weight for task in tasks] == [
            *[2**27, 2**28, 2**29, 2**30],
            *[2**31 - 1] * 3,
        ]
        assert copies == ["t29", "t30"]


INIT = "_BaseOperator__init_kwargs"


def _compiled(folder: Path, registry: DataPipesRegistry) -> Compiled:
    (folder / "shop").mkdir(exist_ok=True)
    definition = Definition.from_document(document(), base=folder, source="here")
    manifest = Manifest.from_registries(registry, DataEntityRegistry(), modules=["shop.pipes"])
    return compile_definition(definition, manifest)


def _request(task: Any) -> Any:
    ti = SimpleNamespace(
        dag_id="shop", run_id="run", task_id=task.task_id, try_number=1, id="", map_index=-1
    )
    run = SimpleNamespace(
        data_interval_start=DAY, data_interval_end=DAY, conf={}, logical_date=DAY, run_after=DAY
    )
    request = task._request({"ti": ti, "dag_run": run, "params": {}})
    return dataclasses.replace(request, attempt_key="x")


def _state(task: Any) -> dict[str, Any]:
    """Return what a task has; its DAG, its group and its neighbours have more of it in common."""
    shown = {k: v for k, v in vars(task).items() if k not in {"_dag", "task_group"}}
    said = {k: v for k, v in shown[INIT].items() if k not in {"dag", "task_group"}}
    return {**shown, INIT: said}


def _shown(task: Any) -> str:
    params = {name: vars(task.params.get_param(name)) for name in task.params}
    return repr({**_state(task), "params": params})


def _pipes(dag: DAG) -> list[Any]:
    return [task for task in dag.tasks if isinstance(task, KindlingPipeOperator)]


def _let_constructor_add(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]) -> None:
    """Let Airflow's base class keep something more of every task, as a later one might."""
    constructor = KindlingPipeOperator.__init__

    def more(self: Any, **kwargs: Any) -> None:
        vars(self)["token"] = make()
        constructor(self, **kwargs)

    wrapped = functools.wraps(constructor)(more)
    wrapped.__wrapped__ = constructor.__wrapped__  # type: ignore[attr-defined]
    monkeypatch.setattr(KindlingPipeOperator, "__init__", wrapped)


def _arguments(dag: DAG) -> dict[str, Any]:
    return {"dag": dag, "project_root": "/p", "modules": ["m"], "weight_rule": "absolute"}


def _own(dag: DAG, task_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "task_group": dag.task_group,
        "pipe_id": task_id,
        "connections": (),
        "settings": {},
        "priority_weight": 1,
        "inlets": [],
        "outlets": [],
        **changes,
    }
