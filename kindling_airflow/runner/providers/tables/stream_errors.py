"""What a stream that reads a table cannot do: go back, when rows that it has taken are changed.

A table that pipes write run by run is read by a stream as long as rows are only added to it. What
else happened to it ends the query, with an error of the format; here it is said what that means for
an entity, and what helps.
"""

from __future__ import annotations

import re

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.failures.retryable import java_causes


def found_in(error: Exception, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """Return the first match among the messages of the Java errors behind an error."""
    texts = (str(java.getMessage()) for java in java_causes(error))
    return next(filter(None, map(pattern.search, texts)), None)


def changed_table_problem(entity: EntityMetadata, what: str, options: str) -> str:
    """Return that rows were changed or deleted, and what helps.

    Args:
        entity: the table.
        what: names the commit, as the format numbers it.
        options: the tags with which a stream leaves such commits out.
    """
    return (
        f"entity {entity.entityid!r}: rows of the table were replaced or deleted ({what}); a "
        "stream cannot retract rows that it has read\n"
        "  Fix: only append rows to it (write_mode: append); or skip such commits, and the new "
        f"rows in them ({options}); or start with the table as it is now, with a new output and a "
        "new checkpoint (stream.checkpoint)."
    )


def replaced_table_problem(entity: EntityMetadata) -> str:
    """Return that the table is another one than the checkpoint knows, and what helps."""
    return (
        f"entity {entity.entityid!r}: the table was replaced, or no longer has the history that "
        "the stream's checkpoint refers to\n"
        "  Fix: start with the table as it is now, with a new output and a new checkpoint "
        "(stream.checkpoint)."
    )
