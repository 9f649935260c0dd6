"""An S3 server on this machine: moto in a process of its own, one request at a time.

What it keeps is in its memory and gone with it. A conditional put or completion has one winner.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from demo.services.jars import S3A, class_path, fetched
from demo.services.processes import Daemon, free_ports, is_listening

__all__ = ["S3Server"]

_ROOT = Path(__file__).resolve().parents[2]


class S3Server:
    """An S3 server, from ``start`` to ``stop``.

    Args:
        folder: of its log; created if missing.
    """

    access_key = "kindling"
    secret_key = "kindling-secret"  # noqa: S105 - a server of the loopback interface that checks nothing
    region = "us-east-1"

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.daemon = Daemon(
            "the S3 server",
            [sys.executable, "-m", "demo.services.s3_process", str(self.port)],
            log=folder / "s3.log",
            ready=lambda: is_listening(self.port),
            folder=_ROOT,
        )

    def start(self) -> None:
        """Start the server, empty; returns when it answers."""
        self.daemon.start()

    def stop(self) -> None:
        """End the server."""
        self.daemon.stop()

    def __enter__(self) -> S3Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self) -> Any:
        """Return a client of boto3."""
        from boto3.session import Session
        from botocore.config import Config

        return Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
        )

    def create_bucket(self, name: str) -> None:
        """Create a bucket; its name has 3 letters or more."""
        self.client().create_bucket(Bucket=name)

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the keys of a bucket's objects, sorted."""
        pages = (
            self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        )
        return sorted(found["Key"] for page in pages for found in page.get("Contents", ()))

    def jars(self) -> list[Path]:
        """Return the jars of s3a."""
        return fetched(S3A)

    def spark_settings(self, *more_jars: Path) -> dict[str, str]:
        """Return the Spark properties with which ``s3a://`` is this server.

        Args:
            more_jars: others for the class path, which has one value only.
        """
        jars = class_path([*self.jars(), *more_jars])
        return {
            "spark.driver.extraClassPath": jars,
            "spark.executor.extraClassPath": jars,
            "spark.hadoop.fs.s3a.endpoint": self.url,
            "spark.hadoop.fs.s3a.endpoint.region": self.region,
            "spark.hadoop.fs.s3a.access.key": self.access_key,
            "spark.hadoop.fs.s3a.secret.key": self.secret_key,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        }

    def environment(self) -> dict[str, str]:
        """Return the variables with which boto3, s3fs and Airflow's ``aws_default`` use it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.url,
        }
