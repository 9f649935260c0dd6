"""What holds on object stores, in a process whose Spark has S3A, with a real S3 server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

_FOLDER = Path(__file__).parent / "object_stores"


def test_what_is_promised_holds_on_s3() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
    files = sorted(map(str, _FOLDER.glob("*_tests.py")))
    ran = subprocess.run(
        [*command, *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=_FOLDER.parents[2],
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert " passed" in ran.stdout
