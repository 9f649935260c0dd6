"""What Airflow loads at start: listeners that create missing pools and explain inactive assets."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from kindling_airflow.plugin import asset_listener, pool_listener

__all__ = ["KindlingPlugin"]


class KindlingPlugin(AirflowPlugin):
    """Registers this package's listeners."""

    name = "kindling"
    listeners = [asset_listener, pool_listener]  # noqa: RUF012 (the base class declares a list)
