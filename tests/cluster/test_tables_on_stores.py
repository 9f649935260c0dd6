"""What is guaranteed of Delta and Iceberg on one disk holds with their files on S3 and on HDFS.

Iceberg is in a catalog on PostgreSQL; Delta on S3 has a log store that is safe for several drivers.
Each test runs the tests of the format in a process whose Spark has the store: a driver that is
killed, or dies between its commit and the end; two writers; readers; retries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from demo.services import Hadoop, S3Server
from tests.cluster.log_stores import delta_on_s3
from tests.nested import assert_tests_pass

pytestmark = [pytest.mark.system, pytest.mark.cluster]

FORMATS = Path(__file__).resolve().parents[1] / "runner" / "formats"
FILES = ("format_tests.py", "fence_tests.py", "reader_tests.py", "killed_driver_tests.py")
CELLS = " or ".join(
    (
        "contract",
        "side_by_side",
        "twice_at_once",
        "however_often",
        "dead_attempt",
        "any_step",
        "held_up",
        "newer",
        "looked_at_again",
        "not_wanted",
        "changes_nothing",
        "readers",
        "reader",
        "killed_driver",
    )
)


def assert_holds(kind: str, root: str, conf: Mapping[str, str], **variables: str) -> None:
    """Run the tests of a format whose tables are beneath a root."""
    closing = assert_tests_pass(
        [FORMATS / name for name in FILES],
        select=CELLS,
        **variables,
        KINDLING_TEST_FORMAT=kind,
        KINDLING_TEST_ROOT=root,
        KINDLING_TEST_CONF=json.dumps(dict(conf)),
    )
    print(closing)


def test_iceberg_in_a_catalog_with_files_on_s3(address: str, s3: S3Server) -> None:
    conf = s3.spark_settings()
    assert_holds("iceberg+postgresql", "s3a://lake", conf, KINDLING_TEST_CATALOG=address)


def test_iceberg_in_a_catalog_with_files_on_hdfs(address: str, hdfs: Hadoop) -> None:
    conf = hdfs.client_settings()
    assert_holds("iceberg+postgresql", hdfs.url, conf, KINDLING_TEST_CATALOG=address)


def test_delta_on_s3_with_a_safe_log_store(s3: S3Server, tmp_path: Path) -> None:
    assert_holds("delta", "s3a://lake", {**s3.spark_settings(), **delta_on_s3(tmp_path)})


def test_delta_on_hdfs(hdfs: Hadoop) -> None:
    assert_holds("delta", f"{hdfs.url}/delta", hdfs.client_settings())
