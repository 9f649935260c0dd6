"""Functions that no name can be imported by: made by others, in loops, partial, objects; and cells
that are run again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.common.executions import Execution, current_execution
from kindling_airflow.data_entities import DataEntities, DataEntityRegistry
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.errors import DeclarationError, HarvestError, ManifestError
from kindling_airflow.manifest import FunctionRef, Manifest
from kindling_airflow.manifest.harvest import harvest

PIPES = """\
import functools

from kindling_airflow import DataPipes

from shop.stages import Loader, stage_of

for table in ("customer", "orders"):
    DataPipes.pipe(f"silver.{table}", input_entity_ids=["raw"], output_entity_id=table)(
        stage_of(table)
    )

DataPipes.pipe("lambda", output_entity_id="l")(lambda: "lambda")


def named(table):
    return f"named {table}"


DataPipes.pipe("partial", output_entity_id="p")(functools.partial(named, table="part"))
DataPipes.pipe("nested", output_entity_id="n")(
    functools.partial(functools.partial(stage_of("nation"), raw="raw"))
)
DataPipes.pipe("object", output_entity_id="o")(Loader("lineitem"))
DataPipes.pipe("method", output_entity_id="m")(Loader("region").load)
"""
STAGES = """\
def stage_of(table):
    def stage(raw):
        return f"stage of {table} from {raw}"

    return stage


class Loader:
    def __init__(self, table):
        self.table = table

    def __call__(self):
        return f"object of {self.table}"

    def load(self):
        return f"method of {self.table}"
"""
DRIVER = """\
import json, sys
from pathlib import Path

from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.manifest import Manifest
from kindling_airflow.runner.pipe.pipe_call import declarations_of, pipe_of

manifest = Manifest.read(Path(sys.argv[2]))
found, declared = {}, None
for pipe_id in manifest.get_pipe_ids():
    request = RunRequest(
        attempt_key="", pipe_id=pipe_id, project_root=sys.argv[1], modules=manifest.modules,
        warehouse="w", plan_digest="",
    )
    declared = declarations_of(request, declared)
    pipe = pipe_of(request, declared)
    found[pipe_id] = pipe.execute(**{name: name for name in pipe.input_entity_ids})
print(json.dumps(found))
"""
REFS = {
    "silver.customer": FunctionRef("shop.stages", "stage_of.<locals>.stage"),
    "silver.orders": FunctionRef("shop.stages", "stage_of.<locals>.stage"),
    "lambda": FunctionRef("shop.pipes", "<lambda>"),
    "partial": FunctionRef("shop.pipes", "named.<partial>"),
    "nested": FunctionRef("shop.stages", "stage_of.<locals>.stage.<partial>"),
    "object": FunctionRef("shop.stages", "Loader.<instance>"),
    "method": FunctionRef("shop.stages", "Loader.load"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "shop"
    folder.mkdir(parents=True)
    for name, text in (("__init__", ""), ("pipes", PIPES), ("stages", STAGES)):
        (folder / f"{name}.py").write_text(text)
    return folder.parent


def test_their_manifest_says_where_they_were_declared_and_is_always_the_same(project: Path) -> None:
    manifest = harvest(project)
    assert dict(manifest.functions) == REFS
    assert [ref.by_name for ref in REFS.values()] == [False] * 6 + [True]
    again = Manifest.from_json(json.loads(manifest.dumps()))
    assert (again, again.dumps()) == (manifest, manifest.dumps())
    script = "import sys; from pathlib import Path; "
    script += "from kindling_airflow.manifest.harvest import harvest; "
    script += "print(harvest(Path(sys.argv[1])).digest)"
    for seed in "12":
        done = subprocess.run(
            [sys.executable, "-c", script, str(project)],
            env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == manifest.digest


def test_a_driver_finds_each_by_the_id_of_its_pipe(project: Path, tmp_path: Path) -> None:
    harvest(project).write(tmp_path / "manifest.json")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(project), str(tmp_path / "manifest.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == {
        "silver.customer": "stage of customer from raw",
        "silver.orders": "stage of orders from raw",
        "lambda": "lambda",
        "partial": "named part",
        "nested": "stage of nation from raw",
        "object": "object of lineitem",
        "method": "method of region",
    }


def test_a_loop_that_takes_an_id_twice_is_an_error(project: Path) -> None:
    text = PIPES.replace('f"silver.{table}"', '"silver.table"').replace("=table)(", '="t")(')
    (project / "shop" / "pipes.py").write_text(text)
    with pytest.raises((DeclarationError, HarvestError)) as refused:
        harvest(project)
    assert str(refused.value) == (
        "module 'shop.pipes': pipe 'silver.table' is declared twice by "
        "shop.stages.stage_of.<locals>.stage (line 2), which is declared more than once: in a "
        "loop, "
        "or made by a function that is called again\n"
        "  Fix: give each of them its own id."
    )


def test_what_no_driver_could_find_is_refused() -> None:
    pipes = DataPipesRegistry()
    exec(  # as a notebook does
        "def top(): ...\nmake = lambda: top", namespace := {"__name__": "__main__"}
    )
    pipes.register_pipe("top", execute=namespace["top"], output_entity_id="t")
    with pytest.raises(ManifestError) as refused:
        Manifest.from_registries(pipes, DataEntityRegistry(), modules=["shop"])
    assert str(refused.value) == (
        "pipe 'top': its function 'top' is not declared in a module that a driver could import\n"
        "  Fix: declare the pipe in one of the project's modules."
    )


class Cells:
    """A notebook: each cell is compiled anew and executed in one namespace."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "DataPipes": DataPipes}
        self.names["DataEntities"] = DataEntities

    def __call__(self, text: str, name: str = "<cell>") -> None:
        exec(compile(text, name, "exec"), self.names)


@pytest.fixture
def cell() -> Iterator[Cells]:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    with DataPipes.declaring_into(pipes), DataEntities.declaring_into(entities):
        yield Cells()


DECLARED = """\
@DataPipes.pipe("a", output_entity_id={output!r})
def first(): return {output!r}
"""


def declared(pipe_id: str = "a") -> Any:
    return DataPipes.registry().get_pipe_definition(pipe_id)


class TestCells:
    def test_a_cell_that_is_run_again_replaces_what_it_declared(self, cell: Cells) -> None:
        for output in ("x", "x", "y"):
            cell(DECLARED.format(output=output), name=f"cell {output}")
            assert (declared().output_entity_id, declared().execute()) == (output, output)
        cell("\n\n" + DECLARED.format(output="z"))  # its line is another one now
        assert declared().execute() == "z"
        assert DataPipes.registry().get_pipe_ids() == ["a"]

    def test_a_factory_that_a_cell_calls_again_does_so_too(self, cell: Cells) -> None:
        cell("def stage_of(table):\n    def stage(): return table\n    return stage")
        for table in ("x", "y"):
            cell(f"DataPipes.pipe('a', output_entity_id='o')(stage_of({table!r}))")
            assert declared().execute() == table

    def test_a_query_and_an_entity_do_so_too(self, cell: Cells) -> None:
        for n in (1, 2):
            cell(f"_ = DataPipes.view('v', sql='SELECT {n} AS n')")
            cell(f"_ = DataEntities.entity('e', tags={{'n': {n}}})")
            assert declared("v").sql == f"SELECT {n} AS n"
            found = DataEntities.registry().get_entity_definition("e")
            assert found is not None
            assert found.tags["n"] == n

    def test_another_place_is_an_error_in_a_notebook_too(self, cell: Cells) -> None:
        cell(DECLARED.format(output="x"))
        with pytest.raises(DeclarationError, match=r"by __main__.first .* and by __main__.other"):
            cell(DECLARED.format(output="x").replace("first", "other"))
        assert declared().execute() == "x"

    def test_a_loop_is_an_error_in_a_notebook_too(self, cell: Cells) -> None:
        loop = "for n in range(2):\n    @DataPipes.pipe('a', output_entity_id='x')\n"
        with pytest.raises(DeclarationError, match="more than once: in a loop"):
            cell(loop + "    def first(): ...")
        with pytest.raises(DeclarationError, match="entity 'e' is declared twice"):
            cell("for n in range(2): DataEntities.entity('e', tags={'n': n})")

    def test_a_module_that_is_loaded_anew_replaces_what_it_declared(self, cell: Cells) -> None:
        cell.names["__name__"] = "shop.pipes"
        for output in ("x", "y"):
            cell(DECLARED.format(output=output), name="pipes.py")
        assert declared().output_entity_id == "y"
        with pytest.raises(DeclarationError, match="declared twice"):  # of the same name, elsewhere
            cell(DECLARED.format(output="z"), name="other/pipes.py")
        cell.names["__name__"] = "shop.other"
        with pytest.raises(DeclarationError, match="declared twice"):
            cell(DECLARED.format(output="z"), name="pipes.py")


class TestExecutions:
    def test_a_thread_executes_no_module(self) -> None:
        found: list[Execution | None] = []
        thread = threading.Thread(target=lambda: found.append(current_execution()))
        thread.start()
        thread.join()
        assert found == [None]
        assert current_execution() is not None

    def test_a_declaration_in_a_thread_is_known_by_its_function(self, cell: Cells) -> None:
        refused: list[str] = []

        def declare() -> None:
            for output in ("x", "y"):
                try:
                    with DataPipes.declaring_into(registry):
                        cell.names["DataPipes"].pipe("a", output_entity_id=output)(make)
                except DeclarationError as error:
                    refused.append(str(error))

        def make() -> None: ...

        registry = DataPipes.registry()
        thread = threading.Thread(target=declare)
        thread.start()
        thread.join()
        assert len(refused) == 1
        assert "differing in output_entity_id" in refused[0]

    def test_a_method_is_the_same_at_each_look(self) -> None:
        pipes, made = DataPipesRegistry(), Made("x")
        for _ in range(2):
            pipes.register_pipe("a", execute=made.make, output_entity_id="o")
        with pytest.raises(DeclarationError, match="more than once"):
            pipes.register_pipe("a", execute=Made("y").make, output_entity_id="o")


@dataclass(frozen=True)
class Made:
    """An object whose method is a pipe's function."""

    text: str

    def make(self) -> str:
        return self.text
