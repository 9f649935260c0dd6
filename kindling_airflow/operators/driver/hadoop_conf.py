"""What the Hadoop configuration of a worker says about HDFS and YARN, without Hadoop itself.

Read from ``HADOOP_CONF_DIR`` and ``YARN_CONF_DIR``, which spark-submit needs for YARN anyway.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["hadoop_properties", "hadoop_user", "name_nodes", "resource_managers"]

_FOLDERS = ("HADOOP_CONF_DIR", "YARN_CONF_DIR")
_FILES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
_REFERENCE = re.compile(r"\$\{([^}$]+)\}")
_DEPTH = 5
_NAME_NODE_PORT, _RESOURCE_MANAGER_PORT = 9870, 8088


def hadoop_properties(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the properties of the Hadoop configuration; none where there is no such folder.

    Args:
        environment: the variables of the driver's process; default: this process's.
    """
    variables = {**os.environ, **(environment or {})}
    found: dict[str, str] = {}
    for folder in filter(None, map(variables.get, _FOLDERS)):
        for name in _FILES:
            found.update(_in_file(Path(folder, name)))
    for _ in range(_DEPTH):
        found = {key: _expanded(text, found) for key, text in found.items()}
    return found


def hadoop_user(environment: Mapping[str, str] | None = None) -> str:
    """Return who Hadoop takes this process for where it does not authenticate."""
    variables = {**os.environ, **(environment or {})}
    return variables.get("HADOOP_USER_NAME") or getpass.getuser()


def resource_managers(properties: Mapping[str, str]) -> list[str]:
    """Return the addresses of YARN's resource managers; none where none is configured."""
    secure = properties.get("yarn.http.policy") == "HTTPS_ONLY"
    key = f"yarn.resourcemanager.webapp.{'https.' if secure else ''}address"
    suffixes = [""]
    if properties.get("yarn.resourcemanager.ha.enabled") == "true":
        suffixes = [f".{name}" for name in _listed(properties, "yarn.resourcemanager.ha.rm-ids")]
    found = []
    for suffix in suffixes:
        host = properties.get(f"yarn.resourcemanager.hostname{suffix}", "")
        default = f"{host}:{_RESOURCE_MANAGER_PORT}" if host and not secure else ""
        found.append(properties.get(key + suffix) or default)
    return [f"{'https' if secure else 'http'}://{place}" for place in found if place]


def name_nodes(authority: str, properties: Mapping[str, str]) -> list[str]:
    """Return the HTTP addresses of an HDFS, for ``webhdfs``.

    Args:
        authority: ``host:port`` or the name service of an ``hdfs://`` URL; "" for the default one.
        properties: of :func:`hadoop_properties`.
    """
    if not authority:
        authority = properties.get("fs.defaultFS", "").partition("://")[2].rstrip("/")
    secure = properties.get("dfs.http.policy") == "HTTPS_ONLY"
    scheme, key = (
        ("https", "dfs.namenode.https-address")
        if secure
        else (
            "http",
            "dfs.namenode.http-address",
        )
    )
    nodes = _listed(properties, f"dfs.ha.namenodes.{authority}")
    found = [properties.get(f"{key}.{authority}.{node}", "") for node in nodes]
    host = authority.partition(":")[0]
    if not nodes and host:
        configured = properties.get(key, "")
        is_its_own = properties.get("fs.defaultFS", "").endswith(f"//{authority}")
        found = [configured if configured and is_its_own else f"{host}:{_NAME_NODE_PORT}"]
    return [f"{scheme}://{_with_host(place, host)}" for place in found if place]


def _expanded(text: str, properties: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda name: properties.get(name[1], name[0]), text)


def _with_host(place: str, host: str) -> str:
    """Return an address with a host in place of the one that stands for all of a machine's."""
    name, _, port = place.rpartition(":")
    return f"{host}:{port}" if name in ("0.0.0.0", "") else place  # noqa: S104 (compared)


def _listed(properties: Mapping[str, str], key: str) -> list[str]:
    return [name.strip() for name in properties.get(key, "").split(",") if name.strip()]


def _in_file(path: Path) -> dict[str, str]:
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 (the deployment's own files)
    except (OSError, ElementTree.ParseError):
        return {}
    return {
        (item.findtext("name") or "").strip(): (item.findtext("value") or "").strip()
        for item in root.iter("property")
    }
