"""One pipe, one run, in a session of this process."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import Project

pytestmark = pytest.mark.system


def numbers(project: Project, count: int = 3) -> Any:
    return project.spark.range(count)


def publish_numbers(project: Project, name: str = "numbers", count: int = 3) -> None:
    project.pipe(name, lambda: numbers(project, count))
    assert project.run(name).status == "published"


def files_of(table: Path) -> dict[str, bytes]:
    return {str(p.relative_to(table)): p.read_bytes() for p in table.rglob("*") if p.is_file()}


def test_a_pipe_reads_its_inputs_and_publishes_its_result(project: Project) -> None:
    publish_numbers(project)
    project.pipe("double.d", lambda numbers: numbers.selectExpr("id * 2 AS id"), "numbers")
    report = project.run("double.d")
    assert (report.status, report.rows_written, report.error) == ("published", 3, None)
    assert [(i.entity_id, i.rows) for i in report.inputs] == [("numbers", 3)]
    assert report.location == str(project.table("double.d"))
    assert report.application_id == project.spark.sparkContext.applicationId
    assert project.rows("double.d") == [(0,), (2,), (4,)]


def test_inputs_come_by_keyword_with_legal_names(project: Project) -> None:
    publish_numbers(project, "ref-data.2024 x")
    project.pipe("out", lambda ref_data_2024_x: ref_data_2024_x, "ref-data.2024 x")
    assert project.run("out").status == "published"


def test_a_function_that_wants_the_run_gets_it(project: Project) -> None:
    seen: list[Any] = []

    def wants(run: Any) -> Any:
        seen.append(run)
        return run.spark.range(1)

    project.pipe("out", wants)
    report = project.run(
        "out",
        interval_start="2013-01-01T00:00:00+00:00",
        interval_end="2013-01-02T00:00:00Z",
    )
    assert report.status == "published"
    (run,) = seen
    assert (run.run_id, run.pipe_id) == ("run", "out")
    assert run.interval_start == datetime(2013, 1, 1, tzinfo=timezone.utc)
    assert run.interval_end == datetime(2013, 1, 2, tzinfo=timezone.utc)
    assert run.logger.name == "kindling.out"


def test_a_run_without_an_interval_says_so(project: Project) -> None:
    seen: list[Any] = []

    def wants(run: Any) -> Any:
        seen.append((run.interval_start, run.interval_end))
        return run.spark.range(1)

    project.pipe("out", wants)
    project.run("out")
    assert seen == [(None, None)]


def test_a_second_run_replaces_the_table(project: Project) -> None:
    publish_numbers(project, count=3)
    project.declared.pipes.unregister_pipe("numbers")
    publish_numbers(project, count=1)
    assert project.rows("numbers") == [(0,)]


def test_without_its_driving_input_there_is_nothing_to_do(project: Project) -> None:
    project.pipe("out", lambda source: source, "source")
    report = project.run("out")
    told = f"'source' does not exist yet at {str(project.table('source'))!r}"
    assert (report.status, report.reason, report.rows_written) == ("skipped", told, None)
    assert not project.table("out").exists()


def test_a_missing_input_that_does_not_drive_is_an_error(project: Project) -> None:
    publish_numbers(project)
    project.pipe("out", lambda numbers, other: numbers, "numbers", "other")
    error = project.run("out").error
    assert error is not None
    assert error.message == (
        f"pipe 'out': input 'other' does not exist at {str(project.table('other'))!r}\n"
        "  Fix: run the pipe that writes it first, or correct the entity's provider.path."
    )


def test_any_of_several_driving_inputs_is_enough(project: Project) -> None:
    publish_numbers(project, "a", count=2)
    publish_numbers(project, "b", count=0)
    driving = ["a", "b"]
    project.pipe("out", lambda a, b: a.union(b), "a", "b", driving_entity_ids=driving)
    assert project.run("out").rows_written == 2


def test_a_pipe_that_reads_its_own_output_starts_from_an_empty_table(project: Project) -> None:
    publish_numbers(project)
    project.entity("state", schema="id BIGINT")
    project.pipe("state", lambda numbers, state: numbers.union(state), "numbers", "state")
    assert project.run("state").rows_written == 3
    assert project.run("state").rows_written == 6


def test_prior_state_without_a_schema_says_how_to_start(project: Project) -> None:
    publish_numbers(project)
    project.pipe("state", lambda numbers, state: numbers.union(state), "numbers", "state")
    error = project.run("state").error
    assert error is not None
    assert error.message.endswith(
        "Fix: declare the entity's schema, so that the first run can start from an empty table."
    )


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (
            lambda project: None,
            (
                "pipe 'out' returned nothing instead of a DataFrame\n"
                "  Fix: end the function with 'return <DataFrame>'."
            ),
        ),
        (
            lambda project: [1],
            (
                "pipe 'out' returned a list instead of a DataFrame\n"
                "  Fix: end the function with 'return <DataFrame>'."
            ),
        ),
        (
            lambda project: numbers(project).selectExpr("id", "id AS ID", "1 AS other"),
            (
                "pipe 'out': its result does not match entity 'out'\n"
                "  - column 'id' comes 2 times\n"
                "  - partition column 'day' is missing\n"
                "  - column 'day' (date) is missing\n"
                "  - column 'ID' (bigint) is not declared\n"
                "  - column 'other' (int) is not declared\n"
                "  Fix: change the pipe's result, or the entity's declaration."
            ),
        ),
        (
            lambda project: project.spark.sql("SELECT 1 AS id, current_date() AS day"),
            (
                "pipe 'out': its result does not match entity 'out'\n"
                "  - column 'id' is int, declared as bigint\n"
                "  Fix: change the pipe's result, or the entity's declaration."
            ),
        ),
    ],
    ids=["nothing", "no DataFrame", "wrong columns", "wrong type"],
)
def test_a_wrong_result_fails_before_anything_is_written(
    project: Project, result: Any, told: str
) -> None:
    project.entity("out", schema="id BIGINT, day DATE", partition_columns=["day"])
    project.pipe("out", lambda: result(project))
    report = project.run("out")
    assert report.status == "failed"
    assert report.error is not None
    assert (report.error.type, report.error.message) == ("PipeRunError", told)
    assert report.extra == {"permanent": True}
    assert list(project.warehouse.iterdir()) == []


def test_columns_are_written_in_the_declared_order(project: Project) -> None:
    project.entity("out", schema="a INT, b STRING")
    project.pipe("out", lambda: project.spark.sql("SELECT 'x' AS b, 1 AS a"))
    assert project.run("out").status == "published"
    assert project.spark.read.parquet(str(project.table("out"))).columns == ["a", "b"]


def test_a_schema_that_is_no_ddl_is_named(project: Project) -> None:
    project.entity("out", schema="id NUMBERISH")
    project.pipe("out", lambda: numbers(project))
    error = project.run("out").error
    assert error is not None
    assert error.message.startswith(
        "entity 'out': its schema 'id NUMBERISH' is not valid Spark DDL: [UNSUPPORTED_DATATYPE]"
    )
    assert len(error.message) < 500  # and nothing of Java's stack


def test_an_error_of_the_pipe_is_reported_with_its_own_lines_alone(project: Project) -> None:
    def breaks() -> Any:
        raise ValueError("no luck today")

    project.pipe("out", breaks)
    error = project.run("out").error
    assert error is not None
    assert (error.type, error.message) == ("ValueError", "no luck today")
    assert error.traceback.startswith("Traceback of the pipe:\n")
    assert 'raise ValueError("no luck today")' in error.traceback
    assert "kindling_airflow" not in error.traceback


def test_an_error_of_user_code_may_be_retried_and_one_of_analysis_not(project: Project) -> None:
    def breaks() -> Any:
        raise OSError("the network is down")

    project.pipe("io", breaks)
    project.pipe("columns", lambda: numbers(project).select("nope"))
    assert project.run("io").extra == {"permanent": False}
    assert project.run("columns").extra == {"permanent": True}


def test_sys_exit_in_a_pipe_is_a_failure(project: Project) -> None:
    def leaves() -> Any:
        raise SystemExit(0)

    project.pipe("out", leaves)
    report = project.run("out")
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.message == (
        "the pipe's code called sys.exit(0)\n"
        "  Fix: return the DataFrame, or raise an error with a message."
    )


def test_an_unknown_pipe_is_named_with_its_neighbour(project: Project) -> None:
    publish_numbers(project)
    error = project.run("number").error
    assert error is not None
    assert error.message == (
        "the project does not declare pipe 'number'. Did you mean 'numbers'?\n"
        "  Fix: recompile the project; it has changed since the DAG was compiled."
    )


def test_a_failing_import_is_reported_with_the_module_name(spark: Any, tmp_path: Path) -> None:
    from kindling_airflow.protocol.contracts import RunRequest
    from kindling_airflow.runner.pipe.run_pipe import run_pipe

    (tmp_path / "broken_module_of_a_test.py").write_text("import no_such_package\n")
    request = RunRequest("k", "p", str(tmp_path), ("broken_module_of_a_test",), str(tmp_path))
    error = run_pipe(request, spark).error
    assert error is not None
    assert error.type == "HarvestError"
    assert "module 'broken_module_of_a_test' failed to import" in error.message
    assert "No module named 'no_such_package'" in error.message


@pytest.mark.parametrize("place", ["at the import", "in the function"])
def test_what_derives_from_base_exception_is_a_failure_like_any_other(
    spark: Any, tmp_path: Path, place: str
) -> None:
    from kindling_airflow.protocol.contracts import RunRequest
    from kindling_airflow.runner.pipe.run_pipe import run_pipe

    name = f"skipping_module_{place.rsplit(maxsplit=1)[-1]}"
    skips = "import pytest\n{}pytest.importorskip('no_such_package')\n"
    declares = (
        "from kindling_airflow import DataPipes\n"
        "@DataPipes.pipe('p', output_entity_id='p')\n"
        "def p():\n"
        f"    {'pass' if place == 'at the import' else skips.format('    ')}\n"
    )
    source = (skips.format("") if place == "at the import" else "") + declares
    (tmp_path / f"{name}.py").write_text(source)
    report = run_pipe(RunRequest("k", "p", str(tmp_path), (name,), str(tmp_path)), spark)
    assert report.status == "failed"
    assert report.error is not None
    assert "could not import 'no_such_package'" in report.error.message


def test_csv_and_json_are_read_with_their_declared_schema(project: Project) -> None:
    (project.warehouse / "a.csv").write_text("id;name\n1;x\nNA;y\n")
    (project.warehouse / "b.json").write_text(json.dumps({"id": 1, "size": 2.5}) + "\n")
    options = {"provider.option.sep": ";", "provider.option.nullValue": "NA"}
    project.entity(
        "a",
        tags={"provider_type": "csv", "provider.path": "a.csv", **options},
        schema="id INT, name STRING",
    )
    project.entity("b", tags={"provider_type": "json", "provider.path": "b.json"})
    project.pipe("out", lambda a, b: a.join(b, "id", "left"), "a", "b")
    report = project.run("out")
    assert (report.status, report.rows_written) == ("published", 2)
    assert [(i.entity_id, i.rows) for i in report.inputs] == [("a", None), ("b", None)]
    assert project.rows("out") == [(1, "x", 2.5), (None, "y", None)]


def test_a_csv_whose_header_does_not_fit_its_schema_fails(project: Project) -> None:
    (project.warehouse / "a.csv").write_text("name,id\nx,1\n")
    tags = {"provider_type": "csv", "provider.path": "a.csv"}
    project.entity("a", tags=tags, schema="id STRING, name STRING")
    project.pipe("out", lambda a: a, "a")
    report = project.run("out")
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.message == (
        f"entity 'a': the header of '{(project.warehouse / 'a.csv').as_uri()}' does not fit its "
        "declared schema\n"
        "  - column 1 is 'name', declared as 'id'\n"
        "  - column 2 is 'id', declared as 'name'\n"
        "  Fix: correct the declared schema, or rewrite the files."
    )


def test_a_csv_value_that_does_not_fit_its_type_fails(project: Project) -> None:
    (project.warehouse / "a.csv").write_text("id\none\n")
    tags = {"provider_type": "csv", "provider.path": "a.csv"}
    project.entity("a", tags=tags, schema="id INT")
    project.pipe("out", lambda a: a, "a")
    assert project.run("out").status == "failed"


def test_a_source_cannot_be_written(project: Project) -> None:
    project.entity("out", tags={"provider_type": "csv", "provider.path": "out.csv"})
    project.pipe("out", lambda: numbers(project))
    error = project.run("out").error
    assert error is not None
    assert error.message == (
        "entity 'out': csv entities are sources and cannot be written\n"
        "  Fix: let the pipe write a parquet entity (provider_type: parquet, the default)."
    )


def test_an_unknown_provider_is_named_with_its_neighbour(project: Project) -> None:
    project.entity("out", tags={"provider_type": "parkett"})
    project.pipe("out", lambda: numbers(project))
    error = project.run("out").error
    assert error is not None
    assert error.message == (
        "entity 'out': unknown provider_type 'parkett'. Did you mean 'parquet'?\n"
        "  Fix: use one of csv, delta, iceberg, jdbc, json, kafka, memory, parquet, rate, table, "
        "or 'package.module:Class'."
    )


def test_no_id_leaves_the_warehouse_or_collides(project: Project) -> None:
    ids = ["../out", "..", "/etc/x", "_hidden", ".dot", "a b", "a%20b", "ä\n$(x)", "*", "y" * 500]
    for entity_id in ids:
        publish_numbers(project, entity_id, count=len(entity_id))
    names = sorted(p.name for p in project.warehouse.iterdir() if p.name != "_kindling")
    assert len(names) == len(ids)
    assert sorted(project.warehouse.parent.iterdir()) == [project.warehouse]
    for entity_id in ids:  # each is read back as itself
        project.pipe(
            f"copy of {entity_id}", lambda **frames: next(iter(frames.values())), entity_id
        )
        assert project.run(f"copy of {entity_id}").rows_written == len(entity_id)


def test_a_path_that_climbs_out_of_the_warehouse_is_refused(project: Project) -> None:
    project.entity("out", tags={"provider.path": "a/../../b"})
    project.pipe("out", lambda: numbers(project))
    error = project.run("out").error
    assert error is not None
    assert error.message == (
        "entity 'out': tag provider.path 'a/../../b' leaves the warehouse\n"
        "  Fix: use a path beneath the warehouse root, or an absolute path or URI."
    )


def test_an_absolute_path_is_used_as_it_is(project: Project, tmp_path: Path) -> None:
    project.entity("out", tags={"provider.path": str(tmp_path / "elsewhere")})
    project.pipe("out", lambda: numbers(project))
    assert project.run("out").location == str(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "_SUCCESS").exists()


def test_an_error_of_the_jvm_shows_its_causes_without_their_stacks(project: Project) -> None:
    (project.warehouse / "a.csv").write_text("id\none\n")
    tags = {"provider_type": "csv", "provider.path": "a.csv"}
    project.entity("a", tags=tags, schema="id INT")
    project.pipe("out", lambda a: a, "a")
    error = project.run("out").error
    assert error is not None
    assert "MALFORMED_RECORD" in error.message
    assert "\tat " not in error.message
    assert len(error.message.splitlines()) < 30
