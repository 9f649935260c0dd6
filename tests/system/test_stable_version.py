"""One DAG version, however often and wherever the DAG file is parsed.

Airflow takes every difference in what it stores for a new version, once a task of the old one has
run. ``make soak`` looks on for two minutes (``KINDLING_SOAK_SECONDS``); otherwise three parses are
enough.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.conftest import Deployment

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("KINDLING_SOAK_SECONDS", "0"))
PARSES = 10

# What a DAG processor does with a file; the first time also a run, so that its tasks are in use.
PROGRAM = """
import json, sys
from pathlib import Path

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dag_version import DagVersion
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from airflow._shared.timezones import timezone
from sqlalchemy import select

folder, first = Path(sys.argv[1]), sys.argv[2] == "first"
if first:
    initdb()
    DagBundlesManager().sync_bundles_to_db()
bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
sync_bag_to_db(bag, "dags-folder", None)
if first:
    with create_session() as session:
        SerializedDagModel.get_dag("flights").create_dagrun(
            run_id="run", logical_date=None, run_type=DagRunType.MANUAL,
            state=DagRunState.QUEUED, triggered_by=DagRunTriggeredByType.TEST,
            run_after=timezone.utcnow(), session=session,
        )
with create_session() as session:
    versions = session.scalars(select(DagVersion).where(DagVersion.dag_id == "flights"))
    print("RESULT " + json.dumps([version.version_number for version in versions]))
"""


@dataclass(frozen=True)
class Deployed:
    """A copy of the sample project, with a database of its own."""

    folder: Path

    @property
    def dags(self) -> Path:
        return self.folder / "dags"

    def versions_after_a_parse(self, number: int) -> list[int]:
        """Parse and store the DAG in a new process; return the numbers of its versions."""
        place = self.folder / f"place {number}"
        place.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(self.dags), "first" if number == 0 else "again"],
            cwd=place,
            env={
                **os.environ,
                "AIRFLOW_HOME": str(self.folder / "home"),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
                "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
                "PYTHONHASHSEED": str(number * 7919 % 4096),
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
        versions: list[int] = json.loads(said.removeprefix("RESULT "))
        return sorted(versions)


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    left_out = shutil.ignore_patterns("__pycache__", "*.manifest.json")
    shutil.copytree(ROOT / "dags", tmp_path / "dags", ignore=left_out)
    return Deployed(tmp_path)


def test_parses_under_other_hash_seeds_in_other_folders_make_one_version(
    deployed: Deployed,
) -> None:
    parses = [deployed.versions_after_a_parse(number) for number in range(PARSES)]
    assert parses == [[1]] * PARSES
    definition = deployed.dags / "flights.kindling.yaml"
    definition.write_text(definition.read_text() + "\nowner: somebody else\n")
    # A change of the DAG itself would have been noticed.
    assert deployed.versions_after_a_parse(PARSES) == [1, 2]


def test_a_scheduler_that_goes_on_parsing_makes_no_new_version(deployment: Deployment) -> None:
    api = deployment.airflow.api
    api.wait_for_dag("flights")
    if not api.runs("flights"):
        api.unpause("flights")
        api.trigger("flights", "in-use")
    started, parsed = time.monotonic(), set()
    while len(parsed) < 4 or time.monotonic() - started < SECONDS:
        parsed.add((api.dag("flights") or {})["last_parsed_time"])
        time.sleep(0.5)
    assert [version["version_number"] for version in api.versions("flights")] == [1]
