"""Of two drivers of one task only the one of the newer try publishes, whoever is slower."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.claims import ClaimName, instance_name
from kindling_airflow.protocol.contracts import RunReport, TaskClaim
from kindling_airflow.runner.claims import Claim
from kindling_airflow.runner.driver import run_claimed
from kindling_airflow.runner.providers.parquet.provider import ParquetProvider
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.runner.standstill import Standstill
from tests.runner.conftest import Project
from tests.runner.streams import CONTINUOUS

FIRST, SECOND, THIRD = "01a20d4f-85ed-7f07", "01a20d50-0001-7aaa", "01a20d50-0002-7bbb"


@pytest.fixture
def shop(project: Project) -> Project:
    """A project whose one pipe writes what ``rows`` says."""
    (project.warehouse / "landing").mkdir()
    (project.warehouse / "landing" / "in.json").write_text('{"n": 1}')
    project.entity(
        "numbers",
        tags={"provider_type": "json", "provider.path": "landing/in.json"},
        schema="n INT",
    )
    project.pipe("out", lambda **frames: frames["numbers"], "numbers")
    return project


def run(project: Project, order: str, try_number: int, pipe_id: str = "out") -> RunReport:
    request = project.request(pipe_id, attempt_order=order, try_number=try_number)
    return run_claimed(request, project.spark, declared=project.declared)


def claim(project: Project, order: str, **changes: Any) -> Claim:
    request = project.request("out", attempt_order=order, **changes)
    return Claim.claim(Storage(project.spark), request)


def claims(project: Project) -> list[str]:
    folder = project.warehouse / "_kindling" / "claims"
    return sorted(p.name.split("-")[1] for p in folder.iterdir() if not p.name.startswith("."))


def plain(order: str) -> str:
    return order.replace("-", "")


def test_a_try_that_ends_well_leaves_nothing(shop: Project) -> None:
    assert run(shop, FIRST, 1).status == "published"
    assert claims(shop) == []


def test_a_try_that_fails_leaves_nothing(shop: Project) -> None:
    def broken(**_frames: Any) -> Any:
        raise ValueError("no")

    shop.pipe("bad", broken, "numbers")
    assert run(shop, FIRST, 1, "bad").status == "failed"
    assert claims(shop) == []


def test_a_try_that_was_overtaken_does_not_publish(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(shop, FIRST, 1).status == "published"
    stage = ParquetProvider.stage

    def slow(self: Any, *arguments: Any) -> Any:
        staged = stage(self, *arguments)
        claim(shop, THIRD, task_id="slow")
        return staged

    monkeypatch.setattr(ParquetProvider, "stage", slow)
    shop.pipe("slow", lambda numbers: numbers, "numbers")
    report = run(shop, SECOND, 2, "slow")
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.message == (
        "pipe 'slow': attempt 2 of its task does not publish, because a newer attempt has started; "
        "the table is unchanged\n"
        "  Fix: none needed: the newer attempt publishes. A task that was cleared, or whose worker "
        "was lost, leaves such a driver behind."
    )
    assert not shop.table("slow").exists()
    assert claims(shop) == [plain(THIRD)]


def test_a_try_that_was_overtaken_leaves_alone_what_the_newer_one_is_staging(
    shop: Project,
) -> None:
    """Of a result half of which was cleared away, the newer try would publish the rest."""
    request = shop.request("slow")
    mine = shop.warehouse / "_kindling" / "staging" / "slow" / f"{instance_name(request)}-newer"

    def slow(**frames: Any) -> Any:
        claim(shop, THIRD, task_id="slow")
        mine.mkdir(parents=True)
        return frames["numbers"]

    shop.pipe("slow", slow, "numbers")
    report = run(shop, SECOND, 2, "slow")
    assert report.error is not None
    assert report.error.message.startswith("pipe 'slow': attempt 2 of its task does not publish")
    assert mine.is_dir()


def test_a_try_that_starts_late_does_not_publish_over_the_newer_one(shop: Project) -> None:
    """A cluster may let the older application wait until the newer one is done."""
    older = claim(shop, FIRST)
    assert run(shop, SECOND, 2).status == "published"
    assert claims(shop) == [plain(SECOND)]  # for the older one to see
    with pytest.raises(EntityError, match="a newer attempt has started"):
        older.check()
    assert run(shop, FIRST, 1).status == "failed"


def test_a_task_whose_first_try_was_killed_goes_on_with_every_further_try(shop: Project) -> None:
    claim(shop, FIRST)
    assert run(shop, SECOND, 2).status == "published"
    assert run(shop, THIRD, 3).status == "published"
    assert claims(shop) == [plain(THIRD)]


def test_an_older_try_that_ends_leaves_the_claim_of_the_newer_one(shop: Project) -> None:
    older, newer = claim(shop, FIRST), claim(shop, SECOND)
    older.release()
    assert claims(shop) == [plain(SECOND)]
    newer.check()
    newer.release()
    assert claims(shop) == []


@pytest.mark.parametrize("other", [{"run_id": "tomorrow"}, {"task_id": "x"}, {"dag_id": "y"}])
def test_tries_of_other_tasks_do_not_count(shop: Project, other: dict[str, str]) -> None:
    claim(shop, THIRD, **other)
    fence = claim(shop, FIRST)
    fence.check()
    fence.release()
    assert claims(shop) == [plain(THIRD)]


class TestStreams:
    """The checkpoint of a stream goes from run to run, so an old driver of any run must end."""

    def claim(self, project: Project, run_id: str, order: str, **changes: Any) -> Claim:
        return claim(project, order, run_id=run_id, stream=CONTINUOUS, **changes)

    def overtaken(self, fence: Claim) -> bool:
        try:
            fence.check()
        except EntityError:
            return True
        return False

    @pytest.mark.parametrize("orders", [(FIRST, SECOND), (SECOND, FIRST)])
    def test_a_driver_of_an_earlier_run_ends_when_the_next_one_begins(
        self, shop: Project, orders: tuple[str, str]
    ) -> None:
        """The next run may have been created, and waited, before the latest try of the earlier."""
        old = self.claim(shop, "monday", orders[0])
        assert not self.overtaken(old)
        new = self.claim(shop, "tuesday", orders[1])
        assert (self.overtaken(old), self.overtaken(new)) == (True, False)
        new.release()
        assert claims(shop) == [plain(orders[1])]  # for the older one to see
        assert self.overtaken(old)
        third = self.claim(shop, "wednesday", THIRD)
        assert (self.overtaken(old), self.overtaken(third)) == (True, False)

    def test_tries_of_one_run_count_by_their_order(self, shop: Project) -> None:
        new = self.claim(shop, "monday", SECOND)
        late = self.claim(shop, "monday", FIRST)
        assert (self.overtaken(new), self.overtaken(late)) == (False, True)
        late.release()
        new.release()
        assert claims(shop) == []

    def test_two_that_begin_at_once_give_up(
        self, shop: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Storage, "names", lambda _self, _folder: [])
            both = [self.claim(shop, run_id, FIRST) for run_id in ("monday", "tuesday")]
        assert [self.overtaken(fence) for fence in both] == [True, True]

    def test_other_streams_and_batch_pipes_do_not_count(self, shop: Project) -> None:
        fence = self.claim(shop, "monday", FIRST)
        self.claim(shop, "tuesday", SECOND, task_id="x")
        self.claim(shop, "tuesday", SECOND, dag_id="y")
        claim(shop, SECOND, run_id="tuesday")
        assert not self.overtaken(fence)
        fence.release()
        assert claims(shop) == [plain(SECOND)] * 3


class TestOnACluster:
    """The task writes the claim, renews its lease while it watches, and deletes it."""

    LEASE, PATIENCE = 60.0, 0.0

    def given(
        self, project: Project, *, patience: float = 0.0, order: str = FIRST, **claim: Any
    ) -> Any:
        """Write a task's claim, and return the request of its driver."""
        request = project.request("out", attempt_order=order, **claim)
        name = ClaimName.of(request).text
        folder = project.warehouse / "_kindling"
        for kind, file in (("claims", name), ("leases", f"{name}.{plain(order)}")):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            (folder / kind / file).write_text(TaskClaim(request.attempt_key, "").dumps())
        path = f"{folder}/claims/{name}"
        given = FrozenDict({"path": path, "lease": self.LEASE, "patience": patience})
        return replace(request, claim=given)

    def lease(self, project: Project) -> Path:
        (lease,) = (
            path
            for path in (project.warehouse / "_kindling" / "leases").iterdir()
            if not path.name.startswith(".")
        )
        return lease

    def lapse(self, project: Project) -> None:
        when = time.time() - self.LEASE - 5
        os.utime(self.lease(project), (when, when))

    def run(self, project: Project, request: Any) -> RunReport:
        return run_claimed(request, project.spark, declared=project.declared)

    def message(self, report: RunReport) -> str:
        assert report.error is not None
        return report.error.message

    def test_a_driver_whose_claim_stands_publishes_and_leaves_it_to_its_task(
        self, shop: Project
    ) -> None:
        assert self.run(shop, self.given(shop)).status == "published"
        assert claims(shop) == [plain(FIRST)]
        left = (shop.warehouse / "_kindling" / "leases.now").iterdir()
        assert [path for path in left if not path.name.startswith(".")] == []

    def test_one_that_its_task_does_not_want_any_more_does_not_begin(self, shop: Project) -> None:
        request = self.given(shop)
        Path(request.claim["path"]).unlink()
        report = self.run(shop, request)
        assert self.message(report) == (
            "pipe 'out': attempt 1 of its task does not publish, because its task has ended "
            "without it; the table is unchanged\n"
            "  Fix: none needed if the task was killed, timed out, marked or cleared. Else driver "
            f"and worker do not share {str(shop.warehouse / '_kindling' / 'claims')!r}: set "
            "[kindling] report_url to storage that both can reach."
        )
        assert not shop.table("out").exists()

    def test_one_that_is_revoked_while_it_works_does_not_publish(
        self, shop: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Marked as failed: the log said that the driver was dead, and it published."""
        request = self.given(shop)
        stage = ParquetProvider.stage

        def slow(self: Any, *arguments: Any) -> Any:
            staged = stage(self, *arguments)
            Path(request.claim["path"]).unlink()
            return staged

        monkeypatch.setattr(ParquetProvider, "stage", slow)
        assert "its task has ended without it" in self.message(self.run(shop, request))
        assert not shop.table("out").exists()

    def test_one_whose_lease_has_lapsed_gives_up_when_its_patience_is_over(
        self, shop: Project
    ) -> None:
        request = self.given(shop)
        self.lapse(shop)
        assert self.message(self.run(shop, request)) == (
            "pipe 'out': attempt 1 of its task does not publish, because nothing has watched this "
            "driver for more than 0 s; the table is unchanged\n"
            "  Fix: none needed: the worker of its task was lost, and its next try starts another "
            "driver."
        )
        self.lease(shop).unlink()
        assert "nothing has watched this driver" in self.message(self.run(shop, request))
        assert not shop.table("out").exists()

    def test_it_waits_for_the_next_try_to_take_it_up(
        self, shop: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        request = self.given(shop, patience=600.0)
        self.lapse(shop)
        lease = self.lease(shop)
        monkeypatch.setattr(
            "kindling_airflow.runner.claims.time.sleep",
            lambda _seconds: lease.with_suffix(f".{plain(SECOND)}").write_text("1"),
        )
        assert self.run(shop, request).status == "published"
        assert capsys.readouterr().out.count("Waiting up to 600 s before publishing") == 1

    def test_a_newer_attempt_ends_it_as_well(self, shop: Project) -> None:
        request = self.given(shop)
        claim(shop, SECOND)
        assert "a newer attempt has started" in self.message(self.run(shop, request))

    def test_a_claim_that_cannot_be_understood_is_an_error(self, shop: Project) -> None:
        request = self.given(shop)
        Path(request.claim["path"]).write_text("{}")
        assert "the claim is not of version 1" in self.message(self.run(shop, request))
        far = replace(request, claim=FrozenDict({**request.claim, "path": "nosuch://x/claims/y"}))
        assert self.message(self.run(shop, far)).startswith(
            "pipe 'out': cannot read the claim of its task: 'nosuch://x/claims/y': "
        )


def test_a_machine_that_stood_still_waits_before_it_publishes(shop: Project) -> None:
    """Frozen while its task was marked as failed, it went on and published as it woke up."""
    seconds, ended = [0.0, 3600.0, 3600.0, 3621.0], []

    def clock() -> float:
        return seconds.pop(0) if len(seconds) > 1 else seconds[0]

    still = Standstill(clock, ended.append)
    request = shop.request("out", attempt_order=FIRST)
    Claim.claim(Storage(shop.spark), request, still).check()
    assert ended == [1.0]


def test_the_same_try_started_once_more_by_the_cluster_may_publish(shop: Project) -> None:
    request = shop.request("out", attempt_order=FIRST)
    storage = Storage(shop.spark)
    Claim.claim(storage, request)
    Claim.claim(storage, request).check()


def test_a_run_outside_of_airflow_claims_nothing(shop: Project) -> None:
    assert run(shop, "", 1).status == "published"
    assert not (shop.warehouse / "_kindling" / "claims").exists()


def test_what_stood_for_a_month_is_swept_up(shop: Project) -> None:
    folder = shop.warehouse / "_kindling" / "claims"
    for name, days in (("old", 31), ("young", 29)):
        fence = claim(shop, FIRST, run_id=name)
        when = time.time() - days * 24 * 3600
        os.utime(folder / fence.name.text, (when, when))
    claim(shop, FIRST)
    assert run(shop, SECOND, 2).status == "published"
    left = {name.name.split("-")[0] for name in folder.iterdir() if not name.name.startswith(".")}
    assert left == {instance_name(shop.request("out", run_id=n)) for n in ("young", "run")}


def test_a_warehouse_that_cannot_be_written_is_an_error_that_may_heal(shop: Project) -> None:
    report = run_claimed(
        shop.request("out", attempt_order=FIRST, warehouse="/proc/kindling"),
        shop.spark,
        declared=shop.declared,
    )
    assert report.error is not None
    assert report.error.message.startswith(
        "pipe 'out': cannot write the claim of this attempt to the warehouse: "
        "'/proc/kindling/_kindling/claims': "
    )
    assert report.error.message.endswith(
        "  Fix: set [kindling] warehouse, or the definition's warehouse, to storage that every "
        "driver can write to."
    )
    assert report.extra == {"permanent": False}
    assert not Path("/proc/kindling").exists()
