"""The plugin opens no door: no route, no page, no middleware that Airflow would serve."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from kindling_airflow.plugin import KindlingPlugin

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


def test_the_plugin_brings_nothing_that_is_served() -> None:
    assert set(_brought(KindlingPlugin)) <= INSIDE


def test_a_door_would_be_noticed() -> None:
    class Open(KindlingPlugin):
        fastapi_apps = [{"app": object(), "url_prefix": "/open", "name": "open"}]  # noqa: RUF012

    assert set(_brought(Open)) - INSIDE == {"fastapi_apps"}
