"""The texts of a failed task: the pipe's error, whether it is retried, and where to look."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kindling_airflow.protocol.contracts import RunReport

__all__ = ["driver_end", "failure_lines", "headline", "no_report_lines", "no_report_text"]

_STATUS = re.compile(r"Error code is: -?\d+\.")
_KILLED = ("Error code is: -9.", "Error code is: 137.")
_TAIL = "\nLast spark-submit output:"


def driver_end(driver_error: BaseException | None) -> str:
    """Return how the driver ended, without the command line and without Spark's log."""
    if driver_error is None:
        return "The driver ended with status 0."
    text = str(driver_error).partition(_TAIL)[0]
    statuses = list(_STATUS.finditer(text))
    return f"Driver error: {text[statuses[-1].start() :] if statuses else text}".strip()


def headline(report: RunReport) -> str:
    """Return a failed report in one line: the text of the task's exception."""
    error = report.error
    if error is None:
        return f"Pipe {report.pipe_id!r} failed without an error in its report."
    first = error.message.partition("\n")[0]
    return f"Pipe {report.pipe_id!r} failed: {error.type}: {first}"


def failure_lines(report: RunReport, tries: str, links: Sequence[str]) -> list[str]:
    """Return a failed report as it goes into the task's log.

    Args:
        report: of a pipe that failed.
        tries: whether the task is retried, and why.
        links: further addresses.
    """
    lines = [headline(report)]
    if report.error is not None:
        lines += report.error.message.splitlines()[1:]
        lines += report.error.traceback.rstrip().splitlines()
    return [*lines, *_what_now(tries, links, "in XCom 'kindling_report'")]


def no_report_text(
    pipe_id: str, stale: RunReport | None, driver_error: BaseException | None
) -> str:
    """Return why a driver without a report fails its task: the text of the task's exception.

    Args:
        pipe_id: the pipe.
        stale: the report of another attempt, if one was received.
        driver_error: the provider's error.
    """
    what = (
        f"the report received is from another attempt ({stale.attempt_key})"
        if stale is not None
        else "no report was received from its driver"
    )
    return (
        f"Pipe {pipe_id!r}: {what}, so nothing proves that its output was published. "
        f"{driver_end(driver_error)}\n"
        "  Fix: find what ended the driver early (os._exit or sys.exit in the pipe, a killed "
        "process, lack of memory); in cluster deploy mode, driver and worker need the same "
        "warehouse."
    )


def no_report_lines(
    pipe_id: str,
    driver_error: BaseException | None,
    tail: Sequence[str],
    tries: str,
    links: Sequence[str] = (),
) -> list[str]:
    """Return the log lines of a task whose driver sent no report."""
    lines = [f"Pipe {pipe_id!r}: its driver ended without a report. {driver_end(driver_error)}"]
    if any(sign in str(driver_error) for sign in _KILLED):
        lines.append("  It was killed, most often for lack of memory: see the system log.")
    if tail:
        lines += ["Its last output:", *(f"  {line}" for line in tail)]
    return [*lines, *_what_now(tries, links, "")]


def _what_now(tries: str, links: Sequence[str], report: str) -> list[str]:
    places = ["above, under 'Spark'", *([report] if report else []), *links]
    return [tries, f"See also: {'; '.join(places)}"]
