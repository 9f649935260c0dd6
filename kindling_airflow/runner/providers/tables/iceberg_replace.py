"""Replace an Iceberg table by one with other columns, if it still is what was looked at.

Iceberg's own ``createOrReplace`` replaces whatever the table has become meanwhile. So the new table
is made beside it, and takes its place by one conditional commit:

    orders                 metadata 7  ------------------------------------->  metadata 9
    orders__kindling_...   metadata 7, registered -> createOrReplace -> metadata 8
                                                     the same files and history, then dropped

The second table is an entry of the catalog only; its files are in the folder of the first. That is
so in catalogs that keep a pointer to the metadata (JDBC, Hive, Glue). Catalogs of type ``hadoop``
keep the metadata in the folder of the name, and REST catalogs make it themselves: there this module
does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kindling_airflow.runner.providers.interface import Write
from kindling_airflow.runner.schema.differences import quoted

__all__ = ["can_replace", "replace_table"]

_POINTERS = "org.apache.iceberg.BaseMetastoreTableOperations"
_MARK = "__kindling_"


def can_replace(table: Any) -> bool:
    """Return whether the catalog of a table keeps a pointer to the table's metadata."""
    found = table.operations().getClass()
    while found is not None:
        if str(found.getName()) == _POINTERS:
            return True
        found = found.getSuperclass()
    return False


def replace_table(
    spark: Any, names: tuple[str, ...], table: Any, write: Write, create: Callable[[str], None]
) -> None:
    """Let a table become another one in one commit.

    Args:
        spark: the session.
        names: catalog, namespace and name of the table.
        table: Iceberg's table, as it is now; the commit conflicts with what changes it afterwards.
        write: the attempt, which is asked whether it is still wanted.
        create: creates or replaces the table of a name, with the rows.
    """
    jvm: Any = spark._jvm
    session = spark._jsparkSession
    catalog = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergCatalog(session, names[0])
    start = f"{names[-1]}{_MARK}{write.instance}_"
    own = start + hashlib.sha256(write.attempt.encode()).hexdigest()[:12]
    operations = table.operations()
    base = operations.refresh()
    write.check()
    space = _namespace(spark, names[1:-1])
    identifier = jvm.org.apache.iceberg.catalog.TableIdentifier
    for found in list(catalog.listTables(space)):  # what earlier attempts of the task have left
        if str(found.name()).startswith(start):
            catalog.dropTable(found, False)
    beside = identifier.of(space, own)
    catalog.registerTable(beside, base.metadataFileLocation())
    try:
        create(".".join(map(quoted, (*names[:-1], own))))
        made = catalog.loadTable(beside).operations().current()
        operations.commit(base, made)
    finally:
        with suppress(Exception):  # an entry that is left is dropped by the next attempt
            catalog.dropTable(beside, False)


def _namespace(spark: Any, levels: tuple[str, ...]) -> Any:
    gateway = spark.sparkContext._gateway
    array = gateway.new_array(gateway.jvm.java.lang.String, len(levels))
    for number, level in enumerate(levels):
        array[number] = level
    return gateway.jvm.org.apache.iceberg.catalog.Namespace.of(array)
