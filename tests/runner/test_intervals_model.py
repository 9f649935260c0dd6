"""Runs, retries, re-runs, backfills, drivers that die at any step: against a model of the tables.

Publishing knows files only, so it is tried here on files in memory, without Spark: a table of days,
of which runs replace slices; a log, to which runs append; and a copy of the log, whose runs take in
what no other has.

The model: a publish happens in full or not at all. If the driver died, it is one of the two, and
whoever looks at the table next finds out which.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR, Commit, PublishLog
from kindling_airflow.runner.providers.publishing.sliced_table import SlicedTable, partition_values
from tests.runner.dying_files import DyingFiles, Killed

ROOT = "/w"
DAYS = [f"2013-01-0{n}" for n in range(1, 6)]

steps = st.integers(0, 40)
contents = st.dictionaries(st.sampled_from(DAYS), st.integers(0, 99), max_size=3)
instances = st.sampled_from(["run1", "run2", "run3", "run4"])
faults = st.one_of(
    st.none(),
    st.tuples(st.just("dies_at"), steps),
    st.tuples(st.just("refuses_at"), steps),
)


class Tables(RuleBasedStateMachine):
    """The tables, and what they should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.files = DyingFiles()
        self.attempts = itertools.count()
        self.days: dict[str, str] = {}
        self.log: dict[str, str] = {}
        self.copy: dict[str, list[str]] = {}

    def published(self, name: str) -> PublishLog:
        return PublishLog(self.files, f"{ROOT}/{name}", pause=lambda: None, patience=1)

    def table(self, name: str) -> SlicedTable:
        return SlicedTable(self.files, f"{ROOT}/{name}")

    def stage(self, name: str, instance: str, rows: Mapping[str, str]) -> tuple[str, str]:
        """Do as a driver does before it publishes."""
        area = f"{ROOT}/_kindling/staging/{name}"
        self.published(name).settled()
        for left in self.files.names(area):
            if left.startswith(f"{instance}-"):
                self.files.delete(f"{area}/{left}")
        attempt = f"a{next(self.attempts)}"
        staged = f"{area}/{instance}-{attempt}"
        for path, text in rows.items():
            self.files.write_text(f"{staged}/{path}-{attempt}.parquet", text)
        self.files.write_text(f"{staged}/{SIDECAR}", "schema")
        return staged, attempt

    def replace(self, instance: str, first: str, behind: str, rows: Mapping[str, int]) -> None:
        """Run a pipe for the days [first, behind)."""
        inside = {f"day={d}/part": f"{n}" for d, n in rows.items() if first <= d < behind}
        staged, attempt = self.stage("days", instance, inside)
        table = self.table("days")

        def lies_in(values: Mapping[str, str | None]) -> bool | None:
            day = values.get("day")
            return None if day is None else first <= day < behind

        def plan() -> Commit:
            sidecar = None if table.sidecar() else "schema"
            return table.replaced(staged, attempt, sidecar, lies_in)

        self.published("days").commit(plan)

    def append(self, name: str, instance: str, text: str, taken: Mapping[str, Any]) -> None:
        staged, attempt = self.stage(name, instance, {"part": text})
        table = self.table(name)

        def plan() -> Commit:
            sidecar = None if table.sidecar() else "schema"
            return table.appended(staged, attempt, sidecar, instance, taken)

        self.published(name).commit(plan)

    def take_in(self, instance: str) -> list[str]:
        """Run a pipe with a watermark; return what it took in."""
        source, output = self.table("log"), self.table("copy")
        gained = self.published("log").consistent(lambda: source.gained("log", output, instance))
        if gained:
            self.append("copy", instance, ",".join(gained), {"log": list(gained)})
        return list(gained)

    def days_now(self) -> dict[str, str]:
        def look() -> dict[str, str]:
            found: dict[str, str] = {}
            for path in self.files.files(f"{ROOT}/days"):
                if path != SIDECAR:
                    day = partition_values(path)["day"]
                    assert day not in found, "rows of two publishes"
                    found[str(day)] = self.files.read_text(f"{ROOT}/days/{path}")
            return found

        return self.published("days").consistent(look)

    def groups_now(self, name: str) -> dict[str, str]:
        def look() -> dict[str, str]:
            found: dict[str, str] = {}
            for path in self.files.files(f"{ROOT}/{name}"):
                if path != SIDECAR:
                    instance = path.split("-")[1]
                    assert instance not in found, "appended twice"
                    found[instance] = self.files.read_text(f"{ROOT}/{name}/{path}")
            return found

        return self.published(name).consistent(look)

    def attempt(self, work: Callable[[], object], fault: tuple[str, int] | None) -> str:
        """Let a driver work, and something happen to it; return how it ended."""
        self.files.calm()
        if fault:
            setattr(self.files, *fault)
        try:
            work()
        except Killed:
            return "died"
        except EntityError as error:
            assert str(error) == "the disk is full"  # noqa: PT017 (any other one is a defect)
            return "failed"
        finally:
            self.files.calm()
        return "done"

    @rule(
        instance=instances,
        n=st.integers(0, 4),
        length=st.integers(1, 2),
        rows=contents,
        fault=faults,
    )
    def run_of_an_interval(
        self, instance: str, n: int, length: int, rows: dict[str, int], fault: Any
    ) -> None:
        first, behind = DAYS[n], f"2013-01-0{n + 1 + length}"
        others = {p: t for p, t in self.files.content.items() if outside(p, first, behind)}
        new = {d: t for d, t in self.days.items() if not first <= d < behind}
        new |= {d: str(value) for d, value in rows.items() if first <= d < behind}
        end = self.attempt(lambda: self.replace(instance, first, behind, rows), fault)
        found = self.days_now()
        assert found == new if end == "done" else found in (self.days, new)
        self.days = found
        still = {p: t for p, t in self.files.content.items() if outside(p, first, behind)}
        assert still == others, "other slices have been touched"

    @rule(rows=contents, fault=faults)
    def run_without_an_interval(self, rows: dict[str, int], fault: Any) -> None:
        new = {d: str(value) for d, value in rows.items()}
        end = self.attempt(lambda: self.replace("full", "", "9", rows), fault)
        found = self.days_now()
        assert found == new if end == "done" else found in (self.days, new)
        self.days = found

    @rule(one=st.integers(0, 4), other=st.integers(0, 4), rows=contents, more=contents, step=steps)
    def two_runs_at_once(
        self, one: int, other: int, rows: dict[str, int], more: dict[str, int], step: int
    ) -> None:
        """Of the same slice or of two; the first one stalls for so long that it seems dead."""
        spans = [(DAYS[n], f"2013-01-0{n + 2}") for n in (one, other)]
        self.files.calm()
        self.files.overtaken_at = step
        ran: list[bool] = []

        def second() -> None:
            ran.append(True)
            self.replace("run2", *spans[1], more)

        self.files.other = second
        self.replace("run1", *spans[0], rows)
        self.files.calm()
        if not ran:
            second()

        def after(order: Sequence[tuple[tuple[str, str], dict[str, int]]]) -> dict[str, str]:
            table = dict(self.days)
            for (first, behind), values in order:
                table = {d: t for d, t in table.items() if not first <= d < behind}
                table |= {d: str(v) for d, v in values.items() if first <= d < behind}
            return table

        both = [(spans[0], rows), (spans[1], more)]
        found = self.days_now()
        assert found in (after(both), after(both[::-1]))
        self.days = found

    @rule(instance=instances, value=st.integers(0, 99), fault=faults)
    def run_that_appends(self, instance: str, value: int, fault: Any) -> None:
        new = {**self.log, instance: str(value)}
        end = self.attempt(lambda: self.append("log", instance, str(value), {}), fault)
        found = self.groups_now("log")
        assert found == new if end == "done" else found in (self.log, new)
        self.log = found

    @rule(instance=instances, fault=faults)
    def run_with_a_watermark(self, instance: str, fault: Any) -> None:
        taken_by_others = {
            g for name, groups in self.copy.items() if name != instance for g in groups
        }
        left = sorted(set(self.log) - taken_by_others)
        new = {**self.copy, instance: left} if left else self.copy
        end = self.attempt(lambda: self.take_in(instance), fault)
        found = {name: sorted(text.split(",")) for name, text in self.groups_now("copy").items()}
        assert found == new if end == "done" else found in (self.copy, new)
        self.copy = found

    @invariant()
    def nothing_is_taken_in_twice(self) -> None:
        counted = Counter(group for groups in self.copy.values() for group in groups)
        assert not counted or max(counted.values()) == 1

    def teardown(self) -> None:
        """After a run of each instance that goes well, nothing is left of those that did not."""
        self.files.calm()
        for instance in ("run1", "run2", "run3", "run4", "full"):
            self.replace(instance, DAYS[0], DAYS[1], {})
            self.append("log", instance, "x", {})
            self.take_in(instance)
        assert set(self.groups_now("log")) == {
            g for groups in self.groups_now("copy").values() for g in groups.split(",")
        }
        for name in ("days", "log"):
            assert self.files.names(f"{ROOT}/_kindling/staging/{name}") == []


def outside(path: str, first: str, behind: str) -> bool:
    """Tell whether a path is that of a file of another slice."""
    if not path.startswith(f"{ROOT}/days/day="):
        return False
    return not first <= str(partition_values(path)["day"]) < behind


TestTables = Tables.TestCase
TestTables.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
