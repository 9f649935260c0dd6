"""Reports and claims on a real S3 server, through Airflow's own connection and file system."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.services.s3 import S3Server
from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver import report_channels
from kindling_airflow.operators.driver.report_channels import report_channel
from kindling_airflow.operators.driver.task_claims import TaskClaims
from kindling_airflow.protocol.contracts import RunRequest, TaskClaim

pytestmark = pytest.mark.system


def test_a_claim_and_a_report_go_and_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_channels, "_checked", set())
    with S3Server(tmp_path) as server:
        server.create_bucket("lake")
        connection = {
            "conn_type": "aws",
            "login": server.access_key,
            "password": server.secret_key,
            "extra": {"endpoint_url": server.url, "region_name": server.region},
        }
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__KINDLING__WAREHOUSE_CONN_ID", "lake")
        channel = report_channel("s3a://lake/w")
        channel.check()
        requests = [
            RunRequest(f"key{order}", "p", "", (), "", run_id="run", attempt_order=order)
            for order in ("01", "02")
        ]
        first, second = (
            TaskClaims(
                channel,
                request,
                lease=3600,
                is_wanted=lambda: True,
                unwanted=lambda: None,
                log=None,
            )
            for request in requests
        )
        assert first.earlier() == []
        first.write(TaskClaim("key01", channel.report_path("key01")))
        (earlier,) = second.earlier()
        assert earlier.claim.report_path == "s3a://lake/w/_kindling/reports/key01.json"
        assert server.keys("lake") == [
            f"w/_kindling/claims/{first.own}",
            f"w/_kindling/leases/{first.own}.01",
        ]
        second.take_over(earlier)
        assert not first.end()
        server.client().put_object(
            Bucket="lake", Key="w/_kindling/reports/key01.json", Body="hällo".encode()
        )
        assert channel.fetch("key01", 1) == "hällo"
        channel.forget("key01")
        assert channel.fetch("key01", 1) is None
        assert second.end()
        assert server.keys("lake") == []

        report_channels._checked.clear()
        with pytest.raises(ReportError, match=r"small file in 's3a://nosuch/w' \(the warehouse\)"):
            report_channel("s3a://nosuch/w").check()
