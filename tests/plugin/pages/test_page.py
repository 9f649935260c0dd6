"""The page in a real browser, inside the real UI: what people see of a run, and what they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from docs.browser import Browser, find_chromium
from kindling_airflow.common.run_figures import HISTORY_KEY, RunFigures, window_document
from tests.plugin.pages.auth import DENIED_DAG, DENIED_USER
from tests.plugin.pages.world import HOSTILE, World

pytestmark = [pytest.mark.system, pytest.mark.versions]

FRAME = "document.querySelector('iframe')?.contentDocument"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(find_chromium(), width=1500, height=900) as found:
        yield found


def sign_in(browser: Browser, world: World, user: str) -> None:
    browser.clear_cookies()
    token = world.client(user).headers["Authorization"].removeprefix("Bearer ")
    browser.set_cookie("_token", token, world.url)


def page(browser: Browser, world: World, address: str, user: str = "vic") -> None:
    """Open a page of ours without the UI around it."""
    sign_in(browser, world, user)
    browser.open("about:blank")
    browser.open(f"{world.url}/kindling/dags/{address}")
    browser.wait_until("document.querySelector('#panel h2')")


def has(text: str, where: str = "document.body") -> str:
    return f"({where})?.innerText.toLowerCase().includes({json.dumps(text.lower())})"


def choose(browser: Browser, pipe_id: str) -> None:
    browser.evaluate(f"location.hash = {json.dumps('#' + pipe_id)}")
    browser.wait_until(f"document.querySelector('#panel h2').innerText === {json.dumps(pipe_id)}")


def task(world: World, run_id: str, task_id: Any, state: str | None, **more: Any) -> None:
    world.tell("task_is", dag_id="shop", run_id=run_id, task_id=task_id, state=state, **more)


@pytest.mark.parametrize("user", ["ada", "vic"])
def test_the_tab_on_the_dag_shows_the_plan_with_the_newest_run_and_links_lead_into_the_ui(
    browser: Browser, pages_world: World, user: str
) -> None:
    pages_world.tell("trigger", dag_id="waiting", run_id=f"run_of_{user}", hours=3)
    sign_in(browser, pages_world, user)
    browser.open("about:blank")
    browser.open(f"{pages_world.url}/dags/waiting")
    tab = "[...document.querySelectorAll('a')].find(a => a.innerText.trim() === 'Plan')"
    browser.wait_until(tab)
    browser.evaluate(f"{tab}.click()")
    browser.wait_until(has("5 pipes in 3 generations", f"{FRAME}?.body"))
    browser.wait_until(has(f"run_of_{user}", f"{FRAME}?.body"))
    browser.wait_until(has("for task 'file_is_there'", f"{FRAME}?.getElementById('waits')"))
    browser.evaluate("document.querySelector('iframe').contentWindow.location.hash = '#revenue'")
    browser.wait_until(f"{FRAME}.querySelector('#panel h2').innerText === 'revenue'")
    link = f"[...{FRAME}.querySelectorAll('#panel a')].find(a => a.innerText === 'Task')"
    browser.evaluate(f"{link}.click()")
    browser.wait_until("location.pathname.endsWith('/tasks/night.revenue')")


def test_who_may_not_see_the_dag_sees_nothing_of_it(browser: Browser, pages_world: World) -> None:
    sign_in(browser, pages_world, DENIED_USER)
    browser.open("about:blank")
    browser.open(f"{pages_world.url}/kindling/dags/{DENIED_DAG}/plan")
    browser.wait_until(has("Forbidden"))
    assert not browser.evaluate(has("orders"))


def test_states_change_without_a_reload(browser: Browser, pages_world: World) -> None:
    world = pages_world
    world.tell("pool", name="kindling_shop", slots=1)
    world.tell("trigger", dag_id="shop", run_id="watched", hours=9)
    task(world, "watched", "orders", "running", start=0)
    task(world, "watched", "customers", "scheduled")
    page(browser, world, "shop/plan")
    browser.evaluate("window.same = true")
    strip = "document.getElementById('strip')"
    browser.wait_until(has("1 running", strip))
    browser.wait_until(has("1 pipe waits for slots of pool 'kindling_shop' (1 of 1 taken)", strip))
    task(world, "watched", "orders", "success", start=0, end=30)
    task(world, "watched", "customers", "failed", start=30, end=42, tries=2)
    task(world, "watched", "joined", "upstream_failed")
    browser.wait_until(has("1 failed", strip))
    browser.wait_until(has("Actual critical path", "document.getElementById('panel')"))
    choose(browser, "customers")
    panel = "document.getElementById('panel')"
    browser.wait_until(has("12 s", panel))
    task(world, "watched", "customers", None)
    browser.wait_until(has("not started", panel))
    world.tell("run_is", dag_id="shop", run_id="watched", state="success", end=60)
    browser.wait_until(has("success", strip))
    assert browser.evaluate("window.same")


def test_a_run_of_some_pipes_and_what_a_pipe_reported(browser: Browser, pages_world: World) -> None:
    world = pages_world
    world.tell("trigger", dag_id="shop", run_id="chosen", conf={"select": "orders"}, hours=5)
    task(world, "chosen", "orders", "success", start=0, end=5)
    task(world, "chosen", ["customers", "joined", "revenue", "churn"], "skipped", start=1, end=1)
    world.tell("run_is", dag_id="shop", run_id="chosen", state="success", end=6)
    report = {
        "status": "published", "rows_written": 1234, "output_entity_id": "orders",
        "location": "/warehouse/orders", "inputs": [{"entity_id": "raw.orders", "rows": 99}],
        "expectations": [{"name": "positive", "outcome": "warned", "expects": "amount > 0",
                          "violations": 3, "rows": 1234}],
        "extra": {"slice_written": "2026-03-01"},
    }  # fmt: skip
    world.tell(
        "xcom",
        dag_id="shop",
        run_id="chosen",
        task_id="orders",
        key="kindling_report",
        value=report,
    )
    page(browser, world, "shop/plan?run_id=chosen#orders")
    panel = "document.getElementById('panel')"
    for text in ("1,234", "positive: warned", "3 of 1,234 rows", "2026-03-01", "/warehouse/orders"):
        browser.wait_until(has(text, panel))
    browser.wait_until(has("4 skipped", "document.getElementById('strip')"))
    browser.evaluate("document.querySelector('#panel .head button').click()")
    browser.wait_until(has("only", panel))


def test_a_pipe_that_takes_longer_than_usual_is_named(browser: Browser, pages_world: World) -> None:
    world = pages_world
    window = window_document("orders", [RunFigures("r", "2026", 8.0, 10.0, 500)])
    for run_id, hours in (("usual", 6), ("slow", 7)):
        world.tell("trigger", dag_id="shop", run_id=run_id, hours=hours)
    world.tell(
        "xcom",
        dag_id="shop",
        run_id="usual",
        task_id="orders",
        key=HISTORY_KEY,
        value=window,
    )
    task(world, "slow", "orders", "success", start=0, end=40)
    page(browser, world, "shop/plan?run_id=slow")
    panel = "document.getElementById('panel')"
    browser.wait_until(has("Slower than usual", panel))
    choose(browser, "orders")
    browser.wait_until(has("10 s, 500 rows", panel))


def test_streams_show_their_progress(browser: Browser, pages_world: World) -> None:
    world = pages_world
    world.tell("trigger", dag_id="clicks", run_id="streaming", hours=1)
    names = ["clicks", "sessions"]
    world.tell(
        "task_is", dag_id="clicks", run_id="streaming", task_id=names, state="running", start=0
    )
    world.tell(
        "task_is", dag_id="clicks", run_id="streaming", task_id="ready_0", state="deferred", start=0
    )
    world.tell(
        "xcom", dag_id="clicks", run_id="streaming", task_id="clicks", key="kindling_progress",
        value={"state": "ready", "batch_id": 17, "rows_in": 5400, "rows_per_second": 12.5,
               "lag": 40},
    )  # fmt: skip
    page(browser, world, "clicks/plan?run_id=streaming")
    panel = "document.getElementById('panel')"
    browser.wait_until(has("batch 17 · 5,400 rows · 12.5 rows/s · lag 40", panel))
    browser.wait_until(has("for task 'generation", "document.getElementById('strip')"))


def test_hostile_ids_are_text(browser: Browser, pages_world: World) -> None:
    pages_world.tell("trigger", dag_id="strange", run_id="hostile")
    page(browser, pages_world, "strange/plan?run_id=hostile#after%20it")
    browser.wait_until(has(HOSTILE, "document.getElementById('panel')"))
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
