"""Services past one machine, each a process on this one: S3, HDFS and YARN, PostgreSQL, Redis.

    with S3Server(folder) as s3:
        s3.create_bucket("lake")
        spark_conf = s3.spark_settings()

Each is a context manager with ``start`` and ``stop``, listens on free ports of the loopback
interface only, keeps its data and its log in a folder of its own, and is gone with the process that
started it. What has to be downloaded is kept under ``build/``.
"""

from demo.services.hadoop import Hadoop
from demo.services.postgres import Postgres
from demo.services.processes import Daemon, ServiceError, free_ports, wait_until
from demo.services.redis import Redis
from demo.services.s3 import S3Server

__all__ = [
    "Daemon",
    "Hadoop",
    "Postgres",
    "Redis",
    "S3Server",
    "ServiceError",
    "free_ports",
    "wait_until",
]
