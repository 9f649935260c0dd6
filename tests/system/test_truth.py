"""What real drivers do wrong, and that each task says so while the tables stay as they were."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest

from tests.system.conftest import Deployment

pytestmark = pytest.mark.system

BAD = ("silent", "killed", "raising", "overflow", "returning_none", "wrong_column")
ALL = (*BAD, "behind_raising", "idle", "behind_idle")


def _control(deployment: Deployment, mode: str, round_: int) -> None:
    landing = deployment.warehouse / "landing"
    (landing / "control.json").write_text(json.dumps({"mode": mode, "round": round_}))
    late = landing / "late.json"
    if mode == "good":
        late.write_text(json.dumps({"value": round_}))
    else:
        late.unlink()


def _contents(table: Path) -> dict[str, str]:
    files = [path for path in table.rglob("*") if path.is_file()]
    return {str(p.relative_to(table)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _tables(deployment: Deployment) -> dict[str, dict[str, str]]:
    return {name: _contents(deployment.warehouse / f"truth.{name}") for name in ALL}


@pytest.fixture(scope="module")
def before_bad(deployment: Deployment) -> dict[str, dict[str, str]]:
    """A good run, then a bad one; the tables as they were between the two."""
    _control(deployment, "good", 1)
    deployment.succeed("truth", "good-1")
    tables = _tables(deployment)
    assert all(tables.values())
    _control(deployment, "bad", 2)
    assert deployment.run_to_end("truth", "bad") == "failed"
    return tables


def test_each_task_ends_in_the_right_state(
    deployment: Deployment, before_bad: dict[str, dict[str, str]]
) -> None:
    assert deployment.states("truth", "bad") == {
        **{f"truth.{name}": "failed" for name in BAD},
        "truth.behind_raising": "upstream_failed",
        "truth.idle": "skipped",
        "truth.behind_idle": "success",
    }


def test_the_previous_tables_are_intact(
    deployment: Deployment, before_bad: dict[str, dict[str, str]]
) -> None:
    after = _tables(deployment)
    published = after.pop("behind_idle")
    assert published != before_bad.pop("behind_idle")
    assert after == before_bad


def test_the_killed_driver_was_in_the_middle_of_its_write(
    deployment: Deployment, before_bad: dict[str, dict[str, str]]
) -> None:
    staged = deployment.warehouse / "_kindling" / "staging" / "truth.killed"
    assert any(staged.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("silent", "nothing proves that its output was published. The driver ended with status 0."),
        ("killed", "nothing proves that its output was published. Driver error: Error code is"),
        ("killed", "It was killed, most often for lack of memory"),
        ("raising", "failed: ValueError: the moon is in the wrong phase"),
        ("raising", "Not retried: try 1 was the last."),
        ("overflow", "failed: ArithmeticException: [ARITHMETIC_OVERFLOW]"),
        ("overflow", "Not retried: a retry cannot succeed."),
        ("raising", 'raise ValueError("the moon is in the wrong phase")'),
        ("returning_none", "returned nothing instead of a DataFrame"),
        ("wrong_column", "column 'round' (int) is missing"),
        ("wrong_column", "column 'ring' (int) is not declared"),
    ],
)
def test_the_log_says_what_was_wrong(
    deployment: Deployment, before_bad: dict[str, dict[str, str]], task: str, told: str
) -> None:
    assert told in deployment.airflow.api.log("truth", "bad", f"truth.{task}")


@pytest.mark.parametrize("task", ["raising", "overflow", "wrong_column"])
def test_what_spark_logs_and_javas_stacks_are_folded(
    deployment: Deployment, before_bad: dict[str, dict[str, str]], task: str
) -> None:
    log = deployment.airflow.api.log("truth", "bad", f"truth.{task}")
    folded, opened = _apart(log.splitlines())
    assert [line for line in folded if " INFO SparkContext: " in line]
    assert [line for line in opened if f"Pipe 'truth.{task}' failed: " in line]
    assert not [line for line in opened if " INFO " in line or line.startswith(("at ", "\tat "))]


def _apart(log: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines of a log that the UI folds, and those that it shows at once."""
    folded: list[str] = []
    opened: list[str] = []
    place = opened
    for line in log:
        if "::group::" in line:
            place = folded
        elif "::endgroup::" in line:
            place = opened
        else:
            place.append(line)
    return folded, opened


def test_the_next_good_run_publishes_and_leaves_nothing_behind(
    deployment: Deployment, before_bad: dict[str, dict[str, str]]
) -> None:
    _control(deployment, "good", 3)
    deployment.succeed("truth", "good-3")
    assert set(deployment.states("truth", "good-3").values()) == {"success"}
    after = _tables(deployment)
    assert all(after[name] != before_bad[name] for name in BAD)


def test_a_pool_that_exists_is_not_changed(
    deployment: Deployment, before_bad: dict[str, dict[str, str]]
) -> None:
    assert deployment.airflow.api.pools()["kindling_truth"]["slots"] == 3


def test_a_broken_definition_is_an_import_error_of_its_own(
    deployment: Deployment, before_bad: dict[str, dict[str, str]]
) -> None:
    # Airflow forgets it when it looks for new DAG files, until it parses the factory again.
    errors: dict[str, str] = {}
    deadline = time.monotonic() + 120
    while not errors and time.monotonic() < deadline:
        time.sleep(1)
        errors = {e["filename"]: e["stack_trace"] for e in deployment.airflow.api.import_errors()}
    assert list(errors) == ["broken.kindling.yaml"]
    assert "unknown key 'widht'. Did you mean 'width'?" in errors["broken.kindling.yaml"]
    assert "broken.kindling.yaml:3: " in errors["broken.kindling.yaml"]
    for dag_id in ("flights", "truth", "width"):
        dag = deployment.airflow.api.dag(dag_id)
        assert dag is not None
        assert (dag["is_stale"], dag["has_import_errors"]) == (False, False)
