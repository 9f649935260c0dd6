"""The page of a plan follows a run of real Spark drivers, inside Airflow's own UI."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from docs.browser import Browser, find_chromium
from tests.system.conftest import Deployment

pytestmark = pytest.mark.system

INSIDE = "document.querySelector('iframe')?.contentDocument"
STRIP = f"{INSIDE}?.getElementById('strip')?.innerText"
PANEL = f"{INSIDE}?.getElementById('panel')?.innerText"


def test_a_running_run_is_followed_to_its_end(deployment: Deployment) -> None:
    api, run_id = deployment.airflow.api, "watched"
    api.wait_for_dag("page")
    with Browser(find_chromium(), width=1500, height=900) as page:
        run = f"{deployment.airflow.url}/dags/page/runs/{quote(run_id, safe='')}"
        api.trigger("page", run_id)
        page.open(f"{run}/plugin/kindling-run-plan")
        page.wait_until(f"{STRIP}?.includes('not started')")
        page.evaluate("document.querySelector('iframe').contentWindow.same = true")
        api.unpause("page")
        page.wait_until(f"{STRIP}?.includes('1 running')", 120)
        page.wait_until(f"{STRIP}?.includes('1 success')", 120)
        page.wait_until(f"{STRIP}?.includes('2 success')", 120)
        page.wait_until(f"{STRIP}?.includes('success')")
        assert page.evaluate("document.querySelector('iframe').contentWindow.same")
        page.wait_until(f"{INSIDE}.querySelectorAll('#actual li').length === 2")
        page.evaluate(
            "document.querySelector('iframe').contentWindow.location.hash = '#silver.planes'"
        )
        for text in ("3,322", "silver.planes", "Log"):
            page.wait_until(f"{PANEL}?.includes({json.dumps(text)})")
