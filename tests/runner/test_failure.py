"""Which errors of Spark and of user code can heal, each raised for real in a session."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import (
    DeclarationError,
    EntityError,
    HarvestError,
    PipeRunError,
    PipeTimeoutError,
)
from kindling_airflow.runner.failures.failure import describe
from kindling_airflow.runner.failures.retryable import is_permanent

ROOT = Path(__file__).parent
Case = Callable[[Any, Path], Any]


class BrokenPromiseError(PipeRunError):
    """Stands for every kind of broken promise."""


def raised_by(case: Case, spark: Any, folder: Path) -> BaseException:
    try:
        case(spark, folder)
    except (Exception, SystemExit) as error:
        return error
    raise AssertionError("nothing was raised")


def _table(spark: Any, folder: Path) -> Any:
    spark.range(5).write.parquet(str(folder / "table"))
    return spark.read.parquet(str(folder / "table"))


def missing_column(spark: Any, folder: Path) -> None:
    spark.range(1).select("nope")


def missing_attribute(spark: Any, folder: Path) -> None:
    spark.range(1).nope  # noqa: B018


def wrong_syntax(spark: Any, folder: Path) -> None:
    spark.sql("SELEC 1")


def unknown_table(spark: Any, folder: Path) -> None:
    spark.table("nope")


def path_not_there_yet(spark: Any, folder: Path) -> None:
    spark.read.parquet(str(folder / "nope"))


def overflow_while_collecting(spark: Any, folder: Path) -> None:
    spark.range(1).selectExpr("CAST(id AS INT) + 2147483647 + 1").collect()


def overflow_while_writing(spark: Any, folder: Path) -> None:
    spark.range(1).selectExpr("CAST(id AS INT) + 2147483647 + 1 AS x").write.parquet(
        str(folder / "x")
    )


def wrong_number_while_writing(spark: Any, folder: Path) -> None:
    spark.range(1).selectExpr("CAST(concat('a', id) AS INT) AS x").write.parquet(str(folder / "x"))


def wrong_date(spark: Any, folder: Path) -> None:
    spark.range(1).selectExpr("CAST(concat('a', id) AS DATE)").collect()


def division_by_zero(spark: Any, folder: Path) -> None:
    spark.range(1).selectExpr("1 / id").collect()


def index_out_of_bounds(spark: Any, folder: Path) -> None:
    spark.range(1).selectExpr("element_at(array(id), 3)").collect()


def raised_in_sql(spark: Any, folder: Path) -> None:
    spark.range(1).selectExpr("raise_error('no')").collect()


def two_rows_where_one_belongs(spark: Any, folder: Path) -> None:
    spark.sql("SELECT (SELECT id FROM range(3))").collect()


def wrong_setting(spark: Any, folder: Path) -> None:
    spark.conf.set("spark.sql.shuffle.partitions", "many")


def requirement_of_spark(spark: Any, folder: Path) -> None:
    spark.range(1).repartition(0)


def wrong_argument(spark: Any, folder: Path) -> None:
    spark.range(1).withColumn("x", 1)


def wrong_value_for_a_schema(spark: Any, folder: Path) -> None:
    spark.createDataFrame([("a",)], "x INT").collect()


def columns_of_another_type_in_the_files(spark: Any, folder: Path) -> None:
    _table(spark, folder)
    spark.read.schema("id STRING").parquet(str(folder / "table")).collect()


def no_such_file_system(spark: Any, folder: Path) -> None:
    spark.read.parquet("nosuch://lake/table")


def unknown_module_in_a_udf(spark: Any, folder: Path) -> None:
    from pyspark.sql import functions as F

    def convert(number: int) -> int:
        import no_such_module  # noqa: F401

        return number

    spark.range(1).select(F.udf(convert, "bigint")("id")).write.parquet(str(folder / "x"))


def unknown_module_in_an_rdd(spark: Any, folder: Path) -> None:
    def convert(number: int) -> int:
        import no_such_module  # noqa: F401

        return number

    spark.sparkContext.parallelize([1]).map(convert).collect()


def what_cannot_be_sent_to_a_udf(spark: Any, folder: Path) -> None:
    from pyspark.sql import functions as F

    spark.range(1).select(F.udf(lambda n: (n, spark)[0], "bigint")("id")).collect()


def unknown_module(spark: Any, folder: Path) -> None:
    import no_such_module  # noqa: F401


def unknown_name(spark: Any, folder: Path) -> None:
    no_such_name  # noqa: B018, F821


def exit_of_the_pipe(spark: Any, folder: Path) -> None:
    raise SystemExit(3)


def analysis_error_behind_the_users_own(spark: Any, folder: Path) -> None:
    try:
        missing_column(spark, folder)
    except Exception as error:
        raise RuntimeError("cannot make the report") from error


def broken_json(spark: Any, folder: Path) -> None:
    (folder / "a.json").write_text('{"id": 1')
    spark.read.option("mode", "FAILFAST").json(str(folder / "a.json"))


def broken_json_while_writing(spark: Any, folder: Path) -> None:
    (folder / "a.json").write_text('{"id": 1')
    reader = spark.read.schema("id INT").option("mode", "FAILFAST")
    reader.json(str(folder / "a.json")).write.parquet(str(folder / "x"))


def header_of_another_file(spark: Any, folder: Path) -> None:
    (folder / "a.csv").write_text("name,id\nx,1\n")
    reader = spark.read.schema("id STRING, name STRING").options(header=True, enforceSchema=False)
    reader.csv(str(folder / "a.csv")).write.parquet(str(folder / "x"))


def quote_within_quotes(spark: Any, folder: Path) -> None:
    (folder / "a.csv").write_text('"a "b" c"\n')
    reader = spark.read.schema("x STRING").option("unescapedQuoteHandling", "RAISE_ERROR")
    reader.csv(str(folder / "a.csv")).write.parquet(str(folder / "x"))


def bytes_of_another_encoding(spark: Any, folder: Path) -> None:
    raise wrapped(
        spark, "org.apache.spark.SparkException", "java.nio.charset.CharacterCodingException"
    )


def of_a_database(
    spark: Any, state: str | None, code: int = 0, name: str = "java.sql.SQLException"
) -> Exception:
    """Return the error of a JDBC driver, as PySpark hands it over."""
    from py4j.protocol import Py4JJavaError

    made: Any = spark._jvm
    for part in name.split("."):
        made = getattr(made, part)
    return Py4JJavaError("it failed", made("it failed", state, code))


def wrong_declaration(spark: Any, folder: Path) -> None:
    raise DeclarationError(["pipe 'a': no"])


def import_that_failed(spark: Any, folder: Path) -> None:
    raise HarvestError(["module 'a' cannot be imported"]) from OSError("disk full")


def broken_promise(spark: Any, folder: Path) -> None:
    raise BrokenPromiseError("rows are missing")


PERMANENT: list[Case] = [
    missing_column,
    missing_attribute,
    wrong_syntax,
    unknown_table,
    overflow_while_collecting,
    overflow_while_writing,
    wrong_number_while_writing,
    wrong_date,
    division_by_zero,
    index_out_of_bounds,
    raised_in_sql,
    two_rows_where_one_belongs,
    wrong_setting,
    requirement_of_spark,
    wrong_argument,
    wrong_value_for_a_schema,
    columns_of_another_type_in_the_files,
    no_such_file_system,
    unknown_module_in_a_udf,
    unknown_module_in_an_rdd,
    what_cannot_be_sent_to_a_udf,
    unknown_module,
    unknown_name,
    exit_of_the_pipe,
    analysis_error_behind_the_users_own,
    broken_json,
    broken_json_while_writing,
    header_of_another_file,
    quote_within_quotes,
    wrong_declaration,
    import_that_failed,
    broken_promise,
]


def file_replaced_while_it_is_read(spark: Any, folder: Path) -> None:
    table = _table(spark, folder)
    for path in (folder / "table").glob("*.parquet"):
        path.unlink()
    table.collect()


def file_replaced_while_the_result_is_written(spark: Any, folder: Path) -> None:
    table = _table(spark, folder)
    for path in (folder / "table").glob("*.parquet"):
        path.unlink()
    table.write.parquet(str(folder / "x"))


def half_a_file(spark: Any, folder: Path) -> None:
    _table(spark, folder)
    for path in (folder / "table").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    for path in (folder / "table").glob(".*.crc"):
        path.unlink()
    spark.read.schema("id BIGINT").parquet(str(folder / "table")).collect()


def storage_that_does_not_answer(spark: Any, folder: Path) -> None:
    spark.read.parquet("hdfs://127.0.0.1:1/table")


def storage_that_refuses_the_write(spark: Any, folder: Path) -> None:
    spark.range(1).write.parquet("/proc/kindling/table")


def wrapped(spark: Any, outer: str, inner: str) -> Any:
    """Return a Java error as PySpark hands it over: one class wrapped around another."""
    from py4j.protocol import Py4JJavaError

    jvm = spark._jvm
    cause: Any = jvm
    for part in inner.split("."):
        cause = getattr(cause, part)
    wrapper: Any = jvm
    for part in outer.split("."):
        wrapper = getattr(wrapper, part)
    return Py4JJavaError("it failed", wrapper("it failed", cause("the reason")))


def lost_connection_behind_an_aborted_job(spark: Any, folder: Path) -> None:
    raise wrapped(spark, "org.apache.spark.SparkException", "java.net.SocketException")


def timeout_behind_a_wrong_argument(spark: Any, folder: Path) -> None:
    raise wrapped(
        spark, "java.lang.IllegalArgumentException", "java.util.concurrent.TimeoutException"
    )


def memory_behind_an_arithmetic_state(spark: Any, folder: Path) -> None:
    raise wrapped(spark, "org.apache.spark.SparkException", "java.lang.OutOfMemoryError")


def lost_executors(spark: Any, folder: Path) -> None:
    from py4j.protocol import Py4JJavaError

    message = (
        "Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent "
        "failure: Lost task 0.3 in stage 1.0 (TID 7): ExecutorLostFailure (executor 1 exited)"
    )
    none = None
    raise Py4JJavaError("it failed", spark._jvm.org.apache.spark.SparkException(message, none))


def error_in_a_udf(spark: Any, folder: Path) -> None:
    from pyspark.sql import functions as F

    def convert(number: int) -> int:
        raise ConnectionError("the service does not answer")

    spark.range(1).select(F.udf(convert, "bigint")("id")).write.parquet(str(folder / "x"))


def error_of_the_pipe(spark: Any, folder: Path) -> None:
    raise ValueError("the moon is in the wrong phase")


def disk_that_is_full(spark: Any, folder: Path) -> None:
    raise OSError(28, os.strerror(28))


def analysis_error_behind_which_the_network_failed(spark: Any, folder: Path) -> None:
    try:
        raise ConnectionError("reset")
    except ConnectionError as error:
        raise PipeLookupError("no answer") from error


class PipeLookupError(RuntimeError):
    """An error of the user's own."""


def input_that_is_missing(spark: Any, folder: Path) -> None:
    raise EntityError("input 'a' does not exist")


def try_that_took_too_long(spark: Any, folder: Path) -> None:
    raise PipeTimeoutError("took too long")


HEALING: list[Case] = [
    path_not_there_yet,
    file_replaced_while_it_is_read,
    file_replaced_while_the_result_is_written,
    half_a_file,
    storage_that_does_not_answer,
    storage_that_refuses_the_write,
    lost_connection_behind_an_aborted_job,
    timeout_behind_a_wrong_argument,
    memory_behind_an_arithmetic_state,
    lost_executors,
    error_in_a_udf,
    error_of_the_pipe,
    disk_that_is_full,
    analysis_error_behind_which_the_network_failed,
    input_that_is_missing,
    try_that_took_too_long,
]


@pytest.mark.parametrize("case", PERMANENT, ids=lambda case: case.__name__)
def test_is_not_tried_again(case: Case, spark: Any, tmp_path: Path) -> None:
    assert is_permanent(raised_by(case, spark, tmp_path))


@pytest.mark.parametrize("case", HEALING, ids=lambda case: case.__name__)
def test_is_tried_again(case: Case, spark: Any, tmp_path: Path) -> None:
    assert not is_permanent(raised_by(case, spark, tmp_path))


@pytest.mark.parametrize(
    ("state", "name", "permanent"),
    [
        ("42P01", "java.sql.SQLException", True),  # PostgreSQL: no such table
        ("42501", "java.sql.SQLException", True),  # no right to read it
        ("28P01", "java.sql.SQLException", True),  # wrong password
        ("3D000", "java.sql.SQLException", True),  # no such database
        ("22012", "java.sql.SQLException", True),  # division by zero
        ("42S02", "java.sql.SQLSyntaxErrorException", True),  # MySQL: no such table
        (None, "java.sql.SQLSyntaxErrorException", True),
        (None, "java.sql.SQLFeatureNotSupportedException", True),
        ("S1000", "java.sql.SQLException", False),
        (None, "java.sql.SQLException", False),
        ("08001", "java.sql.SQLException", False),  # no connection
        ("08S01", "java.sql.SQLNonTransientConnectionException", False),
        ("40001", "java.sql.SQLException", False),  # serialisation, deadlock
        ("40P01", "java.sql.SQLException", False),
        ("55P03", "java.sql.SQLException", False),  # lock not available
        ("57P03", "java.sql.SQLException", False),  # starting up
        ("53300", "java.sql.SQLException", False),  # too many connections
        (None, "java.sql.SQLTransientConnectionException", False),
        (None, "java.sql.SQLTimeoutException", False),
    ],
)
def test_a_database_says_by_its_state_or_class_whether_it_may_heal(
    spark: Any, state: str | None, name: str, permanent: bool
) -> None:
    assert is_permanent(of_a_database(spark, state, name=name)) is permanent


def test_a_database_that_the_driver_wraps_decides(spark: Any) -> None:
    from py4j.protocol import Py4JJavaError

    for state, permanent in (("42601", True), ("08006", False)):
        inner = of_a_database(spark, state).java_exception  # type: ignore[attr-defined]
        outer = spark._jvm.org.apache.spark.SparkException("Job aborted", inner)
        assert is_permanent(Py4JJavaError("it failed", outer)) is permanent


def test_a_pickling_error_is_known_by_its_name() -> None:
    assert is_permanent(pickle.PicklingError("cannot"))


class TestDescription:
    def test_the_reason_of_an_analysis_error_comes_without_the_jvm(
        self, spark: Any, tmp_path: Path
    ) -> None:
        failure = describe(raised_by(missing_column, spark, tmp_path), ROOT)
        assert failure.type == "AnalysisException"
        assert failure.message.startswith("[UNRESOLVED_COLUMN.WITH_SUGGESTION] ")
        assert "\tat " not in failure.message
        assert 'spark.range(1).select("nope")' in failure.traceback

    def test_an_error_of_the_jvm_has_its_own_class_and_the_chain_of_causes(
        self, spark: Any, tmp_path: Path
    ) -> None:
        failure = describe(raised_by(file_replaced_while_it_is_read, spark, tmp_path), ROOT)
        assert failure.type == "SparkException"
        assert failure.message.startswith("[FAILED_READ_FILE.FILE_NOT_EXIST] ")
        assert "\nCaused by: FileNotFoundException: File file:" in failure.message
        assert "\tat " not in failure.message

    def test_what_a_udf_raised_comes_first(self, spark: Any, tmp_path: Path) -> None:
        failure = describe(raised_by(error_in_a_udf, spark, tmp_path), ROOT)
        assert failure.message == (
            "ConnectionError: the service does not answer\n"
            "(raised in a Spark Python worker, by a UDF or code that it calls)"
        )
        assert 'raise ConnectionError("the service does not answer")' in failure.traceback

    def test_an_error_without_a_text_has_at_least_its_name(self) -> None:
        assert describe(ValueError(), ROOT).message == "ValueError"

    def test_an_exit_says_what_to_do_instead(self) -> None:
        assert describe(SystemExit(3), ROOT).message == (
            "the pipe's code called sys.exit(3)\n"
            "  Fix: return the DataFrame, or raise an error with a message."
        )

    def test_what_is_endless_is_cut(self) -> None:
        message = describe(ValueError("x" * 5_000), ROOT).message
        assert message == "x" * 4_000 + "\n... (1000 more)"
