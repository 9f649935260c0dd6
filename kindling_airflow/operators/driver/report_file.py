"""The report of a driver in cluster deploy mode, whose output does not reach the task: a file.

The driver also writes its report into the warehouse, under the key of the attempt. The task reads
it from a shared path, or from an object store through Airflow's ``ObjectStoragePath``, which needs
no Hadoop on the worker.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import conf

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.errors import ReportError
from kindling_airflow.protocol.contracts import report_in_line

__all__ = ["read_report_file", "report_path"]

# Hadoop's name of a file system, and that of fsspec.
_SCHEMES = {"s3a": "s3", "s3n": "s3", "wasb": "abfs", "wasbs": "abfs"}
_LOOKS = 3
_PAUSE_SECONDS = 2.0


def report_path(warehouse: str, attempt_key: str) -> str:
    """Return the path of the report of an attempt."""
    return f"{warehouse.rstrip('/')}/_kindling/reports/{escape_component(attempt_key)}.json"


def read_report_file(path: str) -> str | None:
    """Return the JSON text of a report and delete the file; None where there is none.

    Args:
        path: of :func:`report_path`.

    Raises:
        ReportError: the worker cannot read there.
    """
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE_SECONDS)  # shared folders may show a new file late
        try:
            text = _place(path).read_text()
        except FileNotFoundError:
            continue
        except Exception as error:  # whatever the file system, or the lack of it, raises
            raise ReportError(
                f"the report of a driver on the cluster cannot be read from {path!r}: "
                f"{type(error).__name__}: {error}\n"
                "  Fix: give the worker access to the warehouse: install the Airflow provider of "
                "its storage, and set [kindling] warehouse_conn_id to the connection."
            ) from error
        _forget(path)
        return report_in_line(text)
    return None


def _place(path: str) -> Any:
    scheme, found, rest = path.partition("://")
    if not found:
        return Path(path)
    if scheme == "file":
        return Path("/" + rest.lstrip("/"))
    from airflow.sdk import ObjectStoragePath

    conn_id = conf.get("kindling", "warehouse_conn_id", fallback="") or None
    return ObjectStoragePath(f"{_SCHEMES.get(scheme, scheme)}://{rest}", conn_id=conn_id)


def _forget(path: str) -> None:
    with suppress(Exception):  # a file that stays is no reason to fail a task that succeeded
        _place(path).unlink()
