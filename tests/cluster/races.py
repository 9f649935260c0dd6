"""Two drivers, each with its own Java, that publish the same tables at the same moment.

    parent                        driver 0                driver 1
      round 1  ------------------>  append, slice           append, slice
               <------------------  "published"             "published"
      round 2  ...
    at the end: what is in the tables, against what was reported

Every round, both append to one table, and both replace one slice of another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from kindling_airflow.errors import KindlingAirflowError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import Write
from kindling_airflow.tags.intervals import IntervalSlice
from tests.runner.formats.sessions import session_for

__all__ = ["ROUNDS", "Outcome", "Place", "race"]

ROUNDS = int(os.environ.get("KINDLING_RACE_ROUNDS", "3"))
SECONDS = float(os.environ.get("KINDLING_RACE_SECONDS", "inf"))  # no further round begins then

_ROOT = Path(__file__).resolve().parents[2]
_DRIVERS, _ROWS = 2, 3


@dataclass(frozen=True)
class Place:
    """Where the tables are.

    Attributes:
        kind: the format.
        warehouse: a path or URI.
        conf: properties of the session.
        tags: further tags of the entities.
    """

    kind: str
    warehouse: str
    conf: Mapping[str, str]
    tags: Mapping[str, str]

    def session(self) -> Any:
        """Return a session for the place."""
        jars = "+postgresql" if "provider.catalog" in self.tags else ""
        return session_for(f"{self.kind}{jars}", self.conf)

    def tables(self, spark: Any) -> tuple[Case, Case]:
        """Return the table that is appended to, and the one that is written by slices."""
        tags = {"provider_type": self.kind, **self.tags}
        return (
            Case(spark, self.warehouse, tags, "race.appended"),
            Case(spark, self.warehouse, tags, "race.slices"),
        )


@dataclass(frozen=True)
class Outcome:
    """What came of a race.

    Attributes:
        rounds: how many there were; each has four publishes.
        lost: rows that were reported as published, and are not there.
        doubled: rows too many.
        refused: publishes that ended with an error, and were not published.
        seconds: how long it took, with the start of the drivers.
        problems: all that is wrong, in words.
    """

    rounds: int
    lost: int
    doubled: int
    refused: int = 0
    seconds: int = 0
    problems: tuple[str, ...] = ()


def race(place: Place, rounds: int = ROUNDS) -> Outcome:
    """Let two drivers publish side by side; return what is wrong with the tables afterwards."""
    told: list[tuple[int, int, str, str]] = []
    begun = time.monotonic()
    done = 0
    with _driver(place, 0) as first, _driver(place, 1) as second:
        for number in range(rounds):
            if number and time.monotonic() - begun > SECONDS:
                break
            for driver in (first, second):
                driver.stdin.write(f"{number}\n")
                driver.stdin.flush()
            for which, driver in enumerate((first, second)):
                answer = _answer(driver)
                told += [(number, which, table, answer[table]) for table in ("append", "slice")]
            done = number + 1
        for driver in (first, second):
            driver.stdin.write("read\n")
            driver.stdin.flush()
        found = _answer(first)
        other = _answer(second)
    refused = [f"{n}, driver {d}, {table}: {end}" for n, d, table, end in told if end]
    outcome = _judged(told, done, found)
    different = [] if found == other else ["the drivers read different tables"]
    outcome = replace(
        outcome,
        refused=len(refused),
        seconds=round(time.monotonic() - begun),
        problems=(*refused, *different, *outcome.problems),
    )
    print(f"{place.kind} at {place.warehouse}: {outcome}", flush=True)
    return outcome


def _judged(
    told: list[tuple[int, int, str, str]], rounds: int, found: Mapping[str, Any]
) -> Outcome:
    """Return what of the tables is not what was reported."""
    published = {(n, d) for n, d, table, end in told if table == "append" and not end}
    lost = doubled = 0
    problems = []
    for number in range(rounds):
        for driver in range(_DRIVERS):
            rows = [row for row in found["append"] if row[:2] == [str(_day(number)), driver]]
            expected = _listed(number, driver) if (number, driver) in published else []
            lost += sum(1 for row in expected if row not in rows)
            doubled += max(0, len(rows) - len(expected))
            if sorted(rows) != expected:
                problems.append(f"round {number}: driver {driver} appended {expected}, not {rows}")
        slices = sorted(row for row in found["slice"] if row[0] == str(_day(number)))
        if slices not in [_listed(number, driver) for driver in range(_DRIVERS)]:
            lost += max(0, _ROWS - len(slices))
            doubled += max(0, len(slices) - _ROWS)
            problems.append(f"round {number}: the slice is that of neither driver: {slices}")
    if len(found["append"]) != len(published) * _ROWS:
        problems.append(f"{len(found['append'])} rows were appended")
    return Outcome(rounds, lost, doubled, problems=tuple(problems))


def _day(number: int) -> date:
    return date(2013, 1, 1) + timedelta(days=number)


def _listed(number: int, driver: int) -> list[list[Any]]:
    return [[str(_day(number)), driver, n] for n in range(_ROWS)]


def _frame(spark: Any, number: int, driver: int) -> Any:
    """Return the rows of a driver in a round: one file, made without a Python worker."""
    columns = (f"DATE'{_day(number)}' AS day", f"{driver} AS driver", "CAST(id AS INT) AS n")
    return spark.range(0, _ROWS, 1, 1).selectExpr(*columns)


@contextmanager
def _driver(place: Place, number: int) -> Iterator[Any]:
    spec = json.dumps(
        {
            "kind": place.kind,
            "warehouse": place.warehouse,
            "conf": dict(place.conf),
            "tags": dict(place.tags),
        }
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.races", str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "KINDLING_RACE": spec},  # not on a command line: it may hold keys
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _answer(driver: Any) -> Any:
    for line in driver.stdout:
        if line.startswith("{"):
            return json.loads(line)
    raise AssertionError(f"a driver of the race has ended with status {driver.wait()}")


def _serve(place: Place, driver: int) -> None:
    spark = place.session()
    appended, slices = place.tables(spark)
    entities = appended.entity(), slices.entity(partition_columns=("day",))
    for line in sys.stdin:
        if line.strip() == "read":
            answer: dict[str, Any] = {}
            for name, case, entity in zip(
                ("append", "slice"), (appended, slices), entities, strict=True
            ):
                rows = case.provider(entity).read(entity).select("day", "driver", "n").collect()
                answer[name] = sorted([str(row[0]), row[1], row[2]] for row in rows)
        else:
            number = int(line)
            start = datetime(*_day(number).timetuple()[:3], tzinfo=timezone.utc)
            part = IntervalSlice("day", start, start + timedelta(days=1))
            run = f"{number * _DRIVERS + driver:016x}"
            answer = {}
            for name, case, entity, write in (
                ("append", appended, entities[0], Write(run, f"a{driver}", "append")),
                (
                    "slice",
                    slices,
                    entities[1],
                    Write(run, f"a{driver}", "overwrite_interval", part),
                ),
            ):
                frame = _frame(spark, number, driver)
                try:
                    staged = case.provider(entity).stage(entity, frame, write)
                    case.provider(entity).publish(entity, staged, write)
                    answer[name] = ""
                except KindlingAirflowError as error:
                    answer[name] = str(error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve(Place(**json.loads(os.environ["KINDLING_RACE"])), int(sys.argv[1]))
