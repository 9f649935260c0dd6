"""Turns the output of a driver into the lines of a task's log.

    26/11/24 11:27:36 INFO SparkContext: ...        ::group::Spark
      at org.apache.spark...                  ->    (folded, line by line)
    hello from the pipe                              ::endgroup::
    KINDLING-REPORT {...}                           hello from the pipe

Spark's own lines and Java stack traces are folded in the UI; what the pipe prints is not. Messages
for the operator are removed. Nothing else is lost or reordered; of consecutive blank lines one is
kept.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kindling_airflow.protocol.contracts import (
    REPORT_MARKER,
    START_MARKER,
    STREAM_MARKER,
    report_in_line,
    start_in_line,
    stream_news_in_line,
)

__all__ = ["DriverOutput"]

_KEPT_LINES = 500
_SHOWN_LINES = 20
_BEGIN, _END = "::group::Spark", "::endgroup::"

_SPARK = re.compile(
    r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (?P<level>TRACE|DEBUG|INFO|WARN|ERROR|FATAL) "
    r"|WARNING: Using incubator modules"
    r"|Using Spark's default log4j profile"
    r"|Setting default log level to"
    r"|To adjust logging level use"
    r"|\[Stage \d+:"
    r"|Picked up \w+_OPTIONS:"
)
_QUIET_LEVELS = ("TRACE", "DEBUG", "INFO")
_STACK = re.compile(
    r"\s+at [\w.$/<>@\-]+\(|\s*\.\.\. \d+ (more|common frames)|Driver stacktrace:\s*$"
)
_CAUSE = re.compile(
    r"(Caused by: |\s*Suppressed: |[\w.$]+\.[\w$]*(Exception|Error)\b|Exception in )"
)
_PLAN = re.compile(r"[\s:+\-]*~\w+")  # of a streaming query, line by line behind its first line
_TRACE = re.compile(r"\s+\S|\w*(Error|Exception)\b|Traceback \(most recent call last\):")


class DriverOutput:
    """Reads the lines of one driver.

    Args:
        on_start: called with the JSON text of a driver's start.
        on_report: called with the JSON text of a report.
        mask: returns a line without secrets. Airflow masks a task's log, but its local executor
            also prints the lines, unmasked, into the scheduler's.
        on_news: called with the JSON text of a stream's news.
    """

    def __init__(
        self,
        on_start: Callable[[str], None],
        on_report: Callable[[str], None],
        mask: Callable[[str], str] = str,
        on_news: Callable[[str], None] | None = None,
    ) -> None:
        self.is_folding = False
        self._mask = mask
        self._on_start = on_start
        self._on_report = on_report
        self._on_news = on_news
        self._kept: deque[str] = deque(maxlen=_KEPT_LINES)
        self._in_trouble = False  # behind a warning or an error of Spark's, whose text may go on
        self._in_document = False  # within JSON of Spark's: each progress of a streaming query

    def lines(self, raw: Iterable[Any]) -> Iterator[str]:
        """Return the lines as they go into the log."""
        blank = False  # held back: the runner begins its messages on a new line
        for item in raw:
            line, has_news = self._without_news(str(item).rstrip("\r\n"))
            if not line.strip():
                blank = not has_news
                continue
            yield from self._shown(self._mask(line), blank)
            blank = False
        if self.is_folding:
            self.is_folding = False
            yield _END

    def last_lines(self) -> list[str]:
        """Return the last lines without stack traces, of warnings and errors if there are any."""
        lines = [line for line in self._kept if not _STACK.match(line)]
        loud = [line for line in lines if not self._is_quiet(line)]
        return (loud or lines)[-_SHOWN_LINES:]

    def _shown(self, line: str, blank: bool) -> Iterator[str]:
        within = self._in_document
        folds = self._is_sparks(line)
        if not within:
            self._kept.append(line)
        if folds is not self.is_folding:
            self.is_folding = folds
            yield _BEGIN if folds else _END
        if blank:
            yield ""
        yield line

    def _is_sparks(self, line: str) -> bool:
        found = _SPARK.match(line)
        if found:
            self._in_trouble = found["level"] in ("WARN", "ERROR", "FATAL")
            self._in_document = found["level"] is not None and line.endswith("{")
            return True
        if self._in_document:
            self._in_document = line != "}"
            return True
        if self.is_folding and _PLAN.match(line):
            return True
        if _STACK.match(line) or _CAUSE.match(line):
            self._in_trouble = True
            return True
        self._in_trouble = self._in_trouble and _TRACE.match(line) is not None
        return self._in_trouble

    @staticmethod
    def _is_quiet(line: str) -> bool:
        found = _SPARK.match(line)
        return found is not None and (found["level"] or "INFO") in _QUIET_LEVELS

    def _without_news(self, line: str) -> tuple[str, bool]:
        """Pass on a message for the operator; return what was printed before it on the line."""
        news = stream_news_in_line(line) if self._on_news is not None else None
        if news is not None and self._on_news is not None:
            self._on_news(news)
            return line.partition(STREAM_MARKER)[0], True
        report, start = report_in_line(line), start_in_line(line)
        if report is not None:
            self._on_report(report)
            return line.partition(REPORT_MARKER)[0], True
        if start is not None:
            self._on_start(start)
            return line.partition(START_MARKER)[0], True
        return line, False
