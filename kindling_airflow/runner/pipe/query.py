"""Runs a pipe's query: the inputs are its tables, the run's facts and parameters its arguments.

    private session:  bronze_orders  -> what was read of 'bronze.orders'
                      bronze.orders  -> the same, for ids in backquotes
    arguments:        :interval_start, :interval_end, :run_id, :pipe_id, and the run's parameters

Temporary views belong to a session, and pipes that run at once share theirs. So each query has its
own session, which shares everything else: executors, kept tables, settings. Unique view names in
the shared session would not do: Spark drops what it keeps of a table together with a view of that
table. Values go in as typed arguments; where a session's parser loses them, as the typed literals
that Spark's own parser makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_pipes import PipeMetadata, argument_name
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.pipe.run_context import RunContext

_LARGEST = 2**63  # Spark's whole numbers are of 64 bits
_INTERVAL = ("interval_start", "interval_end")
# Spark meets such a marker only after it has found the text to be a query.
_BEYOND_GRAMMAR = "UNEXPECTED_USE_OF_PARAMETER_MARKER"
_UNBOUND = "UNBOUND_SQL_PARAMETER"


def result_of_query(
    pipe: PipeMetadata, frames: Mapping[str, DataFrame], run: RunContext
) -> DataFrame:
    """Return the rows of a pipe's query, as a frame of the run's session.

    Raises:
        PipeRunError: the text is not a query (nothing is executed then), a table is not one of the
            inputs, or the run has no value for a parameter.
        AnalysisException: Spark finds something else wrong with the query.
    """
    sql = pipe.sql or ""
    private = _private_session(run.spark)
    for entity_id in pipe.input_entity_ids:
        frame = in_session(private, frames[argument_name(entity_id)])
        for table in dict.fromkeys((argument_name(entity_id), entity_id)):
            frame.createOrReplaceTempView("`" + table.replace("`", "``") + "`")
    arguments = query_arguments(run)
    _refuse_statements(pipe, private)
    try:
        result = _rows(private, sql, arguments)
    except AnalysisException as error:
        text = _error_text(pipe, run, arguments, error)
        if text is None:
            raise
        raise PipeRunError(text) from error
    return in_session(run.spark, result)


def _rows(session: SparkSession, sql: str, arguments: Mapping[str, Any]) -> DataFrame:
    """Return a query's rows, whatever parser the session has, which is for this query alone.

    Spark hands the arguments to the session's parser together with the text. The parser of an
    extension that was made for an older Spark (Delta's, up to 4.4) passes on the text alone, and
    the parameters would stay unbound. What Spark's own parser does with them is done for it then:
    each becomes a typed literal.
    """
    if ":" not in sql or not arguments:
        return session.sql(sql)
    jvm: Any = session._jvm
    inner: Any = session._jsparkSession
    expressions = jvm.java.util.HashMap()
    for name, value in arguments.items():
        column: Any = F.lit(value)
        expressions.put(name, inner.expression(column._jc))
    scala_map = jvm.org.apache.spark.api.python.PythonUtils.toScalaMap(expressions)
    classes = jvm.org.apache.spark.sql.catalyst.parser
    context = classes.NamedParameterContext(inner.resolveAndValidateParameters(scala_map))
    parser = inner.sessionState().sqlParser()
    probe = parser.parsePlanWithParameters(f"SELECT :{next(iter(arguments))}", context)
    is_bound = "namedparameter(" not in probe.toString()
    if is_bound and not any("${" in str(value) for value in arguments.values()):
        return session.sql(sql, args=dict(arguments))
    # What looks like a variable, ${x}, is one in the text, and none in a value; Spark, which looks
    # for variables after it has put the values in, would take it for one there, too.
    text = jvm.org.apache.spark.sql.internal.VariableSubstitution().substitute(sql)
    session.conf.set("spark.sql.variable.substitute", "false")
    return session.sql(classes.ParameterHandler.substituteParameters(text, context)._1())


def query_arguments(run: RunContext) -> dict[str, Any]:
    """Return what a query may name in this run: parameters that SQL has types for, and the run's.

    A run without an interval has no interval to name: what is in no run becomes neither a NULL nor
    a table without rows.
    """
    facts: dict[str, Any] = {
        "run_id": run.run_id,
        "pipe_id": run.pipe_id,
        "interval_start": run.interval_start,
        "interval_end": run.interval_end,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    own = {name: value for name, value in run.parameters.items() if name not in facts}
    return {
        **{name: _as_argument(value) for name, value in own.items() if _has_type(value)},
        **known,
    }


def _has_type(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        kinds = {type(item) for item in value}
        return len(kinds) <= 1 and all(_has_type(v) for v in value) and None not in value
    if type(value) is int:
        return -_LARGEST <= value < _LARGEST
    return value is None or isinstance(value, (str, bool, float))


def _as_argument(value: Any) -> Any:
    return list(map(_as_argument, value)) if isinstance(value, tuple) else value


def _private_session(spark: SparkSession) -> SparkSession:
    """Return a session beside this one, with its settings."""
    private = spark.newSession()
    theirs = dict(private.conf.getAll)
    for key, value in dict(spark.conf.getAll).items():
        if theirs.get(key) != value and private.conf.isModifiable(key):
            private.conf.set(key, value)
    return private


def in_session(session: SparkSession, frame: DataFrame) -> DataFrame:
    """Return the same frame as one of another session of the same application."""
    jvm: Any = session._jvm
    plan = frame._jdf.logicalPlan()
    rows = jvm.org.apache.spark.sql.classic.Dataset.ofRows(session._jsparkSession, plan)
    return DataFrame(rows, session)


def _refuse_statements(pipe: PipeMetadata, session: SparkSession) -> None:
    """Raise if a text is not a query: ``spark.sql`` would execute a statement at once."""
    try:
        session._jsparkSession.sessionState().sqlParser().parseQuery(pipe.sql)
    except ParseException as error:
        if error.getCondition() == _BEYOND_GRAMMAR:
            return
        raise PipeRunError(
            f"pipe {pipe.pipeid!r}: its text is not a query that Spark can parse: {error}\n"
            "  Fix: write a single query; statements that change data are not allowed in a pipe."
        ) from error


def _error_text(
    pipe: PipeMetadata, run: RunContext, arguments: Mapping[str, Any], error: Any
) -> str | None:
    """Return what the pipe's author can do about an error, or None if Spark's text is enough."""
    condition, parameters = error.getCondition(), error.getMessageParameters() or {}
    if condition == "TABLE_OR_VIEW_NOT_FOUND":
        table = str(parameters.get("relationName", "")).replace("`", "")
        names = list(map(argument_name, pipe.input_entity_ids))
        known = ", ".join(names) or "none"
        return (
            f"pipe {pipe.pipeid!r}: its query reads {table!r}, which is not one of its inputs."
            f"{did_you_mean(table, names)} It has: {known}.\n"
            "  Fix: correct the name, or add the entity to input_entity_ids."
        )
    name = str(parameters.get("name", ""))
    if condition != _UNBOUND or name in arguments:
        return None
    wants = f"pipe {pipe.pipeid!r}: its query uses :{name}"
    if name in _INTERVAL:
        return (
            f"{wants}, but this run has no data interval\n"
            "  Fix: give the DAG a schedule and run it for an interval (a backfill does), or use a "
            "custom parameter."
        )
    if name in run.parameters:
        return (
            f"{wants}, but the value of that run parameter has no SQL type\n"
            "  Fix: pass text, a number, true, false, null, or a list of one kind of these."
        )
    return (
        f"{wants}, which this run does not have.{did_you_mean(name, arguments)} "
        f"It has: {', '.join(sorted(arguments))}.\n"
        "  Fix: add it to the params of the DAG, or start the run with it."
    )
