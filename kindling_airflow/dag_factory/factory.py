"""The entry points of a DAG file: every definition beneath a folder, or one DAG from Python."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_parsing_context

from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.common.interrupts import noticed_interrupts
from kindling_airflow.dag_factory.broken import BrokenDefinition
from kindling_airflow.dag_factory.build import build_dag, build_task
from kindling_airflow.dag_factory.definition_files import definition_files
from kindling_airflow.definitions.compiled_dag import read_compiled_task
from kindling_airflow.definitions.definition import Definition, wrapped
from kindling_airflow.definitions.yaml_file import DefinitionFile, located, read_definition_file
from kindling_airflow.errors import DefinitionError, KindlingAirflowError
from kindling_airflow.manifest.harvest import refuse_in_harvest

if TYPE_CHECKING:
    from kindling_airflow.definitions.compile import Compiled
    from kindling_airflow.definitions.project_manifests import ProjectManifest

log = logging.getLogger(__name__)


def load_dags(dag_file: str | Path) -> dict[str, DAG]:
    """Return a DAG for every ``*.kindling.yaml`` (or ``.yml``) in and beneath a DAG file's folder.

    A DAG file publishes them with ``globals().update(load_dags(__file__))``. Where Airflow says
    which DAG and task it wants (a worker does), only that DAG is built, with that task alone. A
    broken definition becomes an import error under its own name; the others are built all the same.

    Args:
        dag_file: ``__file__`` of the DAG file.

    Raises:
        DefinitionError: the task that a worker wants is of a broken definition, or the DAG file
            is in a zip.
    """
    refuse_in_harvest("load_dags")
    factory = Path(dag_file).absolute()  # not resolved: definitions lie beside a link, too
    wanted = get_parsing_context()
    made = _Made(factory, {}, is_worker=wanted.task_id is not None)
    read = [
        (path, found)
        for path, found in _definition_files(factory)
        if wanted.dag_id is None or _dag_id(found) == wanted.dag_id
    ]
    with noticed_interrupts() as interrupted:
        definitions: dict[Path, Definition] = {}
        for path, found in read:
            with made.broken_if_it_fails(path, interrupted):
                if isinstance(found, DefinitionError):
                    raise found
                dag = None if wanted.task_id is None else _dag_of_task(found, wanted.task_id)
                if dag is not None:
                    made.dags[dag.dag_id] = dag
                else:
                    definitions[path] = Definition.from_read_file(found)
        manifests = _project_manifests(list(definitions.values()))
        for (path, definition), manifest in zip(definitions.items(), manifests, strict=True):
            with made.broken_if_it_fails(path, interrupted):
                dag = _dag(definition, manifest, wanted.task_id)
                made.dags[definition.dag_id] = dag
                if manifest.error is not None and not made.is_worker:
                    with wrapped(definition):
                        raise manifest.error
    return made.dags


@dataclass(frozen=True, slots=True)
class _Made:
    """The DAGs of a DAG file that are made so far.

    Attributes:
        dags: the DAGs by id, stand-ins for definitions with an error among them.
        is_worker: whether a worker wants one of their tasks.
    """

    factory: Path
    dags: dict[str, DAG]
    is_worker: bool

    @contextmanager
    def broken_if_it_fails(self, path: Path, interrupted: Callable[[], bool]) -> Iterator[None]:
        """Make a stand-in for a definition whose DAG cannot be made: it costs no other its DAG."""
        try:
            yield
        except BaseException as error:  # user code, in part: anything may come out
            if self.is_worker or interrupted():
                raise  # who waits for this task shall read why it does not start
            if isinstance(error, KindlingAirflowError):
                problem = error
            else:
                source = path.relative_to(self.factory.parent).as_posix()
                problem = DefinitionError([f"{source}: {type(error).__name__}: {error}"])
                problem.__cause__ = error
            log.warning("Broken definition: %s", problem)
            broken = BrokenDefinition(path, self.factory, problem)
            self.dags[broken.dag_id] = broken


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
    refuse_in_harvest("kindling_dag")
    place = Path(base).absolute()
    folder = place if place.is_dir() else place.parent
    checked = Definition.from_document(
        definition, base=folder, source=f"kindling_dag in {place.name}"
    )
    wanted = get_parsing_context()
    # Without a task it is the command line that asks, and stores every DAG that it comes across.
    if wanted.task_id is not None and wanted.dag_id != checked.dag_id:
        return DAG(dag_id=checked.dag_id, schedule=None)
    (manifest,) = _project_manifests([checked])
    if manifest.manifest is not None and manifest.error is not None:
        log.warning("%s: %s", checked.source, manifest.error)
    return _dag(checked, manifest, wanted.task_id)


def _definition_files(factory: Path) -> Iterator[tuple[Path, DefinitionFile | DefinitionError]]:
    """Yield each definition file as read, or with what is wrong; each dag_id is taken once."""
    if factory.parent.is_file():
        problem = (
            f"the DAG file is in the zip {str(factory.parent)!r}, from which definitions cannot be "
            "read\n  Fix: unpack the zip into the DAGs folder, or put the DAG file and its "
            "definitions there."
        )
        raise DefinitionError([problem])
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
                f"{dag_id!r} is already the dag_id of {first}\n"
                "  Fix: give this definition its own dag_id."
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


def _dag_of_task(read: DefinitionFile, task_id: str) -> DAG | None:
    """Return a DAG with one task as it was compiled; None where it must be compiled again."""
    compiled = read_compiled_task(read, task_id)
    if compiled is None:
        return None
    with _refusals(compiled[0].definition):
        return build_task(*compiled)


def _project_manifests(definitions: list[Definition]) -> list[ProjectManifest]:
    if not definitions:
        return []
    from kindling_airflow.definitions.project_manifests import project_manifests

    return project_manifests(definitions)


def _dag(definition: Definition, found: ProjectManifest, only_task: str | None = None) -> DAG:
    """Compile and build."""
    if found.manifest is None and found.error is not None:
        with wrapped(definition):
            raise found.error
    from kindling_airflow.definitions.compile import compile_definition

    # building it finds the rest
    compiled = compile_definition(definition, found.manifest, complete=False)
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
        problem = f"{definition.source}: Airflow rejects this DAG: {type(error).__name__}: {error}"
        raise DefinitionError([definition.without_secrets(problem)]) from error
