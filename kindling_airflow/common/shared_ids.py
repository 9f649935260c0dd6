"""Ids that rooms of both sides of the translator use; imports nothing."""

from __future__ import annotations

__all__ = ["DEFAULT_POOL", "SELECT_PARAM", "STOP_ID"]

DEFAULT_POOL = "default_pool"
"""Airflow's own pool, whose slots no definition sets."""

SELECT_PARAM = "select"
"""The entry of a run's conf, and the param of a DAG, that selects the pipes of a run."""

STOP_ID = "stop_streams"
"""The task whose end asks the streams of its run or group to stop."""
