"""HDFS, and YARN if wanted: the real daemons on this machine, each a Java process.

pyspark has the client's side of both, so Spark needs no further jar.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

from demo.services.jars import HADOOP, class_path, fetched
from demo.services.processes import Daemon, ServiceError, free_ports

__all__ = ["Hadoop"]

_JAVA = (
    *("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"),
    *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("lang", "util", "io", "net")),
)
_HDFS = "org.apache.hadoop.hdfs.server"
_YARN = "org.apache.hadoop.yarn.server"
_WEB_FOLDERS = ("hdfs", "datanode", "cluster", "node", "yarn", "static")
_LOG4J = """\
log4j.rootLogger=INFO,out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
_NODE_MEMORY_MB = 4096


class Hadoop:
    """A name node and a data node, a resource manager and a node manager; from start to stop.

    Args:
        folder: of configuration, data and logs; created if missing.
        yarn: whether to run YARN as well.
    """

    def __init__(self, folder: Path, *, yarn: bool = True) -> None:
        self._folder = folder.resolve()
        self._yarn = yarn
        ports = free_ports(13)
        self._name, self._name_http, *self._data = ports[:5]
        self._manager, self._manager_http, *self._others = ports[5:]
        self.url = f"hdfs://127.0.0.1:{self._name}"
        self.http = f"http://127.0.0.1:{self._name_http}"
        self.webhdfs_url = f"webhdfs://127.0.0.1:{self._name_http}"
        self.manager_url = f"http://127.0.0.1:{self._manager_http}"
        self.conf = self._folder / "conf"
        self.daemons: dict[str, Daemon] = {}

    def start(self) -> None:
        """Start all daemons; returns when HDFS can be written and YARN has its node.

        Raises:
            ServiceError: one of them did not come up; shows the end of its log.
        """
        self._write_configuration()
        java = self._java()
        if not (self._folder / "name/current/VERSION").is_file():
            self._format(java)
        self._daemon("namenode", java, f"{_HDFS}.namenode.NameNode", self._can_write)
        self._daemon("datanode", java, f"{_HDFS}.datanode.DataNode", self._can_write)
        if self._yarn:
            manager = f"{_YARN}.resourcemanager.ResourceManager"
            self._daemon("resourcemanager", java, manager, self._has_node)
            self._daemon("nodemanager", java, f"{_YARN}.nodemanager.NodeManager", self._has_node)
        try:
            for daemon in self.daemons.values():
                daemon.launch()
            for daemon in self.daemons.values():
                daemon.await_ready()
        except ServiceError:
            self.stop()
            raise

    def stop(self) -> None:
        """End all daemons and the containers that they run."""
        for name in reversed(tuple(self.daemons)):
            self.daemons[name].stop()

    def __enter__(self) -> Hadoop:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """Return the variables with which spark-submit finds both."""
        return {"HADOOP_CONF_DIR": str(self.conf), "YARN_CONF_DIR": str(self.conf)}

    def spark_settings(self) -> dict[str, str]:
        """Return the Spark properties for applications on YARN, in either deploy mode."""
        import pyspark

        settings = {
            "spark.yarn.jars": f"local:{Path(pyspark.__file__).parent}/jars/*",
            "spark.yarn.stagingDir": f"{self.url}/staging",
            "spark.yarn.am.memory": "512m",
            "spark.driver.memory": "512m",
            "spark.executor.memory": "512m",
            "spark.executor.instances": "1",
        }
        variables = {
            "PYSPARK_PYTHON": sys.executable,
            "JAVA_HOME": _java_home(),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_HOSTNAME": "localhost",
        }
        for name, value in variables.items():
            settings[f"spark.yarn.appMasterEnv.{name}"] = value
            settings[f"spark.executorEnv.{name}"] = value
        return settings

    def client_settings(self) -> dict[str, str]:
        """Return the Spark properties for HDFS without ``HADOOP_CONF_DIR``.

        A client that closes a file asks whether its block has arrived, and asks again after 400 ms:
        here soon enough, so that each file does not take that long.
        """
        again = "spark.hadoop.dfs.client.block.write.locateFollowingBlock"
        return {
            "spark.hadoop.fs.defaultFS": self.url,
            "spark.hadoop.dfs.replication": "1",
            f"{again}.initial.delay.ms": "5",
            f"{again}.retries": "14",  # each after twice the time of the one before
            f"{again}.max.delay.ms": "5000",
        }

    def applications(self) -> list[dict[str, Any]]:
        """Return YARN's applications, as its REST API describes them."""
        found = self._get(f"{self.manager_url}/ws/v1/cluster/apps")
        return list((found.get("apps") or {}).get("app", ()))

    def kill_application(self, application: str) -> None:
        """Have the resource manager kill an application."""
        address = f"{self.manager_url}/ws/v1/cluster/apps/{application}/state?user.name={_user()}"
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"state": "KILLED"}).encode()
        urlopen(Request(address, body, headers, method="PUT"), timeout=60).close()  # noqa: S310

    def application_log(self, application: str) -> str:
        """Return the collected output of an ended application's containers."""
        return self._command(
            "org.apache.hadoop.yarn.client.cli.LogsCLI", "-applicationId", application
        )

    def files(self, path: str = "/") -> list[str]:
        """Return the paths of all files in and beneath a folder of HDFS, sorted."""
        address = f"{self.http}/webhdfs/v1{quote(path)}?op=LISTSTATUS"
        found: list[str] = []
        for entry in self._get(address)["FileStatuses"]["FileStatus"]:
            child = f"{path.rstrip('/')}/{entry['pathSuffix']}"
            found += self.files(child) if entry["type"] == "DIRECTORY" else [child]
        return sorted(found)

    def _daemon(self, name: str, java: list[str], main: str, ready: Any) -> None:
        self.daemons[name] = Daemon(
            f"Hadoop's {name}",
            [*java, main],
            log=self._folder / "logs" / f"{name}.log",
            ready=ready,
            environment={**os.environ, **self.environment(), "JAVA_HOME": _java_home()},
            folder=self._folder,
        )

    def _format(self, java: list[str]) -> None:
        name_node = f"{_HDFS}.namenode.NameNode"
        ran = subprocess.run(
            [*java, name_node, "-format", "-nonInteractive"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise ServiceError(f"HDFS cannot be formatted:\n{ran.stdout[-5000:]}")

    def _command(self, main: str, *arguments: str) -> str:
        return subprocess.run(
            [*self._java(), main, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout

    def _java(self) -> list[str]:
        places = [self.conf, self._folder / "web", *fetched(HADOOP)]
        return [f"{_java_home()}/bin/java", *_JAVA, "-cp", class_path(places)]

    def _can_write(self) -> bool:
        about = "Hadoop:service=NameNode,name="
        state = self._bean(f"{about}FSNamesystemState")
        return state.get("NumLiveDataNodes") == 1 and not self._bean(f"{about}NameNodeInfo").get(
            "Safemode", "?"
        )

    def _bean(self, name: str) -> Mapping[str, Any]:
        found = self._ask(f"{self.http}/jmx?qry={name}").get("beans") or [{}]
        return dict(found[0])

    def _has_node(self) -> bool:
        metrics = self._ask(f"{self.manager_url}/ws/v1/cluster/metrics")
        return bool(metrics.get("clusterMetrics", {}).get("activeNodes") == 1)

    def _ask(self, address: str) -> dict[str, Any]:
        """Return an answer, or nothing while there is none."""
        try:
            return self._get(address)
        except (URLError, OSError, ValueError):
            return {}

    @staticmethod
    def _get(address: str) -> dict[str, Any]:
        request = Request(address, headers={"Accept": "application/json"})  # noqa: S310
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            return dict(json.load(answer))

    def _write_configuration(self) -> None:
        for name in _WEB_FOLDERS:
            (self._folder / "web/webapps" / name).mkdir(parents=True, exist_ok=True)
        self.conf.mkdir(exist_ok=True)
        (self.conf / "log4j.properties").write_text(_LOG4J)
        for name, settings in (
            ("core-site", self._core()),
            ("hdfs-site", self._hdfs()),
            ("yarn-site", self._yarn_site()),
            ("capacity-scheduler", _SCHEDULER),
        ):
            rows = "".join(
                f"<property><name>{key}</name><value>{escape(value)}</value></property>\n"
                for key, value in settings.items()
            )
            (self.conf / f"{name}.xml").write_text(f"<configuration>\n{rows}</configuration>\n")

    def _core(self) -> dict[str, str]:
        return {
            "fs.defaultFS": self.url,
            "hadoop.tmp.dir": str(self._folder / "tmp"),
            "hadoop.http.staticuser.user": _user(),
        }

    def _hdfs(self) -> dict[str, str]:
        data, data_http, data_ipc = (f"127.0.0.1:{port}" for port in self._data)
        return {
            "dfs.replication": "1",
            "dfs.permissions.enabled": "false",
            "dfs.namenode.name.dir": str(self._folder / "name"),
            "dfs.datanode.data.dir": str(self._folder / "data"),
            "dfs.namenode.rpc-bind-host": "127.0.0.1",
            "dfs.namenode.http-address": f"127.0.0.1:{self._name_http}",
            "dfs.datanode.address": data,
            "dfs.datanode.http.address": data_http,
            "dfs.datanode.ipc.address": data_ipc,
            "dfs.datanode.hostname": "127.0.0.1",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.namenode.secondary.http-address": "127.0.0.1:0",
        }

    def _yarn_site(self) -> dict[str, str]:
        scheduler, tracker, admin, node, localizer, node_http = (
            f"127.0.0.1:{port}" for port in self._others
        )
        return {
            "yarn.resourcemanager.hostname": "127.0.0.1",
            "yarn.resourcemanager.address": f"127.0.0.1:{self._manager}",
            "yarn.resourcemanager.webapp.address": f"127.0.0.1:{self._manager_http}",
            "yarn.resourcemanager.scheduler.address": scheduler,
            "yarn.resourcemanager.resource-tracker.address": tracker,
            "yarn.resourcemanager.admin.address": admin,
            "yarn.resourcemanager.bind-host": "127.0.0.1",
            "yarn.nodemanager.hostname": "127.0.0.1",
            "yarn.nodemanager.bind-host": "127.0.0.1",
            "yarn.nodemanager.address": node,
            "yarn.nodemanager.localizer.address": localizer,
            "yarn.nodemanager.webapp.address": node_http,
            "yarn.nodemanager.local-dirs": str(self._folder / "containers"),
            "yarn.nodemanager.log-dirs": str(self._folder / "container-logs"),
            "yarn.nodemanager.resource.memory-mb": str(_NODE_MEMORY_MB),
            "yarn.nodemanager.resource.cpu-vcores": "8",
            "yarn.nodemanager.vmem-check-enabled": "false",
            "yarn.nodemanager.pmem-check-enabled": "false",
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
            "yarn.scheduler.minimum-allocation-mb": "128",
            "yarn.log-aggregation-enable": "true",
        }


_SCHEDULER = {
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    "yarn.scheduler.capacity.maximum-am-resource-percent": "0.9",
}


def _user() -> str:
    import getpass

    return getpass.getuser()


def _java_home() -> str:
    home = os.environ.get("JAVA_HOME")
    if home:
        return home
    java = shutil.which("java")
    if java is None:
        raise ServiceError("Java was not found\n  Fix: set JAVA_HOME.")
    return str(Path(java).resolve().parents[1])
