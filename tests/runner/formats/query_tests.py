"""Parameters of queries in a session whose parser is that of a format's extension."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

import pytest

from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.pipe.query import result_of_query
from kindling_airflow.runner.pipe.run_context import RunContext

TEXT = 'it\'s :run_id, "so" \\n `x` ${y}\n-- ö'


def pipe(sql: str) -> PipeMetadata:
    return DataPipesRegistry().register_pipe("q", sql=sql, output_entity_id="out")


def run(spark: Any, *, interval: bool = True, **parameters: Any) -> RunContext:
    start, end = datetime(2026, 1, 2), datetime(2026, 1, 3, 1, 2, 3, 45)  # noqa: DTZ001
    return RunContext(
        run_id="manual__x",
        pipe_id="q",
        interval_start=start.replace(tzinfo=timezone.utc) if interval else None,
        interval_end=end.replace(tzinfo=timezone.utc) if interval else None,
        parameters=parameters,
        spark=spark,
        logger=logging.getLogger("test"),
    )


def rows(spark: Any, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(row) for row in result_of_query(pipe(sql), {}, run(spark, **parameters)).collect()
    ]


def test_each_type_of_parameter_arrives_as_it_is(spark: Any) -> None:
    sql = (
        "SELECT string(:interval_start), string(:interval_end), typeof(:interval_start),"
        " date_add(date(:interval_start), 1) = DATE'2026-01-03', :run_id, :text, :whole, :big,"
        " :real, :flag, :nothing, :list, :empty"
    )
    values = {
        "text": TEXT,
        "whole": -3,
        "big": 2**62,
        "real": 1.5e300,
        "flag": True,
        "nothing": None,
        "list": ["a'b", "c"],
        "empty": [],
    }
    assert rows(spark, sql, **values) == [
        (
            *("2026-01-02 00:00:00", "2026-01-03 01:02:03.000045", "timestamp", True),
            *("manual__x", TEXT, -3, 2**62, 1.5e300, True, None, ["a'b", "c"], []),
        )
    ]


def test_what_only_looks_like_a_parameter_stays(spark: Any) -> None:
    sql = "SELECT ':run_id' AS a, -- :run_id\n :whole AS b /* :whole */, 'x'::string AS `:run_id`"
    assert rows(spark, sql, whole=1) == [(":run_id", 1, "x")]


def test_parameters_may_stand_wherever_spark_allows_them(spark: Any) -> None:
    sql = (
        "WITH r AS (SELECT id FROM range(10) WHERE id >= :least) "
        "SELECT (SELECT max(id) FROM r) AS m, id FROM r ORDER BY id LIMIT :whole"
    )
    assert rows(spark, sql, least=7, whole=2) == [(9, 7), (9, 8)]


def test_a_variable_of_the_text_is_one_still(spark: Any) -> None:
    spark.conf.set("shop.country", "NL")
    assert rows(
        spark, "SELECT '${spark:shop.country}${shop.country}', :text", text="${shop.country}"
    ) == [("NLNL", "${shop.country}")]


def test_a_parameter_that_the_run_lacks_is_named(spark: Any) -> None:
    with pytest.raises(PipeRunError) as raised:
        rows(spark, "SELECT :run_id, :contry", country="NL")
    assert str(raised.value).startswith(
        "pipe 'q': its query uses :contry, which this run does not have. "
        "Did you mean 'country'? It has: country, interval_end, interval_start, pipe_id, run_id."
    )


def test_a_run_without_an_interval_has_none_to_name(spark: Any) -> None:
    sql = "SELECT :run_id AS id, :interval_start AS at"
    with pytest.raises(PipeRunError) as raised:
        result_of_query(pipe(sql), {}, run(spark, interval=False))
    assert str(raised.value).startswith(
        "pipe 'q': its query uses :interval_start, but this run has no data interval\n"
    )
