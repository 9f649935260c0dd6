"""Slices, write modes and watermarks that cannot be are found when a plan is compiled."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.plan_checks import check_entities


def problems_of(
    entity: dict[str, Any] | None = None,
    pipe: dict[str, Any] | None = None,
    source: dict[str, Any] | None = None,
) -> list[str]:
    """Return the problems of a pipe 'p' that makes 'out' from 'in'."""
    entities = DataEntityRegistry()
    entities.register_entity("in", **(source or {}))
    entities.register_entity("out", **(entity or {}))
    said = {"input_entity_ids": ("in",), "output_entity_id": "out", **(pipe or {})}
    try:
        check_entities([PipeMetadata("p", "p", None, **said)], entities)
    except DeclarationError as error:
        return list(error.problems)
    return []


DAILY = {"tags": {"write_mode": "overwrite_interval"}, "partition_columns": ["day"]}
APPEND = {"tags": {"write_mode": "append"}}
MERGED = {
    "tags": {"provider_type": "shop:Own", "write_mode": "merge"},
    "merge_columns": ["id"],
}
CSV = {"tags": {"provider_type": "csv", "interval.column": "day"}}
SLICED = {"tags": {"interval.column": "day"}}


@pytest.mark.parametrize(
    ("entity", "pipe", "source"),
    [
        (DAILY, {}, {}),
        (DAILY, {"tags": {"interval.read": "slice"}}, DAILY),
        ({}, {"tags": {"interval.lookback": "2d"}}, SLICED),
        ({}, {"tags": {"interval.read": "lookback", "interval.lookback": "90m"}}, SLICED),
        ({}, {"tags": {"interval.read": "slice", "interval.read.in": "all"}}, SLICED),
        ({}, {"tags": {"interval.read.in": "slice"}}, CSV),
        (APPEND, {"use_watermark": True}, APPEND),
        (MERGED, {}, {}),
        ({"tags": {"interval.column": "day", "interval.timezone": "Europe/Zurich"}}, {}, {}),
    ],
)  # fmt: skip
def test_what_fits_is_no_problem(
    entity: dict[str, Any], pipe: dict[str, Any], source: dict[str, Any]
) -> None:
    assert problems_of(entity, pipe, source) == []


@pytest.mark.parametrize(
    ("entity", "problem"),
    [
        (
            {"tags": {"write_mode": "overwrite_intervall"}},
            (
                "entity 'out': tag write_mode is 'overwrite_intervall'. Did you mean "
                "'overwrite_interval'?\n"
                "  Fix: use one of overwrite, overwrite_interval, append, merge."
            ),
        ),
        (
            {"tags": {"write_mode": "merge"}, "merge_columns": ["id"]},
            (
                "entity 'out': parquet cannot be written by 'merge': merging would "
                "rewrite all of its "
                "files for every run\n"
                "  Fix: use one of overwrite, overwrite_interval, append, or let the pipe read "
                "its own output and write all of it."
            ),
        ),
        (
            {"tags": {"provider_type": "memory", "write_mode": "append"}},
            "entity 'out': memory cannot be written by 'append'\n  Fix: use one of overwrite.",
        ),
        (
            {"tags": {"provider_type": "shop:Own", "write_mode": "merge"}},
            (
                "entity 'out': is written by 'merge', and has no merge_columns to identify a row\n"
                "  Fix: name the columns of the key in merge_columns."
            ),
        ),
        (
            {"tags": {"write_mode": "overwrite_interval"}},
            (
                "entity 'out': is written by 'overwrite_interval', and no column assigns its "
                "rows to slices\n  Fix: name the column: interval.column: day."
            ),
        ),
        (
            {"tags": {"write_mode": "overwrite_interval", "interval.column": "day"}},
            (
                "entity 'out': is written by 'overwrite_interval', and 'day', which assigns its "
                "rows to slices, is not a partition column: in parquet, slices are partitions\n"
                "  Fix: add it to partition_columns: [day]."
            ),
        ),
        (
            {"tags": {"interval.column": " "}},
            "entity 'out': tag interval.column must be the name of a column, not ' '",
        ),
        (
            {"tags": {"interval.colum": "day"}},
            (
                "entity 'out': unknown tag 'interval.colum'. Did you mean 'interval.column'?\n"
                "  Fix: use interval.column, interval.timezone."
            ),
        ),
        (
            {"tags": {"interval.column": "day", "interval.timezone": "Mars"}},
            (
                "entity 'out': tag interval.timezone must be a time zone, such as 'Europe/Zurich' "
                "or 'UTC', not 'Mars'"
            ),
        ),
        (
            {"tags": {"interval.timezone": "UTC"}},
            (
                "entity 'out': tag interval.timezone without interval.column\n"
                "  Fix: name the column, or remove the tag."
            ),
        ),
    ],
)
def test_entities_that_cannot_be_written_so(entity: dict[str, Any], problem: str) -> None:
    assert problems_of(entity) == [problem]


def test_a_source_has_no_write_mode() -> None:
    source = {"tags": {"provider_type": "csv", "write_mode": "append"}}
    assert problems_of(source=source) == [
        "entity 'in': tag write_mode: csv entities are read-only\n  Fix: remove the tag."
    ]


@pytest.mark.parametrize(
    ("tags", "source", "problem"),
    [
        (
            {"interval.read": "some"},
            SLICED,
            "tag interval.read is 'some'\n  Fix: use one of all, lookback, slice.",
        ),
        (
            {"interval.read.other": "slice"},
            SLICED,
            (
                "unknown tag 'interval.read.other'. Did you mean 'interval.read'?\n"
                "  Fix: use interval.read, interval.lookback, interval.read.in."
            ),
        ),
        (
            {"interval.lookback": "2 days"},
            SLICED,
            (
                "tag interval.lookback must be a number of minutes, hours, days or weeks, such as "
                "90m, 6h, 2d, 1w, not '2 days'"
            ),
        ),
        (
            {"interval.read": "slice"},
            {},
            (
                "reads by 'slice', but none of its inputs has slices\n"
                "  Fix: set the tag interval.column on an input, or remove the pipe's tag."
            ),
        ),
        (
            {"interval.read.in": "slice"},
            {},
            (
                "tag interval.read.in is 'slice', but 'in' has no column that assigns "
                "its rows to slices\n"
                "  Fix: set the tag interval.column on the entity."
            ),
        ),
        (
            {"interval.read": "lookback"},
            SLICED,
            "reads by 'lookback' without a length\n  Fix: add the tag interval.lookback: 2d.",
        ),
        (
            {"interval.read": "slice", "interval.lookback": "2d"},
            SLICED,
            (
                "tag interval.lookback has no effect: no input is read by 'lookback'\n"
                "  Fix: remove it, or read an input by it: interval.read: lookback."
            ),
        ),
    ],
)
def test_pipes_that_cannot_read_so(
    tags: dict[str, Any], source: dict[str, Any], problem: str
) -> None:
    assert problems_of(pipe={"tags": tags}, source=source) == [f"pipe 'p': {problem}"]


def test_a_watermark_wants_input_and_output_to_be_appended_to() -> None:
    def problem(what: str, mode: str) -> str:
        return (
            f"pipe 'p': use_watermark requires {what} to be parquet, written by 'append'; it "
            f"is parquet, written by '{mode}'\n"
            "  Fix: set the tag write_mode: append on the entity, or remove use_watermark: a pipe "
            "reads its slice with interval.read: slice."
        )

    pipe = {"use_watermark": True}
    assert problems_of(pipe=pipe) == [
        problem("its driving input 'in'", "overwrite"),
        problem("its output 'out'", "overwrite"),
    ]
    assert problems_of(DAILY, pipe, APPEND) == [problem("its output 'out'", "overwrite_interval")]


def test_a_watermark_wants_an_input_that_is_not_the_output() -> None:
    without = {"use_watermark": True, "input_entity_ids": ()}
    assert problems_of(APPEND, without) == [
        "pipe 'p': use_watermark without an input\n  Fix: remove use_watermark."
    ]
    own = {"use_watermark": True, "input_entity_ids": ("out",)}
    assert problems_of(APPEND, own) == [
        (
            "pipe 'p': use_watermark with its own output 'out' as a driving input\n"
            "  Fix: name the inputs that drive it in driving_entity_ids."
        )
    ]
