"""How long a driver may say nothing, by a clock that moves when it is told to."""

from __future__ import annotations

from collections.abc import Iterator

from kindling_airflow.operators.driver.stream_watch import Watchdog


class Watched:
    """A watch whose lines come after so many seconds each."""

    def __init__(self, limit: float, first: float) -> None:
        self.now = 0.0
        self.killed_at: list[float] = []
        self.watch = Watchdog(
            limit, first, lambda: self.killed_at.append(self.now), clock=lambda: self.now
        )

    def lines(self, *seconds: float) -> None:
        """Wait for lines, and look each second meanwhile."""

        def come() -> Iterator[float]:
            for wait in seconds:
                for _ in range(int(wait)):
                    self.now += 1
                    if self.watch.look():
                        return
                yield wait

        for _ in self.watch.over(come()):
            pass


def test_the_first_limit_holds_until_the_driver_has_told_how_it_is() -> None:
    watched = Watched(limit=3, first=10)
    watched.lines(9)
    assert watched.killed_at == []
    watched.watch.on_news()
    watched.lines(9)
    assert watched.killed_at == [12.0]
    assert watched.watch.was_broken


def test_lines_that_are_no_news_leave_the_first_limit() -> None:
    watched = Watched(limit=3, first=10)
    watched.lines(9, 9, 12)
    assert watched.killed_at == [28.0]


def test_a_limit_of_zero_is_none_from_the_start() -> None:
    watched = Watched(limit=0, first=10)
    watched.lines(1_000)
    watched.watch.on_news()
    watched.lines(1_000)
    assert watched.killed_at == []


def test_nothing_counts_while_nobody_waits_for_a_line() -> None:
    watched = Watched(limit=3, first=3)
    watched.now = 1_000.0
    assert not watched.watch.look()
