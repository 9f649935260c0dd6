"""The entry points of a DAG file: every definition beneath a folder, or one DAG from Python."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_parsing_context

from kindling_airflow.dag_factory.broken import BrokenDefinition
from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.dag_factory.compile import compile_definition
from kindling_airflow.dag_factory.definition import Definition, read_document
from kindling_airflow.errors import DefinitionError, KindlingAirflowError

__all__ = ["DEFINITION_SUFFIX", "definition_files", "kindling_dag", "load_dags"]

DEFINITION_SUFFIX = ".kindling.yaml"
log = logging.getLogger(__name__)


def load_dags(dag_file: str | Path) -> dict[str, DAG]:
    """Return a DAG for every ``*.kindling.yaml`` in and beneath the folder of a DAG file.

    A DAG file publishes them with ``globals().update(load_dags(__file__))``. Where Airflow says
    which DAG and task it wants (a worker does), only that DAG is built, with that task alone. A
    broken definition becomes an import error under its own name; the others are built all the same.

    Args:
        dag_file: ``__file__`` of the DAG file.
    """
    factory = Path(dag_file).resolve()
    wanted = get_parsing_context()
    dags: dict[str, DAG] = {}
    for path, document_or_error in _documents(factory.parent):
        try:
            if isinstance(document_or_error, KindlingAirflowError):
                raise document_or_error
            if wanted.dag_id is not None and document_or_error.get("dag_id") != wanted.dag_id:
                continue
            definition = Definition.from_document(
                document_or_error, base=path.parent, source=_shown(path, factory), path=path
            )
            dags[definition.dag_id] = build_dag(compile_definition(definition), wanted.task_id)
        except KindlingAirflowError as error:
            if wanted.dag_id is not None and not isinstance(
                document_or_error, KindlingAirflowError
            ):
                raise  # this very DAG is wanted: who waits for it shall read why it is not there
            if wanted.dag_id is None:
                log.warning("Definition %s is broken: %s", _shown(path, factory), error)
                broken = BrokenDefinition(path, factory, error)
                dags[broken.dag_id] = broken
    return dags


def kindling_dag(base: str | Path, **definition: Any) -> DAG:
    """Return the DAG that the keys of a definition file describe.

        dag = kindling_dag(__file__, dag_id="orders", project="orders", schedule=None, width=2)

    Args:
        base: the calling file (or a folder); relative paths start from its folder.
        **definition: the keys of a definition file.

    Raises:
        DefinitionError: listing everything that is wrong.
    """
    place = Path(base).resolve()
    folder = place if place.is_dir() else place.parent
    checked = Definition.from_document(
        definition, base=folder, source=f"kindling_dag in {place.name}"
    )
    wanted = get_parsing_context()
    only_task = wanted.task_id if wanted.dag_id == checked.dag_id else None
    return build_dag(compile_definition(checked), only_task)


def definition_files(folder: Path) -> list[Path]:
    """Return the definition files in and beneath a folder, sorted; hidden folders are left out."""
    return sorted(
        path
        for path in folder.rglob(f"*{DEFINITION_SUFFIX}")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _documents(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Yield each definition file with its document, or with what is wrong; ids are taken once."""
    owners: dict[str, Path] = {}
    for path in definition_files(folder):
        try:
            document = read_document(path)
        except DefinitionError as error:
            yield path, error
            continue
        dag_id = document.get("dag_id")
        first = owners.setdefault(dag_id, path) if isinstance(dag_id, str) else path
        if first is not path:
            problem = (
                f"{path.name}: dag_id {dag_id!r} is taken by {first.relative_to(folder)}\n"
                "  Fix: give this definition a dag_id of its own."
            )
            yield path, DefinitionError([problem])
            continue
        yield path, document


def _shown(path: Path, factory: Path) -> str:
    return path.relative_to(factory.parent).as_posix()
