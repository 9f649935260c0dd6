"""A real Kafka broker for tests: a Java process of its own, without Docker, gone with the test.

Its jars are fetched once, checked, and kept under build/jars; where they cannot be had, the tests
that need a broker fail. What Spark brings as well (Scala, Jackson, logging, compression) is taken
from there.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kindling_airflow.deployment.jars import Jar
from tests.runner.jars import fetched

__all__ = ["PASSWORD", "USER", "Broker", "running_broker"]

USER, PASSWORD = "alice", "alice-geheim"
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
_UP_SECONDS = 120
_OF_SPARK = (
    *("commons-logging-*", "jackson-annotations-*", "jackson-core-2*", "jackson-databind-*"),
    *("jackson-dataformat-yaml-*", "log4j-api-*", "log4j-core-*", "log4j-slf4j2-impl-*"),
    *("lz4-java-*", "scala-library-*", "scala-reflect-*", "slf4j-api-*", "snakeyaml-*"),
    *("snappy-java-*", "zstd-jni-*"),
)
_JARS = """
com.dynatrace.hash4j:hash4j:0.22.0
    23028a3fd006e530bf495f551083208187cafd8f80624d048eba56442f16a50e
com.fasterxml.jackson.dataformat:jackson-dataformat-csv:2.19.0
    bec1150426b0616bb488149b952b45a0dcb16d9416b017c38f6455ad9389bc68
com.fasterxml.jackson.datatype:jackson-datatype-jdk8:2.19.0
    04f1a3f9da8155995dd00098d6847cdb9b7af67f4a3028c94031eff017c8e3e5
com.github.ben-manes.caffeine:caffeine:3.2.0
    ec411dfdf0c03f25218648ce89861630b71680e5858a9a7278ebac8e55cab3d7
com.google.re2j:re2j:1.8
    7b52c72156dd7f98b3237a5b35c1d34fba381b21048c89208913ad80a45dfbd7
com.typesafe.scala-logging:scala-logging_2.13:3.9.5
    87a3017d3f43e6ace7566fe4c3d615134c6914ff871c8d64bb32ca1d996d0545
com.yammer.metrics:metrics-core:2.2.0
    6b7a14a6f34c10f8683f7b5e2f39df0f07b58c7dff0e468ebbc713905c46979c
commons-validator:commons-validator:1.9.0
    c3c14748e2d78db58df88808740711bd643b32c45ffa7b8a739f00fb467cd7d7
net.sf.jopt-simple:jopt-simple:5.0.4
    df26cc58f235f477db07f753ba5a3ab243ebe5789d9f89ecf68dd62ea9a66c28
net.sourceforge.argparse4j:argparse4j:0.7.0
    65ceb669d88f63306c680f8088bbf765bbca72d288a61a03703000076c3d3f56
org.apache.kafka:kafka-clients:4.1.0
    eb74709dc3be35e06208827860c87a94872e8a4b00f466880670785c85a20627
org.apache.kafka:kafka-coordinator-common:4.1.0
    ceb4fac769379576d0901ab7d016bd886d91b0285a5a851183a49e0c735c182e
org.apache.kafka:kafka-group-coordinator:4.1.0
    b2528196721c9e3c675c0e214d68a1a6e6c5b489f491b3a52ced850b066dfcae
org.apache.kafka:kafka-group-coordinator-api:4.1.0
    526002cced845e759f0d31ae19f27e2b962caf832d2214eba97e1629b7454c26
org.apache.kafka:kafka-metadata:4.1.0
    d11d14a04391776f0d52dcebcdc4cc7438495984cd5213b62c0e70dc8b81e2fc
org.apache.kafka:kafka-raft:4.1.0
    0d56f0f0735be4fd2c25da02034ae2d7dd0764298cef7d197e99cb8650e1bb1a
org.apache.kafka:kafka-server:4.1.0
    fb7765a18b46b6635eae385fb1d890955aa67960aa408d5dfe48c17f2d400b9a
org.apache.kafka:kafka-server-common:4.1.0
    73b8b467597429cc0f3c959b0bb1181556071aaab13a6240b9877a37a8c312d0
org.apache.kafka:kafka-share-coordinator:4.1.0
    4c6532e878cc0fccad8b1c60b99ecf69d8b94b55beeee57f5546ad4dba5965e5
org.apache.kafka:kafka-storage:4.1.0
    d4b5cebcd9aeeb2db68b6ff3922bf08e776bb7d4c90f1045768267192625c810
org.apache.kafka:kafka-storage-api:4.1.0
    d8bb549e8c2bbb9bef4078983e9e4bb63f71e305fd07703cd2798cb7064903df
org.apache.kafka:kafka-tools-api:4.1.0
    2127f95153a53b8b4fc46e90e08a0b6c0d40f9faee386fff17ab0c3882e881ba
org.apache.kafka:kafka-transaction-coordinator:4.1.0
    b55df4f4500ddab992648326d8d0854a386215646f7ca6982dcd939ebb1d2630
org.apache.kafka:kafka_2.13:4.1.0
    0de0471a4c7a9e734c166822a26a4bb064eb81cb2c7a8b1345912cad78997a7b
org.hdrhistogram:HdrHistogram:2.2.2
    22d1d4316c4ec13a68b559e98c8256d69071593731da96136640f864fa14fad8
org.pcollections:pcollections:4.0.2
    2bbeef5797a241300c4f7513cd546239629ed7deda4fc0c31df90bb95f5f13ef
"""
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},\
CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=\
CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
log.dirs={folder}/data
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
"""


@dataclass(frozen=True)
class Broker:
    """A broker that is up.

    Attributes:
        servers: where anybody may come in.
        sasl_servers: where one has to log in, with :data:`USER` and :data:`PASSWORD`.
        pid: its process.
    """

    servers: str
    sasl_servers: str
    pid: int


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Start a broker that keeps its data in a folder; it ends with the block."""
    folder.mkdir(parents=True)
    plain, sasl, controller = _free_ports(3)
    properties = folder / "server.properties"
    properties.write_text(
        _PROPERTIES.format(
            plain=plain,
            sasl=sasl,
            controller=controller,
            folder=folder,
            user=USER,
            password=PASSWORD,
        )
    )
    java = _java()
    formatting = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties))
    subprocess.run((*java, *formatting), check=True, stdout=subprocess.DEVNULL)
    log = folder / "broker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            (*java, "kafka.Kafka", str(properties)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    try:
        for port in (plain, sasl):
            _wait_for(port, process, log)
        yield Broker(f"127.0.0.1:{plain}", f"127.0.0.1:{sasl}", process.pid)
    finally:
        process.kill()
        process.wait()


def _java() -> tuple[str, ...]:
    import pyspark

    of_spark = Path(pyspark.__file__).parent / "jars"
    words = _JARS.split()
    jars = [
        Jar(*name.split(":"), digest) for name, digest in zip(words[::2], words[1::2], strict=True)
    ]
    paths = fetched(jars)
    paths += [path for pattern in _OF_SPARK for path in of_spark.glob(f"{pattern}.jar")]
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else shutil.which("java") or "java"
    options = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    return (program, *options, "-cp", os.pathsep.join(map(str, paths)))


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(_UP_SECONDS * 10):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the broker is not up:\n{log.read_text(errors='replace')[-5000:]}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: whatever happens to the tests
