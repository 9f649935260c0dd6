"""A task's claim on its driver: renewed while it watches, taken over, ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.operators.driver.report_channels import FolderChannel, report_channel
from kindling_airflow.operators.driver.task_claims import TaskClaims
from kindling_airflow.protocol.contracts import RunRequest, TaskClaim


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str, *arguments: Any) -> None:
        self.lines.append(text % arguments)


class Try:
    """One try of a task, with a clock of its own."""

    def __init__(self, folder: Path, order: str, lease: float = 3600.0) -> None:
        self.clock, self.log, self.wanted, self.ended = Clock(), Log(), True, 0
        self.request = RunRequest(
            f"key{order}", "pipe", "", (), "", dag_id="dag", run_id="run", attempt_order=order
        )
        self.channel: FolderChannel = report_channel(str(folder))
        self.claims = TaskClaims(
            self.channel,
            self.request,
            lease=lease,
            is_wanted=lambda: self.wanted,
            unwanted=self.end,
            log=self.log,
            clock=self.clock,
        )
        self.folder = folder / "_kindling"

    def end(self) -> None:
        self.ended += 1

    def write(self) -> None:
        self.claims.write(TaskClaim(self.request.attempt_key, ""))

    def names(self, kind: str) -> list[str]:
        return sorted(path.name for path in (self.folder / kind).iterdir())


@pytest.fixture
def one(tmp_path: Path) -> Try:
    return Try(tmp_path, "01")


def test_a_claim_and_its_lease_are_there_and_go(one: Try) -> None:
    one.write()
    assert one.names("claims") == [one.claims.own]
    assert one.names("leases") == [f"{one.claims.own}.01"]
    assert one.claims.path == f"{one.folder}/claims/{one.claims.own}"
    assert one.claims.end()
    assert one.names("claims") == one.names("leases") == []
    assert one.claims.end()  # once more is fine
    assert not one.claims.renew()


def test_a_lease_is_renewed_from_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Try(tmp_path, "01", lease=0.04)
    renewed = threading.Event()
    renew = one.claims._renew

    def counted(name: str) -> None:
        renew(name)
        if threading.current_thread().name == "kindling-lease":
            renewed.set()

    monkeypatch.setattr(one.claims, "_renew", counted)
    one.write()
    assert renewed.wait(60)
    one.claims.end()


def test_one_that_was_cut_off_asks_airflow_before_it_goes_on(one: Try) -> None:
    """A machine that was frozen wakes up: its task may have been marked or retried meanwhile."""
    one.write()
    (one.folder / "leases" / f"{one.claims.own}.01").unlink()
    one.clock.now = 3601.0
    assert one.claims.renew()  # Airflow still runs it
    assert one.names("leases") == [f"{one.claims.own}.01"]
    (one.folder / "leases" / f"{one.claims.own}.01").unlink()
    one.clock.now, one.wanted = 7300.0, False
    assert not one.claims.renew()
    assert (one.ended, one.names("leases")) == (1, [])
    assert not one.claims.renew()
    assert one.claims.end()
    assert one.names("claims") == []


def test_one_that_another_try_has_taken_over_from_leaves_the_claim(one: Try) -> None:
    one.write()
    two = Try(one.folder.parent, "02")
    (earlier,) = two.claims.earlier()
    two.claims.take_over(earlier)
    one.clock.now = 3601.0
    assert not one.claims.renew()
    assert one.ended == 1
    assert not one.claims.end()
    assert two.names("claims") == [one.claims.own]
    assert two.claims.end()
    assert two.names("claims") == two.names("leases") == []


def test_storage_that_does_not_answer_is_asked_again_and_logged_once(
    one: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.write()

    def away(*_arguments: Any) -> None:
        raise OSError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(one.channel.files, "write", away)
        assert [one.claims.renew(), one.claims.renew()] == [True, True]
    assert one.log.lines == ["The lease of the driver could not be renewed; retrying: no route"]
    assert one.claims.renew()
    one.claims.end()


def test_what_is_no_claim_of_an_earlier_try_is_passed_over(one: Try) -> None:
    for order in ("00", "02"):
        Try(one.folder.parent, order).write()
    (one.folder / "claims" / one.claims.own.replace("-01-", "-005-")).write_text("")  # a driver's
    (one.folder / "claims" / one.claims.own.replace("-01-", "-006-")).write_text("{}")
    assert [attempt.claim.attempt_key for attempt in one.claims.earlier()] == ["key00"]


def test_the_clock_counts_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    from kindling_airflow.operators.driver import task_claims

    asked: list[int] = []
    monkeypatch.setattr("time.clock_gettime", lambda clock: asked.append(clock) or 5.0)
    boot: Callable[[], float] = task_claims._boot_time
    assert boot() == 5.0
    import time

    assert asked == [time.CLOCK_BOOTTIME]
