"""Topics of a real broker: rows and records, offsets, accounts, and what a repeated batch does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException, StreamingQueryException

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, EntityError, PipeRunError
from kindling_airflow.protocol.connections import Connection, variable_name
from kindling_airflow.runner.providers.interface import ProviderContext, StreamRead, StreamWrite
from kindling_airflow.runner.providers.kafka import topics as kafka_topics
from kindling_airflow.runner.providers.lookup import provider_for, writable_provider_for
from kindling_airflow.tags.stream_settings import OutputMode, StreamTrigger
from tests.kafka_broker import PASSWORD, USER, Broker, running_broker
from tests.runner.formats.format_tests import side_by_side
from tests.runner.streams import until

ORDERS = "id BIGINT, name STRING"
MANY_TYPES = """
    SELECT * FROM VALUES
        (1L, 'plain', 1.50BD, DATE '2013-01-01', TIMESTAMP '2013-01-01 10:00:00.123456',
         array(1, 2), named_struct('a', 'x', 'b', 1), X'00FF', 0.1D),
        (2L, '"quoted", \\n and ''so'' on', -0.01BD, DATE '1999-12-31', NULL, array(),
         named_struct('a', NULL, 'b', 2), NULL, double('NaN')),
        (3L, 'Zürich \\u2603', NULL, NULL, TIMESTAMP '1969-12-31 23:59:59.999', NULL, NULL, X'',
         NULL)
    AS t(id, name, amount, day, at, numbers, pair, bytes, ratio)
"""
TYPES = (
    "id BIGINT, name STRING, amount DECIMAL(3,2), day DATE, at TIMESTAMP, numbers ARRAY<INT>, "
    "pair STRUCT<a: STRING, b: INT>, bytes BINARY, ratio DOUBLE"
)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker for all tests of this process."""
    with running_broker(tmp_path_factory.mktemp("kafka") / "broker") as running:
        yield running


class Topic:
    """A topic of a test's own, as an entity."""

    def __init__(self, spark: Any, broker: Broker, folder: Path, name: str) -> None:
        self.spark, self.broker, self.folder, self.name = spark, broker, folder, name
        self.tags: dict[str, Any] = {"provider.servers": broker.servers}
        self.schema: str | None = ORDERS
        self.environment: dict[str, str] = {}

    @property
    def entity(self) -> EntityMetadata:
        tags = {"provider_type": "kafka", **self.tags}
        return EntityMetadata(self.name, self.name, tags=freeze(tags), schema=self.schema)

    @property
    def provider(self) -> Any:
        context = ProviderContext(self.spark, str(self.folder), None, self.environment)
        return provider_for(self.entity, context)

    def send(self, *values: str | None, key: str | None = None) -> None:
        """Send records, one after the other into one partition."""
        self.provider.make_ready(self.entity)
        records = self.spark.createDataFrame([(key, v) for v in values], "key STRING, value STRING")
        writer = records.coalesce(1).write.format("kafka").option("topic", self.name)
        writer.option("kafka.bootstrap.servers", self.broker.servers).save()

    def orders(self, *numbers: int) -> None:
        self.send(*(json.dumps({"id": n, "name": f"n{n}"}) for n in numbers))

    def rows(self) -> list[tuple[Any, ...]]:
        found = self.provider.read(self.entity).collect()
        return sorted(map(tuple, found), key=repr)

    def taken(self, checkpoint: str, begin: str | None = None, **options: str) -> list[Any]:
        """Return the rows that a stream takes from where its checkpoint is, into files."""
        frame = self.provider.read_stream(self.entity, StreamRead(options, begin))
        out = str(self.folder / checkpoint)
        writer = frame.writeStream.format("parquet").trigger(availableNow=True)
        writer.option("checkpointLocation", f"{out}-checkpoint").start(out).awaitTermination()
        return sorted(map(tuple, self.spark.read.schema(frame.schema).parquet(out).collect()))

    def write(self, rows: Any, mode: OutputMode = "append") -> Any:
        """Send the rows of a stream, and return the query when it has ended."""
        write = StreamWrite(
            "sent", str(self.folder / "sent-checkpoint"), mode, StreamTrigger("available_now")
        )
        query = self.provider.start(self.entity, rows, write)
        query.awaitTermination()
        return query

    def stream_of(self, rows: Any) -> Any:
        """Return rows as a stream: those that were given so far."""
        files = str(self.folder / "given")
        rows.coalesce(1).write.mode("append").parquet(files)
        return self.spark.readStream.schema(rows.schema).parquet(files)


@pytest.fixture
def topic(spark: Any, broker: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> Topic:
    """A topic that does not exist yet."""
    name = "".join(c if c.isalnum() else "." for c in request.node.name)[-200:]
    return Topic(spark, broker, tmp_path, name)


def test_rows_come_back_as_they_were_sent(topic: Topic) -> None:
    topic.schema = TYPES
    rows = topic.spark.sql(MANY_TYPES)
    topic.write(topic.stream_of(rows))
    found = topic.provider.read(topic.entity)
    assert found.dtypes == rows.dtypes
    assert repr(topic.rows()) == repr(sorted(map(tuple, rows.collect()), key=repr))


def test_a_topic_is_created_once_by_any_number_at_once(topic: Topic) -> None:
    topic.tags["provider.partitions"] = 3
    assert not topic.provider.exists(topic.entity)
    failed = side_by_side(*[lambda: topic.provider.make_ready(topic.entity)] * 3)
    assert failed == []
    assert topic.provider.exists(topic.entity)
    assert topic.provider._topics(topic.entity).ends(topic.name) == {"0": 0, "1": 0, "2": 0}
    assert topic.rows() == []
    topic.tags["provider.partitions"] = 5
    topic.provider.make_ready(topic.entity)
    assert len(topic.provider._topics(topic.entity).ends(topic.name)) == 3


def test_a_topic_that_is_not_there_is_an_error(topic: Topic) -> None:
    with pytest.raises(EntityError) as raised:
        topic.provider.read(topic.entity)
    where = f"kafka://{topic.broker.servers}/{topic.name}"
    assert str(raised.value) == f"entity {topic.name!r}: no topic at '{where}'"


def test_what_is_read_ends_where_the_topic_ended_then(topic: Topic) -> None:
    topic.orders(1, 2)
    read = topic.provider.read(topic.entity)
    topic.orders(3)
    assert sorted(map(tuple, read.collect())) == [(1, "n1"), (2, "n2")]
    assert topic.rows() == [(1, "n1"), (2, "n2"), (3, "n3")]


def test_a_stream_begins_where_it_is_told_to_and_goes_on_where_it_was(topic: Topic) -> None:
    topic.orders(1, 2)
    assert topic.taken("all") == [(1, "n1"), (2, "n2")]
    assert topic.taken("latest", "latest") == []
    assert topic.taken("second", json.dumps({topic.name: {"0": 1}})) == [(2, "n2")]
    topic.orders(3, 4)
    assert topic.taken("all", maxOffsetsPerTrigger="1") == [(n, f"n{n}") for n in (1, 2, 3, 4)]
    assert topic.taken("latest", "latest") == [(3, "n3"), (4, "n4")]


BAD: tuple[str | None, ...] = ('{"id": 1, "name": "n1"}', "{broken", '{"id": "x"}', "", None)


def test_a_record_that_is_not_as_declared_fails_the_query_with_its_place(topic: Topic) -> None:
    for n, value in enumerate(BAD[1:], 1):
        topic.name = f"{topic.name}{n}"
        topic.send(BAD[0], value)
        with pytest.raises(PySparkException) as raised:
            topic.rows()
        assert (
            f"entity {topic.name!r}: a record of topic {topic.name}, partition 0, offset 1, is not "
            "a JSON object of the declared schema\n  Fix: correct its producer or the schema; or "
            "drop such records (provider.malformed: drop), or keep them (provider.malformed: "
            "keep)."
        ) in str(raised.value)
    with pytest.raises(StreamingQueryException, match="offset 1, is not a JSON object"):
        topic.taken("failing")


def test_records_that_are_not_as_declared_are_left_out_or_kept(topic: Topic) -> None:
    topic.send(*BAD)
    topic.tags["provider.malformed"] = "drop"
    assert topic.rows() == [(1, "n1")]
    topic.tags["provider.malformed"] = "keep"
    topic.schema = "name STRING, _corrupt_record STRING, id BIGINT"
    assert [(row[1], row[2]) for row in topic.rows()] == [
        (None, 1),
        ("", None),
        ("", None),
        ('{"id": "x"}', None),
        ("{broken", None),
    ]
    topic.schema = "id BIGINT"
    topic.tags["provider.malformed"] = "drop"
    assert topic.provider.read(topic.entity).count() == 1


def test_raw_records_come_and_go_as_they_are(topic: Topic) -> None:
    topic.schema = None
    rows = topic.spark.sql("SELECT 'k' AS key, X'00FF' AS value")
    topic.write(topic.stream_of(rows))
    [row] = topic.provider.read(topic.entity).collect()
    assert list(row.asDict()) == ["key", "value", "topic", "partition", "offset", "timestamp"]
    assert tuple(row)[:5] == (b"k", b"\x00\xff", topic.name, 0, 0)
    topic.tags["provider.option.includeHeaders"] = True
    assert topic.provider.read(topic.entity).columns[-1] == "headers"
    with pytest.raises(PipeRunError) as raised:
        topic.write(topic.stream_of(topic.spark.sql("SELECT 1 AS id, 'x' AS value")))
    assert str(raised.value) == (
        f"entity {topic.name!r}: a record has the columns key, value, partition, headers, "
        "and of these 'value' is required; the result has id, value\n"
        "  Fix: return these columns, or declare the entity's schema: then each row becomes a JSON "
        "object."
    )


def test_changed_rows_are_sent_with_their_key(topic: Topic) -> None:
    topic.schema, topic.tags["provider.key"] = "name STRING, n BIGINT", "name"
    for names in ("a a b", "a"):
        given = topic.spark.createDataFrame([(n,) for n in names.split()], "name STRING")
        counted = topic.stream_of(given).groupBy("name").count().withColumnRenamed("count", "n")
        topic.write(counted, "update")
    assert topic.rows() == [("a", 2), ("a", 3), ("b", 1)]
    topic.schema = None
    del topic.tags["provider.key"]
    keys = [row["key"] for row in topic.provider.read(topic.entity).collect()]
    assert sorted(keys) == [b"a", b"a", b"b"]
    topic.schema, topic.tags["provider.key"] = ORDERS, "nmae"
    with pytest.raises(PipeRunError) as raised:
        topic.write(topic.stream_of(topic.spark.sql("SELECT 'x' AS name")))
    assert str(raised.value) == (
        f"entity {topic.name!r}: the result has no column 'nmae', the key of its records\n  Fix: "
        "correct the tag provider.key, or the pipe's result."
    )


def test_a_batch_that_is_done_again_sends_its_records_again(topic: Topic) -> None:
    """At least once, as the documentation says."""
    rows = topic.spark.sql("SELECT 1L AS id, 'n1' AS name")
    given = topic.stream_of(rows)
    topic.write(given)
    topic.write(given)
    assert topic.rows() == [(1, "n1")]
    commit = topic.folder / "sent-checkpoint" / "commits" / "0"
    commit.unlink()
    (commit.parent / ".0.crc").unlink(missing_ok=True)
    topic.write(given)
    assert topic.rows() == [(1, "n1"), (1, "n1")]


def logged_in(topic: Topic, password: str) -> None:
    host, _, port = topic.broker.sasl_servers.partition(":")
    extra = {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN", "group.id": "x"}
    connection = Connection("kafka", host, int(port), "", USER, password, extra)
    topic.environment[variable_name("shop_kafka")] = connection.dumps()
    topic.tags = {"provider.connection": "shop_kafka"}


def test_row_by_row_each_is_sent_as_it_comes_and_a_restart_leaves_none_out(topic: Topic) -> None:
    topic.orders(1, 2)
    sent = Topic(topic.spark, topic.broker, topic.folder, f"{topic.name}.sent")
    sent.provider.make_ready(sent.entity)
    write = StreamWrite(
        "sent", str(topic.folder / "checkpoint"), "append", StreamTrigger("continuous", 1.0)
    )
    for expected in ([1, 2], [1, 2, 3]):
        rows = topic.provider.read_stream(topic.entity, StreamRead({}, "earliest"))
        query = sent.provider.start(sent.entity, rows, write)
        try:
            until(lambda last=expected: sorted({row[0] for row in sent.rows()}) == last)  # type: ignore[misc]
        finally:
            query.stop()
        topic.orders(expected[-1] + 1)


def test_brokers_and_account_come_from_an_airflow_connection(topic: Topic) -> None:
    logged_in(topic, PASSWORD)
    topic.write(topic.stream_of(topic.spark.sql("SELECT 1L AS id, 'n1' AS name")))
    assert topic.rows() == [(1, "n1")]
    assert topic.taken("all") == [(1, "n1")]
    told = json.dumps(topic.provider.describe(topic.entity).to_json())
    assert topic.broker.sasl_servers in told
    assert PASSWORD not in told
    kept = [path for path in topic.folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes()]


def test_an_account_that_is_refused_is_an_error_without_the_password(topic: Topic) -> None:
    logged_in(topic, "not-the-password")
    with pytest.raises(EntityError) as raised:
        topic.provider.exists(topic.entity)
    assert str(raised.value) == (
        f"entity {topic.name!r}: the brokers at {topic.broker.sasl_servers} cannot be asked: "
        "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed: "
        "Invalid username or password\n"
        "  Fix: check host, port and account of the connection, and that the driver can reach the "
        "brokers."
    )
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_brokers_that_do_not_answer_are_an_error_that_heals(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_topics, "_SECONDS", 1)
    topic.tags = {"provider.servers": "127.0.0.1:1"}
    with pytest.raises(EntityError, match=r"the brokers at 127\.0\.0\.1:1 cannot be asked: "):
        topic.provider.make_ready(topic.entity)


def test_a_run_cannot_write_a_topic(topic: Topic) -> None:
    context = ProviderContext(topic.spark, str(topic.folder))
    with pytest.raises(DeclarationError, match="kafka entities"):
        writable_provider_for(topic.entity, context)


def test_a_description_does_not_ask_the_brokers(topic: Topic) -> None:
    topic.broker = Broker("nowhere.invalid:9092", "", 0)
    topic.tags["provider.servers"] = topic.broker.servers
    assert topic.provider.describe(topic.entity).to_json() == {
        "location": f"kafka://{topic.broker.servers}/{topic.name}",
        "format": "kafka",
        "value_format": "json",
    }
