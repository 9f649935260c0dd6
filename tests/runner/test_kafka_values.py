"""Values of Kafka records are rows as they were written, or are malformed; no broker needed."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.kafka.values import rows_of

pytestmark = pytest.mark.system


def rows(spark: Any, *values: bytes, handling: str) -> list[tuple[Any, ...]]:
    schema = "id INT, place STRUCT<city: STRING>, _corrupt_record STRING"
    entity = EntityMetadata(
        "src",
        tags={"provider_type": "kafka", "provider.servers": "h:1", "provider.malformed": handling},
        schema=schema,
    )
    records = [("topic", 0, n, bytearray(value)) for n, value in enumerate(values)]
    frame = spark.createDataFrame(
        records, "topic STRING, partition INT, offset BIGINT, value BINARY"
    )
    return [(row[0], row[1] and row[1][0], row[2]) for row in rows_of(entity, frame).collect()]


def test_what_is_no_such_object_is_malformed(spark: Any) -> None:
    wrong = [
        b'{"ID": 1}',
        b'{"id": 1, "place": {"City": "x"}}',
        b'{"id": 1}{"id": 2}',
        b'{"id": 1',
        b'{"id": "one"}',
        '{"id": 1, "place": {"city": "Zürich"}}'.encode("latin-1"),
    ]
    good = ['{"id": 1, "place": {"city": "Zürich"}, "Id": 2, "more": 3}'.encode(), b'{"id": null}']
    assert rows(spark, *wrong, *good, handling="drop") == [(1, "Zürich", None), (None, None, None)]
    kept = rows(spark, *wrong, *good, handling="keep")
    assert [row[2] is None for row in kept] == [False] * len(wrong) + [True] * len(good)
    assert kept[0][2] == '{"ID": 1}'
    for value in wrong:
        with pytest.raises(
            Exception, match="offset 0, is not a JSON object of the declared schema"
        ):
            rows(spark, value, handling="fail")
