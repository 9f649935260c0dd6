"""An S3 server for tests, in memory and on this machine, and what Spark needs to use it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kindling_airflow.deployment.jars import Jar
from tests.runner.jars import fetched

__all__ = ["S3Server", "s3_server", "s3a_class_path"]

_JARS = (
    Jar(
        "org.apache.hadoop",
        "hadoop-aws",
        "3.4.2",
        "d2d24e6b715b5656b9d238bf13b6682a07e2004dd36aad74a73aeb854319f4d9",
    ),
    Jar(
        "software.amazon.awssdk",
        "bundle",
        "2.29.52",
        "62638f33045690c6bc5e496b54b0b2e89a9ad38cbedacdf6e017fea6bc85f55c",
    ),
    Jar(
        "software.amazon.s3.analyticsaccelerator",
        "analyticsaccelerator-s3",
        "1.2.1",
        "11029552e37408e41e689b20150f4b372e0b4f232de321ccafd0fcf443cdfb5a",
    ),
    Jar(
        "org.wildfly.openssl",
        "wildfly-openssl",
        "2.1.4.Final",
        "95decbc5d088b40e85f58d7726b8c8f4e3be6312a0f2660c2d714a23cee80279",
    ),
)
_BUCKET = "lake"
_SECONDS = 120


@dataclass(frozen=True)
class S3Server:
    """A server that runs.

    Attributes:
        address: its endpoint.
    """

    address: str

    def spark_conf(self) -> dict[str, str]:
        """Return the settings with which a Spark session has it behind ``s3a://``."""
        s3a = {
            "endpoint": self.address,
            "endpoint.region": "us-east-1",
            "access.key": "test",
            "secret.key": "test",
            "path.style.access": "true",
            "connection.ssl.enabled": "false",
            "attempts.maximum": "3",
        }
        return {f"spark.hadoop.fs.s3a.{key}": value for key, value in s3a.items()}


def s3a_class_path() -> str:
    """Return the class path of S3A; jars in ``spark.jars`` would be copied at every start."""
    return ":".join(map(str, fetched(_JARS)))


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server with one empty bucket, ``lake``; ``KINDLING_S3_ENDPOINT`` names another one."""
    given = os.environ.get("KINDLING_S3_ENDPOINT")
    if given:
        yield S3Server(given)
        return
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process)
        make = urllib.request.Request(f"{address}/{_BUCKET}", method="PUT")
        make.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20130101/us-east-1/s3")
        with urllib.request.urlopen(make, timeout=_SECONDS):
            pass
        yield S3Server(address)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/moto-api/", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no S3 server at {address}: it has ended with {process.poll()}")
