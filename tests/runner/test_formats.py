"""Delta, Iceberg and Kafka: their tests run in a process each, whose Spark has the jars."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

_FOLDER = Path(__file__).parent / "formats"


_OF_TABLES = (
    "format_tests.py",
    "stream_tests.py",
    "stream_pipe_tests.py",
    "killed_driver_tests.py",
    "fault_tests.py",
)


@pytest.mark.parametrize("kind", ["delta", "iceberg", "kafka", "parquet"])
def test_what_is_tested_of_the_format_holds(kind: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
    own = {"kafka": ("kafka_tests.py",), "parquet": ("fault_tests.py",)}
    names = own.get(kind, (f"{kind}_tests.py", *_OF_TABLES))
    files = [str(_FOLDER / name) for name in names]
    ran = subprocess.run(
        [*command, *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=_FOLDER.parents[2],
        env={**os.environ, "KINDLING_TEST_FORMAT": kind},
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert " passed" in ran.stdout
