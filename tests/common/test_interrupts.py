"""Whether the user has interrupted, or user code has raised as if."""

from __future__ import annotations

import signal
import threading

import pytest

from kindling_airflow.common.interrupts import noticed_interrupts


def test_a_signal_is_noticed_and_does_what_it_does() -> None:
    before = signal.getsignal(signal.SIGINT)
    with noticed_interrupts() as interrupted:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupted()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_exception_alone_is_none() -> None:
    with noticed_interrupts() as interrupted:
        with pytest.raises(KeyboardInterrupt):
            raise KeyboardInterrupt
        assert not interrupted()


def test_a_handler_that_user_code_sets_stays() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with noticed_interrupts():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        with noticed_interrupts() as interrupted:
            signal.raise_signal(signal.SIGINT)
        assert not interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_there_is_none_in_another_thread() -> None:
    seen = []

    def look() -> None:
        with noticed_interrupts() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [False]
