"""What is Delta's own: the session's settings, and the table as other tools see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import DeclarationError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.tables.delta import DeltaProvider
from tests.runner.formats.format_tests import day, day_run, flights, publish, stored, write_of


def history(case: Case) -> list[tuple[int, str]]:
    path = str(Path(case.warehouse) / case.entity_id)
    rows = case.spark.sql(f"DESCRIBE HISTORY delta.`{path}`").collect()
    return sorted((row["version"], row["operation"]) for row in rows)


def test_each_publish_is_one_version_and_a_second_append_is_none(case: Case) -> None:
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "overwrite"))
    for attempt in ("a", "retry"):
        publish(case, entity, flights(case, [(2, day(2), 2)]), write_of(2, "append", attempt))
    day_run(case, entity, 3, [(3, day(3), 3)])
    publish(case, entity, flights(case, [(3, day(3), 4)]), write_of(4, "merge"))
    assert history(case) == [(0, "WRITE"), (1, "WRITE"), (2, "WRITE"), (3, "MERGE")]
    assert stored(case, entity) == [(1, day(1), 1), (2, day(2), 2), (3, day(3), 4)]


def test_a_slice_leaves_the_files_of_other_slices_alone(case: Case) -> None:
    entity = case.entity(partition_columns=("day",))
    for n in (1, 2):
        day_run(case, entity, n, [(n, day(n), n)])
    table = Path(case.warehouse) / case.entity_id
    before = {path: path.read_bytes() for path in table.glob("day=2013-01-01/*.parquet")}
    day_run(case, entity, 2, [(2, day(2), 9)], "rerun")
    after = {path: path.read_bytes() for path in table.glob("day=2013-01-01/*.parquet")}
    assert before == after


def test_a_session_without_the_settings_says_which_lines_to_add(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bare:
        def __init__(self, spark: Any) -> None:
            self._jvm = spark._jvm
            self.conf: Any = {"spark.sql.extensions": "shop.Extension"}

    with pytest.raises(DeclarationError) as raised:
        DeltaProvider(ProviderContext(Bare(case.spark), case.warehouse))  # type: ignore[arg-type]
    assert str(raised.value) == (
        "provider_type 'delta': the Spark session lacks settings that Delta needs\n"
        "  Fix: add to the definition\n"
        "    spark:\n"
        "      conf:\n"
        "        spark.sql.extensions: shop.Extension,io.delta.sql.DeltaSparkSessionExtension\n"
        "        spark.sql.catalog.spark_catalog: org.apache.spark.sql.delta.catalog.DeltaCatalog"
    )
