"""``package --to`` on an S3 server, through Airflow's connection: created once, by one writer."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.cli.package_upload import place_for, put_package
from kindling_airflow.deployment.project_package import content_name, read_info
from tests.dag_factory.projects import write_definition, write_project

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """An S3 server with the bucket ``lake``; Airflow's connection ``lake_s3`` leads to it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="lake")
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "k", "password": "s", "extra": extra}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_LAKE_S3", json.dumps(connection))
        yield client
    server.stop()


def objects(client: Any) -> list[str]:
    found = client.list_objects_v2(Bucket="lake").get("Contents", [])
    return [item["Key"] for item in found]


def test_a_package_is_uploaded_once_and_read_by_its_name(
    s3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path / "shop")
    write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\n")
    monkeypatch.chdir(tmp_path)
    found = []
    for _ in range(2):
        arguments = ["shop.kindling.yaml", "--to", "s3://lake_s3@lake/code", "--json"]
        assert main(["package", *arguments]) == 0
        found.append(json.loads(capsys.readouterr().out))
    (key,) = objects(s3)
    content = s3.get_object(Bucket="lake", Key=key)["Body"].read()
    assert key == f"code/shop-{hashlib.sha256(content).hexdigest()[:24]}.zip"
    assert [item["package"] for item in found] == [f"s3://lake/{key}"] * 2
    assert [item["uploaded"] for item in found] == [True, False]
    (tmp_path / "read.zip").write_bytes(content)
    assert read_info(tmp_path / "read.zip").manifest == found[0]["manifest"]

    s3.put_object(Bucket="lake", Key=key, Body=b"half")
    assert main(["package", "shop.kindling.yaml", "--to", "s3a://lake_s3@lake/code"]) == 1
    assert f"the package at 's3a://lake/{key}' is damaged" in capsys.readouterr().err


def test_an_upload_is_conditional_and_one_of_many_writers_creates_it(s3: Any) -> None:
    content = b"a package of everyone"
    name = content_name("race", content)
    place = place_for("s3://lake_s3@lake/race")
    results: list[tuple[str, bool]] = []
    start = threading.Barrier(4)

    def put() -> None:
        own = place_for("s3://lake_s3@lake/race")
        start.wait()
        results.append(put_package(own, "race", content))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {uri for uri, _ in results} == {f"s3://lake/race/{name}"}
    assert len(results) == 4
    # What another writer has put there stays, whatever a late one brings.
    place.create(name, b"other bytes")
    assert place.read(name) == content
