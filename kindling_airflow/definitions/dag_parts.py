"""The parts of a compiled definition that its DAG keeps to build tasks from.

The whole DAG takes them from the manifest and the plan; one task of a worker takes its own from a
compiled manifest (:mod:`~kindling_airflow.definitions.compiled_dag`), without graph and plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.immutable import freeze, thaw
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.plan_checks import input_assets
from kindling_airflow.definitions.task_doc import stream_text, task_doc
from kindling_airflow.errors import ManifestError
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.project_code import (
    CodeIdentity,
    changed_files,
    code_roots,
    project_code,
)
from kindling_airflow.manifest.project_settings import differences_for
from kindling_airflow.tags.plan_checks import connections_of
from kindling_airflow.translator import OnError, SessionSpec, TaskSpec

if TYPE_CHECKING:
    from kindling_airflow.definitions.compile import Compiled
    from kindling_airflow.pipe_graph import PipeGraph
    from kindling_airflow.tags.stream_settings import Lifetime


@dataclass(frozen=True, slots=True)
class Outline:
    """What a DAG and all of its tasks share, as far as it follows from the plan.

    Attributes:
        plan_digest: the plan.
        modules: what a driver imports.
        package_digest: the manifest that the package must be made of; "" without a package.
        max_active_tasks: of a run.
        pools: the slots of every pool that a task is in.
        on_error: what a failed pipe means for the others.
        first_pipe: a pipe whose task waits for no other, the same in every worker.
        input_assets: the assets that the plan reads and does not write.
        lifetime: of the streams; None without any.
        stop: id of the task that stops the streams; "" where they end by themselves.
        streams: ids of the tasks that it stops.
        gates: ids of the tasks that wait for the readiness of streams.
    """

    plan_digest: str
    modules: tuple[str, ...]
    package_digest: str
    max_active_tasks: int
    pools: Mapping[str, int]
    on_error: OnError
    first_pipe: str | None
    input_assets: tuple[str, ...] = ()
    lifetime: Lifetime | None = None
    stop: str = ""
    streams: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the outline as a JSON document."""
        document = {item.name: thaw(getattr(self, item.name)) for item in fields(self)}
        return {**document, "on_error": self.on_error.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Outline:
        """Return the outline that :meth:`to_json` wrote."""
        return cls(**{**freeze(document), "on_error": OnError(document["on_error"])})


@dataclass(frozen=True, slots=True)
class PipeParts:
    """What a pipe's task holds beside its specification.

    Attributes:
        doc: the documentation arguments of the operator.
        connections: the Airflow connections that the driver needs.
        settings: what the driver lays over the declarations.
    """

    doc: Mapping[str, str]
    connections: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DagParts:
    """A definition with the parts of its DAG.

    Attributes:
        definition: the definition.
        outline: what the DAG and all of its tasks share.
        of_pipe: the parts of a pipe's task.
        of_session: the parts of a session's task, for all of its pipes.
        upstream: ids of the tasks that a task waits for, by its id.
        graph: makes the graph of the plan's pipes, for a run that selects some of them.
        code: returns which code of the project the tasks are for.
    """

    definition: Definition
    outline: Outline
    of_pipe: Callable[[TaskSpec], PipeParts]
    of_session: Callable[[SessionSpec], PipeParts]
    upstream: Callable[[str], Sequence[str]]
    graph: Callable[[], PipeGraph]
    code: Callable[[], CodeIdentity] = CodeIdentity


def dag_parts(compiled: Compiled) -> DagParts:
    """Return the parts of a compiled definition."""
    definition, spec, plan = compiled.definition, compiled.spec, compiled.plan
    manifest, stop = compiled.manifest, compiled.spec.stop

    def of_pipe(task: TaskSpec) -> PipeParts:
        pipe: Any = manifest.get_pipe_definition(task.pipe_id)
        text = ""
        if task.stream is not None:
            output = manifest.entities.definition_or_default(pipe.output_entity_id)
            text = stream_text(pipe, definition.checkpoints, output)
        return PipeParts(
            task_doc(pipe, text),
            connections_of(pipe, manifest.entities),
            differences_for(compiled.base, manifest, [task.pipe_id]),
        )

    def of_session(session: SessionSpec) -> PipeParts:
        pipes: list[Any] = [manifest.get_pipe_definition(name) for name in session.pipe_ids]
        connections = (c for pipe in pipes for c in connections_of(pipe, manifest.entities))
        return PipeParts(
            {"doc": session.doc},
            tuple(dict.fromkeys(connections)),
            differences_for(compiled.base, manifest, session.pipe_ids),
        )

    def upstream(task_id: str) -> Sequence[str]:
        found = spec.find(task_id)
        return () if found is None else found.upstream

    outline = Outline(
        plan_digest=spec.plan_digest,
        modules=manifest.modules,
        package_digest=compiled.base.digest if definition.package is not None else "",
        max_active_tasks=spec.max_active_tasks(),
        pools=spec.pools,
        on_error=spec.on_error,
        first_pipe=next((task.pipe_id for task in spec.tasks() if not task.upstream), None),
        input_assets=input_assets(definition, plan) if definition.follows_inputs else (),
        lifetime=spec.lifetime,
        stop="" if stop is None else stop.task_id,
        streams=() if stop is None else stop.streams,
        gates=tuple([gate.task_id for gate in spec.gates()]),
    )
    return DagParts(
        definition,
        outline,
        of_pipe,
        of_session,
        upstream,
        lambda: plan.graph,
        lambda: code_of(compiled),
    )


def code_of(compiled: Compiled) -> CodeIdentity:
    """Return which code a definition that was compiled just now is for.

    It is that of the project's folder. A compiled manifest, if there is one, may be older.
    """
    definition, base = compiled.definition, compiled.base
    roots = code_roots(base.sources, base.modules)
    code = project_code(definition.project_root, roots)
    changed: tuple[str, ...] = ()
    if definition.manifest is not None and base.sources:
        with suppress(ManifestError):
            changed = changed_files(Manifest.read(definition.manifest).sources, base.sources)
    return CodeIdentity(code.digest, roots, changed, code.problem)
