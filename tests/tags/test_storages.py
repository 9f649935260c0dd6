"""What file systems can do, by scheme."""

from __future__ import annotations

import pytest

from kindling_airflow.tags.storages import (
    NOTHING,
    STORAGES,
    abilities_of,
    is_local,
    log_store_of,
    scheme_of,
    unsafe_log_store,
)

DYNAMO = "io.delta.storage.S3DynamoDBLogStore"
SINGLE = "io.delta.storage.S3SingleDriverLogStore"
IMPL, CLASS = "spark.delta.logStore.s3a.impl", "spark.delta.logStore.class"


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("s3a://lake/x", "s3a"),
        ("HDFS:///x", "hdfs"),
        ("file:/x", "file"),
        ("s3a://{{ var.value.bucket }}/x", "s3a"),
        ("/x", None),
        ("x/y", None),
        ("{{ x }}://lake", None),
        ("", None),
    ],
)
def test_a_path_names_its_scheme(path: str, scheme: str | None) -> None:
    assert scheme_of(path) == scheme


@pytest.mark.parametrize("scheme", ["ftp", "oss", "cosn", "s3n", "dbfs", "http"])
def test_what_nothing_is_known_of_can_do_nothing(scheme: str) -> None:
    assert abilities_of(f"{scheme}://lake/x") == NOTHING
    assert not any((NOTHING.atomic_rename, NOTHING.create_if_absent, NOTHING.consistent_listing))


def test_only_disks_and_hdfs_rename_in_one_step() -> None:
    renaming = {scheme for scheme, can in STORAGES.items() if can.atomic_rename}
    assert renaming == {"file", "hdfs", "viewfs", "webhdfs", "swebhdfs"}


def test_s3a_creates_by_condition_alone() -> None:
    assert abilities_of("s3a://lake").create_if_absent == "conditional"
    assert abilities_of("s3://lake").create_if_absent == ""


@pytest.mark.parametrize(("path", "local"), [("/x", True), ("file:///x", True), ("s3a://x", False)])
def test_a_path_without_a_scheme_is_a_disk(path: str, local: bool) -> None:
    assert is_local(path) is local


def test_the_log_store_of_a_scheme_comes_before_that_of_all() -> None:
    assert log_store_of("s3a", {IMPL: "a.A", CLASS: "b.B"}) == "a.A"
    assert log_store_of("s3a", {CLASS: "b.B"}) == "b.B"
    assert log_store_of("s3a", {}) is None


@pytest.mark.parametrize(
    ("path", "conf", "text"),
    [
        ("s3a://lake", {IMPL: DYNAMO}, None),
        ("s3a://lake", {CLASS: DYNAMO}, None),
        ("s3a://lake", None, None),
        ("hdfs://nn/x", {}, None),
        ("hdfs://nn/x", None, None),
        ("abfss://c@a.dfs.core.windows.net/x", {}, None),
        ("gs://lake", {}, None),
        ("wasbs://c@a.blob.core.windows.net/x", {}, None),
        ("/x", {CLASS: SINGLE}, None),
        (
            "s3a://lake",
            {},
            "Delta's log store for s3a:// gives one version to two drivers that commit at once",
        ),
        (
            "s3a://lake",
            {IMPL: SINGLE},
            f"Delta's log store {SINGLE} gives one version to two drivers that commit at once",
        ),
        (
            "hdfs://nn/x",
            {CLASS: SINGLE},
            f"Delta's log store {SINGLE} gives one version to two drivers that commit at once",
        ),
        ("s3a://lake", {IMPL: "x.Y"}, "nothing is known of Delta's log store x.Y"),
        (
            "ftp://lake",
            None,
            "Delta's log store for ftp:// gives one version to two drivers that commit at once",
        ),
    ],
)
def test_delta_needs_a_log_store_for_several_drivers(
    path: str, conf: dict[str, str] | None, text: str | None
) -> None:
    assert unsafe_log_store(path, conf) == text
