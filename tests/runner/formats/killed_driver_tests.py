"""A driver that is killed, its Java included, wherever it is just then: nothing lost or doubled.

The child publishes one run after the other, each as a slice into one table and by an append into
another, and is killed in the middle of one. Which runs it has told of must be there, whole; the one
after them may be; and a second try of that one makes it so, once.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.contract import Case
from tests.runner.formats.format_tests import (
    day,
    day_run,
    flights,
    publish,
    staging,
    stored,
    write_of,
)
from tests.runner.formats.sessions import session_for, store_conf

ROWS = 50
FIRST_KILL, RUNS = 3, 25
KILLS = int(os.environ.get("KINDLING_TEST_KILLS", "1"))  # each at a moment of its own


def cases(spark: Any, tags: Mapping[str, Any], warehouse: str) -> tuple[Case, Case]:
    """Return a table that is written slice by slice, and one that is appended to."""
    return Case(spark, warehouse, tags, "slices"), Case(spark, warehouse, tags, "appended")


def entities(sliced: Case, appended: Case) -> tuple[EntityMetadata, EntityMetadata]:
    return sliced.entity(partition_columns=("day",)), appended.entity()


def rows_of(run: int) -> list[tuple[Any, ...]]:
    return [(number, day(run), run) for number in range(ROWS)]


def publish_run(tables: tuple[Case, Case], run: int, attempt: str) -> None:
    sliced, appended = tables
    slices, log = entities(*tables)
    day_run(sliced, slices, run, rows_of(run), attempt)
    frame = flights(appended, rows_of(run))
    publish(appended, log, frame, write_of(run, "append", attempt))


def child(kinds: str, conf: dict[str, str], tags: dict[str, Any], warehouse: str) -> None:
    """Publish run after run, and tell of each."""
    tables = cases(session_for(kinds, conf), tags, warehouse)
    for run in range(1, RUNS + 1):
        publish_run(tables, run, "first")
        print(f"run {run}", flush=True)


def killed(spark: Any, tags: dict[str, Any], warehouse: str, seconds: float) -> int:
    """Run the child and kill it a while after it has told of a few runs; return the last one."""
    catalog = f"spark.sql.catalog.{tags.get('provider.catalog')}"
    found = {
        k: v for k, v in spark.conf.getAll.items() if k == catalog or k.startswith(catalog + ".")
    }
    conf = {**store_conf(), **found}
    arguments = f"{os.environ['KINDLING_TEST_FORMAT']!r}, {conf!r}, {tags!r}, {warehouse!r}"
    code = f"from {__name__} import child; child({arguments})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,  # its Java, too, is killed at once
    )
    told = 0
    assert process.stdout is not None
    try:
        for line in process.stdout:
            told = int(line.split()[1]) if line.startswith("run ") else told
            if told == FIRST_KILL:
                time.sleep(seconds)
                break
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    rest = [line for line in process.stdout.read().splitlines() if line.startswith("run ")]
    process.wait()
    return int(rest[-1].split()[1]) if rest else told


@pytest.mark.parametrize("moment", range(KILLS))
def test_a_killed_driver_loses_nothing_and_its_retry_doubles_nothing(
    spark: Any, stored_in: dict[str, Any], warehouse: str, moment: int
) -> None:
    seconds = random.Random(f"{stored_in['provider_type']}{moment}").uniform(0, 2.0)
    last = killed(spark, stored_in, warehouse, seconds)
    assert FIRST_KILL <= last < RUNS
    tables = cases(spark, stored_in, warehouse)
    told = [row for run in range(1, last + 1) for row in rows_of(run)]
    for case, entity in zip(tables, entities(*tables), strict=True):
        found = stored(case, entity)
        assert found in (sorted(told, key=repr), sorted([*told, *rows_of(last + 1)], key=repr))
    publish_run(tables, last + 1, "retry")
    expected = sorted([*told, *rows_of(last + 1)], key=repr)
    for case, entity in zip(tables, entities(*tables), strict=True):
        assert stored(case, entity) == expected
        assert staging(case) == []
