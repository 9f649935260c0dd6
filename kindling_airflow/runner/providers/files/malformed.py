"""Reports records that a run cannot read, and stores them aside.

<root>/_kindling/malformed/<entity>/<task instance>/    file, reason and record, as JSON lines
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.failures.retryable import java_causes
from kindling_airflow.runner.providers.files.json_records import FILE, REASON, RECORD
from kindling_airflow.runner.providers.files.lines import line_number
from kindling_airflow.runner.providers.interface import ProviderContext

EXAMPLES = 3
_RAISED = re.compile(r"record ([0-9a-f]{32}) of (\S+) ([^\n]+)\n")


def raising(entity: EntityMetadata, records: DataFrame) -> DataFrame:
    """Return records whose reading fails where one of them has a reason not to be a row."""
    text = F.concat(
        F.lit(f"entity {entity.entityid!r}: record "),
        F.md5(F.col(RECORD).cast("binary")),
        F.lit(" of "),
        F.col(FILE),
        F.lit(" "),
        F.col(REASON),
        F.lit("\n"),
    )
    fails = F.raise_error(text).cast("boolean")
    return records.where(F.when(F.col(REASON).isNotNull(), fails).otherwise(F.lit(True)))


def records_text(entity: EntityMetadata, session: SparkSession, error: BaseException) -> str | None:
    """Return what went wrong where :func:`raising` has failed a read; else None."""
    start = f"entity {entity.entityid!r}: "
    texts = [str(error), *(str(java.getMessage()) for java in java_causes(error))]
    for text in texts:
        found = _RAISED.search(text[max(0, text.find(start)) :]) if start in text else None
        if found is not None:
            digest, name, reason = found.groups()
            return malformed_text(entity, session, [(name, digest, reason)])
    return None


def refuse(entity: EntityMetadata, found: DataFrame) -> None:
    """Return if there are no malformed records.

    Raises:
        PipeRunError: there are; names the first ones.
    """
    digest = F.md5(F.col(RECORD).cast("binary"))
    rows = found.select(FILE, digest, REASON).limit(EXAMPLES).collect()
    if rows:
        wrong = [(row[0], row[1], row[2]) for row in rows]
        raise PipeRunError(malformed_text(entity, found.sparkSession, wrong))


def malformed_text(
    entity: EntityMetadata, session: SparkSession, found: list[tuple[str, str, str]]
) -> str:
    """Return the text of an error: of each record its file, its digest, and what is wrong."""
    listed = []
    for each, digest, reason in found:
        name = each.replace("file:/", "file:///", 1) if "//" not in each else each
        number = line_number(session, name, digest)
        where = f"{name!r}" if number is None else f"line {number} of {name!r}"
        listed.append(f"  - {where} {reason}")
    texts = "".join(reason for _, _, reason in found)
    fixes = [text for key, text in _REMEDIES.items() if key in texts] or [_REMEDY]
    return (
        f"entity {entity.entityid!r}: its files have records that cannot be read\n"
        + "\n".join(listed)
        + "\n  Fix: "
        + "; ".join(fixes)
        + "."
    )


_REMEDY = (
    "correct the files or the declared schema, or keep such records aside "
    "(provider.malformed: aside)"
)
_REMEDIES = {
    "not UTF-8": "set the encoding, for example provider.option.encoding: ISO-8859-1",
    "in different case": "declare the column as the key is spelled, or use one spelling in the "
    "files",
    "quote": "read values of several lines with provider.option.multiLine: true, doubled quotes "
    "within quoted values with provider.option.escape: '\"', or correct the files",
    "not one valid JSON value": "correct the files; values of several lines need "
    "provider.option.multiLine: true; or keep such records aside (provider.malformed: aside)",
    "columns and types": _REMEDY,
}


def keep_aside(
    entity: EntityMetadata, context: ProviderContext, instance: str, found: Callable[[], DataFrame]
) -> str:
    """Write malformed records to the entity's place for them, and return a message about it."""
    storage: Any = context.storage
    name = f"{escape_component(entity.entityid)}/{instance}"
    place = f"{context.warehouse.rstrip('/')}/_kindling/malformed/{name}"
    records = found()
    names = {name: name.removeprefix("_kindling_") for name in records.columns}
    aside = records.withColumnsRenamed(names)
    aside.write.mode("overwrite").json(place)
    count = context.spark.read.schema("file STRING").json(place).count()
    if count == 0:
        storage.delete(place)
        return ""
    what = "record was" if count == 1 else "records were"
    return f"{entity.entityid!r}: {count} malformed {what} kept aside in {place!r}"
