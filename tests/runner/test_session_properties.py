"""What a session is given for the formats of its pipes; no Spark is needed to know it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.providers.session_properties import (
    settings_for,
    settings_missing,
)
from kindling_airflow.runner.session.properties import declared_early, settings_of_run
from kindling_airflow.tags.storage_types import STORAGE_TYPES

PROJECT = """
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity("lake", tags={"provider_type": "delta"})

@DataPipes.pipe("reads", input_entity_ids=["lake"], output_entity_id="out")
def reads(lake):
    return lake

@DataPipes.pipe("other", input_entity_ids=["a"], output_entity_id="b")
def other(a):
    return a
"""

DELTA = STORAGE_TYPES["delta"].session


def request_in(folder: Path, pipe_id: str, module: str) -> RunRequest:
    return RunRequest("k", pipe_id, str(folder), (module,), str(folder / "warehouse"))


def nothing(_key: str) -> None:
    return None


def test_only_pipes_that_touch_delta_get_its_settings(tmp_path: Path) -> None:
    (tmp_path / "touching_delta.py").write_text(PROJECT)
    request = request_in(tmp_path, "reads", "touching_delta")
    declared = declared_early(request)
    assert settings_of_run(request, declared, nothing) == dict(DELTA)
    other = request_in(tmp_path, "other", "touching_delta")
    assert settings_of_run(other, declared, nothing) == {}
    assert settings_of_run(request_in(tmp_path, "unknown", "x"), declared, nothing) == {}


def test_what_a_deployment_has_set_stays() -> None:
    own = {
        "spark.sql.extensions": "shop.Extension",
        "spark.sql.catalog.spark_catalog": "shop.Catalog",
    }
    assert settings_for({"delta", "parquet"}, own.get) == {
        "spark.sql.extensions": "shop.Extension,io.delta.sql.DeltaSparkSessionExtension"
    }
    assert settings_missing(DELTA, dict(DELTA).get) == {}
    assert settings_for({"iceberg", "parquet"}, nothing) == dict(STORAGE_TYPES["iceberg"].session)


def test_a_project_that_does_not_import_leaves_nothing_half_imported(tmp_path: Path) -> None:
    (tmp_path / "half_well.py").write_text(PROJECT)
    (tmp_path / "half_ill.py").write_text("import half_well\nraise ValueError('no')\n")
    request = request_in(tmp_path, "reads", "half_ill")
    assert declared_early(request) is None
    assert settings_of_run(request, None, nothing) == {}
    assert not {"half_well", "half_ill"} & set(sys.modules)


@pytest.mark.parametrize("module", ["no_such_module_at_all"])
def test_a_missing_module_is_left_to_the_run(tmp_path: Path, module: str) -> None:
    assert declared_early(request_in(tmp_path, "reads", module)) is None
