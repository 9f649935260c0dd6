"""What a page is sent: the plan of the run's own version, and only what has changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.pages.world import GRAPH, SHOP, World, pipe, write_project

pytestmark = [pytest.mark.system, pytest.mark.versions]

REPORT = {
    "version": 1,
    "status": "published",
    "rows_written": 70,
    "output_entity_id": "orders",
    "location": "s3a://me:hunter2x@lake/orders",
    "inputs": [{"entity_id": "raw.orders", "rows": 90}],
    "expectations": [
        {"name": "key", "expects": "id is unique", "outcome": "warned", "violations": 3, "rows": 70}
    ],
    "extra": {"slice_written": "day 1", "slices_read": {"raw.orders": "day 0"}},
}


def page_of(world: World, dag_id: str, run_id: str | None = None) -> dict[str, Any]:
    """Return the data of a page."""
    more = {} if run_id is None else {"run_id": run_id}
    answer = world.client().get(f"/kindling/dags/{dag_id}/plan", params=more)
    answer.raise_for_status()
    (text,) = re.findall(r'<script type="application/json" id="plan">(.*?)</script>', answer.text)
    found: dict[str, Any] = json.loads(text)
    return found


def ask(world: World, dag_id: str, run_id: str, cursor: list[Any]) -> dict[str, Any]:
    since, after, began = cursor
    answer = world.client().get(
        f"/kindling/dags/{dag_id}/run",
        params={"run_id": run_id, "since": since, "after": after, "began": began},
    )
    answer.raise_for_status()
    assert len(answer.content) <= 50_000
    found: dict[str, Any] = answer.json()
    return found


def test_a_dag_without_a_run_has_todays_plan(pages_world: World) -> None:
    page = page_of(pages_world, "idle")
    assert [shown["id"] for shown in page["pipes"]] == ["sessions", "clicks", "daily"]
    assert page["direction"] == "hybrid"
    assert page["live"]["run"] is None


def test_a_dag_without_pipes_says_so(pages_world: World) -> None:
    answer = pages_world.client().get("/kindling/dags/plain/plan")
    assert "no pipes" in answer.text
    assert pages_world.client().get("/kindling/dags/none/plan").status_code == 404
    other = pages_world.client().get("/kindling/dags/shop/plan", params={"run_id": "none"})
    assert other.status_code == 404


def test_a_refresh_has_what_changed_and_costs_three_statements(pages_world: World) -> None:
    world = pages_world
    world.tell("trigger", dag_id="shop", run_id="small", conf={"select": "+joined"}, hours=1)
    page = page_of(world, "shop", "small")
    first = page["live"]["answer"]
    assert len(first["tasks"]) == len(SHOP)
    assert first["run"]["select"] == "+joined"
    cursor = first["cursor"]
    quiet = ask(world, "shop", "small", [cursor[0] + 60_000, "", 0])
    assert quiet["tasks"] == []
    assert quiet["run"]["state"] == "running"
    world.tell(
        "task_is", dag_id="shop", run_id="small", task_id="orders", state="success", start=1, end=4
    )
    world.tell(
        "xcom", dag_id="shop", run_id="small", task_id="orders", key="kindling_report", value=REPORT
    )
    client = world.client()
    world.tell("cost")
    answer = client.get(
        "/kindling/dags/shop/run",
        params={"run_id": "small", "since": cursor[0], "began": cursor[0]},
    )
    statements = world.tell("cost")
    assert len(statements) <= 3, statements
    (orders,) = [task for task in answer.json()["tasks"] if task[0] == "orders"]
    assert orders[1:3] == ["success", 1]
    assert orders[6:] == [90, 70, 1, "published"]
    assert answer.json()["now"] > 0


def test_no_refresh_of_1211_pipes_costs_more_however_many_of_them_change(
    pages_world: World,
) -> None:
    world, run = pages_world, {"dag_id": "large", "run_id": "all"}
    names = {record["pipeid"] for record in json.loads(GRAPH.read_text("utf-8"))}
    world.tell("trigger", **run)
    cursor = page_of(world, "large", "all")["live"]["answer"]["cursor"]
    assert world.tell("all_tasks_are", **run, state="success") >= len(names) == 1_211
    client, found, answers, more = world.client(), set(), 0, True
    while more:
        since, after, began = cursor
        asked = {"run_id": "all", "since": since, "after": after, "began": began}
        world.tell("cost")
        answer = client.get("/kindling/dags/large/run", params=asked)
        statements = world.tell("cost")
        assert len(statements) <= 3, statements
        assert len(answer.content) <= 50_000
        found |= {task[0] for task in answer.json()["tasks"] if task[1] == "success"}
        cursor, more, answers = answer.json()["cursor"], answer.json()["more"], answers + 1
    assert len(found) >= len(names)
    assert answers < 5


def test_the_report_of_a_pipe_is_shown_without_secrets(pages_world: World) -> None:
    world = pages_world
    world.tell("trigger", dag_id="shop", run_id="told", hours=2)
    world.tell(
        "xcom", dag_id="shop", run_id="told", task_id="orders", key="kindling_report", value=REPORT
    )
    for key, url in (
        ("_link_SparkPagesLink", "http://spark:4040/"),
        ("_link_EntityLocationLink", "javascript:alert(1)"),
    ):
        world.tell("xcom", dag_id="shop", run_id="told", task_id="orders", key=key, value=url)
    shown = world.client().get(
        "/kindling/dags/shop/run/pipe", params={"run_id": "told", "task_id": "orders"}
    )
    assert "hunter2x" not in shown.text
    assert shown.json()["links"] == [["Spark", "http://spark:4040/"]]
    assert shown.json()["inputs"] == [["raw.orders", 90, "day 0"]]
    assert shown.json()["slice"] == "day 1"


def test_a_run_has_the_plan_of_its_own_version(pages_world: World) -> None:
    world = pages_world
    dags = Path(world.folder) / "dags"
    world.tell("trigger", dag_id="changing", run_id="before")
    old = page_of(world, "changing", "before")
    assert [shown["id"] for shown in old["pipes"]] == ["orders", "customers"]
    write_project(dags, "changing", [pipe("quite", ["raw"]), pipe("another", ["quite"])])
    world.tell("store", dags=str(dags))
    world.tell("trigger", dag_id="changing", run_id="behind", hours=1)
    new = page_of(world, "changing")
    assert [shown["id"] for shown in new["pipes"]] == ["quite", "another"]
    assert new["live"]["run"] == "behind"
    again = page_of(world, "changing", "before")
    assert [p["id"] for p in again["pipes"]] == [p["id"] for p in old["pipes"]]
    assert again["live"]["version"] < new["live"]["version"]
