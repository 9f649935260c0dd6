"""Folders of pipes, and definitions beside them, from the drawings of ``tests.builders``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.manifest import Manifest
from tests.builders import pipes

__all__ = ["compiled", "document", "imports_of", "write_definition", "write_project"]

_TRACE = """\
with open({file!r}, "a") as imports:
    imports.write(__name__ + "\\n")
"""


def write_project(folder: Path, drawing: str = "a -> b", *, module: str = "pipes_drawn") -> Path:
    """Write a project whose one module declares the pipes of a drawing.

    Each import of it leaves a line in a file, see :func:`imports_of`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["from kindling_airflow import DataPipes", _TRACE.format(file=str(_trace(folder)))]
    for n, pipe in enumerate(pipes(drawing)):
        lines += [
            "@DataPipes.pipe(",
            f"    pipeid={pipe.pipeid!r},",
            f"    input_entity_ids={list(pipe.input_entity_ids)!r},",
            f"    output_entity_id={pipe.output_entity_id!r},",
            ")",
            f"def pipe_{n}(**inputs): ...",
        ]
    (folder / f"{module}.py").write_text("\n".join(lines) + "\n")
    return folder


def imports_of(project: Path) -> list[str]:
    """Return the modules of a written project that were imported so far, in that order."""
    trace = _trace(project)
    return trace.read_text().split() if trace.exists() else []


def write_definition(path: Path, text: str) -> Path:
    """Write a definition file; its first lines name project ``shop`` unless the text does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "" if "project:" in text else "project: shop\n"
    path.write_text(head + text)
    return path


def document(**keys: Any) -> dict[str, Any]:
    """Return the keys of a definition, with those that must be there."""
    return {"dag_id": "shop", "project": "shop", **keys}


def compiled(folder: Path, drawing: str, *, complete: bool = True, **keys: Any) -> Compiled:
    """Return the compiled definition of a drawing, without harvesting anything."""
    (folder / "shop").mkdir(exist_ok=True)
    definition = Definition.from_document(document(**keys), base=folder, source="here")
    manifest = Manifest.from_registries(
        pipes(drawing), DataEntityRegistry(), modules=["shop.pipes"]
    )
    return compile_definition(definition, manifest, complete=complete)


def _trace(project: Path) -> Path:
    return project.with_name(f"{project.name}.imports")
