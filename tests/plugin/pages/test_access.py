"""Every route of the pages asks Airflow's auth manager, in a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plugin.pages.api_server import api_server, sign_in
from tests.plugin.pages.auth import DENIED_DAG, DENIED_USER

pytestmark = pytest.mark.system

ROUTES = (
    "/kindling/dags/{dag_id}/plan",
    "/kindling/dags/{dag_id}/tables",
    "/kindling/dags/{dag_id}/tables/data",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_server(tmp_path_factory.mktemp("api")) as url:
        yield url


@pytest.mark.parametrize("route", ROUTES)
def test_routes_are_closed_to_who_may_not_see_the_dag(server: str, route: str) -> None:
    denied = route.format(dag_id=DENIED_DAG)
    assert sign_in(server, None).get(denied).status_code == 401
    assert sign_in(server, DENIED_USER).get(denied).status_code == 403
    assert sign_in(server, DENIED_USER).get(route.format(dag_id="other")).status_code != 403
    assert sign_in(server, "vic").get(denied).status_code != 403


def test_a_page_may_run_nothing_but_its_own_script_and_is_framed_by_airflow_alone(
    server: str,
) -> None:
    answer = sign_in(server, "vic").get(ROUTES[0].format(dag_id="orders"))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


def test_the_ui_has_a_tab_on_the_dag_and_on_the_run(server: str) -> None:
    plugins = sign_in(server, "ada").get("/api/v2/plugins").json()["plugins"]
    views = next(p for p in plugins if p["name"] == "kindling")["external_views"]
    assert [(view["destination"], view["href"]) for view in views][:2] == [
        ("dag", "kindling/dags/{DAG_ID}/plan"),
        ("dag_run", "kindling/dags/{DAG_ID}/plan?run_id={RUN_ID}"),
    ]
