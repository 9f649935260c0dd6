"""Ids that rooms of both sides of the translator use; imports nothing."""

from __future__ import annotations

__all__ = ["DEFAULT_POOL", "STOP_ID"]

DEFAULT_POOL = "default_pool"
"""Airflow's own pool, whose slots no definition sets."""

STOP_ID = "stop_streams"
"""The task whose end asks the streams of its run or group to stop."""
