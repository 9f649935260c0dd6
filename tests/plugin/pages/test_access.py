"""Every route of the pages asks Airflow's auth manager, in a real API server."""

from __future__ import annotations

import pytest

from tests.plugin.pages.auth import DENIED_DAG, DENIED_USER
from tests.plugin.pages.world import World

pytestmark = [pytest.mark.system, pytest.mark.versions]

ROUTES = (
    "/kindling/dags/{dag_id}/plan",
    "/kindling/dags/{dag_id}/runs",
    "/kindling/dags/{dag_id}/run?run_id=x",
    "/kindling/dags/{dag_id}/run/pipe?run_id=x&task_id=y",
    "/kindling/dags/{dag_id}/tables",
    "/kindling/dags/{dag_id}/tables/data",
)


@pytest.mark.parametrize("route", ROUTES)
def test_routes_are_closed_to_who_may_not_see_the_dag(pages_world: World, route: str) -> None:
    denied = route.format(dag_id=DENIED_DAG)
    assert pages_world.client(None).get(denied).status_code == 401
    assert pages_world.client(DENIED_USER).get(denied).status_code == 403
    assert pages_world.client(DENIED_USER).get(route.format(dag_id="shop")).status_code < 405
    assert pages_world.client("vic").get(denied).status_code in (200, 404)


def test_a_page_may_run_nothing_but_its_own_script_and_is_framed_by_airflow_alone(
    pages_world: World,
) -> None:
    answer = pages_world.client().get(ROUTES[0].format(dag_id="shop"))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


def test_the_ui_has_a_tab_on_the_dag_and_on_the_run(pages_world: World) -> None:
    plugins = pages_world.client("ada").get("/api/v2/plugins").json()["plugins"]
    views = next(p for p in plugins if p["name"] == "kindling")["external_views"]
    assert [(view["destination"], view["href"]) for view in views][:2] == [
        ("dag", "kindling/dags/{DAG_ID}/plan"),
        ("dag_run", "kindling/dags/{DAG_ID}/plan?run_id={RUN_ID}"),
    ]
