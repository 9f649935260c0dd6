"""What a driver says besides running its pipe, and what it keeps to itself."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.protocol.contracts import RunReport, RunRequest, report_in_line
from kindling_airflow.runner.driver import _start, _write_report, run_claimed
from kindling_airflow.runner.imported_code import ImportedCode
from kindling_airflow.runner.main import _log_to_output
from kindling_airflow.runner.output_tail import OutputTail
from tests.runner.conftest import Project


def published(request: RunRequest) -> RunReport:
    return RunReport(request.attempt_key, "out", "published")


def report_at(path: Path) -> RunReport:
    text = report_in_line(path.read_text())
    assert text is not None
    return RunReport.loads(text)


def test_the_report_is_written_where_the_request_wants_it(project: Project, spark: Any) -> None:
    path = project.warehouse / "_kindling" / "reports" / "k1.json"
    request = project.request("out", report_path=str(path))
    report = RunReport(request.attempt_key, "out", "skipped", reason="no rows")
    _write_report(request, spark, report, OutputTail())
    assert report_at(path) == report
    again = RunReport(request.attempt_key, "out", "published")
    _write_report(request, spark, again, OutputTail())
    assert report_at(path) == again
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith(".")] == ["k1.json"]


def test_a_report_that_cannot_be_written_does_not_stop_the_driver(
    project: Project, spark: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    request = project.request("out", report_path="/proc/kindling/report.json")
    _write_report(request, spark, published(request), OutputTail())
    said = capsys.readouterr().err
    assert said.startswith("Cannot write the report to '/proc/kindling/report.json': ")


def test_without_a_wish_no_report_is_written(project: Project, spark: Any) -> None:
    request = project.request("out")
    _write_report(request, spark, published(request), OutputTail())
    assert list(project.warehouse.iterdir()) == []


def test_a_driver_says_which_application_it_is(project: Project, spark: Any) -> None:
    request = project.request("out")
    start = _start(request, spark)
    assert start.attempt_key == request.attempt_key
    assert start.application_id == spark.sparkContext.applicationId
    assert start.ui_url == ""  # the tests' session has no user interface


def test_no_secret_gets_into_the_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_TOKEN", "tok-4711-abc")

    def leaky(**_frames: Any) -> Any:
        raise RuntimeError(
            "cannot log in with tok-4711-abc at jdbc:postgresql://me:hunter2@db/x?password=letmein"
        )

    project.pipe("out", leaky)
    report = run_claimed(project.request("out"), project.spark, declared=project.declared)
    assert report.error is not None
    assert report.error.message == (
        "cannot log in with *** at jdbc:postgresql://me:***@db/x?password=***"
    )
    text = report.line()
    assert not [word for word in ("tok-4711", "hunter2", "letmein") if word in text]


@pytest.mark.parametrize("mode", ["warn", "fail"])
def test_code_that_changes_before_the_publish_is_noted_or_not_published(
    project: Project, tmp_path: Path, mode: str
) -> None:
    """Python workers of executors import for themselves, whatever the driver has imported."""
    root = tmp_path / "code"
    root.mkdir()
    (root / "pipes.py").write_text("A = 1\n")

    def edited(**_frames: Any) -> Any:
        (root / "pipes.py").write_text("A = 2\n")
        return project.spark.range(3)

    project.pipe("out", edited)
    request = project.request("out", project_root=str(root), code_roots=("pipes.py",))
    code = ImportedCode.of(replace(request, code_drift=mode))
    report = run_claimed(code.request, project.spark, declared=project.declared, code=code)
    assert report.code_digest == code.code.digest != ""
    if mode == "warn":
        assert report.status == "published"
        assert "changed while the driver ran: 'pipes.py'" in report.extra["note"]
    else:
        assert (report.status, report.extra["permanent"]) == ("failed", False)
        assert report.error is not None
        assert report.error.type == "CodeDriftError"
        assert not project.table("out").exists()


def test_what_a_pipe_logs_is_seen_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However the project sets up logging, and however often a driver is started."""
    logger, root = logging.getLogger("kindling"), logging.getLogger()
    own = logging.StreamHandler()
    before = (list(logger.handlers), logger.level, logger.propagate)
    root.addHandler(own)
    try:
        _log_to_output()
        _log_to_output()
        logging.getLogger("kindling.silver.orders").info("%d rows are late", 3)
    finally:
        root.removeHandler(own)
        logger.handlers[:], logger.level, logger.propagate = before
    assert capsys.readouterr().err == "INFO kindling.silver.orders: 3 rows are late\n"
