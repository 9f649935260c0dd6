"""A skip for want of a table that should be there is a failure."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.protocol.contracts import RunReport
from kindling_airflow.tags.inputs import end_of, missing_note, with_missing_judged


def project() -> DataPipesRegistry:
    pipes = DataPipesRegistry()
    pipes.register_pipe("clean", input_entity_ids=["raw"], output_entity_id="silver")
    pipes.register_pipe(
        "sum", input_entity_ids=["silver", "rates", "gold"], output_entity_id="gold"
    )
    return pipes


def skipped(*missing: str) -> RunReport:
    note = missing_note({name: f"/w/{name}" for name in missing}, project(), "sum")
    return RunReport("key", "sum", "skipped", reason="nothing there", extra=freeze(note))


def test_the_report_notes_where_an_input_should_be_and_who_writes_it() -> None:
    assert skipped("silver", "rates", "gold").to_json()["extra"] == {
        "missing_inputs": {
            "silver": {"location": "/w/silver", "written_by": "clean"},
            "rates": {"location": "/w/rates", "written_by": None},
            "gold": {"location": "/w/gold", "written_by": None},
        }
    }
    assert missing_note({}, project(), "sum") == {}


@pytest.mark.parametrize("missing", [("silver",), ("rates", "silver"), ("silver", "rates")])
def test_a_table_that_should_be_there_is_a_failure_for_good(missing: tuple[str, ...]) -> None:
    report = with_missing_judged(skipped(*missing), lambda writer: "other")
    assert report.error is not None
    assert (report.status, report.reason, report.error.type) == ("failed", "", "EntityError")
    assert report.error.message == (
        "pipe 'sum': input 'silver' does not exist at '/w/silver'; pipe 'clean' writes it, and was "
        "not skipped in this run for lack of data\n"
        "  Fix: run pipe 'clean' first; if it has run, look for what moved or deleted the table, "
        "or for a warehouse or provider.path that differs between the two."
    )
    assert report.extra["permanent"] is True
    assert "missing_inputs" in report.extra


@pytest.mark.parametrize("end", ["skipped", "running"])
def test_where_nothing_has_come_yet_it_stays_a_skip(end: Any) -> None:
    report = skipped("silver", "rates")
    assert with_missing_judged(report, lambda writer: end) is report


def test_only_writers_of_missing_inputs_are_asked_for() -> None:
    def refuse(writer: str) -> Any:
        raise AssertionError(writer)

    for report in (
        skipped("rates", "gold"),
        RunReport("key", "sum", "skipped", reason="'silver' has gained nothing"),
        RunReport("key", "sum", "published"),
    ):
        assert with_missing_judged(report, refuse) is report


@pytest.mark.parametrize(
    ("document", "end"),
    [
        ({"status": "skipped"}, "skipped"),
        ({"status": "published", "inputs": [{"rows": 0}]}, "other"),
        ({"status": "published", "inputs": [{"rows": 0}], "extra": {"stream": {}}}, "skipped"),
        ({"status": "published", "inputs": [{"rows": 3}], "extra": {"stream": {}}}, "other"),
        ({"status": "published", "inputs": [{"rows": None}], "extra": {"stream": {}}}, "other"),
        ({"status": "failed", "inputs": [{"rows": 0}], "extra": {"stream": {}}}, "other"),
        ({}, "other"),
    ],
)
def test_how_a_pipe_has_ended_follows_from_its_report(document: Any, end: str) -> None:
    assert end_of(document) == end
