"""From counts to what becomes of an output."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_pipes.expectations import Expectation, not_null, row_count
from kindling_airflow.protocol.contracts import counted_text, quality_lines
from kindling_airflow.runner.quality.outcomes import judged, refusal

DROP: Any = {"on_violation": "drop"}


@pytest.mark.parametrize(
    ("expected", "stern", "rows", "violations", "outcome"),
    [
        (not_null("id"), "fail", 10, 0, "passed"),
        (not_null("id"), "fail", 0, 0, "passed"),
        (not_null("id"), "fail", 10, 1, "failed"),
        (not_null("id"), "warn", 10, 1, "warned"),
        (not_null("id", tolerate=2), "fail", 10, 2, "tolerated"),
        (not_null("id", tolerate=2), "fail", 10, 3, "failed"),
        (not_null("id", tolerate=0), "warn", 10, 1, "warned"),
        (not_null("id", tolerate=0.25), "fail", 8, 2, "tolerated"),
        (not_null("id", tolerate=0.25), "fail", 7, 2, "failed"),
        (not_null("id", **DROP), "fail", 10, 0, "passed"),
        (not_null("id", **DROP), "fail", 10, 10, "dropped"),
        (not_null("id", tolerate=0.25, **DROP), "fail", 8, 2, "dropped"),
        (not_null("id", tolerate=0.25, **DROP), "fail", 7, 2, "failed"),
        (not_null("id", tolerate=1, **DROP), "warn", 7, 2, "warned"),
        (row_count(1), "fail", 0, None, "failed"),
        (row_count(1), "fail", 1, None, "passed"),
        (row_count(1), "warn", 0, None, "warned"),
        (row_count(at_most=3), "fail", 3, None, "passed"),
        (row_count(at_most=3), "fail", 4, None, "failed"),
        (row_count(0, 0), "fail", 0, None, "passed"),
    ],
)
def test_what_becomes_of_an_expectation(
    expected: Expectation, stern: str, rows: int, violations: int | None, outcome: str
) -> None:
    report = judged(expected, stern, rows, violations)
    assert (report.outcome, report.rows, report.violations) == (outcome, rows, violations)
    assert report.on_violation == ("drop" if expected.on_violation == "drop" else stern)
    assert (report.name, report.expects) == (expected.name, expected.text())


def test_a_refusal_names_every_failed_expectation_and_no_other() -> None:
    reports = [
        judged(not_null("a", name="first"), "fail", 3_000, 12),
        judged(not_null("b"), "warn", 3_000, 5),
        judged(row_count(5_000), "fail", 3_000, None),
    ]
    assert refusal("p", reports, "/w/x", {"first": ["a=None, b=1"]}) == (
        "pipe 'p': its result violates 2 expectations; the table is unchanged\n"
        "  - 'first' (a is not null): 12 of 3,000 rows (0.4 %)\n"
        "      a=None, b=1\n"
        "  - 'row_count' (the number of rows is at least 5000): 3,000 rows\n"
        "  The result is kept until the next attempt of this task, at '/w/x'\n"
        "  Fix: correct the pipe or what it reads, or change the expectation."
    )
    assert refusal("p", reports[:1], "", {}) == (
        "pipe 'p': its result violates an expectation; the table is unchanged\n"
        "  - 'first' (a is not null): 12 of 3,000 rows (0.4 %)\n"
        "  Fix: correct the pipe or what it reads, or change the expectation."
    )


@pytest.mark.parametrize(
    ("violations", "rows", "told"),
    [
        (3, 3, "3 of 3 rows (100 %)"),
        (1, 3, "1 of 3 rows (33.3 %)"),
        (1, 2_000_000, "1 of 2,000,000 rows (5e-05 %)"),
        (0, 0, "0 of 0 rows (0 %)"),
        (None, 1_234, "1,234 rows"),
    ],
)
def test_counts_are_told_with_their_share(violations: int | None, rows: int, told: str) -> None:
    assert counted_text({"violations": violations, "rows": rows}) == told


def test_what_simply_passed_is_not_worth_a_line() -> None:
    assert quality_lines({}) == []
    item = {"name": "n", "expects": "e", "outcome": "passed", "rows": 1, "violations": 0}
    assert quality_lines({"expectations": [item]}) == []
    assert quality_lines({"expectations": [{**item, "outcome": "tolerated"}]}) == [
        "expectation 'n' tolerated (e): 0 of 1 rows (0 %)"
    ]
