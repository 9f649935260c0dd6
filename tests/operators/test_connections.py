"""Connections reach the driver's process by its environment, and stand nowhere else."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from kindling_airflow.operators.driver.hook import DriverHook
from kindling_airflow.protocol.connections import Connection, read_connection, variable_name

SECRET = "s3cret-canary"
SHOP = {
    "conn_type": "postgres",
    "host": "db.example",
    "port": 5432,
    "schema": "shop",
    "login": "me",
    "password": SECRET,
    "extra": {"jdbc_options": {"sslmode": "require"}},
}


class Started(NamedTuple):
    """How spark-submit was started."""

    arguments: list[str]
    environment: dict[str, str]


Submit = Callable[..., Started]


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    """Return a function that submits to a master and tells how the driver was started."""
    binary = tmp_path / "bin" / "spark-submit"
    binary.parent.mkdir()
    told = tmp_path / "told.json"
    binary.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"json.dump([sys.argv, dict(os.environ)], open({str(told)!r}, 'w'))\n"
    )
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(SHOP))

    def run(
        conn_ids: list[str], *, host: str = "local[1]", mode: str = "client", **hook: Any
    ) -> Started:
        spark = {"conn_type": "spark", "host": host, "extra": {"deploy-mode": mode}}
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_TEST", json.dumps(spark))
        made = DriverHook.adopt(SparkSubmitHook(conn_id="spark_test", **hook))
        made.hand_over(conn_ids)
        with suppress(AirflowException, RuntimeError):  # no cluster answers
            made.submit("app.py")
        return Started(*json.loads(told.read_text()))

    return run


@pytest.mark.parametrize("host", ["local[1]", "spark://h:7077", "yarn"])
def test_the_driver_of_a_client_has_the_connection(
    submit: Submit, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    started = submit(["shop"], host=host, env_vars={"OTHER": "1"})
    handed = read_connection(
        "shop", {variable_name("shop"): started.environment["KINDLING_CONN_shop"]}
    )
    assert handed == Connection(
        "postgres",
        "db.example",
        5432,
        "shop",
        "me",
        SECRET,
        {"jdbc_options": {"sslmode": "require"}},
    )
    assert started.environment["OTHER"] == "1"
    assert SECRET not in " ".join(started.arguments)
    assert "KINDLING_CONN" not in " ".join(started.arguments)
    assert SECRET not in caplog.text
    assert SECRET not in repr(handed)


def test_the_environment_of_the_task_itself_stays_as_it_is(submit: Submit) -> None:
    submit(["shop"])
    assert "KINDLING_CONN_shop" not in os.environ


def test_no_connection_is_looked_up_for_a_driver_in_the_cluster(submit: Submit) -> None:
    started = submit(["no_such"], host="spark://h:7077", mode="cluster")
    assert not [name for name in started.environment if name.startswith("KINDLING_CONN")]


def test_a_pipe_without_connections_starts_as_before(submit: Submit) -> None:
    assert not [n for n in submit([]).environment if n.startswith("KINDLING_CONN")]


def test_connections_that_airflow_lacks_are_named_at_once(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException) as raised:
        submit(["crm", "shop", "erp"])
    assert str(raised.value) == (
        "Airflow has no connection 'crm', 'erp', named by the tag provider.connection of "
        "entities of this pipe\n"
        "  Fix: add the connection in Airflow, then clear this task."
    )
    monkeypatch.setenv("KINDLING_CONN_crm", "sqlite:///x")
    monkeypatch.setenv("KINDLING_CONN_erp", "sqlite:///y")
    assert submit(["crm", "shop", "erp"]).environment["KINDLING_CONN_crm"] == "sqlite:///x"
