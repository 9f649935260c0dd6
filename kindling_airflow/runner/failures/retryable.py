"""Decides whether a retry can help.

What is wrong with the code or the data stays wrong; what was in the way of the work may be gone.

An error is a chain: a write that fails says "task failed while writing", because of "job aborted",
because of an overflow, or because of a lost connection. What wraps does not count, so **the
innermost error that is conclusive decides**; where none is, the task is retried.

| kind | recognized by | retried |
|---|---|---|
| a pipe or project that is wrong | the package's own error classes | no |
| analysis and syntax errors, missing columns | ``AnalysisException``, SQLSTATE 0A 21 42 54 | no |
| values that do not fit: overflow, casts, dates | SQLSTATE 22, 23 | no |
| ``raise_error``, ``assert_true`` | SQLSTATE P0 | no |
| files whose columns do not fit | Spark's condition | no |
| wrong calls of PySpark | ``PySparkTypeError`` and its kind; Java's "requirement failed" | no |
| what a database refuses: syntax, tables, rights | ``SQLException``: state, class, code | no |
| text that is not CSV or JSON, or not in its encoding | the parsers' error classes | no |
| unknown modules and names, syntax, pickling | Python's error class, also out of a UDF | no |
| ``sys.exit`` in the pipe | ``SystemExit`` | no |
| unusually many or few rows; an unusual duration | ``UnusualRunError`` | no; yes |
| a path that is not there (yet) | condition ``PATH_NOT_FOUND`` | yes |
| files, network, time-outs, memory | ``IOException``, ``TimeoutException``, ... | yes |
| lost executors, internal errors, anything else | | yes |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pyspark import SparkContext, errors

from kindling_airflow.errors import (
    DeclarationError,
    HarvestError,
    PipeRunError,
    PipeTimeoutError,
    SettingsError,
    UnusualRunError,
)

__all__ = ["is_permanent", "java_causes"]

_LONGEST_CHAIN = 20

_PERMANENT_STATES = ("0A", "21", "22", "23", "42", "54", "P0")
_PERMANENT_CONDITIONS = ("FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH",)
_HEALING_CONDITIONS = ("PATH_NOT_FOUND",)  # it may be about to be written, or replaced right now

_PERMANENT_JAVA = frozenset(
    (
        # These descend from IOException all the same.
        "com.fasterxml.jackson.core.JacksonException",
        "java.io.CharConversionException",
        "java.io.InvalidClassException",
        "java.io.NotSerializableException",
        "java.nio.charset.CharacterCodingException",
        "org.apache.hadoop.fs.UnsupportedFileSystemException",
        "org.apache.hadoop.security.AccessControlException",
        "com.univocity.parsers.common.TextParsingException",
        "org.apache.spark.sql.AnalysisException",
        "org.apache.spark.sql.execution.datasources.SchemaColumnConvertNotSupportedException",
    )
)
_HEALING_JAVA = frozenset(
    (
        "java.io.IOException",
        "java.io.UncheckedIOException",
        "java.lang.InterruptedException",
        "java.lang.VirtualMachineError",
        "java.sql.SQLRecoverableException",
        "java.sql.SQLTransientException",
        "java.util.concurrent.TimeoutException",
        "org.apache.spark.shuffle.FetchFailedException",
    )
)
_HEALING_NAMES = re.compile(r"\.TTransportException$")  # the metastore's connection
# What Spark reports of a call, or of files, in an error without its own class.
_WRONG = (
    "requirement failed: ",
    "CSV header does not conform to the schema",
    "Number of column in CSV header",
)

_PERMANENT_DATABASE_STATES = ("0A", "21", "22", "23", "28", "3D", "3F", "42")
_HEALING_DATABASE_STATES = ("08", "40", "53", "55", "57", "58")
_PERMANENT_DATABASE = frozenset(
    (
        "java.sql.SQLDataException",
        "java.sql.SQLFeatureNotSupportedException",
        "java.sql.SQLIntegrityConstraintViolationException",
        "java.sql.SQLInvalidAuthorizationSpecException",
        "java.sql.SQLSyntaxErrorException",
    )
)
# Of drivers without meaningful states: syntax, missing tables and columns, rights, wrong values.
_PERMANENT_CODES = {
    "org.sqlite.SQLiteException": frozenset((1, 3, 19, 20, 23, 25, 26)),
    "com.microsoft.sqlserver.jdbc.SQLServerException": frozenset(
        (102, 105, 156, 170, 207, 208, 229, 230, 245, 2812, 4060, 4104, 8134, 18456)
    ),
}

_PERMANENT_PYTHON = (ImportError, SyntaxError, NameError, NotImplementedError)
_PERMANENT_PYTHON_NAMES = frozenset(
    {
        "ImportError",
        "IndentationError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
        "PicklingError",
        "SyntaxError",
        "TabError",
        "UnboundLocalError",
    }
)
_LAST_LINE_OF_TRACEBACK = re.compile(r"^(?:[\w.]+\.)?(\w+)(?::.*)?$")


def is_permanent(error: BaseException) -> bool:
    """Return whether trying again cannot help."""
    chain = _python_causes(error)
    for link, judge in [(error, _opinion_of_own), *((link, _opinion) for link in reversed(chain))]:
        opinion = judge(link)
        if opinion is not None:
            return opinion
    return False


def java_causes(error: BaseException) -> list[Any]:
    """Return the Java errors behind a Python error, outermost first; none where there is none."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    inner = getattr(error, "_cause", None)
    if java is None and isinstance(inner, Exception):  # why a stream has ended
        return java_causes(inner)
    found: list[Any] = []
    while java is not None and len(found) < _LONGEST_CHAIN:
        found.append(java)
        java = java.getCause()
    return found


def _python_causes(error: BaseException) -> list[BaseException]:
    """Return an error and what it was explicitly raised from, outermost first."""
    found: list[BaseException] = [error]
    while (cause := found[-1].__cause__) is not None and len(found) < _LONGEST_CHAIN:
        found.append(cause)
    return found


def _opinion_of_own(error: BaseException) -> bool | None:
    """Judge what this package raises: whatever it was raised from, it has judged already."""
    if isinstance(error, PipeTimeoutError):
        return False
    if isinstance(error, UnusualRunError):
        return error.is_permanent
    own = (DeclarationError, HarvestError, PipeRunError, SettingsError)
    return True if isinstance(error, own) else None


def _opinion(error: BaseException) -> bool | None:
    """Return whether an error is permanent, or None if it is inconclusive."""
    if isinstance(error, SystemExit):
        return True
    if isinstance(error, (OSError, MemoryError, TimeoutError)):
        return False
    if isinstance(error, _PERMANENT_PYTHON) or type(error).__name__ in _PERMANENT_PYTHON_NAMES:
        return True
    causes = java_causes(error)
    for java in reversed(causes):
        opinion = _opinion_of_java(java)
        if opinion is not None:
            return opinion
    return None if causes else _opinion_of_pyspark(error)


def _opinion_of_pyspark(error: BaseException) -> bool | None:
    """Judge an error that PySpark raised without a Java error at hand."""
    if isinstance(error, errors.PythonException):
        return _opinion_of_traceback(str(error).partition("\nJVM stacktrace:")[0])
    wrong_calls = (
        errors.PySparkAttributeError,
        errors.PySparkImportError,
        errors.PySparkIndexError,
        errors.PySparkKeyError,
        errors.PySparkNotImplementedError,
        errors.PySparkPicklingError,
        errors.PySparkTypeError,
        errors.PySparkValueError,
    )
    if isinstance(error, wrong_calls):
        return True
    if isinstance(error, errors.PySparkException):
        opinion = _opinion_of_condition(error.getCondition(), error.getSqlState())
        if opinion is None and isinstance(error, errors.AnalysisException):
            return True
        return opinion
    return None


def _opinion_of_java(java: Any) -> bool | None:
    family = set(_family(java.getClass()))
    jvm: Any = getattr(SparkContext._active_spark_context, "_jvm", None)
    if "org.apache.spark.SparkThrowable" in family and jvm is not None:
        throwable = jvm.PythonErrorUtils
        opinion = _opinion_of_condition(throwable.getCondition(java), throwable.getSqlState(java))
        if opinion is not None:
            return opinion
    name, text = str(java.getClass().getName()), str(java.getMessage())
    if name == "org.apache.spark.api.python.PythonException":
        return _opinion_of_traceback(text)
    if "java.sql.SQLException" in family:
        return _opinion_of_database(java, family)
    if family & _PERMANENT_JAVA:
        return True
    if family & _HEALING_JAVA or _HEALING_NAMES.search(name):
        return False
    if "java.lang.IllegalArgumentException" in family and text.strip().startswith(_WRONG):
        return True
    return None


def _opinion_of_database(java: Any, family: set[str]) -> bool | None:
    """Judge an error of a database by its SQLSTATE, else by its class, else by its code."""
    state = str(java.getSQLState() or "")
    if state.startswith(_HEALING_DATABASE_STATES) or family & _HEALING_JAVA:
        return False
    if state.startswith(_PERMANENT_DATABASE_STATES) or family & _PERMANENT_DATABASE:
        return True
    known = _PERMANENT_CODES.get(str(java.getClass().getName()), frozenset())
    return True if int(java.getErrorCode()) & 0xFFFF in known else None


def _family(java_class: Any) -> Iterator[str]:
    """Return the names of a Java class and of all that it descends from."""
    pending: list[Any] = [java_class]
    while pending:
        current = pending.pop()
        yield str(current.getName())
        parent = current.getSuperclass()
        pending += [*([] if parent is None else [parent]), *current.getInterfaces()]


def _opinion_of_condition(condition: str | None, state: str | None) -> bool | None:
    if condition in _HEALING_CONDITIONS:
        return False
    if condition in _PERMANENT_CONDITIONS or (state or "").startswith(_PERMANENT_STATES):
        return True
    return None


def _opinion_of_traceback(text: str) -> bool | None:
    """Judge what a Python worker raised by the last line of its traceback."""
    lines = [line for line in text.splitlines() if line.strip()]
    unindented = [line for line in lines if not line[0].isspace()]
    found = _LAST_LINE_OF_TRACEBACK.match(unindented[-1]) if unindented else None
    return True if found and found[1] in _PERMANENT_PYTHON_NAMES else None
