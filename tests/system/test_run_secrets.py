"""``kindling-airflow run``: a secret property reaches the session, and nothing that others see."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

SECRET = "s3cret-4711-property"
PIPE = """\
import json
from pathlib import Path

from kindling_airflow import DataPipes


def command_lines():
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield place.read_text(errors="replace")
        except OSError:
            continue


@DataPipes.pipe("leaks", input_entity_ids=[], output_entity_id="leaks")
def leaks(run):
    secret = run.spark.conf.get("spark.shop.password")
    url = run.spark.conf.get("spark.shop.url")
    seen = [line for line in command_lines() if secret in line]
    Path({seen!r}).write_text(json.dumps([secret, url, seen]))
    raise ValueError(f"cannot use {{secret}} at {{url}}")
"""


def test_it_stands_on_no_command_line_and_in_no_error(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    seen = tmp_path / "seen.json"
    (tmp_path / "shop" / "pipes.py").write_text(PIPE.format(seen=str(seen)))
    definition = tmp_path / "shop.kindling.yaml"
    definition.write_text(
        "dag_id: shop\nproject: shop\nspark:\n  conf:\n"
        f"    spark.shop.password: {SECRET}\n    spark.shop.url: 'x://u:{SECRET}@h/db'\n"
        f"    spark.master: local[1]\n"
    )
    command = [sys.executable, "-m", "kindling_airflow.cli.main", "run", str(definition)]
    done = subprocess.run(
        [*command, "--warehouse", str(tmp_path / "warehouse")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot use *** at x://u:***@h/db" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    assert json.loads(seen.read_text()) == [SECRET, f"x://u:{SECRET}@h/db", []]
