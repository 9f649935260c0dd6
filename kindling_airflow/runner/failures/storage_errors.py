"""Explains errors of a file system while a result was written: no space, or no permission.

Java reports it at the end of a chain of causes whose other members speak of tasks and jobs, or not
at all of what was written and where.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.failures.retryable import java_causes

_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large", "No space")
_NO_RIGHT = (
    "Permission denied",
    "Read-only file system",
    "Operation not permitted",
    "Not a directory",
    "Parent path is not a directory",
    "Mkdirs failed to create",
)


@contextmanager
def naming_storage_errors(entity_id: str, location: str, doing: str) -> Iterator[None]:
    """Name the entity in the error of a file system that refused an operation.

    Raises:
        EntityError: the file system refused; a retry may succeed.
    """
    try:
        yield
    except Exception as error:
        reason = storage_refusal(error)
        if not reason:
            raise
        what = (
            "free up space there"
            if any(text in reason for text in _NO_ROOM)
            else "make it writable"
        )
        raise EntityError(
            f"entity {entity_id!r} at {location!r}: its result could not be {doing}: {reason}\n"
            f"  Fix: {what}, then retry."
        ) from error


def storage_refusal(error: BaseException) -> str:
    """Return the reason that the file system gave, if it caused an error; else ""."""
    link: BaseException | None = error
    while link is not None:
        for java in reversed(java_causes(link)):
            reason = str(java.getMessage()).partition("\n")[0]
            if any(text in reason for text in (*_NO_ROOM, *_NO_RIGHT)):
                return reason
        link = link.__cause__
    return ""
