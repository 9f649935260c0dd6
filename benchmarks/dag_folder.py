"""A DAG folder for a graph: the DAG file, a definition, a project, its compiled manifest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.graphs import Record
from kindling_airflow.definitions.compiled_dag import write_compiled
from kindling_airflow.definitions.definition import DEFINITION_SUFFIX, Definition, manifest_beside
from kindling_airflow.definitions.yaml_file import read_definition_file
from kindling_airflow.manifest.harvest import harvest

__all__ = ["write_dag_folder"]

_DAG_FILE = Path(__file__).resolve().parent.parent / "dags" / "kindling_dags.py"


def write_dag_folder(
    folder: Path, records: Sequence[Record], dag_id: str = "bench", more: str = ""
) -> Path:
    """Write a DAG folder and return its definition file.

    Args:
        folder: it does not exist yet.
        records: the pipes; they become functions of one module.
        dag_id: the id of its DAG.
        more: further lines of the definition.
    """
    project = folder / "project"
    project.mkdir(parents=True)
    lines = ["from kindling_airflow import DataPipes", "", ""]
    for n, record in enumerate(records):
        keys = [f"    {key}={value!r}," for key, value in record.items()]
        lines += ["@DataPipes.pipe(", *keys, ")", f"def pipe_{n}(**inputs): ...", "", ""]
    (project / "pipes_of_the_graph.py").write_text("\n".join(lines), encoding="utf-8")
    shutil.copy(_DAG_FILE, folder / "dags.py")
    path = folder / f"{dag_id}{DEFINITION_SUFFIX}"
    path.write_text(
        f"dag_id: {dag_id}\nproject: project\nwidth: 16\nspark: {{conf: {{spark.x: '1'}}}}\n{more}",
        encoding="utf-8",
    )
    read = read_definition_file(path)
    definition = Definition.from_read_file(read)
    manifest = harvest(definition.project_root, definition.modules)
    write_compiled(manifest_beside(path), read, manifest)
    return path
