"""A standalone cluster of Spark on this machine: a master, and a worker of one core."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

__all__ = ["standalone_cluster"]


@contextmanager
def standalone_cluster(folder: Path, options: str) -> Iterator[str]:
    """Run a cluster; yields its master's address.

    Args:
        folder: for logs and the worker's files.
        options: of the daemons' JVMs.
    """
    places = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    with (
        _daemon(
            "master.Master",
            *places,
            log=folder / "master.log",
            options=options,
            said=r"Starting Spark master at (spark://\S+)",
        ) as started,
        _daemon(
            "worker.Worker",
            *places,
            *("--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work"), started[1]),
            log=folder / "worker.log",
            options=options,
            said="Successfully registered with master",
        ),
    ):
        yield started[1]


@contextmanager
def _daemon(
    name: str, *arguments: str, log: Path, options: str, said: str
) -> Iterator[re.Match[str]]:
    """Run one of Spark's daemons; yields what its log says when it is up, ends it by its id."""
    from pyspark import find_spark_home

    home = find_spark_home._find_spark_home()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [f"{home}/bin/spark-class", f"org.apache.spark.deploy.{name}", *arguments],
            cwd=log.parent,
            env={
                **os.environ,
                "SPARK_DAEMON_JAVA_OPTS": options,
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_LOCAL_IP": "127.0.0.1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while (found := re.search(said, log.read_text())) is None:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield found
    finally:
        family = [process, *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            member.terminate()
        process.wait(30)
        psutil.wait_procs(family[1:], timeout=30)  # type: ignore[arg-type]
