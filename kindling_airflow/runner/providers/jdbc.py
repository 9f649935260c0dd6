"""Tables and queries of a database, by JDBC: sources, never written.

Spark asks for the columns and rows that a pipe needs: it pushes choices of columns, filters and
limits down into the database. A ``provider.query`` is answered there as well.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pyspark.sql import DataFrame

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.protocol.connections import Connection
from kindling_airflow.runner.failures.retryable import is_permanent, java_causes
from kindling_airflow.runner.providers.interface import EntityDescription, ProviderContext
from kindling_airflow.tags.names import DRIVER_TAG, QUERY_TAG, TABLE_TAG, URL_TAG

# By the kind of an Airflow connection; "{place}" is host and port.
_URLS = {
    "mssql": "jdbc:sqlserver://{place};databaseName={schema}",
    "mysql": "jdbc:mysql://{place}/{schema}",
    "oracle": "jdbc:oracle:thin:@//{place}/{schema}",
    "postgres": "jdbc:postgresql://{place}/{schema}",
    "sqlite": "jdbc:sqlite:{host}",
}
# By the beginning of a URL: a driver that comes with spark.jars is found by its name alone.
_DRIVERS = {
    "jdbc:db2:": "com.ibm.db2.jcc.DB2Driver",
    "jdbc:mariadb:": "org.mariadb.jdbc.Driver",
    "jdbc:mysql:": "com.mysql.cj.jdbc.Driver",
    "jdbc:oracle:": "oracle.jdbc.OracleDriver",
    "jdbc:postgresql:": "org.postgresql.Driver",
    "jdbc:sqlite:": "org.sqlite.JDBC",
    "jdbc:sqlserver:": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
}
_ACCOUNT = re.compile(r"(?<=//)[^/?;]*@|(?<=:thin:)[^@]*(?=@)")
_SETTINGS = re.compile(r"[?;].*", re.DOTALL)


class UnreadableError(EntityError, PipeRunError):
    """A table or query that a database will not answer, however often it is asked."""


class _Database(NamedTuple):
    url: str
    options: dict[str, str]
    secrets: tuple[str, ...]


class JdbcProvider:
    """Reads a table or the answer to a query."""

    def __init__(self, context: ProviderContext) -> None:
        self._context = context

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return the database, without accounts and settings, and what is read of it."""
        database = self._database(entity)
        what = "table" if TABLE_TAG in entity.tags else "query"
        details = freeze({what: entity.tags[TABLE_TAG if what == "table" else QUERY_TAG]})
        return EntityDescription(_shown(database.url), "jdbc", details)

    def exists(self, entity: EntityMetadata) -> bool:  # noqa: ARG002 (interface)
        """Return True: a table that a database lacks is an error of the read, not an idle day."""
        return True

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows, which the database is asked for when they are needed.

        Raises:
            EntityError: the database cannot be reached.
            UnreadableError: it has no such table, or does not take the query.
        """
        database = self._database(entity)
        options = self._context.options_of(entity, **database.options)
        names = {name.lower() for name in options}
        if TABLE_TAG in entity.tags:
            options["dbtable"] = str(entity.tags[TABLE_TAG])
        elif "partitioncolumn" in names:  # which Spark does not take together with a query
            options["dbtable"] = f"({entity.tags[QUERY_TAG]}) kindling_query"
        else:
            options["query"] = str(entity.tags[QUERY_TAG])
        try:
            return self._context.spark.read.format("jdbc").options(**options).load()
        except Exception as error:  # py4j and Spark wrap whatever the driver throws
            reason, kind = _reason(error, database), EntityError
            if is_permanent(error) or _lacks_driver(error):
                kind = UnreadableError
        remedy = (
            "check the table and the account, that the driver can reach the database, and that "
            f"{options['driver']!r} is in spark.jars."
            if "driver" in options
            else "set the JDBC driver's class (provider.driver) and its jar (spark.jars)."
        )
        raise kind(  # not chained: the cause may hold what must not be seen
            f"entity {entity.entityid!r}: cannot be read from {_shown(database.url)!r}: {reason}\n"
            f"  Fix: {remedy}"
        )

    def _database(self, entity: EntityMetadata) -> _Database:
        connection = self._context.connection_of(entity) or Connection()
        tagged = entity.tags.get(URL_TAG)
        url = str(tagged) if tagged is not None else _url_of(entity, connection)
        own = connection.extra.get("jdbc_options") or {}
        options = {str(name): str(value) for name, value in own.items()}
        options["url"] = url
        options |= {"user": connection.login} if connection.login else {}
        options |= {"password": connection.password} if connection.password else {}
        driver = (
            entity.tags.get(DRIVER_TAG)
            or connection.extra.get("driver_class")
            or next((name for start, name in _DRIVERS.items() if url.startswith(start)), None)
        )
        options |= {"driver": str(driver)} if driver else {}
        return _Database(url, options, tuple(filter(None, (connection.password, *own.values()))))


def _lacks_driver(error: Exception) -> bool:
    names = {str(java.getClass().getName()) for java in java_causes(error)}
    return "java.lang.ClassNotFoundException" in names


def _url_of(entity: EntityMetadata, connection: Connection) -> str:
    """Return the URL that a connection stands for; the kind ``jdbc`` has it in its host."""
    url = jdbc_url(connection)
    if url is None:
        raise EntityError(
            f"entity {entity.entityid!r}: no JDBC URL can be derived from its connection of type "
            f"{connection.conn_type!r}\n"
            f"  Fix: set provider.url, or use one of the types {', '.join(sorted(_URLS))}, or "
            "'jdbc' with the full URL as its host."
        )
    return url


def jdbc_url(connection: Connection) -> str | None:
    """Return the URL that a connection stands for, or None."""
    host, kind = connection.host, connection.conn_type
    if host.startswith("jdbc:"):
        return host
    if kind not in _URLS:
        return None
    place = host if connection.port is None else f"{host}:{connection.port}"
    path = f"/{connection.schema}" if kind == "sqlite" and connection.schema else host
    return _URLS[kind].format(place=place, host=host or path, schema=connection.schema)


def _shown(url: str) -> str:
    return _SETTINGS.sub("", _ACCOUNT.sub("", url, count=1))


def _reason(error: Exception, database: _Database) -> str:
    """Return the first line of an error, without what must not be seen."""
    java = getattr(error, "java_exception", None)
    text = str(error) if java is None else str(java.toString())
    text = text.replace(database.url, _shown(database.url)).strip()
    for secret in database.secrets:
        text = text.replace(str(secret), "***")
    return text.splitlines()[0] if text else type(error).__name__
