"""How the report of a driver gets to its task, and what the driver prints.

| channel          | used                                                                       |
|------------------|----------------------------------------------------------------------------|
| `OutputChannel`  | client and local mode: the driver's output is the task's                   |
| `FolderChannel`  | cluster mode: a file in the warehouse, or beneath ``[kindling] report_url``  |

In cluster mode the driver writes what it has printed last and its report into a file under the
key of the attempt. The task reads it as it reads the output of a driver in client mode. Whether it
can is checked before anything is submitted.
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress

from airflow.providers.common.compat.sdk import conf

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.path_names import escape_component
from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.hidden_values import masked
from kindling_airflow.operators.driver.shared_files import (
    SharedFiles,
    shared_files,
    url_for_drivers,
)

__all__ = ["FolderChannel", "OutputChannel", "ReportChannel", "report_channel"]

_LOOKS = 3
_PAUSE_SECONDS = 2.0
_checked: set[str] = set()


class ReportChannel(ABC):
    """How one driver reports to its task."""

    @abstractmethod
    def report_path(self, attempt_key: str) -> str:
        """Return where the driver of an attempt writes its report, as it names it; or ""."""

    @abstractmethod
    def check(self) -> None:
        """Return if reports can be read.

        Raises:
            ReportError: they cannot; says what to set.
        """

    @abstractmethod
    def fetch(self, attempt_key: str, looks: int = _LOOKS) -> str | None:
        """Return what a driver has printed, with its report; None where there is nothing.

        Raises:
            ReportError: the worker cannot read it.
        """

    @abstractmethod
    def forget(self, attempt_key: str) -> None:
        """Delete what a driver has written; failures do not matter."""


class OutputChannel(ReportChannel):
    """The driver's own output: there is nothing else to read."""

    def report_path(self, attempt_key: str) -> str:  # noqa: ARG002 (interface)
        """Return ""."""
        return ""

    def check(self) -> None:
        """Return: a task can always read the output of its process."""

    def fetch(self, attempt_key: str, looks: int = _LOOKS) -> str | None:  # noqa: ARG002
        """Return None."""
        return None

    def forget(self, attempt_key: str) -> None:
        """Do nothing."""


class FolderChannel(ReportChannel):
    """Files beneath a root that driver and worker reach, each by its own name.

    Args:
        root: the root as the driver names it.
        files: the same, as the worker reaches it.
        setting: what sets the root; for messages.
    """

    def __init__(self, root: str, files: SharedFiles, setting: str) -> None:
        self.root = root.rstrip("/")
        self.files = files
        self._setting = setting

    def report_path(self, attempt_key: str) -> str:
        """Return the path of an attempt's file, as the driver names it."""
        return f"{self.root}/{_report(attempt_key)}"

    def check(self) -> None:
        """Write a small file and read it back; once for each root and process.

        Raises:
            ReportError: that does not work.
        """
        if self.root in _checked:
            return
        text = uuid.uuid4().hex
        path = f"_kindling/checks/{text}"
        try:
            self.files.write(path, text)
            found = self.files.read(path)
            self.files.delete(path)
        except Exception as error:  # whatever the file system, or the lack of it, raises
            raise ReportError(_refusal(self.root, self._setting, error)) from error
        if found != text:
            raise ReportError(
                _refusal(self.root, self._setting, OSError("it returns another text"))
            )
        _checked.add(self.root)

    def fetch(self, attempt_key: str, looks: int = _LOOKS) -> str | None:
        """Return the text of an attempt's file, or None where there is none."""
        for look in range(looks):
            if look:
                time.sleep(_PAUSE_SECONDS)  # shared folders may show a new file late
            with suppress(FileNotFoundError):
                try:
                    return self.files.read(_report(attempt_key))
                except FileNotFoundError:
                    raise
                except Exception as error:  # whatever the file system raises
                    raise ReportError(
                        f"the report of a driver on the cluster cannot be read from "
                        f"{self.report_path(attempt_key)!r}: {_named(error)}\n{_remedy(self.root)}"
                    ) from error
        return None

    def forget(self, attempt_key: str) -> None:
        """Delete an attempt's file; one that stays does not fail a task."""
        with suppress(Exception):
            self.files.delete(_report(attempt_key))


def report_channel(warehouse: str, environment: Mapping[str, str] = EMPTY) -> FolderChannel:
    """Return the channel of drivers on a cluster: ``[kindling] report_url``, else the warehouse.

    Args:
        warehouse: root of the entities' tables, as the driver names it.
        environment: further variables of the driver's process, such as ``HADOOP_CONF_DIR``.

    Raises:
        ReportError: the worker has no access to such storage.
    """
    url = conf.get("kindling", "report_url", fallback="")
    setting = "[kindling] report_url" if url else "the warehouse"
    root = url_for_drivers(url) if url else warehouse
    conn_id = conf.get("kindling", "warehouse_conn_id", fallback="") or None
    try:
        files = shared_files(url or warehouse, conn_id, environment)
    except Exception as error:  # whatever the lack of a provider or connection raises
        raise ReportError(_refusal(root, setting, error)) from error
    return FolderChannel(root, files, setting)


def _refusal(root: str, setting: str, error: Exception) -> str:
    return (
        f"the worker cannot write and read back a small file in {root!r} ({setting}), by which a "
        f"driver in cluster deploy mode reports: {_named(error)}\n{_remedy(root)}"
    )


def _remedy(root: str) -> str:
    if root.partition("://")[0] in ("hdfs", "webhdfs", "swebhdfs", "viewfs"):
        return (
            "  Fix: let the worker reach the NameNode's REST interface (WebHDFS): set [kindling] "
            "webhdfs_address to its HTTP address, or HADOOP_CONF_DIR on the worker, or [kindling] "
            "warehouse_conn_id to a connection with host, port and login; or set [kindling] "
            "report_url to storage that worker and driver can reach."
        )
    return (
        "  Fix: give the worker access to it: install the Airflow provider of its storage, and set "
        "[kindling] warehouse_conn_id to the connection; or set [kindling] report_url to storage "
        "that worker and driver can reach; or use deploy_mode client."
    )


def _report(attempt_key: str) -> str:
    return f"_kindling/reports/{escape_component(attempt_key)}.json"


def _named(error: Exception) -> str:
    return masked(f"{type(error).__name__}: {error}".partition("\n")[0])
