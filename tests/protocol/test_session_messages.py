"""The news of a session's driver: one marked line, read back as it was."""

from __future__ import annotations

import pytest

from kindling_airflow.common.immutable import freeze
from kindling_airflow.errors import ReportError
from kindling_airflow.protocol.session_messages import (
    SESSION_MARKER,
    SessionNews,
    session_news_in_line,
)

NEWS = SessionNews("k1", "ready", "127.0.0.1", 40123, freeze({"k2": "silver.orders"}))


def test_news_come_back_as_they_were() -> None:
    text = session_news_in_line(f"printed by a pipe{NEWS.line()}\n")
    assert text is not None
    assert SessionNews.loads(text) == NEWS


def test_other_lines_are_no_news() -> None:
    assert session_news_in_line("26/11/24 11:27:36 INFO SparkContext: ...") is None
    assert NEWS.line().startswith(SESSION_MARKER)


def test_half_of_the_news_is_an_error() -> None:
    with pytest.raises(ReportError, match="the session news is wrong: host is missing"):
        SessionNews.loads('{"version": 1, "attempt_key": "k", "state": "ready", "port": 1}')
