"""The contract of providers that write, as checks that any test framework can run.

    from kindling_airflow.runner.providers.contract import RULES, Case

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_contract(rule, spark, tmp_path):
        rule(Case(spark, str(tmp_path), {"provider_type": "shop_entities.avro:AvroProvider"}))

Each rule needs its own case, with an empty warehouse. It raises an AssertionError that explains
what does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.interface import (
    ProviderContext,
    Staged,
    WritableProvider,
    Write,
    WriteModes,
)
from kindling_airflow.runner.providers.lookup import writable_provider_for
from kindling_airflow.runner.providers.memory_tables import MemoryTables
from kindling_airflow.tags.intervals import IntervalSlice
from kindling_airflow.tags.names import COLUMN_TAG, WRITE_MODE_TAG

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["RULES", "Case"]

_AWKWARD_ROWS = """
    SELECT * FROM VALUES
        (1L, 'plain', 1.50BD, DATE '2013-01-01', array(1, NULL), named_struct('a', 'x', 'b', 1)),
        (2L, '"quoted", \\n and ''so'' on', -0.01BD, DATE '1999-12-31', array(), NULL),
        (3L, 'Zürich \\u2603', NULL, NULL, NULL, named_struct('a', NULL, 'b', NULL)),
        (NULL, '', 0.00BD, DATE '2038-01-19', array(0), named_struct('a', '', 'b', 0))
    AS t(id, name, amount, day, numbers, pair)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule is tried on.

    Attributes:
        spark: a session.
        warehouse: an empty folder.
        tags: the tags of an entity of the provider.
        entity_id: the entity; nothing of this name exists yet.
        memory: for providers that keep tables in the session.
    """

    spark: SparkSession
    warehouse: str
    tags: Mapping[str, Any]
    entity_id: str = "contract_orders"
    memory: MemoryTables | None = None

    def entity(self, **declaration: Any) -> EntityMetadata:
        """Return the entity."""
        return EntityMetadata(
            **{
                "entityid": self.entity_id,
                "name": self.entity_id,
                "tags": freeze(self.tags),
                **declaration,
            }
        )

    def provider(self, entity: EntityMetadata) -> WritableProvider:
        """Return a provider as each task gets it: a new one."""
        context = ProviderContext(self.spark, self.warehouse, self.memory)
        return writable_provider_for(entity, context)

    def stage(self, entity: EntityMetadata, frame: DataFrame, attempt: str = "a") -> Staged:
        """Stage a result as an attempt of one task instance."""
        return self.provider(entity).stage(entity, frame, Write("0123456789abcdef", attempt))

    def publish(self, entity: EntityMetadata, frame: DataFrame, attempt: str = "a") -> None:
        """Stage and publish a result."""
        write = Write("0123456789abcdef", attempt)
        self.provider(entity).publish(entity, self.stage(entity, frame, attempt), write)

    def numbers(self, entity: EntityMetadata) -> list[int]:
        """Return what is published, of a table of numbers."""
        return sorted(row[0] for row in self.provider(entity).read(entity).select("id").collect())


def an_entity_that_was_never_published_does_not_exist(case: Case) -> None:
    """Nothing is there before the first publish."""
    entity = case.entity()
    assert not case.provider(entity).exists(entity)


def what_was_published_exists(case: Case) -> None:
    """It is there after the first publish."""
    entity = case.entity()
    case.publish(entity, case.spark.range(3))
    assert case.provider(entity).exists(entity)


def rows_come_back_as_they_were_published(case: Case) -> None:
    """Values, types and the order of columns are kept."""
    entity, rows = case.entity(), case.spark.sql(_AWKWARD_ROWS)
    case.publish(entity, rows)
    found = case.provider(entity).read(entity)
    assert found.dtypes == rows.dtypes, f"{found.dtypes} is not {rows.dtypes}"
    assert sorted(found.collect(), key=repr) == sorted(rows.collect(), key=repr)


def what_is_staged_is_not_visible(case: Case) -> None:
    """A driver that dies before it publishes has changed nothing."""
    entity = case.entity()
    case.stage(entity, case.spark.range(3))
    assert not case.provider(entity).exists(entity)
    case.publish(entity, case.spark.range(2), "b")
    case.stage(entity, case.spark.range(7), "c")
    assert case.numbers(entity) == [0, 1]


def what_is_staged_can_be_read_and_counted(case: Case) -> None:
    """Checks look at a result before it is published."""
    staged = case.stage(case.entity(), case.spark.range(3))
    assert staged.rows == 3
    assert sorted(row[0] for row in staged.frame.collect()) == [0, 1, 2]


def a_second_publish_replaces_the_first(case: Case) -> None:
    """Nothing of the old table is left."""
    entity = case.entity()
    case.publish(entity, case.spark.range(5), "a")
    case.publish(entity, case.spark.range(2), "b")
    case.publish(entity, case.spark.range(3), "c")
    assert case.numbers(entity) == [0, 1, 2]


def a_result_may_have_no_rows(case: Case) -> None:
    """An empty table has columns nevertheless."""
    entity = case.entity()
    case.publish(entity, case.spark.range(5), "a")
    case.publish(entity, case.spark.range(0), "b")
    found = case.provider(entity).read(entity)
    assert (found.dtypes, found.count()) == ([("id", "bigint")], 0)


def a_result_may_have_other_columns_than_the_table(case: Case) -> None:
    """The table is what was published last, columns included."""
    entity = case.entity()
    case.publish(entity, case.spark.range(2), "a")
    case.publish(entity, case.spark.sql("SELECT 'x' AS name, 1 AS id"), "b")
    found = case.provider(entity).read(entity)
    assert found.dtypes == [("name", "string"), ("id", "int")]
    assert [tuple(row) for row in found.collect()] == [("x", 1)]


def a_result_that_fails_halfway_leaves_the_table(case: Case) -> None:
    """Rows are computed while they are staged, and that may fail in the middle."""
    entity = case.entity()
    case.publish(entity, case.spark.range(2), "a")
    broken = case.spark.range(100).selectExpr(
        "IF(id < 99, id, CAST(raise_error('halfway') AS BIGINT)) AS id"
    )
    try:
        case.stage(entity, broken, "b")
    except Exception as error:
        assert "halfway" in str(error)  # noqa: PT017 (this module must not need pytest)
    else:
        raise AssertionError("staging a failing result did not fail")
    assert case.numbers(entity) == [0, 1]
    case.publish(entity, case.spark.range(3), "c")
    assert case.numbers(entity) == [0, 1, 2]


def a_dead_attempt_leaves_nothing_in_the_next_one(case: Case) -> None:
    """An attempt takes over nothing from an earlier one that died after it had staged."""
    entity = case.entity()
    case.stage(entity, case.spark.range(50), "dead")
    case.publish(entity, case.spark.range(2), "next")
    assert case.numbers(entity) == [0, 1]


def a_result_may_be_made_from_the_table_itself(case: Case) -> None:
    """A pipe may read its own output: the rows are read while the new ones are staged."""
    entity = case.entity()
    case.publish(entity, case.spark.range(2), "a")
    for attempt in ("b", "c"):
        grown = case.provider(entity).read(entity).union(case.spark.range(10, 11))
        case.publish(entity, grown, attempt)
    assert case.numbers(entity) == [0, 1, 10, 10]


def a_reader_that_has_begun_sees_one_publish_or_fails(case: Case) -> None:
    """A mixture of two publishes is never read."""
    entity = case.entity()
    case.publish(entity, case.spark.range(3), "a")
    begun = case.provider(entity).read(entity)
    case.publish(entity, case.spark.range(100, 105), "b")
    try:
        found = sorted(row[0] for row in begun.collect())
    except Exception:  # the files are gone: an attempt later on reads the new ones
        return
    assert found in ([0, 1, 2], list(range(100, 105))), f"a mixture was read: {found}"


def a_description_says_where_without_looking(case: Case) -> None:
    """It is the same before and after a publish, and different entities have different ones."""
    entity = case.entity()
    before = case.provider(entity).describe(entity)
    case.publish(entity, case.spark.range(1))
    assert case.provider(entity).describe(entity) == before
    assert before.location
    assert before.format
    other = case.entity(entityid=f"{case.entity_id}_2")
    assert case.provider(other).describe(other).location != before.location


def partition_columns_keep_their_types(case: Case) -> None:
    """A code like ``01`` stays a text, with rows and without."""
    entity = case.entity(partition_columns=("code",))
    rows = case.spark.createDataFrame([("01", 1), ("x", 2)], "code STRING, n INT")
    for frame, attempt in ((rows, "a"), (rows.limit(0), "b")):
        case.publish(entity, frame, attempt)
        found = case.provider(entity).read(entity).select("code", "n")
        assert found.dtypes == [("code", "string"), ("n", "int")]
        assert sorted(map(tuple, found.collect())) == sorted(map(tuple, frame.collect()))


def what_one_task_instance_appends_twice_counts_once(case: Case) -> None:
    """An attempt that was retried doubles nothing, and other task instances are added."""
    if not _can(case, "append"):
        return
    entity = case.entity(tags=freeze({**case.tags, WRITE_MODE_TAG: "append"}))
    provider = case.provider(entity)
    for instance, attempt, first in (("a", "a1", 0), ("b", "b1", 10), ("a", "a2", 0)):
        write = Write(instance, attempt, "append")
        staged = provider.stage(entity, case.spark.range(first, first + 2), write)
        case.provider(entity).publish(entity, staged, write)
    assert case.numbers(entity) == [0, 1, 10, 11]


def a_slice_is_replaced_and_the_rest_stays(case: Case) -> None:
    """Days that the result has no rows for are emptied, if they are of the slice."""
    if not _can(case, "overwrite_interval"):
        return
    entity = _of_days(case)
    provider = case.provider(entity)
    for attempt, part, days in (
        ("a", None, [1, 2, 3, 4]),
        ("b", _days(2, 4), [2]),
        ("c", _days(4, 5), []),
    ):
        write = Write("0123456789abcdef", attempt, "overwrite_interval", part)
        staged = provider.stage(entity, _rows(case, attempt, days), write)
        assert staged.rows == len(days)
        case.provider(entity).publish(entity, staged, write)
    found = case.provider(entity).read(entity).select("day", "made").collect()
    assert sorted((row.day.day, row.made) for row in found) == [(1, "a"), (2, "b")]


def rows_outside_of_the_slice_are_refused(case: Case) -> None:
    """Before anything is published."""
    if not _can(case, "overwrite_interval"):
        return
    entity = _of_days(case)
    provider = case.provider(entity)
    write = Write("0123456789abcdef", "a", "overwrite_interval", _days(2, 3))
    try:
        staged = provider.stage(entity, _rows(case, "a", [2, 3]), write)
        provider.publish(entity, staged, write)
    except Exception:
        assert not case.provider(entity).exists(entity)
    else:
        raise AssertionError("rows outside of the slice were taken")


def _can(case: Case, mode: str) -> bool:
    provider = case.provider(case.entity())
    return isinstance(provider, WriteModes) and mode in provider.write_modes


def _of_days(case: Case) -> EntityMetadata:
    tags = {**case.tags, WRITE_MODE_TAG: "overwrite_interval", COLUMN_TAG: "day"}
    return case.entity(tags=freeze(tags), partition_columns=("day",))


def _days(first: int, behind: int) -> IntervalSlice:
    start, end = (datetime(2013, 1, day, tzinfo=timezone.utc) for day in (first, behind))
    return IntervalSlice("day", start, end)


def _rows(case: Case, made: str, days: list[int]) -> DataFrame:
    rows = [(date(2013, 1, day), made) for day in days]
    return case.spark.createDataFrame(rows, "day DATE, made STRING")


RULES: tuple[Callable[[Case], None], ...] = (
    an_entity_that_was_never_published_does_not_exist,
    what_was_published_exists,
    rows_come_back_as_they_were_published,
    what_is_staged_is_not_visible,
    what_is_staged_can_be_read_and_counted,
    a_second_publish_replaces_the_first,
    a_result_may_have_no_rows,
    a_result_may_have_other_columns_than_the_table,
    a_result_that_fails_halfway_leaves_the_table,
    a_dead_attempt_leaves_nothing_in_the_next_one,
    a_result_may_be_made_from_the_table_itself,
    a_reader_that_has_begun_sees_one_publish_or_fails,
    a_description_says_where_without_looking,
    partition_columns_keep_their_types,
    what_one_task_instance_appends_twice_counts_once,
    a_slice_is_replaced_and_the_rest_stays,
    rows_outside_of_the_slice_are_refused,
)
