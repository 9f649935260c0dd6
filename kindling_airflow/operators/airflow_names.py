"""Names of Airflow that moved between the supported releases: the new home first, then the old.

Airflow 3.1 keeps the exceptions in ``airflow.exceptions``, and a ``common.compat`` provider of its
time has no ``sdk`` module; the timetable came into ``airflow.sdk`` with 3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowSkipException",
    "CronDataIntervalTimetable",
    "conf",
]

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import (
        AirflowException,
        AirflowFailException,
        AirflowSkipException,
        conf,
    )
    from airflow.sdk import CronDataIntervalTimetable
else:
    try:
        from airflow.providers.common.compat.sdk import (
            AirflowException,
            AirflowFailException,
            AirflowSkipException,
            conf,
        )
    except ImportError:
        from airflow.configuration import conf
        from airflow.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowSkipException,
        )
    try:
        from airflow.sdk import CronDataIntervalTimetable
    except ImportError:
        from airflow.timetables.interval import CronDataIntervalTimetable
