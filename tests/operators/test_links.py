"""Only what a browser may be sent to becomes a link, and it leads where the deployment says."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from airflow.serialization.serialized_objects import OperatorSerialization
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.operators.links.buttons import (
    EntityLocationLink,
    SparkPagesLink,
    history_page,
    location_page,
)
from kindling_airflow.operators.links.urls import history_url, location_url, safe_url
from kindling_airflow.operators.pipe import KindlingPipeOperator


@pytest.mark.parametrize(
    ("said", "link"),
    [
        ("http://worker:4040", "http://worker:4040"),
        ("https://proxy.example.com/app?x=1#jobs", "https://proxy.example.com/app?x=1#jobs"),
        ("http://[::1]:4040/", "http://[::1]:4040/"),
        ("http://me:hidden@worker:4040/x", "http://worker:4040/x"),
        ("javascript:alert(1)", ""),
        ("data:text/html,<script>", ""),
        ("file:///etc/passwd", ""),
        ("//worker:4040", ""),
        ("http://", ""),
        ("http://worker:port", ""),
        ('http://worker/"onclick="x', ""),
        ("http://worker/\nx", ""),
        ("http://wörker", ""),
        ("http://wor ker", ""),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_addresses(said: str, link: str) -> None:
    assert safe_url(said) == link


@given(st.text(max_size=30), st.sampled_from(["", "http://", "https://h/", "javascript:"]))
def test_whatever_is_said_a_link_is_plain_http(text: str, before: str) -> None:
    link = safe_url(before + text)
    assert not link or urlsplit(link).scheme in ("http", "https")
    assert not set(link) & set("<>\"' \n\r\t")


@pytest.mark.parametrize(
    ("server", "link"),
    [
        ("http://history:18080", "http://history:18080/history/app-1/"),
        ("http://history:18080/", "http://history:18080/history/app-1/"),
        ("history:18080", "http://history:18080/history/app-1/"),
        (" https://h/spark ", "https://h/spark/history/app-1/"),
        ("ftp://history", ""),
        ("", ""),
    ],
)
def test_history_servers(server: str, link: str) -> None:
    assert history_url(server, "app-1") == link


def test_a_run_without_a_name_has_no_history() -> None:
    assert history_url("h:1", "") == ""
    assert history_url("h:1", "../x?y") == "http://h:1/history/..%2Fx%3Fy/"


@pytest.mark.parametrize(
    ("location", "link"),
    [
        ("gs://lake/a/b", "https://console.cloud.google.com/storage/browser/lake/a/b"),
        ("s3a://lake/a/b", "https://s3.console.aws.amazon.com/s3/buckets/lake?prefix=a/b/"),
        ("s3://lake/a b", "https://s3.console.aws.amazon.com/s3/buckets/lake?prefix=a%20b/"),
        ("https://host/table", "https://host/table"),
        ("/warehouse/silver.orders", ""),
        ("file:///warehouse/silver.orders", ""),
        ("hdfs://nn/warehouse", ""),
        ("abfss://c@a.dfs.core.windows.net/x", ""),
        ("jdbc:postgresql://db/x", ""),
    ],
)
def test_places_of_tables(location: str, link: str) -> None:
    assert location_url(location) == link


def test_a_store_of_ones_own_is_not_looked_for_at_aws() -> None:
    assert location_url("s3a://lake/a", own_endpoint=True) == ""
    assert location_page({"spark.hadoop.fs.s3a.endpoint": "http://minio"}, "s3a://lake/a") == ""
    assert location_page({}, "s3a://lake/a") != ""


def test_the_deployments_template_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    template = "https://files.example.com/{scheme}/{bucket}/{path}?all={location}"
    monkeypatch.setenv("AIRFLOW__KINDLING__LOCATION_URL", template)
    assert location_page({}, "s3a://la ke/a&b") == (
        "https://files.example.com/s3a/la%20ke/a%26b?all=s3a%3A//la%20ke/a%26b"
    )
    assert location_page({}, "/warehouse/a") == (
        "https://files.example.com/file//warehouse/a?all=/warehouse/a"
    )


@pytest.mark.parametrize(
    "template",
    [
        "https://h/{nope}",
        "https://h/{",
        "https://h/{path.x}",
        "https://h{path}",
        "https://{bucket}/",
        "{location}",
        "javascript:alert('{path}')",
    ],
)
def test_a_wrong_template_makes_no_link(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__KINDLING__LOCATION_URL", template)
    assert location_page({}, "/warehouse/a") == ""


def test_who_says_where_the_history_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__KINDLING__HISTORY_SERVER", "http://from-config")
    assert history_page({}, "none", "app") == "http://from-config/history/app/"
    monkeypatch.setenv(
        "AIRFLOW_CONN_SPARK_X",
        '{"conn_type": "spark", "host": "yarn", "extra": {"history-server": "from-connection:1"}}',
    )
    assert history_page({}, "spark_x", "app") == "http://from-connection:1/history/app/"
    said = {"spark.yarn.historyServer.address": "from-conf:18080"}
    assert history_page(said, "spark_x", "app") == "http://from-conf:18080/history/app/"
    said = {"spark.yarn.historyServer.address": "${hadoopconf-yarn.resourcemanager.hostname}:1"}
    assert history_page(said, "spark_x", "app") == "http://from-connection:1/history/app/"


def test_buttons_read_what_the_task_has_come_to() -> None:
    operator = KindlingPipeOperator(task_id="t", pipe_id="p", project_root="/p", modules=[])
    assert SparkPagesLink().get_link(operator, ti_key=None) == ""  # type: ignore[arg-type]
    operator.link_urls = {"Spark": "http://h", "Table": "http://t"}
    assert SparkPagesLink().get_link(operator, ti_key=None) == "http://h"  # type: ignore[arg-type]
    assert EntityLocationLink().get_link(operator, ti_key=None) == "http://t"  # type: ignore[arg-type]


def test_airflow_finds_the_buttons_by_their_xcoms() -> None:
    operator = KindlingPipeOperator(task_id="t", pipe_id="p", project_root="/p", modules=[])
    document = OperatorSerialization.serialize_operator(operator)
    assert document["_operator_extra_links"] == {
        "Spark": "_link_SparkPagesLink",
        "Table": "_link_EntityLocationLink",
    }
