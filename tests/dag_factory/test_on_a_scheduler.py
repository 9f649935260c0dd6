"""The error strategies, barriers and groups on a real Airflow: which state every task ends in.

What a pipe does is told by its id and takes no Spark: ``fails`` fails, ``skips`` has nothing to do,
``slow`` takes its time. Everything else is the package's and Airflow's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.local_airflow import LocalAirflow
from tests.dag_factory.projects import write_definition, write_project

pytestmark = pytest.mark.system

# a fails, and everything that is interesting hangs on it or stands beside it.
FAILING = "fails -> behind -> far_behind, skips -> after_skip, slow -> after_slow, lonely"
QUIET = "skips -> after_skip -> end, plain -> end"

WORK = """
import time

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException
from kindling_airflow.operators.pipe import KindlingPipeOperator

def work(self, context):
    print("AT WORK", self.pipe_id)
    if "fails" in self.pipe_id:
        raise AirflowException("on purpose")
    if "skips" in self.pipe_id:
        raise AirflowSkipException("on purpose")
    time.sleep(12 if "slow" in self.pipe_id else 0)

KindlingPipeOperator.execute = work
"""
FACTORY = f"""{WORK}
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""
OWN_DAG = f"""{WORK}
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, Asset
from kindling_airflow import kindling_task_group

with DAG("between", schedule=None):
    start, end = EmptyOperator(task_id="start"), EmptyOperator(task_id="end")
    sound = kindling_task_group("quiet.kindling.yaml", group_id="sound")
    broken = kindling_task_group("fast.kindling.yaml", group_id="broken")
    start >> sound >> broken >> end

with DAG("cut", schedule=None):
    no = ShortCircuitOperator(task_id="no", python_callable=lambda: False)
    no >> kindling_task_group("quiet.kindling.yaml", group_id="never")

with DAG("claims", schedule=None):
    EmptyOperator(task_id="own", outlets=[Asset(name="taken/plain.out", uri="s3://other/place")])
"""
CALLED = """
def note(context):
    with open({file!r}, "a") as notes:
        notes.write(f"{{context['ti'].dag_id}} {{context['ti'].task_id}}\\n")
"""
STRATEGIES = {
    "skipping": "on_error: skip_dependents\nwidth: 2\n",
    "going_on": "on_error: continue\nwidth: 2\n",
    "fast": "on_error: fail_fast\nwidth: 2\non_failure_callback: notes:note\n",
    "walled": "barrier: generation\nwidth: 2\n",
    "walled_fast": "barrier: generation\non_error: fail_fast\nwidth: 3\n",
}


class Trial:
    def __init__(self, airflow: LocalAirflow, notes: Path) -> None:
        self.airflow, self.notes = airflow, notes
        self.states: dict[str, dict[str, str]] = {}
        self.ends: dict[str, str] = {}

    def run(self, *dag_ids: str) -> None:
        """Run DAGs side by side."""
        api = self.airflow.api
        for dag_id in dag_ids:
            api.wait_for_dag(dag_id)
            api.trigger(dag_id, "trial")
        for dag_id in dag_ids:
            self.ends[dag_id] = api.wait_for_run(dag_id, "trial", 400)
            found = api.task_instances(dag_id, "trial")
            self.states[dag_id] = {i["task_id"]: i["state"] for i in found}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """One Airflow in which every DAG of this module has run once."""
    folder = tmp_path_factory.mktemp("strategies")
    dags, notes = folder / "dags", folder / "notes.txt"
    write_project(dags / "shop", FAILING)
    write_project(dags / "quiet", QUIET, module="pipes_quiet")
    for dag_id, keys in STRATEGIES.items():
        write_definition(dags / f"{dag_id}.kindling.yaml", f"dag_id: {dag_id}\n{keys}")
    quiet = "dag_id: quiet\nproject: quiet\non_error: continue\n"
    write_definition(dags / "quiet.kindling.yaml", quiet)
    (dags / "kindling_dags.py").write_text(FACTORY)
    (dags / "own_dag.py").write_text(OWN_DAG)
    (dags / "notes.py").write_text(CALLED.format(file=str(notes)))
    environment = {"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
    with LocalAirflow(
        folder / "home", dags_folder=dags, warehouse=folder / "lake", environment=environment
    ) as airflow:
        found = Trial(airflow, notes)
        found.run("fast")  # alone, because it matters there what has begun when one fails
        # Its asset is inactive, because the DAG 'claims' has been stored with another URI by now.
        taken = "dag_id: taken\nproject: quiet\nselect: plain\nassets: taken\n"
        write_definition(dags / "taken.kindling.yaml", taken)
        found.run(
            *(dag_id for dag_id in STRATEGIES if dag_id != "fast"),
            "quiet",
            "between",
            "cut",
            "taken",
        )
        yield found


def test_skip_dependents_runs_what_does_not_depend_on_the_failure(trial: Trial) -> None:
    assert trial.states["skipping"] == {
        "fails": "failed",
        "behind": "upstream_failed",
        "far_behind": "upstream_failed",
        "skips": "skipped",
        "after_skip": "success",
        "slow": "success",
        "after_slow": "success",
        "lonely": "success",
    }
    assert trial.ends["skipping"] == "failed"


def test_continue_runs_everything_and_the_run_fails_all_the_same(trial: Trial) -> None:
    assert trial.states["going_on"] == {
        "fails": "failed",
        "behind": "success",
        "far_behind": "success",
        "skips": "skipped",
        "after_skip": "success",
        "slow": "success",
        "after_slow": "success",
        "lonely": "success",
        "kindling_outcome": "upstream_failed",
    }
    assert trial.ends["going_on"] == "failed"


def test_continue_without_a_failure_is_a_success_skipped_pipes_or_not(trial: Trial) -> None:
    assert trial.states["quiet"] == {
        "skips": "skipped",
        "after_skip": "success",
        "end": "success",
        "plain": "success",
        "kindling_outcome": "success",
    }
    assert trial.ends["quiet"] == "success"


def test_fail_fast_lets_end_what_runs_and_begins_nothing_more(trial: Trial) -> None:
    states = trial.states["fast"]
    assert (states["fails"], states["behind"]) == ("failed", "upstream_failed")
    assert states["slow"] in ("success", "failed")  # whether it had begun when the other failed
    assert (states["after_slow"], states["lonely"]) in (
        ("failed", "failed"),
        ("upstream_failed", "failed"),
    )
    assert trial.ends["fast"] == "failed"
    log = trial.airflow.api.log("fast", "trial", "lonely")
    assert "'lonely' was not started: 'fails'" in log
    assert "AT WORK" not in log


def test_fail_fast_reports_the_failure_and_not_what_was_not_begun(trial: Trial) -> None:
    noted = trial.notes.read_text().splitlines()
    assert "fast fails" in noted
    assert not [line for line in noted if line.startswith("fast ") and line != "fast fails"]


def test_a_failed_run_under_fail_fast_is_taken_up_by_clearing_what_failed(trial: Trial) -> None:
    """Nothing that was not begun is left out: it is ``failed`` or ``upstream_failed`` itself."""
    left = {
        t for t, state in trial.states["fast"].items() if state in ("failed", "upstream_failed")
    }
    begun = {t for t, state in trial.states["fast"].items() if state in ("success", "skipped")}
    assert left | begun == set(trial.states["fast"])
    assert {"fails", "behind", "far_behind", "lonely"} <= left


def test_a_barrier_lets_everybody_pass_and_hides_no_failure(trial: Trial) -> None:
    assert trial.states["walled"] == {
        "fails": "failed",
        "behind": "upstream_failed",
        "far_behind": "upstream_failed",
        "skips": "skipped",
        "after_skip": "success",
        "slow": "success",
        "after_slow": "success",
        "lonely": "success",
        "generation_0_done": "success",
        "generation_1_done": "success",
        "kindling_outcome": "upstream_failed",
    }
    assert trial.ends["walled"] == "failed"


def test_behind_a_barrier_fail_fast_begins_nothing(trial: Trial) -> None:
    states = trial.states["walled_fast"]
    later = ("behind", "far_behind", "after_skip", "after_slow", "generation_0_done")
    assert {states[name] for name in later} == {"upstream_failed"}
    assert trial.ends["walled_fast"] == "failed"


def test_groups_between_other_tasks_go_on_where_pipes_were_skipped_only(trial: Trial) -> None:
    states = trial.states["between"]
    assert states["sound.skips"] == "skipped"
    assert states["sound.kindling_outcome"] == "success"
    assert states["broken.fails"] == "failed"
    assert states["broken.kindling_outcome"] == "upstream_failed"
    assert states["end"] == "upstream_failed"
    assert trial.ends["between"] == "failed"


def test_a_short_circuit_in_front_of_a_group_skips_all_of_it(trial: Trial) -> None:
    """It asks its DAG, in a worker, for everything that is behind it."""
    states = trial.states["cut"]
    assert states.pop("no") == "success"
    assert len(states) == 5
    assert set(states.values()) == {"skipped"}


def test_a_task_whose_asset_is_inactive_is_explained_in_its_log(trial: Trial) -> None:
    assert trial.states["taken"] == {"plain": "failed"}
    log = trial.airflow.api.log("taken", "trial", "plain")
    assert "AT WORK" not in log
    assert (
        "Task 'plain' was not started, because asset 'taken/plain.out' is inactive: another DAG "
        "declares an asset of the same name with another URI, or of the same URI with another "
        "name, and Airflow keeps only one of them active. Nothing was read or written.\n"
        "  Fix: declare it in the other DAG as Asset(name='taken/plain.out', "
        "uri='taken/plain.out'), or set another prefix, or false, in the definition's key "
        "'assets'. Then clear this task."
    ) in log
