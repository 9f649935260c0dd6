"""Tables in the session: shared by pipes of one session, refused where each pipe has its own."""

from __future__ import annotations

import pytest

from kindling_airflow.runner.session.runner import SessionPipeRunner
from tests.runner.conftest import Project

pytestmark = pytest.mark.system


def declare(project: Project) -> None:
    project.entity("kept", tags={"provider_type": "memory"}, schema="id BIGINT")
    project.pipe("kept", lambda: project.spark.range(3))
    project.pipe("out", lambda kept: kept.selectExpr("id * 2 AS id"), "kept")


def test_pipes_of_one_session_share_a_table(project: Project) -> None:
    declare(project)
    run = SessionPipeRunner(project.spark, project.declared, str(project.warehouse))
    early = run("out")
    assert early.error is not None
    assert early.error.message.startswith(
        "pipe 'out': input 'kept' does not exist at 'memory:kept'; pipe 'kept' writes it"
    )
    report = run("kept")
    assert (report.status, report.rows_written, report.location) == ("published", 3, "memory:kept")
    assert report.extra["output"] == {"location": "memory:kept", "format": "memory"}
    report = run("out")
    assert [(i.entity_id, i.rows) for i in report.inputs] == [("kept", 3)]
    assert project.rows("out") == [(0,), (2,), (4,)]
    assert [path.name for path in project.warehouse.iterdir() if path.name != "_kindling"] == [
        "out"
    ]


def test_another_session_does_not_know_it(project: Project) -> None:
    declare(project)
    one, other = (
        SessionPipeRunner(project.spark, project.declared, str(project.warehouse)) for _ in "12"
    )
    assert one("kept").status == "published"
    assert other("out").status == "failed"


@pytest.mark.parametrize("pipe_id", ["kept", "out"])
def test_a_task_refuses_it_for_good(project: Project, pipe_id: str) -> None:
    declare(project)
    report = project.run(pipe_id)
    assert report.error is not None
    assert report.error.message == (
        "entity 'kept': tables of provider_type 'memory' exist in one Spark session only, and this "
        "task's session "
        "ends with the task: no other task could read it\n"
        "  Fix: store it (provider_type: parquet, the default), or run the plan on one session "
        "with 'kindling-airflow run'."
    )
    assert report.extra["permanent"] is True
