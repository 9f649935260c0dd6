"""The tasks of a specification: operators, groups, edges; in a separate DAG or in a group."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, TaskGroup

from kindling_airflow.dag_factory.copied_tasks import TaskKind, fresh
from kindling_airflow.dag_factory.place_checks import check_places
from kindling_airflow.dag_factory.run_guards import run_guard, session_guard, stream_guard
from kindling_airflow.definitions.dag_parts import DagParts
from kindling_airflow.definitions.references import References
from kindling_airflow.definitions.task_arguments import operator_arguments
from kindling_airflow.operators.stored_fields import own_params
from kindling_airflow.translator import (
    EmptySpec,
    GateSpec,
    NodeSpec,
    SessionSpec,
    StopSpec,
    TaskSpec,
)
from kindling_airflow.translator.session_names import session_task_id
from kindling_airflow.translator.session_settings import session_of

if TYPE_CHECKING:
    from kindling_airflow.dag_factory.stream_tasks import StreamTasks
    from kindling_airflow.definitions.compile import Compiled


class TaskBuilder:
    """Builds the tasks of one compiled definition.

    Args:
        parts: the definition with the parts of its DAG.
        dag: where the tasks go.
        group: the group in it that they go into; its id is the prefix of theirs.
        references: resolve the definition's references.
        stand_ins: build empty tasks in place of the pipes: same ids, same edges.
    """

    def __init__(
        self,
        parts: DagParts,
        dag: DAG,
        references: References,
        *,
        group: TaskGroup | None = None,
        stand_ins: bool = False,
    ) -> None:
        self._parts = parts
        self._dag = dag
        self._group = group
        self._references = references
        self._stand_ins = stand_ins
        self._is_whole = False
        self._prefix = f"{group.group_id}." if group is not None else ""
        self._arguments: dict[tuple[int, bool, bool], dict[str, Any]] = {}
        self._kinds: dict[tuple[Any, ...], TaskKind] = {}
        self._assets: dict[str, Asset] = {}
        self._shared = self._shared_arguments()

    def build_all(self, compiled: Compiled) -> None:
        """Build every group and task, and every edge between them.

        Args:
            compiled: the definition that the parts are of.

        Raises:
            DefinitionError: one place in the warehouse has two ids, or is on storage that does not
                fit.
        """
        check_places(compiled)
        self._is_whole = True
        spec = compiled.spec
        built: dict[str, Any] = {}
        for group_spec in spec.groups:
            group = TaskGroup(
                group_id=group_spec.group_id,
                group_display_name=""
                if group_spec.label == group_spec.group_id
                else group_spec.label,
                prefix_group_id=False,
                tooltip=group_spec.tooltip,
                dag=self._dag,
                parent_group=self._group or self._dag.task_group,
            )
            for task in group_spec.tasks:
                built[task.task_id] = self._task(task, group)
            if group_spec.gate is not None:
                built[group_spec.gate.task_id] = self._watching(group_spec.gate, group)
        if spec.stop is not None:
            built[spec.stop.task_id] = self._watching(spec.stop, self._group)
        for empty in spec.empties():
            built[empty.task_id] = self._empty(empty, self._group)
        for session in spec.sessions:
            built[session.task_id] = self._session(session, self._group)
        for node in spec.nodes():
            task = built[node.task_id]
            for name in node.upstream:  # as set_upstream does, after hashing all ids of the DAG
                built[name].downstream_task_ids.add(task.node_id)
                task.upstream_task_ids.add(built[name].node_id)

    def build_one(self, spec: NodeSpec) -> Any:
        """Build one task without groups and edges, and return it."""
        if isinstance(spec, EmptySpec):
            return self._empty(spec, self._group)
        if isinstance(spec, TaskSpec):
            return self._task(spec, self._group)
        if isinstance(spec, SessionSpec):
            return self._session(spec, self._group)
        return self._watching(spec, self._group)

    def _shared_arguments(self) -> dict[str, Any]:
        definition, outline = self._parts.definition, self._parts.outline
        return {
            "dag": self._dag,
            "project_root": str(definition.project_root),
            "modules": outline.modules,
            "warehouse": definition.warehouse,
            "plan_digest": outline.plan_digest,
            "package": definition.package,
            "package_digest": outline.package_digest,
            "weight_rule": "absolute",
            "on_missing_interval": definition.on_missing_interval,
            "pre_execute": run_guard(self._parts, self._prefix.removesuffix(".")),
        }

    def _task(self, task: TaskSpec, group: TaskGroup | None) -> Any:
        if self._stand_ins:
            return EmptyOperator(
                task_id=self._id(task, group),
                dag=self._dag,
                task_group=group,
                trigger_rule=task.trigger_rule,
            )
        arguments, parts = self._arguments_of(task), self._parts.of_pipe(task)
        doc = {key: text for key, text in parts.doc.items() if key not in arguments}
        own = {
            **doc,
            "task_id": self._id(task, group),
            "task_group": group,
            "pipe_id": task.pipe_id,
            "connections": parts.connections,
            "settings": parts.settings,
            "priority_weight": task.priority_weight,
            "inlets": [self._asset(name) for name in task.inlets],
            "outlets": [self._asset(name) for name in task.outlets],
        }
        if task.stream is not None:
            made = {**self._shared, **arguments, **own, "trigger_rule": task.trigger_rule}
            stream = self._streams.task(made, task.stream)
            if self._is_whole:
                stream.params = own_params(stream.params)
            return stream
        key = (id(task.settings), task.trigger_rule, *doc)
        kind = self._kinds.get(key)
        if kind is None:
            shared = {**self._shared, **arguments, "trigger_rule": task.trigger_rule}
            kind = self._kinds[key] = TaskKind(shared, is_stored=self._is_whole)
        return kind.task(own)

    def _watching(self, spec: GateSpec | StopSpec, group: TaskGroup | None) -> Any:
        arguments: dict[str, Any] = {
            "task_id": self._id(spec, group),
            "dag": self._dag,
            "task_group": group,
            "trigger_rule": spec.trigger_rule,
        }
        if self._stand_ins:
            return EmptyOperator(**arguments)
        return self._streams.watching(spec, arguments)

    def _session(self, spec: SessionSpec, group: TaskGroup | None) -> Any:
        if self._stand_ins:
            return EmptyOperator(task_id=spec.task_id, dag=self._dag, task_group=group)
        from kindling_airflow.operators.session import KindlingSessionOperator  # most DAGs: none

        parts, outline = self._parts.of_session(spec), self._parts.outline
        shared = {**self._shared, "pre_execute": session_guard(self._parts, spec, self._prefix)}
        settings, objects = spec.settings, self._parts.definition.objects
        session = KindlingSessionOperator(
            **fresh({**shared, **operator_arguments(settings, self._references, objects)}),
            **parts.doc,
            task_id=spec.task_id,
            task_display_name=spec.label,
            task_group=group,
            session_name=spec.name,
            pipe_ids=spec.pipe_ids,
            shared=spec.shared,
            pipe_tasks=tuple([f"{self._prefix}{name}" for name in spec.task_ids]),
            connections=parts.connections,
            settings=parts.settings,
            priority_weight=spec.priority_weight,
            pool_width=outline.pools.get(settings.pool),
        )
        if self._is_whole:
            session.params = own_params(session.params)
        return session

    def _empty(self, spec: EmptySpec, group: TaskGroup | None) -> Any:
        return EmptyOperator(
            task_id=self._id(spec, group),
            task_display_name=spec.label,
            doc=spec.doc,
            trigger_rule=spec.trigger_rule,
            weight_rule="absolute",
            dag=self._dag,
            task_group=group,
        )

    def _id(self, spec: NodeSpec, group: TaskGroup | None) -> str:
        """Return a task's id as the constructor wants it: a group that prefixes does so itself."""
        return spec.task_id if group is self._group else f"{self._prefix}{spec.task_id}"

    @cached_property
    def _streams(self) -> StreamTasks:
        from kindling_airflow.dag_factory.stream_tasks import StreamTasks  # most DAGs have none

        return StreamTasks(self._parts, self._prefix)

    def _arguments_of(self, task: TaskSpec) -> dict[str, Any]:
        settings = task.settings
        outline = self._parts.outline
        is_stopped = task.stream is not None and bool(outline.stop)
        key = (id(settings), is_stopped, task.stream is not None)
        found = self._arguments.get(key)
        if found is None:
            objects = self._parts.definition.objects
            found = operator_arguments(settings, self._references, objects)
            own, group_id = found.get("pre_execute"), self._prefix.removesuffix(".")
            if is_stopped:
                found["pre_execute"] = stream_guard(self._parts, group_id, own)
            elif own is not None:
                found["pre_execute"] = run_guard(self._parts, group_id, own)
            session = session_of(settings, is_stream=task.stream is not None)
            if session:
                found["session"] = self._prefix + session_task_id(session)
            width = outline.pools.get(settings.pool)
            if self._group is not None or width != self._dag.max_active_tasks:
                found["pool_width"] = width
            self._arguments[key] = found
        return found

    def _asset(self, identifier: str) -> Asset:
        found = self._assets.get(identifier)
        if found is None:
            found = self._assets[identifier] = Asset(name=identifier, uri=identifier)
        return found
