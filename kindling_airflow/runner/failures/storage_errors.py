"""What a file system refused while a result was written: no room, no right, no place.

Java says it at the end of a chain of causes whose other members speak of tasks and jobs, or not at
all of what was written and where.
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
    """Say of which entity it was that a file system refused something.

    Args:
        entity_id: the entity.
        location: where it lies.
        doing: what is done with its result in the block: "staged", "published".

    Raises:
        EntityError: the file system refused; another try may find it otherwise.
    """
    try:
        yield
    except Exception as error:
        said = storage_refusal(error)
        if not said:
            raise
        what = "make room there" if any(text in said for text in _NO_ROOM) else "let it be written"
        raise EntityError(
            f"entity {entity_id!r} at {location!r}: its result could not be {doing}: {said}\n"
            f"  Fix: {what}, and try again."
        ) from error


def storage_refusal(error: BaseException) -> str:
    """Return what the file system said, where an error stands for that; else ""."""
    link: BaseException | None = error
    while link is not None:
        for java in reversed(java_causes(link)):
            said = str(java.getMessage()).partition("\n")[0]
            if any(text in said for text in (*_NO_ROOM, *_NO_RIGHT)):
                return said
        link = link.__cause__
    return ""
