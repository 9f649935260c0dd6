"""Runs a small program with pyspark's own spark-submit, as tests of clusters need it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = ["submitted"]

_SMALL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
}


def submitted(
    program: Path,
    *arguments: str,
    conf: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
    master: str = "local[1]",
) -> list[str]:
    """Run a program to its end, and return the lines that it printed; fails if it failed."""
    properties = [
        word for item in {**_SMALL, **conf}.items() for word in ("--conf", "=".join(item))
    ]
    ran = subprocess.run(
        [
            str(Path(sys.executable).parent / "spark-submit"),
            *("--master", master),
            *properties,
            str(program),
            *arguments,
        ],
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
            **(environment or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        pytest.fail(f"{program.name} failed:\n{ran.stdout[-3000:]}\n{ran.stderr[-6000:]}")
    return ran.stdout.splitlines()
