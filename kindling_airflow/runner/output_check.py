"""Is what a pipe returned what it promised? Checked before anything is written."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import PipeRunError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = ["checked_output"]


def checked_output(
    pipe: PipeMetadata, output: EntityMetadata, result: Any, spark: SparkSession
) -> DataFrame:
    """Return a pipe's result, with its columns in the declared order where a schema is declared.

    Raises:
        PipeRunError: the result is no DataFrame, has a column twice, lacks a partition column, or
            does not fit the declared schema; lists every difference.
    """
    from pyspark.sql import DataFrame

    if not isinstance(result, DataFrame):
        what = "returned nothing" if result is None else f"returned a {type(result).__name__}"
        raise PipeRunError(
            f"pipe {pipe.pipeid!r} {what} where a DataFrame belongs\n"
            "  Fix: end the function with 'return <DataFrame>'."
        )
    problems = [f"column {name!r} comes {n} times" for name, n in _repeated(result.columns).items()]
    problems += [
        f"partition column {name!r} is missing"
        for name in output.partition_columns
        if name not in result.columns
    ]
    declared = _declared_schema(output, spark)
    if declared is not None:
        problems += _differences(declared, result.schema)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise PipeRunError(
            f"pipe {pipe.pipeid!r}: its result does not fit entity {output.entityid!r}\n{listed}\n"
            "  Fix: change the pipe's result, or the entity's declaration."
        )
    return result if declared is None else result.select(*(_quoted(f.name) for f in declared))


def _declared_schema(output: EntityMetadata, spark: SparkSession) -> StructType | None:
    if output.schema is None:
        return None
    try:
        return spark.createDataFrame([], output.schema).schema
    except Exception as error:
        raise PipeRunError(
            f"entity {output.entityid!r}: its schema is no Spark DDL: {output.schema!r}: {error}\n"
            "  Fix: write it like 'id BIGINT, name STRING'."
        ) from error


def _repeated(names: list[str]) -> dict[str, int]:
    """Return the names that come more than once; Spark does not tell upper case from lower case."""
    return {name: n for name, n in Counter(name.lower() for name in names).items() if n > 1}


def _differences(declared: StructType, actual: StructType) -> list[str]:
    found = {field.name: field.dataType.simpleString() for field in actual}
    wanted = {field.name: field.dataType.simpleString() for field in declared}
    problems = [
        f"column {name!r} ({kind}) is missing" for name, kind in wanted.items() if name not in found
    ]
    problems += [
        f"column {name!r} is {found[name]}, declared as {kind}"
        for name, kind in wanted.items()
        if name in found and found[name] != kind
    ]
    problems += [
        f"column {name!r} ({kind}) is not declared"
        for name, kind in found.items()
        if name not in wanted
    ]
    return problems


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
