"""Who may import whom, tried: each module is imported where what its room forbids is not there.

import-linter reads the import statements; this runs them, in a process of its own per room, with
every module of the package imported anew, as if it were the first one.
"""

from __future__ import annotations

import doctest
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import kindling_airflow
from tests.builders import plan

PACKAGE = Path(kindling_airflow.__file__).parent

# Which packages are missed by which modules: the first pattern that fits counts.
# "third-party" is everything that neither comes with Python nor belongs to this package.
ROOMS: dict[str, tuple[str, ...]] = {
    "third-party": (
        "kindling_airflow",
        "kindling_airflow.errors",
        "kindling_airflow.provider_info",
        "kindling_airflow.common*",
        "kindling_airflow.lineage*",
        "kindling_airflow.protocol*",
        "kindling_airflow.data_entities",
        "kindling_airflow.data_pipes*",
        "kindling_airflow.tags*",
        "kindling_airflow.manifest*",
        "kindling_airflow.deployment*",
        # A driver reports a bad request without importing Spark, and modules with declarations may
        # define an entity provider.
        "kindling_airflow.runner",
        "kindling_airflow.runner.main",
        "kindling_airflow.runner.session.main",
        "kindling_airflow.runner.providers",
        "kindling_airflow.runner.providers.interface",
    ),
    # It travels to the cluster, where there is nothing but Spark.
    "airflow networkx yaml jsonschema blinker rich": ("kindling_airflow.runner*",),
    "airflow pyspark": (
        "kindling_airflow.pipe_graph*",
        "kindling_airflow.selection*",
        "kindling_airflow.execution_plan*",
        "kindling_airflow.cache_optimizer",
        "kindling_airflow.execution_strategy*",
        "kindling_airflow.plan_report*",
        "kindling_airflow.run_view*",
        "kindling_airflow.generation_executor*",
        "kindling_airflow.execution_orchestrator",
        "kindling_airflow.translator*",
        "kindling_airflow.definitions*",
        "kindling_airflow.operators",
        "kindling_airflow.operators.links",
        "kindling_airflow.operators.links.urls",
        "kindling_airflow.triggers",
        "kindling_airflow.triggers.run_states",
        "kindling_airflow.dag_factory",
        "kindling_airflow.history*",
        "kindling_airflow.pools*",
        "kindling_airflow.cli*",
    ),
    # What is imported when a DAG is parsed.
    "pyspark": (
        "kindling_airflow.operators*",
        "kindling_airflow.triggers*",
        "kindling_airflow.dag_factory*",
        "kindling_airflow.plugin*",
    ),
}

# Imports modules with some packages missing; prints {module: error} and what came along.
PROGRAM = """
import importlib, json, sys, traceback

forbidden, modules = sys.argv[1].split(), sys.argv[2:]

class Missing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        own = top in sys.stdlib_module_names or top == "kindling_airflow"
        if top in forbidden or ("third-party" in forbidden and not own):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

loaded = [name for name in sys.modules if name.partition(".")[0] in forbidden]
assert not loaded, f"the interpreter itself starts with {loaded}"
sys.meta_path.insert(0, Missing())
errors, loaded = {}, set()
for module in modules:
    for name in [name for name in sys.modules if name.partition(".")[0] == "kindling_airflow"]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except BaseException:
        errors[module] = traceback.format_exc()
    loaded |= sys.modules.keys()
print("RESULT " + json.dumps([errors, sorted(loaded)]))
"""


def all_modules() -> list[str]:
    """Return every module of the package, by its files."""
    relative = sorted(path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py"))
    return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in relative]


def forbidden_to(module: str) -> str | None:
    """Return what a module's room does without, or None where it has no room."""
    fitting = (
        forbidden
        for forbidden, patterns in ROOMS.items()
        for pattern in patterns
        if fnmatchcase(module, pattern)
    )
    return next(fitting, None)


def without_airflow() -> list[str]:
    """Return the modules that can be imported where there is neither Airflow nor Spark."""
    return [m for m in all_modules() if forbidden_to(m) not in (None, "pyspark")]


def import_without(forbidden: str, modules: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Import modules in a new process; return what failed, and every module that was loaded."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, forbidden, *modules],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert ran.returncode == 0, ran.stderr
    said = next(line for line in ran.stdout.splitlines() if line.startswith("RESULT "))
    errors, loaded = json.loads(said.removeprefix("RESULT "))
    return errors, set(loaded)


def test_every_module_is_in_a_room() -> None:
    homeless = [module for module in all_modules() if forbidden_to(module) is None]
    assert not homeless, f"give these modules a room in ROOMS: {homeless}"


@pytest.mark.parametrize("forbidden", ROOMS)
def test_modules_import_without_what_their_rooms_forbid(forbidden: str) -> None:
    modules = [module for module in all_modules() if forbidden_to(module) == forbidden]
    errors, _ = import_without(forbidden, modules)
    assert not errors, "\n".join(f"{module}:\n{text}" for module, text in errors.items())


def test_a_forbidden_import_would_be_noticed() -> None:
    """The fence stands: the same modules fail where something that they need is missing."""
    errors, _ = import_without(
        "blinker yaml",
        ["kindling_airflow.generation_executor.signals", "kindling_airflow.manifest.harvest"],
    )
    assert set(errors) == {"kindling_airflow.generation_executor.signals"}
    assert errors["kindling_airflow.generation_executor.signals"].endswith(
        "ModuleNotFoundError: No module named 'blinker'\n"
    )


def test_networkx_is_imported_where_a_graph_is_built() -> None:
    """Its import costs as much as all the rest of what a worker imports before a task."""
    rooms = ("translator", "execution_strategy", "execution_plan", "selection", "plan_report")
    _, loaded = import_without("", [f"kindling_airflow.{room}" for room in rooms])
    assert "networkx" not in loaded


@pytest.mark.parametrize("strategy", ["batch", "streaming", "hybrid"])
def test_a_plan_is_read_back_without_networkx(strategy: str) -> None:
    """A plan in JSON has its generations and its digest: no graph is built to read them."""
    tags = {"b": {"processing_mode": "streaming"}} if strategy == "hybrid" else {}
    made = plan("a -> b -> c, [raw] -> c", strategy, tags)
    program = (
        "import json, sys\n"
        "from kindling_airflow.execution_plan import ExecutionPlan\n"
        "plan = ExecutionPlan.from_json(json.load(sys.stdin))\n"
        "found = [plan.digest, [g.pipe_ids for g in plan.generations], plan.graph.edges]\n"
        "print(json.dumps([found, 'networkx' in sys.modules]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(made.to_json()),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [made.digest, [g.pipe_ids for g in made.generations], made.graph.edges]
    assert json.loads(ran.stdout) == json.loads(json.dumps([found, False]))


def test_importing_the_package_costs_nothing() -> None:
    """Airflow does it in every process, so that it can find the provider's metadata."""
    _, loaded = import_without("", ["kindling_airflow", "kindling_airflow.provider_info"])
    own = {name for name in loaded if name.startswith("kindling_airflow")}
    assert own == {"kindling_airflow", "kindling_airflow.provider_info"}
    assert not loaded & {"airflow", "pyspark", "networkx", "yaml", "jsonschema", "rich"}


def test_nothing_but_the_runner_imports_the_runner() -> None:
    """Operators name its application by path; on a worker there need not be a Spark."""
    others = [m for m in without_airflow() if not m.startswith("kindling_airflow.runner")]
    _, loaded = import_without("airflow pyspark", others)
    assert "kindling_airflow.translator.translation" in loaded
    assert not [name for name in loaded if name.startswith("kindling_airflow.runner")]


@pytest.mark.parametrize("module", all_modules())
def test_names_that_a_module_publishes_exist(module: str) -> None:
    found = importlib.import_module(module)
    published: list[str] = getattr(found, "__all__", [])
    assert len(set(published)) == len(published)
    missing = [name for name in published if not hasattr(found, name)]
    assert not missing


@pytest.mark.parametrize("module", without_airflow())
def test_examples_in_docstrings_are_true(module: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(module))
    assert failed == 0


def test_examples_stand_only_where_they_are_tried() -> None:
    with_examples = {
        module
        for module in all_modules()
        if ">>> " in Path(str(importlib.import_module(module).__file__)).read_text("utf-8")
    }
    assert {
        "kindling_airflow.common.immutable",
        "kindling_airflow.translator.task_ids",
    } <= with_examples
    assert not {module for module in with_examples if forbidden_to(module) == "pyspark"}
