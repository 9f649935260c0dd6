"""Which start-up profile a task's driver gets, and that nothing of the user's is overridden."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from airflow.configuration import AIRFLOW_HOME

from kindling_airflow.deployment.start_profile import ProfileMode, archive_name, find_installation
from kindling_airflow.operators.driver import start_options
from kindling_airflow.operators.driver.start_options import (
    profile_folder,
    profile_mode,
    submit_options,
)

PROPERTY = "spark.kindling.startProfile"
LIGHT = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
SILENT = "-Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine without an archive, as its variables say it."""
    (tmp_path / "java").mkdir()
    (tmp_path / "java" / "release").write_text("17\n")
    (tmp_path / "spark" / "jars").mkdir(parents=True)
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE_FOLDER", str(tmp_path / "profile"))
    monkeypatch.delenv("AIRFLOW__KINDLING__START_PROFILE", raising=False)
    return {"JAVA_HOME": str(tmp_path / "java"), "SPARK_HOME": str(tmp_path / "spark")}


@pytest.fixture
def archive(environment: dict[str, str], tmp_path: Path) -> Path:
    installation = find_installation(environment)
    assert installation is not None
    path = tmp_path / "profile" / archive_name(installation, 3)
    path.parent.mkdir()
    path.write_bytes(b"jsa")
    return path


def options(environment: dict[str, str], **properties: str) -> str:
    named = {name.replace("_", "."): value for name, value in properties.items()}
    return submit_options(named, environment, "spark-submit")


def test_by_default_the_archive_is_used_where_there_is_one(
    environment: dict[str, str], archive: Path
) -> None:
    assert options(environment) == f"-XX:SharedArchiveFile={archive} {SILENT}"
    archive.unlink()
    assert options(environment) == ""


def test_the_deployment_chooses_and_a_property_beats_it(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE", "light")
    assert options(environment) == LIGHT
    assert options(environment, **{PROPERTY: "off"}) == ""
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE", "off")
    assert options(environment, **{PROPERTY: " LIGHT "}) == LIGHT


def test_a_mode_that_there_is_not_is_passed_over_with_a_word(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE", "light")
    monkeypatch.setattr(start_options.log, "propagate", True)
    assert profile_mode({PROPERTY: "fast"}) is ProfileMode.LIGHT
    assert caplog.messages == [
        "spark.kindling.startProfile: 'fast' is ignored: it is not one of archive, light, off"
    ]


def test_options_of_the_deployment_stay_and_stand_last(
    environment: dict[str, str], archive: Path
) -> None:
    environment["SPARK_SUBMIT_OPTS"] = "-Dspark.ui.enabled=false"
    assert options(environment).endswith("-Xlog:cds+dynamic=off -Dspark.ui.enabled=false")
    assert options(environment, **{PROPERTY: "off"}) == "-Dspark.ui.enabled=false"


@pytest.mark.parametrize("place", ["property", "variable", "defaults", "file"])
def test_a_collector_of_the_users_is_kept_wherever_it_is_named(
    environment: dict[str, str], tmp_path: Path, place: str
) -> None:
    """Java refuses to start with two of them."""
    properties, file = {PROPERTY: "light"}, None
    if place == "property":
        properties["spark.driver.extraJavaOptions"] = "-XX:+UseG1GC"
    elif place == "variable":
        environment["JAVA_TOOL_OPTIONS"] = "-XX:+UseG1GC"
    else:
        text = "# a comment\nspark.driver.extraJavaOptions   -Dx=1 -XX:+UseG1GC\n"
        folder = tmp_path / "spark" / "conf"
        folder.mkdir()
        path = folder / ("spark-defaults.conf" if place == "defaults" else "own.conf")
        path.write_text(text)
        file = str(path) if place == "file" else None
    found = submit_options(properties, environment, "spark-submit", file)
    assert found == "-XX:TieredStopAtLevel=1"


def test_the_folder_is_in_airflows_home_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__KINDLING__START_PROFILE_FOLDER", raising=False)
    assert profile_folder() == Path(AIRFLOW_HOME) / "kindling-profile"
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE_FOLDER", "profiles")
    assert profile_folder() == Path(AIRFLOW_HOME) / "profiles"
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE_FOLDER", f"{os.sep}shared")
    assert profile_folder() == Path("/shared")
