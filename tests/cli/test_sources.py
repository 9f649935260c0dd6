"""What a command works on: records, folders in which there is nothing, projects that print."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.manifest import Manifest
from tests.cli.conftest import Shell
from tests.dag_factory.projects import write_definition

COMMAND = (sys.executable, "-m", "kindling_airflow.cli.main")
DECLARE = "  Fix: declare or select at least one.\n"
NO_MODULES = (
    "it contains no Python modules\n"
    "  Fix: name the folder of the modules; packages in it need an __init__.py.\n"
)


def records(*found: Any) -> str:
    """Write a file of records; return its name."""
    Path("records.json").write_text(json.dumps(found))
    return "records.json"


class TestRecords:
    def test_record_has_every_field_of_a_declaration(self, shell: Shell) -> None:
        source = records(
            {
                "entityid": "raw",
                "name": "Raw",
                "merge_columns": ["id"],
                "tags": {"provider_type": "csv"},
                "schema": "id BIGINT",
                "partition_columns": ["day"],
                "cluster_columns": ["id"],
            },
            {"entityid": "ref", "tags": {"write_mode": "append"}},
            {"entityid": "clean", "tags": {"write_mode": "append"}},
            {
                "pipeid": "clean",
                "name": "Clean",
                "tags": {"layer": "silver"},
                "input_entity_ids": ["raw", "ref"],
                "output_entity_id": "clean",
                "output_type": "delta",
                "use_watermark": True,
                "driving_entity_ids": ["ref"],
                "expectations": [{"check": "not_null", "columns": ["id"]}],
            },
        )
        shell("compile", source, "-o", "manifest.json")
        found = Manifest.read(Path("manifest.json"))
        entity = found.entities.get_entity_definition("raw")
        assert entity is not None
        assert (entity.name, entity.merge_columns, entity.schema) == ("Raw", ("id",), "id BIGINT")
        assert (entity.partition_columns, entity.cluster_columns) == (("day",), ("id",))
        assert entity.tags == {"provider_type": "csv"}
        pipe = found.get_pipe_definition("clean")
        assert pipe is not None
        assert (pipe.name, pipe.tags, pipe.output_type) == ("Clean", {"layer": "silver"}, "delta")
        assert (pipe.use_watermark, pipe.driving_entity_ids) == (True, ("ref",))
        assert [e.to_json()["check"] for e in pipe.expectations] == ["not_null"]

    def test_inputs_of_a_query_are_derived_from_it(self, shell: Shell) -> None:
        Path("late.sql").write_text("SELECT * FROM clean;\n")
        source = records(
            {"pipeid": "clean", "input_entity_ids": ["raw"], "output_entity_id": "clean"},
            {"pipeid": "a", "sql": "SELECT * FROM clean", "output_entity_id": "a"},
            {"pipeid": "b", "sql_file": "late.sql", "output_entity_id": "b"},
            {"pipeid": "c", "sql": "SELECT 1", "input_entity_ids": [], "output_entity_id": "c"},
        )
        shell("compile", source, "-o", "manifest.json")
        found = {pipe.pipeid: pipe for pipe in Manifest.read(Path("manifest.json")).pipes}
        assert found["a"].input_entity_ids == found["b"].input_entity_ids == ("clean",)
        assert (found["b"].sql, found["b"].sql_file) == ("SELECT * FROM clean", "late.sql")
        assert found["c"].input_entity_ids == ()

    def test_every_problem_of_every_record_is_told_at_once(self, shell: Shell) -> None:
        source = records(
            {"pipeid": "a", "output_entity_id": "a", "input_entity_id": ["b"], "use_watermark": 3},
            {"pipeid": "a", "output_entity_id": "b"},
            {"entityid": "x", "owner": "me"},
            3,
            {"name": "b", "output_entity_id": "b"},
            {"pipeid": "c", "output_entity_id": "c", "sql": "SELECT 1", "sql_file": "c.sql"},
            {"pipeid": "d", "output_entity_id": "d", "sql_file": 3},
        )
        assert shell("validate", source, status=1) == (
            "records.json: 8 problems in the declarations:\n"
            "1. records.json: record 0: pipe 'a': unknown key 'input_entity_id'. Did you mean "
            "'input_entity_ids'?\n"
            "2. records.json: record 0: pipe 'a': use_watermark must be True or False, not 3\n"
            "3. records.json: record 1: pipe 'a' is already declared by record 0\n"
            "4. records.json: record 2: entity 'x': unknown key 'owner'. Known keys: entityid, "
            "name, merge_columns, tags, schema, partition_columns, cluster_columns.\n"
            "5. records.json: record 3: must be an object, not 3\n"
            "6. records.json: record 4: pipeid must be a string, not NoneType: None\n"
            "7. records.json: record 5: pipe 'c' has sql and sql_file\n"
            "  Fix: give it one of the two.\n"
            "8. records.json: record 6: pipe 'd': sql_file must be the name of a file, not 3\n"
        )

    def test_queries_are_checked(self, shell: Shell) -> None:
        source = records({"pipeid": "a", "sql": "SELECT * FROM nowhere", "output_entity_id": "a"})
        text = shell("plan", source, status=1)
        assert text.startswith("records.json: pipe 'a': its query reads 'nowhere' (line 1), which ")

    def test_what_is_no_json_is_a_problem_of_the_source(self, shell: Shell) -> None:
        Path("records.json").write_text("[{]")
        found = shell.json("plan", "records.json", status=1)
        assert found["error"] == "SourceError"
        assert found["problems"][0].startswith("records.json: invalid JSON: ")


class TestNothingThere:
    @pytest.mark.parametrize("command", ["validate", "run", "plan", "compile"])
    def test_folder_without_modules(self, shell: Shell, command: str) -> None:
        Path("empty").mkdir()
        name = "empty: " if command == "validate" else ""
        assert shell(command, "empty", status=1) == (
            f"{name}no pipes found in 'empty': {NO_MODULES}"
        )
        assert not Path("empty.manifest.json").exists()

    def test_modules_without_pipes_are_named(self, shell: Shell) -> None:
        Path("bare").mkdir()
        for n in range(7):
            Path(f"bare/m{n}.py").touch()
        assert shell("plan", "bare", status=1) == (
            "no pipes found in 'bare': its modules declare none: m0, m1, m2, m3, m4 and 2 more\n"
            "  Fix: declare some with @DataPipes.pipe or DataPipes.view; packages need an "
            "__init__.py.\n"
        )

    def test_definition_of_an_empty_project(self, shell: Shell) -> None:
        Path("empty").mkdir()
        write_definition(shell.folder / "e.kindling.yaml", "dag_id: e\nproject: empty\n")
        for command in ("plan", "run"):
            assert shell(command, "e.kindling.yaml", status=1) == (
                f"e.kindling.yaml: no pipes found in {str(shell.folder / 'empty')!r}: {NO_MODULES}"
            )

    def test_documents_without_pipes(self, shell: Shell) -> None:
        Path("manifest.json").write_text('{"schema_version": 1, "pipes": []}')
        for source in (records(), "manifest.json"):
            assert shell("validate", source, status=1) == (f"{source}: no pipes found\n{DECLARE}")


class TestModules:
    @pytest.mark.parametrize("source", ["manifest.json", "records.json"])
    def test_they_are_for_a_folder_alone(self, shell: Shell, source: str) -> None:
        shell("compile", "shop", "-o", "manifest.json")
        records({"pipeid": "a", "output_entity_id": "a"})
        assert shell("plan", source, "-m", "pipes_drawn", status=2) == (
            f"kindling-airflow plan: {source!r} is not a project folder, so it has no modules to "
            "import: omit --module\n"
        )


class TestPrintingProjects:
    @pytest.mark.parametrize("source", ["shop", "shop.kindling.yaml"])
    def test_what_a_project_prints_is_not_in_the_document(self, shell: Shell, source: str) -> None:
        """Whoever prints it: Python, the file descriptor, or a process that is started."""
        module = Path("shop/pipes_drawn.py")
        module.write_text(
            "import os, subprocess, sys\n"
            "print('by print')\n"
            "sys.__stdout__.write('by the first stdout\\n')\n"
            "os.write(1, b'by descriptor\\n')\n"
            "subprocess.run(['echo', 'by a process'], check=True)\n" + module.read_text()
        )
        done = subprocess.run(
            [*COMMAND, "plan", source, "--json"], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout)["pipe_ids"] == ["a", "b", "d", "c"]
        assert sorted(done.stderr.splitlines()) == [
            "by a process",
            "by descriptor",
            "by print",
            "by the first stdout",
        ]

    def test_text_has_nothing_of_it_either(self, shell: Shell) -> None:
        plain = shell("graph", "shop")
        module = Path("shop/pipes_drawn.py")
        module.write_text("print('hello')\n" + module.read_text())
        assert shell.both("graph", "shop") == (plain, "hello\n")

    def test_process_without_standard_output_can_still_validate(self, shell: Shell) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "validate", "shop"],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_key_that_stands_twice_in_a_record_is_refused(shell: Shell) -> None:
    text = '[{"pipeid": "a", "sql": "SELECT 1", "output_entity_id": "a", "pipeid": "b"}]'
    Path("records.json").write_text(text)
    found = shell("plan", "records.json", status=1)
    assert "duplicate key 'pipeid' in one object" in found
