"""What Airflow loads at start: the listener that creates missing pools. Kept light on purpose."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from kindling_airflow.plugin import pool_listener

__all__ = ["KindlingPlugin"]


class KindlingPlugin(AirflowPlugin):
    """Registers this package's listeners."""

    name = "kindling"
    listeners = [pool_listener]  # noqa: RUF012 (the base class declares a list)
