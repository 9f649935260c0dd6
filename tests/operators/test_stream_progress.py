"""What a stream's news become: XComs at once or every ten seconds, and a line a minute."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.common.immutable import freeze
from kindling_airflow.operators.driver.stream_watch import StreamProgress, progress_text
from kindling_airflow.protocol.contracts import StreamNews, StreamState


class Listener:
    """An Airflow that takes XComs or does not, a log, and a clock that is put by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.is_away = False
        self.pushed: list[tuple[str, Any]] = []
        self.said: list[str] = []
        self.progress = StreamProgress(self._push, self.said.append, lambda: self.now)

    def take(self, at: float, state: StreamState = "ready", **progress: Any) -> None:
        self.now = 100.0 + at
        self.progress.take(StreamNews("key", state, 42, freeze(progress)))

    def batches(self) -> list[Any]:
        return [value.get("batch_id") for key, value in self.pushed if key == "kindling_progress"]

    def _push(self, key: str, value: Any) -> None:
        if self.is_away:
            raise ConnectionError("no answer")
        self.pushed.append((key, value))


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_numbers_are_passed_on_every_ten_seconds(listener: Listener) -> None:
    for second in range(25):
        listener.take(second, batch_id=second)
    assert listener.batches() == [0, 10, 20]


def test_a_new_state_is_passed_on_at_once_and_the_ten_seconds_begin_anew(
    listener: Listener,
) -> None:
    listener.take(0, "starting")
    for second in range(7, 19):
        listener.take(second, batch_id=second)
    listener.take(19, "draining", batch_id=19)
    assert listener.batches() == [None, 7, 17, 19]
    assert listener.said == [
        "Stream is starting, 0 s after its start",
        "Stream is ready, 7 s after its start",
        "Stream is draining, 19 s after its start",
    ]


def test_readiness_is_told_once(listener: Listener) -> None:
    for second in (1, 2, 30):
        listener.take(second)
    listener.take(31, "draining")
    listener.take(32)
    assert [key for key, _ in listener.pushed].count("kindling_ready") == 1


def test_what_airflow_did_not_take_is_told_again_with_the_next_news(listener: Listener) -> None:
    listener.is_away = True
    listener.take(1, batch_id=1)
    listener.is_away = False
    listener.take(2, batch_id=2)
    assert [key for key, _ in listener.pushed] == ["kindling_ready", "kindling_progress"]
    assert listener.batches() == [2]
    assert listener.said[1:] == [
        "Airflow does not accept XCom 'kindling_ready'; it is retried: no answer",
        "Airflow does not accept XCom 'kindling_progress'; it is retried: no answer",
    ]


def test_the_log_gets_a_line_a_minute_if_there_was_a_batch(listener: Listener) -> None:
    for second in range(0, 130, 5):
        listener.take(second, batch_id=second)
    for second in range(130, 400, 5):
        listener.take(second, batch_id=125)
    assert listener.said[1:] == [
        "Stream is ready: batch 60",
        "Stream is ready: batch 120",
        "Stream is ready: batch 125",
    ]


def test_what_is_not_known_is_left_out_of_the_line() -> None:
    news = StreamNews(
        "key", "ready", 42, freeze({"batch_id": 3, "rows_per_second": 1234.5678, "lag": None})
    )
    assert progress_text(news) == "Stream is ready: batch 3, rows/s 1,234.57"
    assert (
        progress_text(StreamNews("key", "ready", 42, freeze({}))) == "Stream is ready: no batch yet"
    )
