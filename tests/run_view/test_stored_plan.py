"""What a stored DAG says of its plan."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.common.spread import Spread
from kindling_airflow.run_view.page import run_page, run_page_data, usual_figures
from kindling_airflow.run_view.stored_plan import StoredPlan, stored_plan
from kindling_airflow.run_view.stored_tasks import stored_tasks
from tests.run_view.stored import dag, doc, task


def plan_of(tasks: list[Any], groups: Any = None) -> StoredPlan:
    found = stored_plan(dag(tasks, groups))
    assert found is not None
    return found


def generations(found: StoredPlan) -> list[list[str]]:
    return [list(generation) for generation in found.plan.generations]


DIAMOND = [
    task("a", ["b", "c"], doc=doc("a", "raw"), priority_weight=18),
    task("b", ["d"], doc=doc("b", "a"), priority_weight=8),
    task("c", ["d"], doc=doc("c", "a"), priority_weight=6),
    task("d", doc=doc("d", "b, c"), priority_weight=5),
]
GROUPS = {"generation_0": ["a"], "generation_1": ["b", "c"], "generation_2": ["d"]}


def test_generations_are_the_groups_and_edges_follow_from_inputs() -> None:
    found = plan_of(DIAMOND, GROUPS)
    assert generations(found) == [["a"], ["b", "c"], ["d"]]
    assert found.plan.strategy == "batch"
    assert {(e.from_pipe, e.to_pipe) for e in found.plan.graph.edges} == {
        ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"),
    }  # fmt: skip
    assert found.plan.graph.external_entities() == ("raw",)
    assert found.most_tasks == 4
    assert found.plan.validate()


def test_weights_that_are_longest_ways_give_durations() -> None:
    assert plan_of(DIAMOND, GROUPS).durations == {"a": 10, "b": 3, "c": 1, "d": 5}


@pytest.mark.parametrize("weights", [(3, 2, 2, 1), (1, 9, 9, 1)])
def test_weights_that_say_nothing_or_were_overridden_give_none(weights: tuple[int, ...]) -> None:
    tasks = [
        {**t, "__var": {**t["__var"], "priority_weight": w}}
        for t, w in zip(DIAMOND, weights, strict=True)
    ]
    found = plan_of(tasks, GROUPS)
    assert found.durations is None
    data = run_page_data(found)
    assert data["criticalTime"] == "3 pipes"
    assert all(shown["time"] == [] for shown in data["pipes"])


def test_without_groups_of_generations_these_follow_from_the_edges() -> None:
    found = plan_of(DIAMOND, {"gold": ["d"], "bronze": ["a", "b"]})
    assert generations(found) == [["a"], ["b", "c"], ["d"]]


def test_groups_that_only_look_like_generations_do_not_count() -> None:
    found = plan_of(DIAMOND, {"generation_0": ["a", "b", "c", "d"]})
    assert generations(found) == [["a"], ["b", "c"], ["d"]]


def test_edges_between_tasks_count_where_the_documentation_says_nothing() -> None:
    found = plan_of([task("my_x20_a", ["b"], doc="Own words."), task("b")])
    assert generations(found) == [["my a"], ["b"]]
    assert found.plan.graph.nodes["b"].input_entities == ("output of my a",)


def test_documentation_of_another_pipe_is_not_believed() -> None:
    found = plan_of(
        [task("a", doc=doc("b")), task("c", doc_md="Pipe `d`: reads nothing; writes `d`.")]
    )
    assert list(found.pipes) == ["a", "c"]


def test_a_code_that_is_no_letter_stays() -> None:
    assert list(plan_of([task("a_xffffff_b")]).pipes) == ["a_xffffff_b"]


def test_queries_are_read_with_their_inputs() -> None:
    text = "Pipe `a`: reads ``x`y``, `z`; writes `a`.\n\n```sql\nSELECT 1\n```"
    found = plan_of([task("a", doc_md=text)])
    assert found.pipes["a"].reads == ("x`y", "z")
    data = run_page_data(found)
    assert data["pipes"][0]["sql"] == "SELECT 1"
    assert data["pipes"][0]["sqlTitle"] == "Query"


def test_streams_are_in_reverse_order_and_marked() -> None:
    streams = [
        task("clean", doc=doc("clean", "raw"), task_type="KindlingStreamOperator"),
        task("count", doc=doc("count", "clean"), task_type="KindlingStreamOperator"),
        task("ready_0", ["clean"], task_type="KindlingReadyOperator"),
    ]
    found = plan_of(streams, {"generation_0": ["count", "ready_0"], "generation_1": ["clean"]})
    assert found.plan.direction() == "reverse"
    assert found.before == {"ready_0": ("clean",)}
    data = run_page_data(found)
    assert [shown["marks"] for shown in data["pipes"]] == [["stream"], ["stream"]]
    assert data["others"][0]["before"] == [1]


def test_streams_and_pipes_are_a_hybrid_plan() -> None:
    tasks = [
        task("clean", doc=doc("clean", "raw"), task_type="KindlingStreamOperator"),
        task("count", doc=doc("count", "clean"), task_type="KindlingStreamOperator"),
        task("daily", doc=doc("daily", "count")),
    ]
    groups = {"generation_0": ["count"], "generation_1": ["clean"], "generation_2": ["daily"]}
    found = plan_of(tasks, groups)
    assert found.plan.direction() == "hybrid"
    assert found.plan.streaming_pipes() == ("clean", "count") or set(
        found.plan.streaming_pipes()
    ) == {"clean", "count"}


def test_pipes_that_wait_for_a_sensor_are_known_behind_other_tasks_too() -> None:
    sensor = task("sensor", ["empty", "a"], task_type="PythonSensor", _task_module="x")
    empty = task("empty", ["b", "sensor2"], task_type="EmptyOperator", _task_module="x")
    again = task("sensor2", ["empty"], task_type="PythonSensor", _task_module="x")
    found = plan_of([sensor, empty, again, task("a"), task("b")])
    assert found.before["sensor"] == ("a", "b")
    assert found.others[0].kind == "other"


def test_two_groups_with_the_same_pipes_are_told_apart_by_their_tasks() -> None:
    tasks = [
        task("one.a", ["one.b"], doc=doc("a")),
        task("one.b", doc=doc("b", "a")),
        task("two.a", ["two.b"], doc=doc("a")),
        task("two.b", doc=doc("b", "a")),
    ]
    found = plan_of(tasks)
    assert list(found.pipes) == ["one.a", "one.b", "two.a", "two.b"]
    assert {(e.from_pipe, e.to_pipe) for e in found.plan.graph.edges} == {
        ("one.a", "one.b"), ("two.a", "two.b"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "document", [{}, {"dag": None}, {"dag": {"tasks": [1]}}, dag([task("a", task_type="Other")])]
)
def test_a_dag_without_pipes_has_no_plan(document: Any) -> None:
    assert stored_plan(document) is None


def test_an_operator_of_somebody_else_with_such_a_name_is_not_ours() -> None:
    (found,) = stored_tasks(dag([task("a", _task_module="mine")]))
    assert found.kind == "other"


def test_the_page_has_the_run_in_its_data_and_may_ask_its_server() -> None:
    data = run_page_data(plan_of(DIAMOND, GROUPS))
    page = run_page("shop", data, {"run": "</script>"})
    assert "connect-src 'self'" in page.text
    assert "\\u003c/script\\u003e" in page.text
    assert page.script in page.text
    assert page.style in page.text


def test_usual_figures_are_of_the_task_where_they_are_known() -> None:
    data = run_page_data(plan_of(DIAMOND, GROUPS))
    ten, two = Spread(10.0, 1.0, 5), Spread(2.0, 0.5, 5)
    usual = {
        "a": SimpleNamespace(seconds=two, task_seconds=ten, rows=two),
        "c": SimpleNamespace(seconds=two, task_seconds=None, rows=None),
    }
    assert usual_figures(data, usual) == [[10.0, 1.0, 2.0], [], [2.0, 0.5, None], []]
