"""The page of a plan in a real browser: what people do with it, at a size at which they need it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.browser import Browser, find_chromium
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.plan_report import plan_page

pytestmark = pytest.mark.system

GRAPHS = Path(__file__).parents[1] / "graphs"
GROUPER = "service_category__service_category_grouper"
DRAWING = "document.getElementById('map').toDataURL()"
# The drawing in 70 by 45 grey points; single ones of the drawing differ in their last bits.
THUMBNAIL = """(() => {
    const small = new OffscreenCanvas(70, 45).getContext("2d");
    small.drawImage(document.getElementById("map"), 0, 0, 70, 45);
    return [...small.getImageData(0, 0, 70, 45).data].filter((_, n) => n % 4 === 1);
})()"""
RESULTS = "[...document.querySelectorAll('#results [role=option]')]"


def large_plan() -> ExecutionPlan:
    registry = DataPipesRegistry()
    for record in json.loads((GRAPHS / "healthcare_1211.json").read_text("utf-8")):
        registry.register_pipe(**record)
    return ExecutionPlanGenerator(registry).generate_batch_plan()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(find_chromium(), width=1400, height=900) as found:
        yield found


@pytest.fixture(scope="module")
def page_of_1211(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "plan.html"
    file.write_text(plan_page(large_plan(), "Healthcare"), "utf-8")
    return file.as_uri()


@pytest.fixture
def page(browser: Browser, page_of_1211: str) -> Browser:
    """The page as it is when it was opened anew."""
    browser.open("about:blank")
    browser.open(page_of_1211)
    browser.wait_until("document.querySelector('#panel h2')")
    browser.wait_until_still(DRAWING)
    return browser


def text(page: Browser, selector: str) -> Any:
    return page.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")


def test_opens_with_the_whole_plan_and_asks_the_network_for_nothing(page: Browser) -> None:
    assert page.evaluate("document.title") == "Healthcare"
    assert "1,211 pipes" in text(page, "#facts")
    assert text(page, "#panel h2") == "The plan"
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_a_pipe_is_found_by_a_part_of_its_name_and_chosen_by_enter(page: Browser) -> None:
    before = page.evaluate(DRAWING)
    page.evaluate(
        "(() => { const s = document.getElementById('search'); s.focus(); "
        "s.value = 'category_grouper'; s.dispatchEvent(new Event('input')); })()"
    )
    found = page.evaluate(f"{RESULTS}.map(item => item.innerText)")
    assert any(item.startswith(GROUPER) for item in found)
    assert all("generation" in item for item in found)
    page.evaluate(
        "document.getElementById('search')"
        ".dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))"
    )
    page.wait_until(f"document.querySelector('#panel h2').innerText === '{GROUPER}'")
    page.wait_until_still(DRAWING)
    assert page.evaluate("location.hash") == f"#{GROUPER}"
    assert page.evaluate(DRAWING) != before


def test_what_matches_nothing_is_said(page: Browser) -> None:
    page.evaluate(
        "(() => { const s = document.getElementById('search'); "
        "s.value = 'no such pipe'; s.dispatchEvent(new Event('input')); })()"
    )
    assert text(page, "#results") == "Nothing found"


def test_zooms_in_and_shows_everything_again(page: Browser) -> None:
    def seen_after(button: str) -> list[int]:
        page.click(button)
        page.wait_until_still(DRAWING)
        return list(page.evaluate(THUMBNAIL))

    def apart(one: list[int], other: list[int]) -> float:
        return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)

    whole = seen_after("Show everything")
    closer = seen_after("Zoom in")
    again = seen_after("Show everything")
    assert apart(whole, again) < 0.1 < 1 < apart(whole, closer)


def test_an_address_with_a_pipe_opens_at_it(browser: Browser, page_of_1211: str) -> None:
    browser.open("about:blank")
    browser.open(f"{page_of_1211}#{GROUPER}")
    browser.wait_until(f"document.querySelector('#panel h2')?.innerText === '{GROUPER}'")


def test_ids_and_titles_are_text_whatever_is_in_them(browser: Browser, tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>"
    registry = DataPipesRegistry()
    registry.register_pipe(hostile, output_entity_id="a", tags={"note": "<b>&amp;"})
    registry.register_pipe("reader", input_entity_ids=["a"], output_entity_id="b")
    file = tmp_path / "hostile.html"
    file.write_text(
        plan_page(ExecutionPlanGenerator(registry).generate_batch_plan(), hostile), "utf-8"
    )
    browser.open("about:blank")
    browser.open(f"{file.as_uri()}#reader")
    browser.wait_until("document.querySelector('#panel h2')?.innerText === 'reader'")
    assert hostile in text(browser, "#panel")
    assert browser.evaluate("document.title") == hostile
    assert browser.evaluate("document.querySelectorAll('img, b').length") == 0
