"""Topics of Kafka: read as streams and as they are now, written by streams, at least once.

A topic has no publish: a record is seen as soon as it is sent. So only streams write one; a batch
that is retried, because its driver has died, sends its records again.

The jars must be on the driver's class path when it starts (``airflow kindling jars kafka``).
"""

from __future__ import annotations

import json

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.connections import Connection
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    StreamRead,
    StreamWrite,
)
from kindling_airflow.runner.providers.kafka.client import client_settings
from kindling_airflow.runner.providers.kafka.topics import Topics
from kindling_airflow.runner.providers.kafka.values import records_of, rows_of
from kindling_airflow.runner.providers.session_properties import check_jars
from kindling_airflow.runner.providers.stream_writer import stream_writer
from kindling_airflow.tags.kafka import topic_of, value_format_of
from kindling_airflow.tags.names import PARTITIONS_TAG


class KafkaProvider:
    """Reads and writes topics.

    Raises:
        DeclarationError: the session lacks Kafka's jars.
    """

    native_output_modes = ("append", "update")

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._spark = context.spark
        check_jars(self._spark, "kafka", "org.apache.spark.sql.kafka010.KafkaSourceProvider")

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return the brokers and the topic, and what its values are."""
        servers = self._settings(entity)["bootstrap.servers"]
        details = freeze({"value_format": value_format_of(entity)})
        return EntityDescription(f"kafka://{servers}/{topic_of(entity)}", "kafka", details)

    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether there is the topic."""
        return self._topics(entity).exists(topic_of(entity))

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the records that are there concurrently; later ones are not read.

        Raises:
            EntityError: there is no such topic, or no broker answers.
        """
        topic, topics = topic_of(entity), self._topics(entity)
        if not topics.exists(topic):
            where = self.describe(entity).location
            raise EntityError(f"entity {entity.entityid!r}: no topic at {where!r}")
        options = self._options(entity, startingOffsets="earliest")
        options["endingOffsets"] = json.dumps({topic: topics.ends(topic)})
        records = self._spark.read.format("kafka").options(**options).option("subscribe", topic)
        return rows_of(entity, records.load())

    def make_ready(self, entity: EntityMetadata) -> None:
        """Create the topic, with ``provider.partitions`` partitions, unless it exists.

        Raises:
            EntityError: the brokers refuse, or none answers.
        """
        partitions = entity.tags.get(PARTITIONS_TAG)
        number = None if partitions is None else int(partitions)
        self._topics(entity).create(topic_of(entity), number)

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the rows of records as they come, without a checkpoint from the oldest one on."""
        begin = read.starting_offsets or "earliest"
        options = {**self._options(entity), **read.options, "startingOffsets": begin}
        reader = self._spark.readStream.format("kafka").options(**options)
        return rows_of(entity, reader.option("subscribe", topic_of(entity)).load())

    def start(self, entity: EntityMetadata, frame: DataFrame, write: StreamWrite) -> StreamingQuery:
        """Start the query that sends the rows of a stream as records.

        Raises:
            PipeRunError: the rows have no column of which a record could be made.
            EntityError: there is no topic, and none can be made.
        """
        self.make_ready(entity)
        records = records_of(entity, frame)
        writer = stream_writer(records, write).options(**self._options(entity))
        return writer.format("kafka").option("topic", topic_of(entity)).start()

    def _options(self, entity: EntityMetadata, **defaults: str) -> dict[str, str]:
        client = {f"kafka.{name}": value for name, value in self._settings(entity).items()}
        return {**self._context.options_of(entity, **defaults), **client}

    def _topics(self, entity: EntityMetadata) -> Topics:
        return Topics(self._spark, self._settings(entity), entity.entityid)

    def _settings(self, entity: EntityMetadata) -> dict[str, str]:
        connection = self._context.connection_of(entity) or Connection()
        return client_settings(entity, connection)
