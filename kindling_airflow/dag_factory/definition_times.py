"""When a DAG runs: the keys ``schedule``, ``start_date`` and ``timezone`` of a definition."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

from kindling_airflow.dag_factory.yaml_file import Problem

__all__ = ["cron_of", "start_of", "time_problems", "updates_of"]

_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_YEARS = range(1970, 2100)  # what cron expressions and every database can count with


def cron_of(schedule: Any) -> str | None:
    """Return a schedule as a cron expression, or None where it is none."""
    return _PRESETS.get(schedule, schedule) if isinstance(schedule, str) else None


def updates_of(schedule: Any) -> tuple[str, tuple[str, ...]] | None:
    """Return ``all`` or ``any``, and the assets whose updates start a run; None where none do."""
    if not isinstance(schedule, Mapping):
        return None
    ((mode, names),) = schedule.items()
    return mode, tuple(names)


def time_problems(sound: Mapping[str, Any], given: Collection[str]) -> Iterator[Problem]:
    """Yield what is wrong with the sound keys about time, and with the lack of others."""
    zone = sound.get("timezone", "UTC")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        text = f"unknown time zone {zone!r}\n  Fix: use an IANA name, such as 'Europe/Berlin'."
        yield ("timezone",), text
    try:
        moment = start_of({**sound, "timezone": "UTC"})
    except ValueError as error:
        yield ("start_date",), f"{sound['start_date']!r} is no date: {error}"
    else:
        if moment is not None and moment.year not in _YEARS:
            text = f"{sound['start_date']!r} is not between {_YEARS[0]} and {_YEARS[-1]}"
            yield ("start_date",), text
    schedule = sound.get("schedule")
    if isinstance(schedule, str):
        problem = _cron_problem(schedule)
        if problem:
            yield ("schedule",), f"{schedule!r} is no schedule: {problem}"
        elif "start_date" not in given:
            text = (
                "a schedule needs a start_date\n  Fix: add 'start_date: 2026-01-01', a first day."
            )
            yield ("schedule",), text


def _cron_problem(schedule: str) -> str | None:
    expression = _PRESETS.get(schedule, schedule)
    if expression.startswith("@"):
        return f"unknown preset\n  Fix: use one of {', '.join(_PRESETS)}, or a cron expression."
    from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]

    chance = re.search(r"\br\b", expression.lower())  # croniter draws such a field by lot
    if len(expression.split()) != 5 or chance or not croniter.is_valid(expression):
        return "not a cron expression of five fields\n  Fix: for instance '0 3 * * *', or '@daily'."
    try:
        croniter(expression, datetime(2026, 1, 1, tzinfo=timezone.utc)).get_next()
    except CroniterBadDateError:
        return "no day fits it\n  Fix: correct the day or the month."
    return None


def start_of(keys: Mapping[str, Any]) -> datetime | None:
    """Return a definition's start date in its time zone, or None where it has none."""
    said = keys.get("start_date")
    if said is None:
        return None
    zone = ZoneInfo(keys.get("timezone", "UTC"))
    moment = datetime.fromisoformat(re.sub("Z$", "+00:00", said))
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
