"""The grid of slices, drawn: one line for each pipe, one column for each day.

.  current    M  missing    S  stale    R  running    k  skipped    -  replaced
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from kindling_airflow.history.dag_pipes import StoredPipe, pipes_of
from kindling_airflow.history.fill_commands import as_text, fill_commands
from kindling_airflow.history.gaps import Grid, Slot, grid_of
from kindling_airflow.history.publications import Interval, Publication, publication_of
from tests.run_view.stored import dag, doc, task

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
LETTERS = {
    "current": ".",
    "missing": "M",
    "stale": "S",
    "running": "R",
    "skipped": "k",
    "replaced": "-",
}


def day(n: float) -> datetime:
    return START + timedelta(days=n)


def slots(count: int, **states: Any) -> list[Slot]:
    return [
        Slot(f"day {n}", (day(n), day(n + 1)), day(n), *states.get(f"d{n}", ("", None)))
        for n in range(count)
    ]


def pipe(pipe_id: str, *reads: str) -> StoredPipe:
    return StoredPipe(pipe_id, pipe_id, reads, f"{pipe_id}!", f"warehouse/{pipe_id}")


def wrote(pipe_id: str, n: float, hour: float, *, days: int | None = 1, **more: Any) -> Publication:
    """A pipe's publication of the slice of day n, at some hour long after."""
    interval = None if days is None else (day(n), day(n + days))
    at = day(100) + timedelta(hours=hour)
    return Publication(f"{pipe_id}!", pipe_id, pipe_id, "run", at, interval=interval, **more)


def drawn(grid: Grid) -> str:
    return " ".join(
        pipe_id + ":" + "".join(LETTERS[cell.state.value] for cell in cells)
        for pipe_id, cells in grid.cells.items()
    )


A, B, C = pipe("a"), pipe("b", "a!"), pipe("c", "b!", "outside")


def test_what_no_run_has_published_is_missing_and_what_reads_it_is_stale() -> None:
    found = grid_of([A, B], slots(3), [wrote("a", 0, 1), wrote("b", 0, 2), wrote("b", 1, 2)])
    assert drawn(found) == "a:.MM b:.SM"
    assert found.cells["b"][1].why == "'a!' of day 1 is missing"
    assert (found.count, found.gaps(0), found.gaps(1)) == (4, (), (A, B))


def test_an_input_that_was_published_later_makes_stale_all_that_follows() -> None:
    done = [wrote("a", 0, 9), wrote("b", 0, 2), wrote("c", 0, 3)]
    found = grid_of([A, B, C], slots(1), done)
    assert drawn(found) == "a:. b:S c:S"
    assert found.cells["b"][0].why == "'a!' of day 0 was published after it"


def test_an_input_that_was_published_while_it_was_read_makes_stale() -> None:
    done = [wrote("a", 0, 1.5), wrote("b", 0, 2, seconds=3600.0)]
    assert drawn(grid_of([A, B], slots(1), done)) == "a:. b:S"


def test_the_newest_publication_of_a_slice_counts() -> None:
    done = [wrote("b", 0, 10), wrote("a", 0, 9), wrote("b", 0, 2)]
    assert drawn(grid_of([A, B], slots(1), done)) == "a:. b:."


def test_a_look_back_is_stale_by_each_slice_that_it_has_read() -> None:
    reads = {"a!": (day(0), day(3))}
    done = [*(wrote("a", n, 1) for n in range(3)), wrote("b", 2, 2, reads=reads)]
    assert drawn(grid_of([A, B], slots(3), done)) == "a:... b:MM."
    assert drawn(grid_of([A, B], slots(3), [*done, wrote("a", 0, 9)])) == "a:... b:MMS"


def test_one_publication_may_write_several_slices_or_all_so_far() -> None:
    assert drawn(grid_of([A], slots(3), [wrote("a", 0, 1, days=2)])) == "a:..M"
    assert drawn(grid_of([A], slots(3), [wrote("a", 0, 1, days=None)])) == "a:..."
    assert drawn(grid_of([A], slots(3), [wrote("a", 1, 1, days=1)])) == "a:M.M"


def test_a_table_that_is_replaced_as_a_whole_needs_its_last_run_alone() -> None:
    whole = wrote("a", 1, 1, mode="overwrite")
    assert drawn(grid_of([A], slots(3), [whole])) == "a:--M"
    assert drawn(grid_of([A], slots(2), [whole])) == "a:-."


def test_a_run_that_is_under_way_is_no_gap_and_its_readers_are_what_they_were() -> None:
    found = grid_of([A, B], slots(2, d1=("running", None)), [wrote("a", 0, 1), wrote("b", 0, 2)])
    assert drawn(found) == "a:.R b:.R"


def test_a_run_that_had_nothing_to_do_is_no_gap_until_there_is_something() -> None:
    skips = [wrote("a", 0, 1, is_skip=True), wrote("b", 0, 2, is_skip=True)]
    assert drawn(grid_of([A, B], slots(1), skips)) == "a:k b:k"
    assert drawn(grid_of([A, B], slots(1), [*skips, wrote("a", 0, 9)])) == "a:. b:S"


def test_a_pipe_that_reads_its_own_output_and_circles_of_reads_have_an_end() -> None:
    own = StoredPipe("a", "a", ("a!", "b!"), "a!")
    done = [wrote("a", 0, 1), wrote("b", 0, 2)]
    assert drawn(grid_of([own, B], slots(1), done)) == "a:S b:."


def test_tasks_that_are_no_longer_in_the_dag_do_not_count() -> None:
    assert drawn(grid_of([A], slots(1), [wrote("gone", 0, 1)])) == "a:M"


def test_commands_fill_the_gaps_of_runs_that_follow_each_other() -> None:
    done = [wrote("a", 0, 1), wrote("b", 0, 2), wrote("a", 1, 9), wrote("b", 1, 2)]
    conf = {"region": "eu", "select": "old"}
    found = grid_of([A, B], slots(5, d1=("success", conf)), done)
    assert drawn(found) == "a:..MMM b:.SMMM"
    assert [as_text(command) for command in fill_commands("my shop", found)] == [
        (
            "airflow backfill create --dag-id 'my shop' "
            "--from-date 2026-01-02 --to-date 2026-01-02 --reprocess-behavior completed "
            """--dag-run-conf '{"region": "eu", "select": "b"}'"""
        ),
        (
            "airflow backfill create --dag-id 'my shop' "
            "--from-date 2026-01-03 --to-date 2026-01-05 "
            """--dag-run-conf '{"select": "a b"}'"""
        ),
    ]


def test_the_pipes_of_a_group_are_selected_by_the_parameter_of_the_group() -> None:
    inside = StoredPipe("b", "shop.b", (), "b!", "", "shop")
    (command,) = fill_commands("dag", grid_of([A, inside], slots(1), []))
    assert command[-1] == '{"select": "a", "select.shop": "b"}'


def test_without_gaps_there_is_no_command() -> None:
    assert fill_commands("shop", grid_of([A], slots(1), [wrote("a", 0, 1)])) == ()


@pytest.mark.parametrize(
    ("pipe_id", "selector"),
    [("a b", '"a b"'), ("1", '"1"'), ('x"y\\', '"x\\"y\\\\"'), ("gold.*", '"gold.*"')],
)
def test_the_selector_of_a_pipe_is_that_pipe_alone(pipe_id: str, selector: str) -> None:
    (command,) = fill_commands("shop", grid_of([pipe(pipe_id)], slots(1), []))
    assert command[-1] == '{"select": ' + __import__("json").dumps(selector) + "}"


def test_an_hour_is_a_timestamp_in_utc() -> None:
    slot = Slot("k", (day(0.5), day(1)), day(0.5))
    (command,) = fill_commands("shop", grid_of([A], [slot], []))
    assert command[5:9] == (
        *("--from-date", "2026-01-01T12:00:00+00:00"),
        *("--to-date", "2026-01-01T12:00:00+00:00"),
    )


REPORT: dict[str, Any] = {
    "status": "published",
    "pipe_id": "a",
    "output_entity_id": "a!",
    "location": "/lake/a",
    "rows_written": 3,
    "attempt_key": "key",
    "duration_seconds": 2,
    "inputs": [{"entity_id": "raw", "rows": None}],
    "extra": {
        "write_mode": "append",
        "interval": ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"],
        "slices_read": {
            "raw": "day in [2025-12-31T00:00:00+00:00, 2026-01-02T00:00:00+00:00)",
            "odd": "no slice",
        },
    },
}


def published(interval: Interval | None = None, **changes: Any) -> Publication | None:
    report = {**REPORT, **changes}
    return publication_of(report, task_id="t", run_id="r", at=day(5), interval=interval)


def test_a_publication_is_what_the_report_says() -> None:
    found = published()
    assert found == Publication(
        *("a!", "a", "t", "r", day(5)),
        seconds=2.0,
        rows=3,
        interval=(day(0), day(1)),
        mode="append",
        reads={"raw": (day(-1), day(1))},
        inputs=("raw",),
        location="/lake/a",
        attempt="key",
    )
    assert found.began == day(5) - timedelta(seconds=2)


def test_the_slice_comes_before_the_intervals() -> None:
    text = "day in [2026-01-03T00:00:00+00:00, 2026-01-04T00:00:00+00:00)"
    found = published(extra={**REPORT["extra"], "slice_written": text})
    assert found is not None
    assert (found.interval, found.is_slice) == ((day(2), day(3)), True)


@pytest.mark.parametrize("wrong", ["day in [2026, 2027)", "day in [x, y)", 3, None])
def test_what_is_no_slice_leaves_the_interval_of_the_run(wrong: object) -> None:
    extra = {"slice_written": wrong, "interval": ["x", "y"], "slices_read": 3}
    found = published((day(7), day(8)), extra=extra)
    assert found is not None
    assert (found.interval, found.is_slice, found.reads) == ((day(7), day(8)), False, {})


def test_a_report_without_extras_is_one_all_the_same() -> None:
    found = published(extra=None, status="skipped")
    assert found is not None
    assert (found.is_skip, found.interval, found.mode) == (True, None, "")


@pytest.mark.parametrize(
    "report",
    [
        None,
        "text",
        {"status": "failed"},
        {"status": "skipped"},
        {**REPORT, "extra": {"stream": {}}},
    ],
)
def test_failures_streams_and_other_values_are_no_publications(report: object) -> None:
    assert publication_of(report, task_id="t", run_id="r", at=day(0), interval=None) is None


def asset(name: str) -> dict[str, Any]:
    return {"__type": "asset", "__var": {"name": name, "uri": name}}


def group(children: dict[str, Any], *, is_prefix: bool) -> list[Any]:
    return ["taskgroup", {"children": children, "prefix_group_id": is_prefix}]


def test_pipes_are_those_of_a_stored_dag_each_behind_those_before_it() -> None:
    document = dag(
        [
            task("a", doc="nothing of ours"),
            task(
                "my_x20_pipe",
                doc="nothing of ours",
                inlets=[asset("s3://lake/raw_x20_x"), {"__type": "asset_alias", "__var": {}}],
                outlets=[asset("s3://lake/o")],
            ),
            task("shop.b", ["a", "done"], doc=doc("b", "x, y", "z")),
            task("done", task_type="EmptyOperator", _task_module="airflow"),
            task("c", task_type="KindlingStreamOperator", doc=doc("c")),
            task("silver.orders", doc="nothing of ours"),
        ]
    )
    children = document["dag"]["task_group"]["children"]
    children["silver"] = group({"silver.orders": children.pop("silver.orders")}, is_prefix=False)
    generation = group({"shop.b": children.pop("shop.b")}, is_prefix=False)
    children["shop"] = group({"generation_0": generation}, is_prefix=True)
    assert pipes_of(document) == (
        StoredPipe("my pipe", "my_x20_pipe", ("raw x",), "o", "s3://lake/o"),
        StoredPipe("b", "shop.b", ("x", "y"), "z", group="shop"),
        StoredPipe("silver.orders", "silver.orders"),
        StoredPipe("a", "a"),
    )
