"""The report of a driver whose output does not reach the task: a file beside the tables.

In cluster deploy mode the driver runs somewhere else, and spark-submit does not pass on what it
prints. So it also writes its report into the warehouse, under the key of the attempt, and the task
reads it there: from a path that both can see, or from an object store through Airflow's own file
systems (``ObjectStoragePath``), with no Hadoop on the worker.
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

# What Hadoop calls a file system, and what fsspec does.
_SCHEMES = {"s3a": "s3", "s3n": "s3", "wasb": "abfs", "wasbs": "abfs"}
_LOOKS = 3
_PAUSE_SECONDS = 2.0


def report_path(warehouse: str, attempt_key: str) -> str:
    """Return where the driver of an attempt writes its report."""
    return f"{warehouse.rstrip('/')}/_kindling/reports/{escape_component(attempt_key)}.json"


def read_report_file(path: str) -> str | None:
    """Return the JSON text of a report and delete the file; None where there is none.

    Args:
        path: as :func:`report_path` says it.

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
                f"the driver ran on the cluster, and its report cannot be read from {path!r}: "
                f"{type(error).__name__}: {error}\n"
                "  Fix: let the worker read the warehouse: install the Airflow provider of its "
                "storage, and name the connection in [kindling] warehouse_conn_id."
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
