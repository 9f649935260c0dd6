"""The entry points of a DAG file: every definition beneath a folder, or one DAG from Python."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_parsing_context

from kindling_airflow.bulk import collector_paused
from kindling_airflow.dag_factory.broken import BrokenDefinition
from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.dag_factory.compile import Compiled, compile_definition
from kindling_airflow.dag_factory.definition import DEFINITION_SUFFIX, Definition
from kindling_airflow.dag_factory.yaml_file import (
    DefinitionFile,
    located,
    read_definition_file,
)
from kindling_airflow.errors import DefinitionError, KindlingAirflowError

__all__ = ["DEFINITION_SUFFIX", "definition_files", "kindling_dag", "load_dags", "try_out"]

log = logging.getLogger(__name__)


def load_dags(dag_file: str | Path) -> dict[str, DAG]:
    """Return a DAG for every ``*.kindling.yaml`` in and beneath the folder of a DAG file.

    A DAG file publishes them with ``globals().update(load_dags(__file__))``. Where Airflow says
    which DAG and task it wants (a worker does), only that DAG is built, with that task alone. A
    broken definition becomes an import error under its own name; the others are built all the same.

    Args:
        dag_file: ``__file__`` of the DAG file.

    Raises:
        DefinitionError: the task that a worker wants is of a broken definition.
    """
    factory = Path(dag_file).absolute()  # not resolved: definitions lie beside a link, too
    wanted = get_parsing_context()
    dags: dict[str, DAG] = {}
    for path, read in _definition_files(factory):
        if wanted.dag_id is not None and _dag_id(read) != wanted.dag_id:
            continue
        try:
            if isinstance(read, DefinitionError):
                raise read
            definition = Definition.from_read_file(read)
            dags[definition.dag_id] = _dag(definition, wanted.task_id)
        except KindlingAirflowError as error:
            if wanted.task_id is not None:
                raise  # who waits for this task shall read why it does not start
            log.warning("Broken definition: %s", error)
            broken = BrokenDefinition(path, factory, error)
            dags[broken.dag_id] = broken
    return dags


def kindling_dag(base: str | Path, **definition: Any) -> DAG:
    """Return the DAG that the keys of a definition file describe.

        dag = kindling_dag(__file__, dag_id="orders", project="orders", schedule=None, width=2)

    Where Airflow says which DAG and task it wants (a worker does), this one has that task alone; if
    the task is of another DAG, this one has none, and its project is not looked at.

    Args:
        base: the calling file (or a folder); relative paths start from its folder.
        **definition: the keys of a definition file.

    Raises:
        DefinitionError: listing everything that is wrong.
    """
    place = Path(base).absolute()
    folder = place if place.is_dir() else place.parent
    checked = Definition.from_document(
        definition, base=folder, source=f"kindling_dag in {place.name}"
    )
    wanted = get_parsing_context()
    # Without a task it is the command line that asks, and stores every DAG that it comes across.
    if wanted.task_id is not None and wanted.dag_id != checked.dag_id:
        return DAG(dag_id=checked.dag_id, schedule=None)
    return _dag(checked, wanted.task_id)


def definition_files(folder: Path) -> list[Path]:
    """Return the definition files in and beneath a folder, sorted; hidden folders are left out."""
    return sorted(
        path
        for path in folder.rglob(f"*{DEFINITION_SUFFIX}")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _definition_files(factory: Path) -> Iterator[tuple[Path, DefinitionFile | DefinitionError]]:
    """Yield each definition file as read, or with what is wrong; each dag_id is taken once."""
    owners: dict[str, str] = {}
    for path in definition_files(factory.parent):
        source = path.relative_to(factory.parent).as_posix()
        try:
            read = read_definition_file(path, source)
        except DefinitionError as error:
            yield path, error
            continue
        dag_id = read.keys.get("dag_id")
        first = owners.setdefault(dag_id, source) if isinstance(dag_id, str) else source
        if first != source:
            text = (
                f"{dag_id!r} is the dag_id of {first} already\n"
                "  Fix: give this definition a dag_id of its own."
            )
            yield path, DefinitionError([located(source, read.lines, (("dag_id",), text))])
            continue
        yield path, read


def _dag_id(read: DefinitionFile | DefinitionError) -> object:
    return read.keys.get("dag_id") if isinstance(read, DefinitionFile) else None


@collector_paused()  # it would walk over all of Airflow, again and again
def try_out(compiled: Compiled) -> None:
    """Build the DAG of a compiled definition and serialise it, as the DAG processor will.

    Raises:
        DefinitionError: Airflow refuses it.
    """
    from airflow.serialization import serialized_objects

    module: Any = serialized_objects
    name = "DagSerialization" if hasattr(module, "DagSerialization") else "SerializedDAG"
    with _refusals(compiled.definition):
        dag = build_dag(compiled)
        dag.fileloc = dag.relative_fileloc = compiled.definition.source
        getattr(module, name).to_dict(dag)


def _dag(definition: Definition, only_task: str | None = None) -> DAG:
    """Compile and build."""
    compiled = compile_definition(definition, complete=False)  # building it finds the rest
    with _refusals(definition):
        return build_dag(compiled, only_task)


@contextmanager
def _refusals(definition: Definition) -> Iterator[None]:
    """Make an error of this package of what Airflow itself refuses."""
    try:
        yield
    except DefinitionError:
        raise
    except Exception as error:  # the user's own task policy, among others
        problem = f"{definition.source}: Airflow refuses this DAG: {type(error).__name__}: {error}"
        raise DefinitionError([definition.without_secrets(problem)]) from error
