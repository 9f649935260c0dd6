"""The script in the page about CI does what the page says, and fails where it says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS

FIRST = DOCS / "examples" / "first_pipeline"
SCRIPT = DOCS / "examples" / "ci" / "check.sh"
TEXT = SCRIPT.read_text("utf-8")
CHECKS, _, RUN = TEXT.partition("# All pipes on sample data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("*.manifest.json", "__pycache__")
    return Path(shutil.copytree(FIRST, tmp_path / "now", ignore=ignored))


def call(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.run(
        ["bash", "-c", script, "check.sh", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": programs},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_a_sound_project_passes_and_leaves_what_is_deployed(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "deployed")
    with (folder / "dags" / "orders" / "orders_pipeline.py").open("a") as module:
        module.write(
            "\n\n@DataPipes.pipe('gold.copy', input_entity_ids=['silver.orders'], "
            "output_entity_id='gold.copy')\ndef copy(silver_orders):\n    return silver_orders\n"
        )
    done = call(CHECKS, folder, str(tmp_path / "deployed"))
    assert done.returncode == 0, done.stdout
    assert "gold.copy" in done.stdout  # the difference shows the new pipe
    assert (folder / "dags" / "orders.zip").is_file()
    assert (folder / "dags" / "orders.manifest.json").is_file()


def test_a_broken_one_fails(folder: Path) -> None:
    (folder / "dags" / "orders" / "orders_pipeline.py").write_text("1 / 0\n")
    done = call(CHECKS, folder)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout


@pytest.mark.system
def test_all_pipes_run_on_sample_data(folder: Path) -> None:
    assert RUN
    done = call(TEXT, folder)
    assert done.returncode == 0, done.stdout
    assert "2 succeeded, 0 skipped, 0 failed, 0 not run" in done.stdout
    assert list((folder / "sample" / "gold.revenue_by_day").glob("*.parquet"))
    assert not (folder / "warehouse" / "gold.revenue_by_day").exists()
