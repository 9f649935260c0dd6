"""Hostile ids and paths on a real Spark: every file is beneath the warehouse, where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.common.path_names import escape_component
from tests.runner.conftest import Project
from tests.safety.hostile import IDS

ON_DISK = [
    id_
    for id_ in IDS
    if any(mark in id_ for mark in ("/", "..", "$", "\n", "*", "é", "💥", "_", "-"))
]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_tables_of_hostile_ids_lie_side_by_side_in_the_warehouse(
    project: Project, tmp_path: Path
) -> None:
    def numbered(**inputs: Any) -> Any:
        n = next((frame.collect()[0][0] for frame in inputs.values()), 0)
        return project.spark.createDataFrame([(n + 1,)], "n INT")

    before: tuple[str, ...] = ()
    for id_ in ON_DISK:
        project.pipe(id_, numbered, *before)
        before = (id_,)
    for number, id_ in enumerate(ON_DISK, 1):
        report = project.run(id_)
        assert report.status == "published", (id_, report.error)
        assert report.output_entity_id == id_
        folder = project.warehouse / escape_component(id_)
        assert report.location == str(folder)
        assert [row.n for row in project.spark.read.parquet(str(folder)).collect()] == [number]
    tables = {escape_component(id_) for id_ in ON_DISK}
    assert len(tables) == len(ON_DISK)
    assert {path.name for path in project.warehouse.iterdir()} == {*tables, "_kindling"}
    assert {path.name for path in tmp_path.iterdir()} == {project.warehouse.name}


@pytest.mark.parametrize(
    "path", ["..", "../outside", "a/../../outside", "./..", "a/./../..", "/".join([".."] * 40)]
)
def test_a_relative_path_that_climbs_is_refused(
    project: Project, tmp_path: Path, path: str
) -> None:
    project.entity("out", tags={"provider.path": path})
    project.pipe("out", lambda: project.spark.range(1))
    report = project.run("out")
    assert report.error is not None
    assert f"tag provider.path {path!r} leaves the warehouse" in report.error.message
    assert _files(tmp_path) == set()


@pytest.mark.parametrize("path", ["_kindling", "_kindling/staging/x", "", "./"])
def test_a_relative_path_into_the_staging_area_or_to_the_root_is_refused(
    project: Project, tmp_path: Path, path: str
) -> None:
    project.entity("out", tags={"provider.path": path})
    project.pipe("out", lambda: project.spark.range(1))
    report = project.run("out")
    assert report.error is not None
    assert f"tag provider.path {path!r}" in report.error.message
    assert _files(tmp_path) == set()


@pytest.mark.parametrize(
    "path",
    ["%2e%2e/x", "$(touch injected)", "a~root/x", "a b/--conf", "Zoë/注文", "..x/x..", "*[a]{b}"],
)
def test_any_other_relative_path_is_taken_literally(
    project: Project, tmp_path: Path, path: str
) -> None:
    project.entity("out", tags={"provider.path": path})
    project.pipe("out", lambda: project.spark.range(1))
    project.pipe("again", lambda out: out, "out")
    assert project.run("out").status == "published"
    assert (project.warehouse / path / "_SUCCESS").is_file()
    assert project.run("again").rows_written == 1
    assert {path.name for path in tmp_path.iterdir()} == {project.warehouse.name}


@pytest.mark.parametrize("path", ["~root/x", "$HOME/x", "lake/${LAKE}/x"])
def test_a_variable_of_a_shell_is_refused(project: Project, tmp_path: Path, path: str) -> None:
    project.entity("out", tags={"provider.path": path})
    project.pipe("out", lambda: project.spark.range(1))
    report = project.run("out")
    assert report.error is not None
    assert "shell variables are not expanded here" in report.error.message
    assert _files(tmp_path) == set()


def test_a_warehouse_at_the_root_of_a_file_system_names_no_host() -> None:
    from kindling_airflow.data_entities import EntityMetadata
    from kindling_airflow.runner.providers.storage import location_of

    assert location_of(EntityMetadata("orders"), "/") == "/orders"
    assert location_of(EntityMetadata("orders"), "s3a://lake/") == "s3a://lake/orders"
