"""Reads when a DAG runs: the keys ``schedule``, ``start_date`` and ``timezone`` of a definition.

schedule: "0 3 * * *"                    data intervals of the time zone
schedule: "@continuous"                  a run after the other, for streams
schedule: {every: 6h}                    data intervals of a fixed length, counted in UTC
schedule: {partitions: "@daily"}         a run for each partition
schedule: assets                         all that the plan reads and does not write
schedule: {all: [a, b]}                  updates of assets
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.definitions.yaml_file import Problem

ASSETS = "assets"  # a schedule that follows from the plan
CONTINUOUS = "@continuous"
CONTINUOUS_START = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""Airflow wants one, and lets the first run begin at once from any that is past."""

_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_FIELDS = (("minute", 60), ("hour", 24), ("day", 31), ("month", 12), ("weekday", 7))
_EVERY = ("minute", "hour")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LONGEST = timedelta(days=366)
_YEARS = range(1970, 2100)  # what cron expressions and every database can count with


def cron_of(schedule: Any) -> str | None:
    """Return a schedule as a cron expression, or None where it is none."""
    if not isinstance(schedule, str) or schedule in (ASSETS, CONTINUOUS):
        return None
    return _PRESETS.get(schedule, schedule)


def every_of(schedule: Any) -> timedelta | None:
    """Return the length of a schedule's intervals, or None where it is not given."""
    text = schedule.get("every") if isinstance(schedule, Mapping) else None
    return None if text is None else timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def duration_of(text: str | None) -> float | None:
    """Return how many seconds a text such as ``30m`` stands for; None where nothing is set."""
    return None if text is None else timedelta(**{_UNITS[text[-1]]: int(text[:-1])}).total_seconds()


def partitions_of(schedule: Any) -> str | None:
    """Return the cron expression of a schedule by partitions, or None where it is none."""
    partitions = schedule.get("partitions") if isinstance(schedule, Mapping) else None
    return None if partitions is None else _PRESETS.get(partitions, partitions)


def updates_of(schedule: Any) -> tuple[str, tuple[str, ...]] | None:
    """Return ``all`` or ``any``, and the assets whose updates start a run; None where none do."""
    if not isinstance(schedule, Mapping):
        return None
    ((mode, names),) = schedule.items()
    return (mode, tuple(names)) if mode in ("all", "any") else None


def time_problems(valid: Mapping[str, Any], given: Collection[str]) -> Iterator[Problem]:
    """Yield what is wrong with the valid keys about time, and which keys are missing."""
    zone = str(valid.get("timezone", "UTC"))
    if _known_zone(zone) != zone:
        text = f"unknown time zone {zone!r}\n  Fix: use an IANA name, such as 'Europe/Berlin'."
        yield ("timezone",), text
    try:
        moment = start_of({**valid, "timezone": "UTC"})
    except ValueError as error:
        moment = None
        yield ("start_date",), f"{valid['start_date']!r} is not a date: {error}"
    else:
        if moment is not None and moment.year not in _YEARS:
            text = f"{valid['start_date']!r} is not between {_YEARS[0]} and {_YEARS[-1]}"
            yield ("start_date",), text
    yield from _schedule_problems(valid, given, moment)


def _schedule_problems(
    valid: Mapping[str, Any], given: Collection[str], start: datetime | None
) -> Iterator[Problem]:
    schedule = valid.get("schedule")
    if schedule in (None, ASSETS, CONTINUOUS) or updates_of(schedule) is not None:
        return
    where: tuple[str, ...] = ("schedule",)
    problem = None
    if isinstance(schedule, str):
        problem = _cron_problem(schedule)
    else:
        ((key, value),) = schedule.items()
        where = ("schedule", key)
        problem = _cron_problem(value) if key == "partitions" else _period_problem(value)
        schedule = value
    if problem:
        yield where, f"{schedule!r} is not a schedule: {problem}"
    elif "start_date" not in given:
        text = "a schedule needs a start_date\n  Fix: add 'start_date: 2026-01-01', a first day."
        yield where, text
    else:
        period = every_of(valid["schedule"])
        if period is not None and start is not None:
            start = start_of({**valid, "timezone": _known_zone(valid.get("timezone", "UTC"))})
            yield from _grid_problems(valid, period, start)


def _known_zone(zone: str) -> str:
    """Return a time zone, or UTC where it is unknown."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return "UTC"
    return zone


def _period_problem(text: str) -> str | None:
    if int(text[:-1]) > 527_040 or every_of({"every": text}) > _LONGEST:  # type: ignore[operator]
        return "longer than a year\n  Fix: use a cron expression."
    return None


def _grid_problems(
    valid: Mapping[str, Any], period: timedelta, start: datetime | None
) -> Iterator[Problem]:
    """Yield a problem if no interval of this length begins at the start.

    Airflow counts intervals from the start, or from 1970 where it does not catch up. Both have to
    give the same ones, or the slices of two runs overlap.
    """
    if start is None or not (start - _EPOCH) % period:
        return
    fits = (start - (start - _EPOCH) % period).astimezone(timezone.utc)
    text = (
        f"{valid['start_date']!r} is not the start of an interval of {valid['schedule']['every']}; "
        f"they are counted from 1970-01-01T00:00:00Z\n  Fix: use '{fits:%Y-%m-%dT%H:%M:%SZ}'; or a "
        "cron expression, which follows the days of a time zone."
    )
    yield ("start_date",), text


def _cron_problem(schedule: str) -> str | None:
    expression = _PRESETS.get(schedule, schedule)
    if expression.startswith("@"):
        return f"unknown preset\n  Fix: use one of {', '.join(_PRESETS)}, or a cron expression."
    from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]

    chance = re.search(r"\br\b", expression.lower())  # croniter draws such a field by lot
    if len(expression.split()) != 5 or chance or not croniter.is_valid(expression):
        return "not a cron expression of five fields\n  Fix: for instance '0 3 * * *', or '@daily'."
    for (unit, size), field in zip(_FIELDS, expression.split(), strict=True):
        for part in field.split(","):
            step = part.partition("/")[2]
            if step.isdecimal() and int(step) > size:
                remedy = f"{{every: {step}{unit[0]}}}" if unit in _EVERY else "a smaller step"
                return (
                    f"a step of {step} {unit}s exceeds the {size} there are: it "
                    f"is the first one alone\n  Fix: use {remedy}."
                )
    try:
        croniter(expression, datetime(2026, 1, 1, tzinfo=timezone.utc)).get_next()
    except CroniterBadDateError:
        return "no date matches it\n  Fix: correct the day or the month."
    return None


def start_of(keys: Mapping[str, Any]) -> datetime | None:
    """Return a definition's start date in its time zone, or None where it has none."""
    text = keys.get("start_date")
    if text is None:
        return None
    zone = ZoneInfo(keys.get("timezone", "UTC"))
    moment = iso_datetime(text)
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
