"""What holds on S3 and on HDFS: real servers, in processes whose Spark has what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

_FOLDER = Path(__file__).parent / "object_stores"
_TESTS = {"s3a": ("storage_tests.py", "parquet_tests.py"), "hdfs": ("hdfs_tests.py",)}


@pytest.mark.parametrize("store", _TESTS)
def test_what_is_promised_holds(store: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
    ran = subprocess.run(
        [*command, *(str(_FOLDER / name) for name in _TESTS[store])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=_FOLDER.parents[2],
        env={**os.environ, "KINDLING_TEST_STORE": store},
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert " passed" in ran.stdout
