"""The services that tests and the cluster demo start: each answers, and is gone afterwards."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

from demo.services import Hadoop, Postgres, Redis, S3Server, ServiceError
from demo.services.processes import Daemon, is_listening
from tests.cluster.submitting import submitted

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]


def test_of_sixteen_conditional_puts_one_wins(tmp_path: Path) -> None:
    from botocore.exceptions import ClientError

    with S3Server(tmp_path) as s3:
        s3.create_bucket("lake")
        client = s3.client()
        for attempt in range(20):
            key = f"key-{attempt}"
            won = _winners(
                lambda n, key=key: client.put_object(  # type: ignore[misc]
                    Bucket="lake", Key=key, Body=b"%d" % n, IfNoneMatch="*"
                ),
                ClientError,
            )
            kept = client.get_object(Bucket="lake", Key=key)["Body"].read()
            assert [b"%d" % n for n in won] == [kept]
        assert len(s3.keys("lake")) == 20
        assert s3.keys("lake", "key-1") == sorted(["key-1", *(f"key-1{n}" for n in range(10))])


def test_of_sixteen_conditional_completions_one_wins_and_parts_are_invisible(
    tmp_path: Path,
) -> None:
    from botocore.exceptions import ClientError

    with S3Server(tmp_path) as s3:
        s3.create_bucket("lake")
        client = s3.client()
        for attempt in range(5):
            where = {"Bucket": "lake", "Key": f"key-{attempt}"}
            uploads = []
            for n in range(16):
                upload = {**where, "UploadId": client.create_multipart_upload(**where)["UploadId"]}
                part = client.upload_part(**upload, PartNumber=1, Body=b"%d" % n)
                uploads.append((upload, {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}))
            assert where["Key"] not in s3.keys("lake")
            won = _winners(
                lambda n, uploads=uploads: client.complete_multipart_upload(  # type: ignore[misc]
                    **uploads[n][0], MultipartUpload=uploads[n][1], IfNoneMatch="*"
                ),
                ClientError,
            )
            kept = client.get_object(**where)["Body"].read()
            assert [b"%d" % n for n in won] == [kept]


def _winners(attempt: Callable[[int], object], refusal: type[Exception], of: int = 16) -> list[int]:
    """Return the numbers of those whose attempt was not refused; all start at once."""
    won: list[int] = []
    refusals: list[str] = []
    start = threading.Barrier(of)

    def one(number: int) -> None:
        start.wait()
        try:
            attempt(number)
        except refusal as error:
            refusals.append(str(error))
        else:
            won.append(number)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(of)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refusals) == of - 1
    assert all("(PreconditionFailed)" in refusal for refusal in refusals)
    return won


def test_postgres_keeps_what_was_written_over_a_restart(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres")
    with server:
        server.create_database("shop")
        server.sql("CREATE TABLE orders AS SELECT 1 AS id, 'x' AS name", "shop")
        with pytest.raises(ServiceError, match="already exists"):
            server.create_database("shop")
    assert not is_listening(server.port)
    with server:
        assert server.sql("SELECT * FROM orders", "shop") == ["1|x"]
        import psycopg2

        url = server.sqlalchemy_url("shop").replace("+psycopg2", "")
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM orders")
            assert cursor.fetchone() == (1,)


def test_postgres_goes_on_when_the_folders_above_it_are_closed(tmp_path: Path) -> None:
    """As pytest closes them whenever a session begins."""
    above = tmp_path / "above"
    with Postgres(above / "postgres") as server:
        above.chmod(0o700)
        tmp_path.chmod(0o700)
        server.sql("CREATE TABLE orders AS SELECT 1 AS id")
        server.sql("CHECKPOINT")  # opens files by their whole paths
        assert server.sql("SELECT id FROM orders") == ["1"]


def test_redis_keeps_keys_until_it_ends(tmp_path: Path) -> None:
    import redis

    with Redis(tmp_path / "redis") as server:
        client = redis.Redis.from_url(server.url)
        client.set("a", "1")
        assert client.get("a") == b"1"
    assert not is_listening(server.port)


def test_a_service_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    program = "print('the disk is full'); raise SystemExit(3)"
    daemon = Daemon(
        "the shop",
        [sys.executable, "-c", program],
        log=tmp_path / "shop.log",
        ready=lambda: False,
    )
    with pytest.raises(ServiceError) as refused:
        daemon.start()
    assert str(refused.value) == (
        f"the shop ended; the end of {str(tmp_path / 'shop.log')!r}:\nthe disk is full\n"
    )
    assert not daemon.is_running


def test_services_are_gone_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    program = f"""\
import time
from pathlib import Path
from demo.services import Postgres, Redis, S3Server
folder = Path({str(tmp_path)!r})
started = [S3Server(folder / "s3"), Redis(folder / "redis"), Postgres(folder / "postgres")]
for one in started:
    one.start()
print(*(one.daemon.pid for one in started), flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    services = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    assert len(services) == 3
    assert psutil.wait_procs(services, timeout=60)[1] == []  # type: ignore[arg-type]


S3A_PROGRAM = """\
import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
jvm, conf = spark._jvm, spark._jsc.hadoopConfiguration()
conf.set("fs.s3a.multipart.size", "5242880")
Path = jvm.org.apache.hadoop.fs.Path
spark.range(1000).write.parquet("s3a://lake/numbers")
print("ROWS", spark.read.parquet("s3a://lake/numbers").count())
folder = Path("s3a://lake/")
files = folder.getFileSystem(conf)


def create(name, size):
    builder = files.createFile(Path(f"s3a://lake/{name}"))
    output = builder.must("fs.option.create.conditional.overwrite", True).build()
    for _ in range(size):
        output.write(bytearray(1024 * 1024))
    output.close()


for name, size in (("small", 1), ("large", 11)):
    create(name, size)
    try:
        create(name, size)
    except Exception as error:
        print("REFUSED", name, "RemoteFileChangedException" in str(error))
files.copyFromLocalFile(Path("file:" + sys.argv[1]), Path("s3a://lake/copied"))
print("RENAMED", files.rename(Path("s3a://lake/large"), Path("s3a://lake/moved")))
"""


def test_spark_reads_writes_and_creates_once_on_s3a(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(S3A_PROGRAM)
    with S3Server(tmp_path) as s3:
        s3.create_bucket("lake")
        said = submitted(program, str(program), conf=s3.spark_settings(), master="local[1]")
        assert said == ["ROWS 1000", "REFUSED small True", "REFUSED large True", "RENAMED True"]
        sizes = {
            found["Key"]: found["Size"]
            for found in s3.client().list_objects_v2(Bucket="lake")["Contents"]
        }
        assert {name: sizes.get(name) for name in ("small", "large", "moved", "copied")} == {
            "small": 1024 * 1024,
            "large": None,
            "moved": 11 * 1024 * 1024,
            "copied": len(S3A_PROGRAM),
        }


YARN_PROGRAM = """\
import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.range(1000).write.parquet(sys.argv[1] + "/numbers")
rows = spark.read.parquet(sys.argv[1] + "/numbers").rdd.map(lambda row: row.id).sum()
print("SUM", rows, "in", spark.sparkContext.master)
"""


def test_an_application_runs_on_yarn_in_cluster_mode_and_writes_to_hdfs(tmp_path: Path) -> None:
    import fsspec

    program = tmp_path / "program.py"
    program.write_text(YARN_PROGRAM)
    with Hadoop(tmp_path / "hadoop") as hadoop:
        submitted(
            program,
            f"{hadoop.url}/lake",
            conf={**hadoop.spark_settings(), "spark.submit.deployMode": "cluster"},
            environment=hadoop.environment(),
            master="yarn",
        )
        (application,) = hadoop.applications()
        assert (application["state"], application["finalStatus"]) == ("FINISHED", "SUCCEEDED")
        assert "/lake/numbers/_SUCCESS" in hadoop.files("/lake")
        assert "SUM 499500 in yarn" in hadoop.application_log(application["id"])
        with fsspec.open(f"{hadoop.webhdfs_url}/lake/note", "w") as file:
            file.write("hello")
        request = Request(f"{hadoop.http}/webhdfs/v1/lake/note?op=OPEN")
        with urlopen(request, timeout=60) as answer:
            assert answer.read() == b"hello"
        family = [member for daemon in hadoop.daemons.values() for member in daemon.family()]
    assert len(family) >= 4
    assert [member for member in family if member.is_running()] == []
