"""What a worker's Hadoop configuration tells of HDFS and YARN."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.operators.driver.hadoop_conf import (
    hadoop_properties,
    hadoop_user,
    name_nodes,
    resource_managers,
)


def site(path: Path, **properties: str) -> None:
    path.parent.mkdir(exist_ok=True)
    items = "".join(
        f"<property><name>{key.replace('__', '-').replace('_', '.')}</name>"
        f"<value> {value} </value></property>"
        for key, value in properties.items()
    )
    path.write_text(f"<configuration>{items}</configuration>")


def test_files_of_both_folders_are_read_and_references_resolved(tmp_path: Path) -> None:
    site(tmp_path / "h" / "core-site.xml", base="here", fs_defaultFS="hdfs://${base}:${port}")
    site(tmp_path / "y" / "yarn-site.xml", port="9", unknown="${nobody}")
    (tmp_path / "h" / "hdfs-site.xml").write_text("<broken")
    variables = {"HADOOP_CONF_DIR": str(tmp_path / "h"), "YARN_CONF_DIR": str(tmp_path / "y")}
    found = hadoop_properties(variables)
    assert (found["fs.defaultFS"], found["unknown"]) == ("hdfs://here:9", "${nobody}")


def test_without_a_configuration_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert hadoop_properties() == {}
    assert resource_managers({}) == []
    assert name_nodes("", {}) == []


def test_the_user_is_hadoops(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hadoop_user({"HADOOP_USER_NAME": "etl"}) == "etl"
    monkeypatch.delenv("HADOOP_USER_NAME", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "airflow")
    assert hadoop_user() == "airflow"


RM = "yarn.resourcemanager."


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({f"{RM}hostname": "rm"}, ["http://rm:8088"]),
        ({f"{RM}webapp.address": "rm:80"}, ["http://rm:80"]),
        (
            {"yarn.http.policy": "HTTPS_ONLY", f"{RM}webapp.https.address": "rm:8090"},
            ["https://rm:8090"],
        ),
        ({"yarn.http.policy": "HTTPS_ONLY", f"{RM}hostname": "rm"}, []),
        (
            {
                f"{RM}ha.enabled": "true",
                f"{RM}ha.rm-ids": "a, b",
                f"{RM}hostname.a": "rm1",
                f"{RM}webapp.address.b": "rm2:80",
            },
            ["http://rm1:8088", "http://rm2:80"],
        ),
    ],
)
def test_resource_managers(properties: dict[str, str], expected: list[str]) -> None:
    assert resource_managers(properties) == expected


@pytest.mark.parametrize(
    ("authority", "properties", "expected"),
    [
        ("nn:8020", {}, ["http://nn:9870"]),
        ("nn:8020", {"dfs.namenode.http-address": "other:50070"}, ["http://nn:9870"]),
        (
            "",
            {"fs.defaultFS": "hdfs://nn:8020", "dfs.namenode.http-address": "0.0.0.0:50070"},
            ["http://nn:50070"],
        ),
        (
            "lake",
            {
                "dfs.ha.namenodes.lake": "a,b",
                "dfs.namenode.http-address.lake.a": "nn1:9870",
                "dfs.namenode.http-address.lake.b": "nn2:9870",
            },
            ["http://nn1:9870", "http://nn2:9870"],
        ),
        (
            "nn:8020",
            {
                "fs.defaultFS": "hdfs://nn:8020",
                "dfs.http.policy": "HTTPS_ONLY",
                "dfs.namenode.https-address": "nn:9871",
            },
            ["https://nn:9871"],
        ),
    ],
)
def test_name_nodes(authority: str, properties: dict[str, str], expected: list[str]) -> None:
    assert name_nodes(authority, properties) == expected
