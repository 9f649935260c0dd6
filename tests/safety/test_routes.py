"""The plugin opens one door, the pages below ``/kindling``; each of its routes asks who comes."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from fastapi.routing import APIRoute

from kindling_airflow.plugin import KindlingPlugin
from kindling_airflow.plugin.pages.access import may_read
from kindling_airflow.plugin.pages.app import pages_app

# What a plugin may bring without a web server having to do anything: everything else is a door.
INSIDE = {
    "name",
    "source",
    "listeners",
    "macros",
    "timetables",
    "priority_weight_strategies",
    "partition_mappers",
    "global_operator_extra_links",
    "operator_extra_links",
}


def _brought(plugin: type[AirflowPlugin]) -> dict[str, Any]:
    names = {name for cls in plugin.__mro__ for name in vars(cls) if not name.startswith("_")}
    return {
        name: value
        for name in names
        if not callable(value := getattr(plugin, name)) and value not in (None, [], ())
    }


def test_the_plugin_brings_nothing_that_is_served_but_its_pages() -> None:
    assert set(_brought(KindlingPlugin)) - INSIDE == {"fastapi_apps", "external_views"}
    (app,) = KindlingPlugin().fastapi_apps
    assert (app["url_prefix"], app["app"]) == ("/kindling", pages_app())


def test_another_door_would_be_noticed() -> None:
    class Open(KindlingPlugin):
        fastapi_root_middlewares = [{"name": "open"}]  # noqa: RUF012

    assert "fastapi_root_middlewares" in set(_brought(Open)) - INSIDE


def test_every_route_asks_for_the_dag_and_changes_nothing() -> None:
    asks = may_read().dependency.__code__
    routes = pages_app().routes
    assert routes
    for route in routes:
        assert isinstance(route, APIRoute)
        assert "{dag_id}" in route.path
        assert route.methods == {"GET"}
        asked = [getattr(one.call, "__code__", None) for one in route.dependant.dependencies]
        assert asks in asked, route.path
