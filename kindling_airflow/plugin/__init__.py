"""The Airflow plugin: timetables, pages of the UI, listeners for missing pools and inactive assets.

Airflow loads it in every process, so it imports little.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from kindling_airflow.plugin import asset_listener, pool_listener, preload

__all__ = ["KindlingPlugin"]


class KindlingPlugin(AirflowPlugin):
    """Registers this package's listeners, timetables and pages."""

    name = "kindling"
    listeners = [asset_listener, pool_listener, preload]  # noqa: RUF012 (declared as a list)

    @property
    def timetables(self) -> list[Any]:  # type: ignore[override]
        """The timetables, imported when Airflow stores or reads a DAG."""
        from kindling_airflow.dag_factory import core_timetables, timetables

        modules = (timetables, core_timetables)
        return [getattr(module, name) for module in modules for name in module.__all__]

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The application that serves the pages, imported by the API server alone."""
        from kindling_airflow.plugin.pages.app import pages_app
        from kindling_airflow.plugin.pages.catalog import PREFIX

        return [{"app": pages_app(), "url_prefix": PREFIX, "name": "kindling"}]

    @property
    def external_views(self) -> list[Any]:  # type: ignore[override]
        """The tabs of the UI that show the pages."""
        from kindling_airflow.plugin.pages.catalog import external_views

        return external_views()
