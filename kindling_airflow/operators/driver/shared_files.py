"""Small files that a task and its driver on a cluster exchange, as the worker reaches them.

The driver names them as Hadoop does, the worker as fsspec does:

| driver                            | worker                                                   |
|-----------------------------------|----------------------------------------------------------|
| a path, ``file://``               | the same folder, shared by both                          |
| ``s3a:``, ``gs:``, ``abfss:``     | Airflow's ``ObjectStoragePath``                          |
| ``hdfs:``, ``webhdfs:``           | the NameNode's REST interface, by fsspec's ``webhdfs``   |

fsspec's own ``hdfs://`` is pyarrow's and needs Hadoop's native library, which a worker seldom has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook, conf

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.operators.driver.hadoop_conf import (
    hadoop_properties,
    hadoop_user,
    name_nodes,
)

__all__ = ["SharedFiles", "shared_files", "url_for_drivers"]

# Hadoop's name of a file system, and that of fsspec.
_TO_FSSPEC = {"s3a": "s3", "s3n": "s3", "wasb": "abfs", "wasbs": "abfs"}
_TO_HADOOP = {"s3": "s3a", "gcs": "gs", "adl": "abfs"}
_HDFS = ("hdfs", "webhdfs", "swebhdfs")
_TIMEOUT = (5, 30)  # seconds, to connect and to read


class SharedFiles(ABC):
    """Text files beneath a root. A path that is not there raises ``FileNotFoundError``."""

    @abstractmethod
    def read(self, path: str) -> str:
        """Return the text of a file, named relative to the root."""

    @abstractmethod
    def write(self, path: str, text: str) -> None:
        """Write a file, and the folders above it."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names in a folder; none where it is not there."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is fine."""


def shared_files(
    url: str, conn_id: str | None = None, environment: Mapping[str, str] = EMPTY
) -> SharedFiles:
    """Return the files beneath a path or URL, as a driver or as fsspec names it.

    Args:
        url: the root.
        conn_id: the Airflow connection to it; default: that of the storage's provider.
        environment: further variables, such as ``HADOOP_CONF_DIR``.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return _Folder(Path(url))
    if scheme == "file":
        return _Folder(Path("/" + rest.lstrip("/")))
    if scheme in _HDFS:
        return _WebHdfs.of(url, conn_id, environment)
    return _ObjectStore(f"{_TO_FSSPEC.get(scheme, scheme)}://{rest}", conn_id)


def url_for_drivers(url: str) -> str:
    """Return a root in the words of Hadoop: what is ``s3://`` to fsspec is ``s3a://`` there."""
    scheme, found, rest = url.partition("://")
    return f"{_TO_HADOOP.get(scheme, scheme)}://{rest}" if found else url


class _Folder(SharedFiles):
    """A folder that worker and cluster share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> str:
        return (self._root / path).read_text("utf-8")

    def write(self, path: str, text: str) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        # Of a file that Hadoop has written before; it would not fit any more.
        target.with_name(f".{target.name}.crc").unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        with suppress(FileNotFoundError):
            return [item.name for item in (self._root / folder).iterdir() if item.name[0] != "."]
        return []

    def delete(self, path: str) -> None:
        target = self._root / path
        target.unlink(missing_ok=True)
        target.with_name(f".{target.name}.crc").unlink(missing_ok=True)


class _ObjectStore(SharedFiles):
    """An object store, through Airflow."""

    def __init__(self, url: str, conn_id: str | None) -> None:
        from airflow.sdk import ObjectStoragePath

        self._root: Any = ObjectStoragePath(url.rstrip("/"), conn_id=conn_id)

    def read(self, path: str) -> str:
        return str((self._root / path).read_text("utf-8"))

    def write(self, path: str, text: str) -> None:
        (self._root / path).write_text(text, encoding="utf-8")

    def names(self, folder: str) -> list[str]:
        place = self._root / folder
        with suppress(FileNotFoundError, NotADirectoryError):
            place.fs.invalidate_cache()  # of the listings that this process has made
            return [item.name for item in place.iterdir() if item.name]
        return []

    def delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            (self._root / path).unlink()


class _WebHdfs(SharedFiles):
    """HDFS, through the REST interface of its NameNode."""

    def __init__(self, addresses: Sequence[str], root: str, options: Mapping[str, Any]) -> None:
        self._addresses = list(addresses)
        self._root = root.rstrip("/")
        self._options = options
        self._fs: Any = None

    @classmethod
    def of(cls, url: str, conn_id: str | None, environment: Mapping[str, str]) -> _WebHdfs:
        """Return the files beneath a URL; finds the NameNode's HTTP address.

        The first that is set counts: the connection, ``[kindling] webhdfs_address``, the address
        in a ``webhdfs://`` URL, the Hadoop configuration, the host of the URL with port 9870.
        """
        parts = urlsplit(url)
        properties = hadoop_properties(environment)
        options: dict[str, Any] = {"user": hadoop_user(environment)}
        configured = conf.get("kindling", "webhdfs_address", fallback="")
        if parts.scheme in ("webhdfs", "swebhdfs"):
            web = "https" if parts.scheme == "swebhdfs" else "http"
            addresses = [f"{web}://{parts.netloc}"]
        else:
            addresses = name_nodes(parts.netloc, properties)
        if configured:
            addresses = [
                place if "://" in place else f"http://{place}"
                for place in configured.replace(" ", "").split(",")
            ]
        if conn_id:
            connection = BaseHook.get_connection(conn_id)
            extra = connection.extra_dejson
            web = "https" if extra.get("use_ssl") else "http"
            if connection.host:
                addresses = [
                    f"{web}://{host}:{connection.port or 9870}"
                    for host in connection.host.split(",")
                ]
            if connection.login:
                options["user"] = connection.login
            if connection.password:
                options["password"] = connection.password
        if properties.get("hadoop.security.authentication") == "kerberos":
            options = {"kerberos": True}
        if not addresses:
            raise ValueError(f"the HTTP address of the NameNode of {url!r} is not known")
        return cls(addresses, parts.path, options)

    def read(self, path: str) -> str:
        return str(self._tried(lambda fs, at: fs.cat_file(at), path).decode("utf-8"))

    def write(self, path: str, text: str) -> None:
        def work(fs: Any, at: str) -> None:
            fs.makedirs(at.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(at, text.encode("utf-8"))

        self._tried(work, path)

    def names(self, folder: str) -> list[str]:
        with suppress(FileNotFoundError):
            found = self._tried(lambda fs, at: fs.ls(at, detail=False), folder)
            return [str(name).rpartition("/")[2] for name in found]
        return []

    def delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._tried(lambda fs, at: fs.rm_file(at), path)

    def _tried(self, work: Callable[[Any, str], Any], path: str) -> Any:
        """Return the result of work at the active NameNode; the first that answers is kept."""
        at = f"{self._root}/{path}"
        if self._fs is not None:
            return work(self._fs, at)
        last: Exception = ValueError("no NameNode")
        for address in self._addresses:
            fs = self._system(address)
            try:
                result = work(fs, at)
            except FileNotFoundError:
                self._fs = fs
                raise
            except Exception as error:  # a standby, or one that is down
                last = error
            else:
                self._fs = fs
                return result
        raise last

    def _system(self, address: str) -> Any:
        from fsspec.implementations.webhdfs import WebHDFS  # type: ignore[import-untyped]

        parts = urlsplit(address)
        fs: Any = WebHDFS(
            host=parts.hostname,
            port=parts.port or 9870,
            use_https=parts.scheme == "https",
            skip_instance_cache=True,
            **self._options,
        )
        # It has no time-out of its own: a host that does not answer would hold a task for ever.
        fs.session.request = partial(fs.session.request, timeout=_TIMEOUT)
        return fs
