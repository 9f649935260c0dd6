"""What holds on S3 and on HDFS: real servers, in processes whose Spark has what they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nested import assert_tests_pass

pytestmark = pytest.mark.system

_FOLDER = Path(__file__).parent / "object_stores"
_TESTS = {"s3a": ("storage_tests.py", "parquet_tests.py"), "hdfs": ("hdfs_tests.py",)}


@pytest.mark.parametrize("store", _TESTS)
def test_what_is_promised_holds(store: str) -> None:
    assert_tests_pass([_FOLDER / name for name in _TESTS[store]], KINDLING_TEST_STORE=store)
