"""What a driver prints is printed as ever, and its end is kept for its task."""

from __future__ import annotations

import logging
import sys

import pytest

from kindling_airflow.runner.output_tail import OutputTail


def test_prints_and_logs_are_kept_in_order_and_still_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tail = OutputTail()
    with tail.keeping():
        print("one")
        handler = logging.StreamHandler()
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "two", (), None))
        sys.stdout.writelines(["three\n", "four\n"])
        assert sys.stdout.isatty() is False
        sys.stdout.flush()
    print("after")
    assert tail.text() == "one\ntwo\nthree\nfour\n"
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("one\nthree\nfour\nafter\n", "two\n")


def test_of_much_the_end_is_kept_in_whole_lines() -> None:
    tail = OutputTail(most=20)
    for number in range(10):
        tail.keep(f"line {number}\n")
    assert tail.text() == (
        "... (the cluster's log has the output before this)\nline 9\n"
    ) or tail.text().endswith("line 8\nline 9\n")
    tail.keep("x" * 100 + "\nend\n")
    assert tail.text() == "... (the cluster's log has the output before this)\nend\n"
