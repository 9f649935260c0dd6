"""Derives the outcome of each expectation from counts, and whether anything is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from kindling_airflow.data_pipes.expectations import Expectation
from kindling_airflow.protocol.contracts import ExpectationReport, Outcome, counted_text


def judged(
    expected: Expectation, stern: str, rows: int, violations: int | None
) -> ExpectationReport:
    """Return the outcome of an expectation.

    Args:
        expected: the expectation.
        stern: ``fail`` or ``warn``: what happens when more is wrong than can be put up with.
        rows: how many rows were looked at.
        violations: how many of them violate it; None for an expectation of the number of rows.
    """
    return ExpectationReport(
        name=expected.name,
        expects=expected.text(),
        on_violation="drop" if expected.on_violation == "drop" else stern,
        outcome=_outcome(expected, stern, rows, violations),
        rows=rows,
        violations=violations,
    )


def _outcome(expected: Expectation, stern: str, rows: int, violations: int | None) -> Outcome:
    broken: Outcome = "warned" if stern == "warn" else "failed"
    if violations is None:
        low = expected.minimum is not None and rows < expected.minimum
        high = expected.maximum is not None and rows > expected.maximum
        return broken if low or high else "passed"
    if violations == 0:
        return "passed"
    limit = expected.tolerate
    dropped = expected.on_violation == "drop"
    if limit is None:
        return "dropped" if dropped else broken
    if violations > (limit * rows if isinstance(limit, float) else limit):
        return broken
    return "dropped" if dropped else "tolerated"


def refusal(
    pipe_id: str,
    reports: Iterable[ExpectationReport],
    kept_at: str,
    examples: Mapping[str, Iterable[str]],
) -> str:
    """Return why an output is not published: each failed expectation with its counts."""
    failed = [report for report in reports if report.outcome == "failed"]
    what = "an expectation" if len(failed) == 1 else f"{len(failed)} expectations"
    lines = [f"pipe {pipe_id!r}: its result violates {what}; the table is unchanged"]
    for report in failed:
        lines.append(f"  - {report.name!r} ({report.expects}): {counted_text(asdict(report))}")
        lines += [f"      {example}" for example in examples.get(report.name, ())]
    if kept_at:
        lines.append(f"  The result is kept until the next attempt of this task, at {kept_at!r}")
    lines.append("  Fix: correct the pipe or what it reads, or change the expectation.")
    return "\n".join(lines)
