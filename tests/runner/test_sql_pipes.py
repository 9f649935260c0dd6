"""SQL pipes and the ``run`` argument, on one session of this process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.generation_executor import GenerationExecutor
from kindling_airflow.manifest.harvest import import_declarations
from kindling_airflow.runner.session.runner import SessionPipeRunner
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

MORNING = "2013-01-01T00:00:00+02:00"
NEXT_DAY = "2013-01-02T00:00:00Z"


def view(project: Project, pipe_id: str, sql: str, **declaration: Any) -> None:
    with DataPipes.declaring_into(project.declared.pipes):
        DataPipes.view(pipe_id, sql=sql, **declaration)


def publish(project: Project, name: str, count: int = 3) -> None:
    project.pipe(name, lambda: project.spark.range(count))
    assert project.run(name).status == "published"


def error_of(project: Project, pipe_id: str, **changes: Any) -> str:
    report = project.run(pipe_id, **changes)
    assert report.error is not None, report.status
    return f"{report.error.type}: {report.error.message}"


def one_row(project: Project, pipe_id: str, **changes: Any) -> tuple[Any, ...]:
    report = project.run(pipe_id, **changes)
    assert report.error is None, report.error
    (row,) = project.rows(pipe_id)
    return row


def test_a_query_reads_its_inputs_as_tables_and_is_published(project: Project) -> None:
    publish(project, "bronze.orders", 4)
    publish(project, "ref-data.2024 x", 2)
    view(
        project,
        "gold.joined",
        "WITH o AS (SELECT * FROM bronze_orders)\n"
        "SELECT o.id, `bronze.orders`.id AS again FROM o JOIN `bronze.orders` USING (id)\n"
        "JOIN Ref_Data_2024_x r ON r.id = o.id -- to the end",
    )
    report = project.run("gold.joined")
    assert (report.status, report.rows_written, report.error) == ("published", 2, None)
    assert [i.entity_id for i in report.inputs] == ["bronze.orders", "ref-data.2024 x"]
    assert project.rows("gold.joined") == [(0, 0), (1, 1)]


def test_a_function_finishes_the_rows_of_a_query(project: Project) -> None:
    publish(project, "a", 3)
    with DataPipes.declaring_into(project.declared.pipes):
        DataPipes.view("b", sql="SELECT id FROM a")(lambda rows: rows.where("id > 0"))
        DataPipes.view("c", sql="SELECT id FROM a")(
            lambda rows, run: rows.selectExpr(f"'{run.pipe_id}' AS pipe").limit(1)
        )
    assert project.run("b").rows_written == 2
    assert project.rows("b") == [(1,), (2,)]
    assert one_row(project, "c") == ("c",)


def test_the_result_of_a_query_is_checked_like_that_of_a_function(project: Project) -> None:
    publish(project, "a")
    project.entity("b", schema="id BIGINT, n INT")
    view(project, "b", "SELECT id FROM a")
    assert "column 'n' (int) is missing" in error_of(project, "b")
    view(project, "c", "SELECT id, id FROM a")
    assert "column 'id' comes 2 times" in error_of(project, "c")


def test_a_query_without_new_input_is_skipped(project: Project) -> None:
    view(project, "b", "SELECT * FROM a", input_entity_ids=["a"])
    assert project.run("b").status == "skipped"


def test_a_query_may_read_what_it_wrote_before(project: Project) -> None:
    publish(project, "a", 2)
    project.entity("total", schema="n BIGINT")
    view(
        project,
        "total",
        "SELECT (SELECT count(*) FROM a) + coalesce((SELECT sum(n) FROM total), 0) AS n",
    )
    assert one_row(project, "total") == (2,)
    assert one_row(project, "total") == (4,)


def test_parameters_come_typed_and_never_as_text(project: Project) -> None:
    view(
        project,
        "typed",
        "SELECT :interval_start AS s, :interval_end AS e, :run_id AS r, :pipe_id AS p, "
        ":text AS t, :whole + 1 AS w, :broken AS b, :yes AS y, :nothing IS NULL AS n, "
        "array_contains(:names, 'x') AS has",
    )
    given = {
        "text": "x'; DROP TABLE t; --",
        "whole": 2**40,
        "broken": 0.5,
        "yes": True,
        "nothing": None,
        "names": ["y", "x"],
        "unused": {"a": [1, "x"]},
        "huge": 2**70,
        "mixed": [1, "x"],
        "run_id": "not this",
    }
    report = project.run("typed", interval_start=MORNING, interval_end=NEXT_DAY, parameters=given)
    assert report.error is None, report.error
    frame = project.spark.read.parquet(str(project.table("typed")))
    assert [kind for _, kind in frame.dtypes] == [
        *("timestamp", "timestamp", "string", "string", "string"),
        *("bigint", "double", "boolean", "boolean", "boolean"),
    ]
    row = frame.selectExpr("date_format(s, 'MM-dd HH')", "date_format(e, 'MM-dd HH')", "r", "p",
                           "t", "w", "b", "y", "n", "has").first()  # fmt: skip
    assert tuple(row) == (
        *("12-31 22", "01-02 00", "run", "typed", given["text"], 2**40 + 1, 0.5, True, True, True),
    )


def test_a_parameter_may_stand_where_only_a_literal_may(project: Project) -> None:
    view(project, "b", "SELECT DATE'2013-01-01' + INTERVAL :days DAY AS d FROM range(:n) LIMIT :n")
    row = one_row(project, "b", parameters={"days": 3, "n": 1})
    assert str(row[0])[:10] == "2013-01-04"


@pytest.mark.parametrize("moment", ["interval_start", "interval_end"])
def test_an_interval_in_a_run_without_one_is_an_error_and_no_null(
    project: Project, moment: str
) -> None:
    view(project, "b", f"SELECT :{moment} AS m")
    assert error_of(project, "b") == (
        f"PipeRunError: pipe 'b': its query uses :{moment}, but this run has no data interval\n"
        "  Fix: give the DAG a schedule and run it for an interval (a backfill does), or use a "
        "custom parameter."
    )


def test_an_empty_interval_is_an_error_and_no_empty_table(project: Project) -> None:
    view(project, "b", "SELECT 1 AS n WHERE now() BETWEEN :interval_start AND :interval_end")
    moment = "2013-01-02T00:00:00+00:00"
    assert error_of(project, "b", interval_start=NEXT_DAY, interval_end=moment).startswith(
        "PipeRunError: pipe 'b': run 'run' has no valid data interval: it begins at "
        "2013-01-02T00:00:00Z and ends at 2013-01-02T00:00:00+00:00\n"
    )


def test_a_parameter_that_the_run_does_not_have_is_an_error_that_names_those_it_has(
    project: Project,
) -> None:
    view(project, "b", "SELECT :contry AS c")
    assert error_of(project, "b", parameters={"country": "NL", "deep": {}}) == (
        "PipeRunError: pipe 'b': its query uses :contry, which this run does not have. "
        "Did you mean 'country'? It has: country, pipe_id, run_id.\n"
        "  Fix: add it to the params of the DAG, or start the run with it."
    )


def test_a_parameter_without_a_type_in_sql_says_so(project: Project) -> None:
    view(project, "b", "SELECT :deep AS c")
    assert error_of(project, "b", parameters={"deep": {"a": 1}}) == (
        "PipeRunError: pipe 'b': its query uses :deep, but the value of that run parameter has no "
        "SQL type\n"
        "  Fix: pass text, a number, true, false, null, or a list of one kind of these."
    )


def test_a_table_that_is_no_input_is_an_error_that_names_the_inputs(project: Project) -> None:
    publish(project, "bronze.orders")
    view(
        project,
        "b",
        "SELECT * FROM bronze_ordres",
        input_entity_ids=["bronze.orders"],
    )
    assert error_of(project, "b") == (
        "PipeRunError: pipe 'b': its query reads 'bronze_ordres', which is not one of its inputs. "
        "Did you mean 'bronze_orders'? It has: bronze_orders.\n"
        "  Fix: correct the name, or add the entity to input_entity_ids."
    )


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1) INSERT OVERWRITE DIRECTORY '{there}' USING parquet SELECT * FROM a",
        "FROM range(1) INSERT OVERWRITE DIRECTORY '{there}' USING parquet SELECT id",
        "SELECT 1; SELECT 2",
    ],
)
def test_a_statement_is_refused_by_spark_s_own_parser_and_not_executed(
    project: Project, sql: str
) -> None:
    there = project.warehouse / "there"
    view(project, "b", sql.format(there=there), input_entity_ids=[], tags={"sql.check": False})
    assert error_of(project, "b").startswith(
        "PipeRunError: pipe 'b': its text is not a query that Spark can parse: "
    )
    assert not there.exists()


def test_an_error_of_spark_s_keeps_its_line_of_the_query(project: Project) -> None:
    publish(project, "a")
    view(project, "b", "SELECT\n  nope\nFROM a")
    text = error_of(project, "b")
    assert "UNRESOLVED_COLUMN" in text
    assert "line 2 pos 2" in text


def test_queries_leave_the_session_as_it_was(project: Project) -> None:
    publish(project, "a")
    catalog = project.spark.catalog
    before = (catalog.listTables(), catalog.listTables("global_temp"))
    view(project, "b", "SELECT * FROM a")
    project.run("b")
    assert (catalog.listTables(), catalog.listTables("global_temp")) == before


def test_a_query_has_the_settings_of_its_session(project: Project) -> None:
    view(project, "b", "SELECT current_timezone() AS zone")
    project.spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        assert one_row(project, "b") == ("Asia/Tokyo",)
    finally:
        project.spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_queries_at_once_have_tables_of_their_own_and_share_what_is_kept(project: Project) -> None:
    """Many pipes name their own input ``t_x``; none may see that of another."""
    count = 6
    for n in range(count):
        publish(project, f"t.{n}", n + 1)
    publish(project, "shared", 7)
    for n in range(count):
        view(
            project,
            f"q{n}",
            f"WITH t AS (SELECT * FROM t_{n}) SELECT (SELECT count(*) FROM t) AS own, "
            "(SELECT count(*) FROM shared) AS everybody",
            input_entity_ids=["shared", f"t.{n}"],
        )
    runner = SessionPipeRunner(project.spark, project.declared, str(project.warehouse))
    reads: list[tuple[str, bool]] = []
    runner.share("shared", "MEMORY_AND_DISK", lambda pipe_id, hit: reads.append((pipe_id, hit)))
    plan = ExecutionPlanGenerator(project.declared.pipes).generate_batch_plan(
        [f"q{n}" for n in range(count)]
    )
    result = GenerationExecutor(runner).execute(plan, parallel=True, max_workers=4)
    assert result.all_succeeded, result.failed_pipes
    assert [project.rows(f"q{n}") for n in range(count)] == [[(n + 1, 7)] for n in range(count)]
    assert sorted(hit for _, hit in reads) == [False, *[True] * (count - 1)]
    manager = project.spark._jsparkSession.sharedState().cacheManager()
    assert not manager.isEmpty()
    runner.release("shared")
    assert manager.isEmpty()


def test_a_kept_table_is_read_from_memory_by_a_query(project: Project) -> None:
    from kindling_airflow.data_pipes import PipeMetadata
    from kindling_airflow.protocol.contracts import RunRequest
    from kindling_airflow.runner.pipe.query import result_of_query
    from kindling_airflow.runner.pipe.run_context import RunContext

    publish(project, "a")
    kept = project.spark.read.parquet(str(project.table("a"))).persist()
    pipe = PipeMetadata("b", "b", None, input_entity_ids=("a",), sql="SELECT id FROM a")
    request = RunRequest("", "b", "", (), "")
    result = result_of_query(pipe, {"a": kept}, RunContext.of(request, project.spark))
    plan = result._jdf.queryExecution().executedPlan().toString()
    kept.unpersist()
    assert "InMemoryTableScan" in plan
    assert result.sparkSession is project.spark


def test_a_function_sees_the_parameters_of_the_run(project: Project) -> None:
    seen: list[Any] = []

    def wants(run: Any) -> Any:
        seen.append(run.parameters)
        return run.spark.range(1)

    project.pipe("out", wants)
    assert project.run("out", parameters={"country": "NL"}).status == "published"
    assert project.run("out").status == "published"
    assert seen == [{"country": "NL"}, {}]


def test_the_project_of_the_documentation_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2] / "docs" / "examples" / "sql_pipes" / "dags" / "shop"
    landing = project.warehouse / "landing"
    landing.mkdir()
    (landing / "orders.csv").write_text(
        "id,country,ordered_at,amount\n"
        "1,NL,2026-03-01T00:00:00Z,1.5\n"
        "2,NL,2026-03-01T23:59:59Z,2\n"
        "3,NL,2026-03-02T00:00:00Z,4\n"
        "4,DE,2026-03-01T12:00:00Z,8\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    declared = import_declarations(root, ["shop_pipeline"])
    monkeypatch.delitem(sys.modules, "shop_pipeline")
    project.declared = declared
    for pipe_id in declared.pipes.get_pipe_ids():
        report = project.run(
            pipe_id,
            interval_start="2026-03-01T00:00:00+00:00",
            interval_end="2026-03-02T00:00:00+00:00",
            parameters={"country": "NL"},
        )
        assert report.error is None, report.error
    assert project.rows("gold.revenue") == [("NL", 2, 3.5)]
