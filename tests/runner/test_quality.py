"""Expectations of a pipe's output, checked on what is staged, before it is published."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.data_pipes.expectations import (
    Expectation,
    accepted,
    in_range,
    not_null,
    row_count,
    satisfies,
    unique,
)
from kindling_airflow.runner.quality import audit
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

Outcome = tuple[str, str, int, int | None]


def declare(
    project: Project, query: str, *expectations: Expectation, output: str = "out", **more: Any
) -> None:
    """Declare a pipe that returns the rows of a query."""
    project.pipe(output, lambda: project.spark.sql(query), expectations=list(expectations), **more)


def outcomes(project: Project, query: str, *expectations: Expectation) -> list[Outcome]:
    """Return what became of the expectations of a pipe that publishes the rows of a query."""
    declare(project, query, *expectations)
    report = project.run("out")
    assert report.error is None, report.error
    return [(e.name, e.outcome, e.rows, e.violations) for e in report.expectations]


def refusal(project: Project, query: str, *expectations: Expectation, **more: Any) -> str:
    """Return why a pipe that returns the rows of a query fails."""
    declare(project, query, *expectations, **more)
    report = project.run("out")
    assert report.status == "failed"
    assert report.error is not None
    assert report.extra["permanent"] is True
    return report.error.message


PEOPLE = (
    "SELECT * FROM VALUES (1, 'a', 10.0D, 'x'), (2, 'b', double('NaN'), 'y'), (2, 'c', -1D, null), "
    "(null, 'c', null, 'z'), (null, 'd', 5D, 'x') AS t(id, kind, amount, status)"
)


class TestOutcomes:
    def test_what_is_violated_is_counted(self, project: Project) -> None:
        assert outcomes(
            project,
            PEOPLE,
            not_null("id", on_violation="warn"),
            not_null("amount", "status", on_violation="warn"),
            unique("id", on_violation="warn"),
            unique("id", "kind"),
            unique("kind", on_violation="warn"),
            accepted("status", ["x", "y"], on_violation="warn"),
            accepted("id", [1, 2]),
            in_range("amount", 0, on_violation="warn", name="from 0"),
            in_range("amount", maximum=9, on_violation="warn", name="to 9"),
            in_range("id", 1, 2),
            satisfies("amount > 0 OR kind = 'c'", on_violation="warn", name="true"),
            satisfies("id > 0", on_violation="warn", name="null is not true"),
            row_count(5, 5),
        ) == [
            ("not_null(id)", "warned", 5, 2),
            ("not_null(amount, status)", "warned", 5, 2),
            ("unique(id)", "warned", 5, 1),
            ("unique(id, kind)", "passed", 5, 0),
            ("unique(kind)", "warned", 5, 1),
            ("accepted(status)", "warned", 5, 1),
            ("accepted(id)", "passed", 5, 0),
            ("from 0", "warned", 5, 2),  # -1 and NaN
            ("to 9", "warned", 5, 2),  # 10 and NaN
            ("in_range(id)", "passed", 5, 0),
            ("true", "passed", 5, 0),  # NaN is more than 0 for Spark
            ("null is not true", "warned", 5, 2),
            ("row_count", "passed", 5, None),
        ]

    def test_bad_rows_are_left_out_and_counted_and_the_rest_is_judged_without_them(
        self, project: Project
    ) -> None:
        assert outcomes(
            project,
            PEOPLE,
            not_null("id", on_violation="drop"),
            unique("id", on_violation="warn"),
            satisfies("kind <> 'c'", on_violation="drop"),
            not_null("status"),
            row_count(2, 2),
        ) == [
            ("not_null(id)", "dropped", 5, 2),
            ("unique(id)", "passed", 2, 0),
            ("satisfies(kind <> 'c')", "dropped", 5, 2),  # one of them has no id either
            ("not_null(status)", "passed", 2, 0),
            ("row_count", "passed", 2, None),
        ]
        assert [row[:2] for row in project.rows("out")] == [(1, "a"), (2, "b")]

    def test_an_empty_result_breaks_nothing_but_a_row_count(self, project: Project) -> None:
        query = f"SELECT * FROM ({PEOPLE}) WHERE id > 100"
        every = [not_null("id"), unique("id"), in_range("amount", 0, on_violation="drop")]
        assert [o[1:] for o in outcomes(project, query, *every)] == [
            ("passed", 0, 0),
            ("passed", 0, 0),
            ("passed", 0, 0),
        ]
        project.declared.pipes.unregister_pipe("out")
        assert "'row_count' (the number of rows is at least 1): 0 rows" in refusal(
            project, query, *every, row_count(1)
        )

    @pytest.mark.parametrize("predicate", ["false", "id < 0", "NULL"])
    def test_rows_of_which_none_is_kept_are_counted_all_the_same(
        self, project: Project, predicate: str
    ) -> None:
        never = satisfies(f"({predicate}) = true", on_violation="drop", name="never")
        other = satisfies("id > 3", on_violation="drop", name="other")
        assert outcomes(project, "SELECT id FROM range(10)", never, other) == [
            ("never", "dropped", 10, 10),
            ("other", "dropped", 10, 4),
        ]
        assert project.rows("out") == []

    def test_partitions_are_judged_as_they_will_be_read(self, project: Project) -> None:
        project.entity("out", partition_columns=["part"])
        assert outcomes(
            project,
            "SELECT id, if(id < 2, NULL, 'x') AS part FROM range(5)",
            not_null("part", on_violation="warn"),
            row_count(1),
        ) == [("not_null(part)", "warned", 5, 2), ("row_count", "passed", 5, None)]

    def test_a_partition_that_would_be_read_as_null_is_refused_not_judged(
        self, project: Project
    ) -> None:
        project.entity("out", partition_columns=["part"])
        project.pipe(
            "out",
            lambda run: run.spark.sql("SELECT id, if(id < 2, '', 'x') AS part FROM range(5)"),
            expectations=[not_null("part")],
        )
        report = project.run("out")
        assert report.status == "failed"
        assert report.error is not None
        assert "'part'" in report.error.message
        assert not project.table("out").exists()

    def test_a_partitioned_result_of_which_nothing_is_kept_is_an_empty_table(
        self, project: Project
    ) -> None:
        project.entity("out", partition_columns=["part"])
        assert outcomes(
            project,
            "SELECT id, 'x' AS part FROM range(5)",
            satisfies("id > 9", on_violation="drop"),
            not_null("part"),
        ) == [("satisfies(id > 9)", "dropped", 5, 5), ("not_null(part)", "passed", 0, 0)]
        assert project.rows("out") == []

    def test_nulls_may_be_dropped_where_the_schema_allows_none(self, project: Project) -> None:
        project.entity("out", schema="id INT NOT NULL, kind STRING")
        assert outcomes(
            project,
            f"SELECT id, kind FROM ({PEOPLE})",
            not_null("id", on_violation="drop"),
        ) == [("not_null(id)", "dropped", 5, 2)]

    def test_queries_are_judged_too(self, project: Project) -> None:
        declare(project, PEOPLE, output="people")
        project.run("people")
        with DataPipes.declaring_into(project.declared.pipes):
            DataPipes.view(
                "out",
                sql="SELECT id, kind FROM people",
                input_entity_ids=["people"],
                expectations=[
                    not_null("id", on_violation="drop"),
                    unique("id", on_violation="warn"),
                ],
            )
        report = project.run("out")
        assert report.error is None, report.error
        assert [(e.outcome, e.rows, e.violations) for e in report.expectations] == [
            ("dropped", 5, 2),
            ("warned", 3, 1),
        ]

    def test_tables_in_memory_are_judged_too(self, project: Project) -> None:
        from kindling_airflow.runner.session.runner import SessionPipeRunner

        project.entity("out", tags={"provider_type": "memory"})
        declare(
            project,
            PEOPLE,
            not_null("id", on_violation="drop"),
            unique("id", on_violation="warn"),
        )
        runner = SessionPipeRunner(project.spark, project.declared, str(project.warehouse))
        report = runner("out")
        assert [(e.outcome, e.rows, e.violations) for e in report.expectations] == [
            ("dropped", 5, 2),
            ("warned", 3, 1),
        ]


class TestValues:
    @pytest.mark.parametrize(
        ("column", "bounds", "violations"),
        [
            ("CAST(id AS TINYINT)", (2, 7), 4),
            ("id", (2.5, 1e30), 3),
            ("id", ("2", "7.5"), 4),
            ("CAST(id / 10 AS DECIMAL(10, 2))", (0.2, 0.7), 4),
            ("CAST(id / 10 AS DECIMAL(10, 2))", ("0.205", "0.7"), 5),
            ("CAST(id / 10 AS FLOAT)", (0.1, 0.8), 2),
            ("CAST(id / 10 AS DOUBLE)", (0.2, 0.7), 4),
            ("CAST(id AS STRING)", ("2", "7"), 4),
            ("date_add(DATE'2024-01-01', CAST(id AS INT))", ("2024-01-03", "2024-01-08"), 4),
            ("timestamp_seconds(id)", ("1970-01-01T00:00:02Z", "1970-01-01 00:00:07"), 4),
            ("timestamp_seconds(id)", ("1970-01-01T02:00:02+02:00", None), 2),
            ("CAST(timestamp_seconds(id) AS TIMESTAMP_NTZ)", ("1970-01-01 00:00:02", None), 2),
        ],
    )
    def test_bounds_are_of_the_columns_type(
        self, project: Project, column: str, bounds: Any, violations: int
    ) -> None:
        query = f"SELECT {column} AS c FROM range(10) UNION ALL SELECT null"
        expected = in_range("c", *bounds, on_violation="warn")
        assert outcomes(project, query, expected) == [("in_range(c)", "warned", 11, violations)]

    @pytest.mark.parametrize(
        ("column", "values", "violations"),
        [
            ("id", [1, 2.0, "3", 10**20], 7),
            ("CAST(id / 10 AS FLOAT)", [0.1, 0.2], 8),
            ("id % 2 = 0", [True], 5),
            ("CAST(id AS STRING)", ["1", "x"], 9),
            ("date_add(DATE'2024-01-01', CAST(id AS INT))", ["2024-01-03"], 9),
            ("double('NaN')", [1], 10),
        ],
    )
    def test_accepted_values_are_of_the_columns_type(
        self, project: Project, column: str, values: Sequence[Any], violations: int
    ) -> None:
        query = f"SELECT {column} AS c FROM range(10) UNION ALL SELECT null"
        expected = accepted("c", values, on_violation="warn")
        assert outcomes(project, query, expected) == [("accepted(c)", "warned", 11, violations)]

    def test_hostile_names_and_nested_fields_are_columns(self, project: Project) -> None:
        query = (
            "SELECT id AS `a.b`, id % 2 AS `we``ird; DROP`, struct(id AS city, id AS `x.y`) AS a, "
            "'--' AS q FROM range(4)"
        )
        assert outcomes(
            project,
            query,
            in_range("a.b", 0, 2, on_violation="warn"),
            unique("we`ird; DROP", on_violation="warn"),
            in_range("a.city", 1, on_violation="drop"),
            unique("A.City", "a.b"),
            accepted("q", ["--", "'; x"]),
        ) == [
            ("in_range(a.b)", "warned", 3, 1),
            ("unique(we`ird; DROP)", "warned", 3, 1),
            ("in_range(a.city)", "dropped", 4, 1),
            ("unique(A.City, a.b)", "passed", 3, 0),
            ("accepted(q)", "passed", 3, 0),
        ]


class TestFailure:
    def test_the_table_stays_as_it_was_and_everything_broken_is_told(
        self, project: Project
    ) -> None:
        declare(project, "SELECT 7L AS id, 1 AS k")
        project.run("out")
        project.declared.pipes.unregister_pipe("out")
        declare(
            project,
            "SELECT id, id % 2 AS k FROM range(1000)",
            in_range("id", 0, 989),
            unique("k"),
            unique("id"),
            row_count(at_most=10, on_violation="warn"),
            not_null("id", on_violation="drop"),
        )
        report = project.run("out")
        assert report.status == "failed"
        assert report.error is not None
        assert report.error.type == "ExpectationError"
        (kept,) = (project.warehouse / "_kindling" / "staging" / "out").iterdir()
        assert report.error.message == (
            "pipe 'out': its result violates 2 expectations; the table is unchanged\n"
            "  - 'in_range(id)' (id is from 0 to 989): 10 of 1,000 rows (1 %)\n"
            "  - 'unique(k)' (k is unique): 998 of 1,000 rows (99.8 %)\n"
            f"  The result is kept until the next attempt of this task, at {str(kept)!r}\n"
            "  Fix: correct the pipe or what it reads, or change the expectation."
        )
        assert report.extra["permanent"] is True
        assert [(e.name, e.outcome) for e in report.expectations] == [
            ("in_range(id)", "failed"),
            ("unique(k)", "failed"),
            ("unique(id)", "passed"),
            ("row_count", "warned"),
            ("not_null(id)", "passed"),
        ]
        assert project.rows("out") == [(7, 1)]
        assert project.spark.read.parquet(str(kept)).count() == 1000

    def test_what_a_failed_attempt_left_is_removed_by_the_next(self, project: Project) -> None:
        area = project.warehouse / "_kindling" / "staging" / "out"
        refusal(project, PEOPLE, not_null("id"))
        first = set(area.iterdir())
        project.run("out")
        assert len(first) == 1
        assert len(set(area.iterdir())) == 1
        assert not first & set(area.iterdir())

    def test_too_many_dropped_rows_fail(self, project: Project) -> None:
        few = not_null("id", on_violation="drop", tolerate=0.4)
        assert outcomes(project, PEOPLE, few) == [("not_null(id)", "dropped", 5, 2)]
        project.declared.pipes.unregister_pipe("out")
        fewer = not_null("id", on_violation="drop", tolerate=1)
        assert "'not_null(id)' (id is not null): 2 of 5 rows (40 %)" in refusal(
            project, PEOPLE, fewer
        )

    def test_rows_are_shown_only_where_they_are_asked_for(self, project: Project) -> None:
        every = [not_null("id"), unique("kind"), row_count(100)]
        assert "kind=" not in refusal(project, PEOPLE, *every)
        project.declared.pipes.unregister_pipe("out")
        told = refusal(project, PEOPLE, *every, tags={"quality.examples": 1})
        assert (
            "  - 'not_null(id)' (id is not null): 2 of 5 rows (40 %)\n"
            "      id=None, kind='c', amount=None, status='z'\n"
            "  - 'unique(kind)' (kind is unique): 1 of 5 rows (20 %)\n"
            "      kind='c' (2 rows)\n"
            "  - 'row_count' (the number of rows is at least 100): 5 rows\n"
        ) in told

    def test_a_deployment_that_only_warns_publishes(
        self, project: Project, caplog: pytest.LogCaptureFixture
    ) -> None:
        declare(
            project,
            PEOPLE,
            not_null("id"),
            row_count(100),
            not_null("status", on_violation="drop", tolerate=0),
        )
        settings = {"pipes": {"out": {"tags": {"quality.on_violation": "warn"}}}}
        with caplog.at_level(logging.WARNING):
            report = project.run("out", settings=settings)
        assert report.status == "published"
        assert [(e.on_violation, e.outcome) for e in report.expectations] == [
            ("warn", "warned"),
            ("warn", "warned"),
            ("drop", "warned"),
        ]
        assert [r.getMessage() for r in caplog.records if r.name == "kindling.out"] == [
            "pipe 'out': expectation 'not_null(id)' warned (id is not null): 2 of 4 rows (50 %)",
            (
                "pipe 'out': expectation 'row_count' warned (the number of rows is at least 100): "
                "4 rows"
            ),
            (
                "pipe 'out': expectation 'not_null(status)' warned (status is not null): "
                "1 of 5 rows (20 %)"
            ),
        ]
        assert report.rows_written == 4

    def test_a_deployment_that_is_strict_fails_where_the_declaration_warns(
        self, project: Project
    ) -> None:
        tags = {"quality.on_violation": "fail"}
        assert "'not_null(id)'" in refusal(
            project, PEOPLE, not_null("id", on_violation="warn"), tags=tags
        )


class TestMisfits:
    def test_all_are_found_before_anything_is_written(self, project: Project) -> None:
        told = refusal(
            project,
            "SELECT id, map(1, 2) AS m, true AS flag, 'x' AS name FROM range(3)",
            not_null("idd"),
            unique("nowhere.at.all"),
            in_range("id", "z"),
            in_range("flag", 0),
            in_range("name", 5),
            in_range("m", 5),
            accepted("flag", ["true"]),
            accepted("id", [True]),
            satisfies("name", name="no condition"),
            not_null("id", on_violation="drop"),
        )
        assert told == (
            "pipe 'out': expectations do not fit its result\n"
            "  - 'not_null(idd)': column 'idd' not found. Did you mean 'id'?\n"
            "  - 'unique(nowhere.at.all)': column 'nowhere.at.all' not found. "
            "The result has id, m, flag, name.\n"
            "  - 'in_range(id)': 'z' is not a valid bigint\n"
            "  - 'in_range(flag)': column 'flag' is boolean, which has no range\n"
            "  - 'in_range(name)': 5 is not a valid string\n"
            "  - 'in_range(m)': 5 is not a valid map<int,int>\n"
            "  - 'accepted(flag)': 'true' is not a valid boolean\n"
            "  - 'accepted(id)': True is not a valid bigint\n"
            "  - 'no condition': the predicate is string, not boolean: name\n"
            "  Fix: change the expectations, or the pipe's result."
        )
        assert list(project.warehouse.iterdir()) == []

    @pytest.mark.parametrize(
        ("predicate", "told"),
        [
            ("idd > 1", "UNRESOLVED_COLUMN"),
            ("id >", "PARSE_SYNTAX_ERROR"),
            ("sum(id) > 1", "NESTED_AGGREGATE_FUNCTION"),
            ("row_number() OVER (ORDER BY id) > 1", "window function"),
            ("rand() > 0.5", "NONDETERMINISTIC"),
            ("explode(array(id)) > 1", "UNSUPPORTED_GENERATOR"),
            ("id > 1) OR (1 = 1", "PARSE_SYNTAX_ERROR"),
        ],
    )
    @pytest.mark.parametrize("action", ["fail", "drop"])
    def test_what_spark_refuses_is_told_in_one_line(
        self, project: Project, predicate: str, told: str, action: Any
    ) -> None:
        expected = satisfies(predicate, name="p", on_violation=action)
        message = refusal(project, "SELECT id FROM range(3)", expected)
        lines = message.splitlines()
        assert len(lines) == 3
        assert told in lines[1]
        assert list(project.warehouse.iterdir()) == []

    @pytest.mark.parametrize("strict", ["true", "false"])
    def test_upper_case_is_told_apart_only_where_spark_does_it(
        self, project: Project, strict: str
    ) -> None:
        declare(project, "SELECT id FROM range(3)", not_null("ID"))
        project.spark.conf.set("spark.sql.caseSensitive", strict)
        try:
            report = project.run("out")
        finally:
            project.spark.conf.unset("spark.sql.caseSensitive")
        assert report.status == ("failed" if strict == "true" else "published")


class Passes:
    """What Spark executes in a ``with`` block: executions, and scans of files below a folder."""

    def __init__(self, project: Project) -> None:
        self._spark, self._folder = project.spark, str(project.warehouse)
        self.executions = 0
        self.scans: list[str] = []

    def _plans(self) -> dict[int, str]:
        """Return the last thousand executions by id; Spark forgets the others."""
        self._spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
        found = self._spark._jsparkSession.sharedState().statusStore().executionsList()
        listed = [found.apply(n) for n in range(found.size())]
        return {each.executionId(): each.physicalPlanDescription() for each in listed}

    def __enter__(self) -> Passes:
        self._before = frozenset(self._plans())
        return self

    def __exit__(self, *_: object) -> None:
        plans = [plan for n, plan in self._plans().items() if n not in self._before]
        self.executions = len(plans)
        # Below the tree of operators, each has a paragraph of its own.
        paragraphs = [text for plan in plans for text in re.split(r"\n\s*\n", plan)]
        self.scans = [
            read.group() for p in paragraphs if (read := re.search("^ReadSchema: .*", p, re.M))
        ]


@pytest.mark.parametrize(
    ("expectations", "further", "read"),
    [
        ([], 0, None),
        ([row_count(1)], 0, None),
        (
            [
                not_null("id", on_violation="drop"),
                in_range("b", 0, on_violation="drop"),
                row_count(1),
            ],
            0,
            None,
        ),
        (
            [
                not_null("id", on_violation="drop"),
                not_null("a"),
                accepted("b", [0, 1, 2]),
                unique("id"),
                row_count(1),
            ],
            1,
            "ReadSchema: struct<id:bigint,a:bigint,b:bigint>",
        ),
        (
            [unique("id"), unique("a", "b", on_violation="warn"), satisfies("b < 3")],
            1,
            "ReadSchema: struct<id:bigint,a:bigint,b:bigint>",
        ),
    ],
    ids=["none", "row count", "drops", "all kinds", "two keys"],
)
def test_there_is_at_most_one_further_pass_and_it_reads_only_the_columns_it_needs(
    project: Project, expectations: list[Expectation], further: int, read: str | None
) -> None:
    query = "SELECT id, id % 7 AS a, id % 3 AS b, 'wide' AS c, 'wider' AS d FROM range(50)"
    declare(project, query, output="plain")
    declare(project, query, *expectations)
    project.run("plain")  # the classes are loaded, the first plans are made
    with Passes(project) as bare:
        assert project.run("plain").status == "published"
    with Passes(project) as checked:
        report = project.run("out")
    assert report.error is None, report.error
    assert (bare.executions, bare.scans) == (1, [])  # the write; its rows are in the footers
    assert checked.executions - bare.executions == further
    assert [scan for scan in checked.scans if scan not in bare.scans] == [read] * further


class TestCountsThatCannotBeTrusted:
    def test_a_count_that_storage_belies_is_not_reported(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        observed = {"rows": 6, "kept": 4, "dropped0": 2}
        monkeypatch.setattr(audit, "_observed", lambda _observation: observed)
        declare(project, PEOPLE, not_null("id", on_violation="drop"))
        report = project.run("out")
        assert (report.status, report.extra["permanent"]) == ("failed", False)
        assert report.error is not None
        assert report.error.message == (
            "pipe 'out': 4 rows were counted while they were written, but storage has 3: the "
            "number of dropped rows is unknown\n"
            "  Fix: retry; if the error persists, drop the rows in the pipe itself."
        )
        assert not project.table("out").exists()

    def test_counts_that_do_not_come_are_not_waited_for_without_end(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit, "_METRICS_SECONDS", 0.0)
        declare(project, PEOPLE, not_null("id", on_violation="drop"))
        report = project.run("out")
        if report.status == "published":  # they came at once
            return
        assert report.error is not None
        assert report.error.message == (
            "Spark did not report how many rows were dropped\n"
            "  Fix: retry; increase spark.scheduler.listenerbus.eventqueue.capacity."
        )
        assert report.extra["permanent"] is False


def test_where_a_failed_result_lies_is_a_path(project: Project) -> None:
    told = refusal(project, PEOPLE, not_null("id"))
    path = told.partition("at '")[2].partition("'")[0]
    assert Path(path).is_dir()
