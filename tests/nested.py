"""Runs tests in a process of their own, where something has to be there once and from the start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["assert_tests_pass"]

_ROOT = Path(__file__).resolve().parents[1]


def assert_tests_pass(files: Iterable[Path], *, select: str = "", **variables: str) -> str:
    """Run the tests of files; return the line with which pytest closes.

    Args:
        files: the files.
        select: an expression of names, as of ``pytest -k``; "" for all tests.
        variables: of the environment.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
    ran = subprocess.run(
        [*command, *(["-k", select] if select else []), *map(str, files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=_ROOT,
        env={**os.environ, **variables},
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert " passed" in ran.stdout
    return ran.stdout.splitlines()[-1]
