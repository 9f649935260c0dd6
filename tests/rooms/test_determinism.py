"""Same project, same bytes, whatever the hash seed, working directory, time zone or place.

Airflow compares what it serialises with what it has, and takes every difference for a new version
of the DAG. So nothing that varies between processes or machines may get into it.

Each process compiles the sample project twice, where it lies and from a copy in another place, and
plans two real graphs. With the places that makes ten parses of every DAG.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent.parent
SAMPLE = TESTS.parent / "dags"
GRAPHS = TESTS / "graphs"

# (hash seed, time zone); each process has a working directory of its own as well.
PROCESSES = [
    ("0", "UTC"),
    ("1", "America/New_York"),
    ("12345", "Asia/Kolkata"),
    ("7", "Australia/Lord_Howe"),
    ("4294967295", "Africa/Casablanca"),
]

# Arguments: where the answer goes, the folder of the graphs, the folders with the sample project.
PROGRAM = """
import json, sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization

from airflow.sdk import DAG
from kindling_airflow.dag_factory import kindling_task_group
from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest.harvest import harvest
from kindling_airflow.translator import TranslateOptions, translate

EVERYTHING = {
    "project": "flights",
    "params": {"b": {"default": 1, "type": "integer"}, "a": "x"},
    "dag_run": {"timeout_seconds": 60, "on_failure_callback": "os.path:join"},
    "on_failure_callback": ["os.path:join", "os.path:split"],
    "pools": {"heavy": 3, "odd": 2},
    "overrides": {
        "gold.**": {"pool": "heavy", "spark": {"conf": {"z": 1, "y": 2, "x": None}}},
        "silver.*": {"executor_config": {"q": 1, "p": 2}, "retries": 3},
        "silver.flights": {"pool": "odd", "arguments": {"depends_on_past": True}},
    },
    "assets": "s3a://lake/tables",
}
VARIANTS = {
    "walled": {"on_error": "continue", "barrier": "generation"},
    "tagged": {"on_error": "fail_fast", "group_by": "tag:layer"},
}

def with_everything(folder):
    dags = []
    for name, keys in VARIANTS.items():
        document = {"dag_id": name, **EVERYTHING, **keys}
        definition = Definition.from_document(document, base=folder, source="here")
        dags.append(build_dag(compile_definition(definition)))
    with DAG("mine", schedule=None) as dag:
        path = folder / "flights.kindling.yaml"
        one = kindling_task_group(path, group_id="one", on_error="continue")
        one >> kindling_task_group(path, group_id="two", barrier="generation")
    hashes = {}
    for dag in (*dags, dag):
        dag.fileloc = dag.relative_fileloc = "x.py"
        hashes[dag.dag_id] = SerializedDagModel.hash(DagSerialization.to_dict(dag))
    return hashes

def compiled(folder):
    definition = Definition.from_file(folder / "flights.kindling.yaml")
    manifest = harvest(definition.project_root, definition.modules)
    made = compile_definition(definition, manifest)
    bag = DagBag(str(folder), bundle_path=folder)
    assert not bag.import_errors, bag.import_errors
    serialised = DagSerialization.to_dict(bag.dags["flights"])
    return {
        "manifest": manifest.dumps(),
        "plan": json.dumps(made.plan.to_json()),
        "plan digest": made.plan.digest,
        "DagSpec": json.dumps(made.spec.to_json()),
        # Airflow itself collects a DAG's keys in hash order, and sorts them before it compares.
        "serialised DAG": json.dumps(serialised, sort_keys=True),
        "version hash of the DAG": SerializedDagModel.hash(serialised),
        "version hash of the DAG of streams": SerializedDagModel.hash(
            DagSerialization.to_dict(bag.dags["streams"])
        ),
        "version hashes with everything": with_everything(folder),
    }

def planned(path):
    registry = DataPipesRegistry()
    for pipe in json.loads(path.read_text()):
        registry.register_pipe(**pipe)
    generator = ExecutionPlanGenerator(registry)
    plan, streams = generator.generate_batch_plan(), generator.generate_streaming_plan()
    spec = translate(plan, TranslateOptions(path.stem, "pool"))
    living = translate(streams, TranslateOptions(path.stem, "pool", width=len(streams.pipe_ids)))
    return {
        "shape": [plan.total_pipes(), plan.total_generations(), plan.max_parallelism()],
        "plan digest": plan.digest,
        "DagSpec": json.dumps(spec.to_json()),
        "DagSpec of streams": json.dumps(living.to_json()),
    }

target, graphs, *folders = map(Path, sys.argv[1:])
answer = {
    "projects": [compiled(folder) for folder in folders],
    "graphs": {path.stem: planned(path) for path in sorted(graphs.glob("*.json"))},
}
target.write_text(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample's DAGs folder under another name, as a second deployment has it."""
    left_out = shutil.ignore_patterns("__pycache__", "*.manifest.json")
    return shutil.copytree(SAMPLE, tmp_path_factory.mktemp("deployed") / "bundle", ignore=left_out)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, copied: Path) -> list[dict[str, Any]]:
    home = tmp_path_factory.mktemp("airflow")
    found = []
    for seed, timezone in PROCESSES:
        cwd = tmp_path_factory.mktemp("cwd")
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, cwd / "answer.json", GRAPHS, SAMPLE, copied],
            cwd=cwd,
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "TZ": timezone,
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found.append(json.loads((cwd / "answer.json").read_text()))
    return found


class TestProcesses:
    @pytest.mark.parametrize(
        "what",
        [
            "manifest",
            "plan",
            "plan digest",
            "DagSpec",
            "serialised DAG",
            "version hash of the DAG",
            "version hashes with everything",
        ],
    )
    def test_sample_project_is_compiled_to_the_same_bytes(
        self, answers: list[dict[str, Any]], what: str
    ) -> None:
        here, there = ([answer["projects"][n][what] for answer in answers] for n in (0, 1))
        assert here == [here[0]] * len(PROCESSES)
        assert there == [there[0]] * len(PROCESSES)

    @pytest.mark.parametrize(
        ("name", "shape"),
        [("healthcare_1211", [1211, 36, 319]), ("lakehouse_677", [677, 16, 373])],
    )
    def test_real_graph_is_planned_to_the_same_bytes(
        self, answers: list[dict[str, Any]], name: str, shape: list[int]
    ) -> None:
        first, *others = (answer["graphs"][name] for answer in answers)
        assert first["shape"] == shape
        assert first["plan digest"].startswith("sha256:")
        assert others == [first] * (len(PROCESSES) - 1)


class TestPlaces:
    @pytest.mark.parametrize(
        "what",
        [
            "manifest",
            "plan",
            "plan digest",
            "DagSpec",
            "version hash of the DAG",
            "version hashes with everything",
        ],
    )
    def test_project_in_another_place_is_compiled_to_the_same_bytes(
        self, answers: list[dict[str, Any]], what: str
    ) -> None:
        here, there = answers[0]["projects"]
        assert here[what] == there[what]

    def test_serialised_dag_differs_in_the_place_of_its_file_alone(
        self, answers: list[dict[str, Any]], copied: Path
    ) -> None:
        """``fileloc`` is Airflow's own record; it leaves it out when it compares versions."""
        here, there = (
            json.loads(project["serialised DAG"])["dag"] for project in answers[0]["projects"]
        )
        assert here.pop("fileloc") == str(SAMPLE / "kindling_dags.py")
        assert there.pop("fileloc") == str(copied / "kindling_dags.py")
        assert here["relative_fileloc"] == "kindling_dags.py"
        assert json.dumps(here) == json.dumps(there)

    def test_no_field_of_a_task_holds_an_absolute_path(
        self, answers: list[dict[str, Any]], copied: Path
    ) -> None:
        dag = json.loads(answers[0]["projects"][1]["serialised DAG"])["dag"]
        assert len(dag["tasks"]) > 10
        for part in (dag["tasks"], dag["task_group"]):
            absolute = [text for text in _texts(part) if text.startswith("/") or "=/" in text]
            assert not absolute
            assert not [text for text in _texts(part) if str(copied.parent) in text]

    def test_what_is_shared_between_deployments_names_no_place(
        self, answers: list[dict[str, Any]], copied: Path
    ) -> None:
        for project, root in zip(answers[0]["projects"], (SAMPLE, copied), strict=True):
            for what in ("manifest", "plan", "DagSpec"):
                assert str(root) not in project[what]
                assert str(TESTS.parent) not in project[what]


def _texts(value: Any) -> list[str]:
    """Return every string in a document, keys included."""
    if isinstance(value, dict):
        return [text for item in [*value, *value.values()] for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []
