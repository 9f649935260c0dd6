"""Faults on real flights, in each format: nothing is lost, nothing is doubled, nothing is mixed.

Each day's tables are compared, row for row, with what DuckDB makes of the same file. A file "early"
lacks some flights of the second day that have come since: a run that replaces that day's slice
leaves the early rows or the late ones.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from kindling_airflow.protocol.contracts import RunReport
from kindling_airflow.runner.pipe import run_pipe
from tests.faults.days import PIPES, Days, january, land, write_project
from tests.faults.days_faults import inject
from tests.oracle.compare import differences
from tests.oracle.days_oracle import expected_days
from tests.runner.formats.sessions import session_for

LATE = 100  # flights of the second day


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("project") / "days")


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return tmp_path / "ware house"


@pytest.fixture
def days(spark: Any, kind: str, project: Path, warehouse: Path) -> Days:
    """A warehouse without tables; flights of three days are there, and an early file of them."""
    columns, *lines = january()
    first, second, third = ([x for x in lines if x.startswith(f"2013,1,{n},")] for n in (1, 2, 3))
    flown = [line for line in second if ",NA," not in line]
    early = [line for line in second if line not in flown[-LATE:]]
    land(warehouse, [columns, *first, *second, *third])
    land(warehouse, [columns, *first, *early, *third], "early")
    return Days(spark, warehouse, project, kind)


def wrong(
    days: Days, *numbers: int, landing: str = "landing", tables: Sequence[str] = ("days.flights",)
) -> dict[str, list[str]]:
    """Return what distinguishes tables from what they are to be after runs of these days."""
    database = expected_days(days.warehouse / landing, *numbers)
    found = {}
    for table in tables:
        copy = days.warehouse.with_name("copy") / table
        days.read(table).write.mode("overwrite").parquet(str(copy))
        if problems := differences(copy, database.table(f'"{table}"')):
            found[table] = problems
    return found


def run_flights(days: Days, *numbers: int, landing: str = "landing") -> None:
    for n in numbers:
        published(days.run("days.flights", n, landing=landing))


def published(*reports: RunReport) -> None:
    assert [report.error for report in reports if report.status != "published"] == []


def failure(report: RunReport) -> str:
    assert report.error is not None, report
    return report.error.message


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def staged_files(warehouse: Path) -> list[str]:
    staging = warehouse / "_kindling" / "staging"
    return sorted(files(staging)) if staging.exists() else []


class TestRuns:
    def test_days_in_any_order_are_what_duckdb_makes_of_them(self, days: Days) -> None:
        published(*days.run_days(3, 1, 2))
        assert wrong(days, 1, 2, 3, tables=PIPES) == {}
        assert staged_files(days.warehouse) == []

    def test_late_data_is_in_the_slice_and_other_slices_are_the_same_bytes(
        self, days: Days
    ) -> None:
        run_flights(days, 1, 2, 3, landing="early")
        folder = days.warehouse / "days.flights"
        folders = [f for n in (1, 3) for f in folder.rglob(f"flight_date=2013-01-{n:02}")]
        before = [files(folder) for folder in folders]
        assert len(before) == 2
        assert all(before)
        run_flights(days, 2)
        assert wrong(days, 1, 2, 3) == {}
        assert [files(folder) for folder in folders] == before

    def test_the_same_day_twice_at_once_is_one_of_the_two_results(
        self, days: Days, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_flights(days, 1)
        both = Barrier(2)
        before(monkeypatch, "publish", lambda: both.wait(120))
        runs = [{"run_id": "by hand", "landing": "early"}, {"run_id": "again"}]
        with ThreadPoolExecutor(2) as threads:
            reports = list(threads.map(lambda said: days.run("days.flights", 2, **said), runs))
        published(*reports)
        left = [wrong(days, 1, 2), wrong(days, 1, 2, landing="early")]
        assert {} in left


class TestInputs:
    def test_a_source_that_is_missing_is_nothing_to_do(self, days: Days) -> None:
        run_flights(days, 1)
        report = days.run("days.flights", 1, landing="nowhere")
        assert (report.status, report.reason) == (
            "skipped",
            f"'raw.flights' does not exist yet at '{days.warehouse}/nowhere/flights.csv'",
        )
        assert wrong(days, 1) == {}

    def test_a_source_without_rows_and_a_day_without_them_make_an_empty_slice(
        self, days: Days
    ) -> None:
        run_flights(days, 1, 2)
        land(days.warehouse, january()[:1], "empty")
        assert days.run("days.flights", 2, landing="empty").rows_written == 0
        assert wrong(days, 1) == {}
        run_flights(days, 9)
        assert days.run("days.delays", 9).rows_written == 0
        assert wrong(days, 1) == {}

    def test_a_source_with_other_columns_fails_with_the_difference(self, days: Days) -> None:
        run_flights(days, 1)
        columns, *lines = january()
        changed = columns.replace("dep_delay", "delay").replace("tailnum,", "tailnum,seat,")
        land(days.warehouse, [changed, *(line.replace(",", ",,", 1) for line in lines)], "changed")
        report = days.run("days.flights", 1, landing="changed")
        file = (days.warehouse / "changed" / "flights.csv").as_uri()
        assert failure(report) == (
            f"entity 'raw.flights': the header of '{file}' does not fit its declared schema\n"
            "  - column 'dep_delay' is missing\n"
            "  - column 'delay' is not declared\n"
            "  - column 'seat' is not declared\n"
            "  Fix: correct the declared schema, or rewrite the files."
        )
        assert report.extra["permanent"]
        assert wrong(days, 1) == {}


# Through Airflow, at all moments: tests/system/test_backfill_faults.py.
not_of_parquet = pytest.mark.skipif(
    os.environ.get("KINDLING_TEST_FORMAT") == "parquet", reason="killed in a backfill"
)


@not_of_parquet
@pytest.mark.parametrize("moment", ["staging", "publishing"])
def test_a_driver_that_is_killed_leaves_one_of_the_tables_and_its_retry_the_new_one(
    days: Days, kind: str, moment: str
) -> None:
    run_flights(days, 1, 2, landing="early")
    killed(kind, days, moment, "days.flights")
    if moment == "publishing":
        assert {} in (wrong(days, 1, 2), wrong(days, 1, 2, landing="early"))
    else:
        assert wrong(days, 1, 2, landing="early") == {}
    run_flights(Days(days.spark, days.warehouse, days.project, kind, tries=2000), 2)
    assert wrong(days, 1, 2) == {}
    assert staged_files(days.warehouse) == []


@not_of_parquet
def test_the_retry_of_a_driver_that_was_killed_after_its_publish_adds_nothing(
    days: Days, kind: str
) -> None:
    run_flights(days, 1, 2)
    published(days.run("days.cancelled", 1))
    killed(kind, days, "after", "days.cancelled")
    assert wrong(days, 1, 2, tables=["days.cancelled"]) == {}
    again = Days(days.spark, days.warehouse, days.project, kind, tries=2000)
    report = again.run("days.cancelled", 2)
    published(report)
    assert report.rows_written == 0
    assert "this run has already appended its rows" in report.extra["note"]
    assert wrong(days, 1, 2, tables=["days.cancelled"]) == {}
    assert staged_files(days.warehouse) == []


def killed(kind: str, days: Days, moment: str, pipe_id: str) -> None:
    """Run a pipe for the second day in a driver of its own, which is killed at a moment."""
    said = (kind, str(days.warehouse), str(days.project), moment, pipe_id)
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import child; child{said!r}"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stdout + done.stderr


def child(kind: str, warehouse: str, project: str, moment: str, pipe_id: str) -> None:
    """Run a pipe and be killed."""
    spark = session_for(kind)
    inject(moment, Path(warehouse), lambda _what: None)
    print(Days(spark, Path(warehouse), Path(project), kind, tries=1000).run(pipe_id, 2))


def before(monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[], object]) -> None:
    """Let something happen before a provider stages, or publishes."""
    found = run_pipe.writable_provider_for

    def with_it(entity: Any, context: Any) -> Any:
        provider: Any = found(entity, context)
        real = getattr(provider, call)

        def called(*arguments: Any) -> Any:
            happens()
            return real(*arguments)

        setattr(provider, call, called)
        return provider

    monkeypatch.setattr(run_pipe, "writable_provider_for", with_it)


class Disk:
    """A file system of a few megabytes; where none can be mounted, files that may not grow."""

    def __init__(self, folder: Path, java: int) -> None:
        self.folder, self._java = folder, java
        self.mounted = self._mount("-t", "tmpfs", "-o", "size=32m", "tmpfs")
        self.says = "No space left on device" if self.mounted else "File too large"
        _, self._most = resource.prlimit(java, resource.RLIMIT_FSIZE)

    def _mount(self, *arguments: str) -> bool:
        command = ["mount", *arguments, str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        """Let nothing more go on it."""
        if not self.mounted:
            resource.prlimit(self._java, resource.RLIMIT_FSIZE, (4096, self._most))
            return
        _, _, free = shutil.disk_usage(self.folder)
        os.posix_fallocate(file := os.open(self.folder / "full", os.O_CREAT | os.O_WRONLY), 0, free)
        os.close(file)

    def free(self) -> None:
        """Make room again."""
        resource.prlimit(self._java, resource.RLIMIT_FSIZE, (self._most, self._most))
        (self.folder / "full").unlink(missing_ok=True)

    def read_only(self, on: bool) -> bool:
        """Let nothing be written at all, or let it be so again; tell whether that can be done."""
        return self.mounted and self._mount("-o", "remount,ro" if on else "remount,rw")

    def end(self) -> None:
        self.free()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


class TestDisks:
    @pytest.fixture
    def disk(self, spark: Any, warehouse: Path) -> Iterator[Disk]:
        """A disk on which the warehouse lies."""
        warehouse.mkdir()
        found = Disk(warehouse, spark._jvm.java.lang.ProcessHandle.current().pid())
        try:
            yield found
        finally:
            found.end()

    @pytest.mark.parametrize("when", ["while it stages", "when it publishes"])
    def test_a_full_disk_is_said_and_the_table_is_as_it_was(
        self, disk: Disk, days: Days, monkeypatch: pytest.MonkeyPatch, when: str
    ) -> None:
        run_flights(days, 1, 2, landing="early")
        with monkeypatch.context() as patch:
            before(patch, "stage" if when == "while it stages" else "publish", disk.fill)
            report = days.run("days.flights", 2)
        disk.free()
        doing = "staged" if when == "while it stages" else "published"
        assert failure(report) == (
            f"entity 'days.flights' at '{days.warehouse}/days.flights': its result could not be "
            f"{doing}: {disk.says}\n  Fix: free up space there, then retry."
        )
        assert not report.extra["permanent"]
        assert wrong(days, 1, 2, landing="early") == {}
        run_flights(days, 2)
        assert wrong(days, 1, 2) == {}
        assert staged_files(days.warehouse) == []

    def test_a_disk_that_cannot_be_written_is_said_and_the_table_is_as_it_was(
        self, disk: Disk, days: Days
    ) -> None:
        run_flights(days, 1, 2, landing="early")
        if not disk.read_only(True):
            pytest.skip("nothing can be mounted here")
        report = days.run("days.flights", 2)
        assert disk.read_only(False)
        assert failure(report).startswith(
            "pipe 'days.flights': cannot write the claim of this attempt to the warehouse: "
            f"'{days.warehouse}/_kindling/claims': {days.warehouse}/_kindling/claims/"
        )
        assert " (Read-only file system)\n  Fix: set [kindling] warehouse" in failure(report)
        assert not report.extra["permanent"]
        assert wrong(days, 1, 2, landing="early") == {}

    def test_a_folder_that_cannot_be_made_is_said_and_the_table_is_as_it_was(
        self, days: Days
    ) -> None:
        run_flights(days, 1, 2, landing="early")
        staging = days.warehouse / "_kindling" / "staging" / "days.flights"
        shutil.rmtree(staging, ignore_errors=True)
        staging.touch()
        assert failure(days.run("days.flights", 2)) == (
            f"entity 'days.flights' at '{days.warehouse}/days.flights': its result could not be "
            f"staged: Parent path is not a directory: file:{staging}\n"
            "  Fix: make it writable, then retry."
        )
        staging.unlink()
        assert wrong(days, 1, 2, landing="early") == {}
