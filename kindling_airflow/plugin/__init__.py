"""The Airflow plugin: timetables, listeners that create missing pools and explain inactive assets.

Airflow loads it in every process, so it imports little.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from kindling_airflow.plugin import asset_listener, pool_listener, preload

__all__ = ["KindlingPlugin"]


class KindlingPlugin(AirflowPlugin):
    """Registers this package's listeners and timetables."""

    name = "kindling"
    listeners = [asset_listener, pool_listener, preload]  # noqa: RUF012 (declared as a list)

    @property
    def timetables(self) -> list[Any]:  # type: ignore[override]
        """The timetables, imported when Airflow stores or reads a DAG."""
        from kindling_airflow.dag_factory import core_timetables, timetables

        modules = (timetables, core_timetables)
        return [getattr(module, name) for module in modules for name in module.__all__]
