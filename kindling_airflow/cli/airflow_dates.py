"""Dates of commands, read as Airflow's own commands read them."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.errors import WrongCallError

__all__ = ["airflow_date"]


def airflow_date(text: str) -> datetime:
    """Return a date as in ``airflow backfill create``: by default in Airflow's time zone.

    Raises:
        WrongCallError: the text is not a date.
    """
    from airflow.configuration import conf

    try:
        date = iso_datetime(text)
    except ValueError as error:
        raise WrongCallError(f"{text!r} is not a date: {error}") from error
    if date.tzinfo is not None:
        return date
    zone = conf.get("core", "default_timezone", fallback="utc")
    if zone == "system":
        return date.astimezone()
    return date.replace(tzinfo=timezone.utc if zone.lower() == "utc" else ZoneInfo(zone))
