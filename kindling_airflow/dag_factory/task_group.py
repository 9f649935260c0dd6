"""A plan as a TaskGroup inside a DAG of the user's own, between other tasks.

    with DAG("nightly", schedule="@daily", start_date=...):
        extract >> kindling_task_group("orders.kindling.yaml", group_id="orders") >> notify

A worker executes the whole DAG file for each of its tasks. What it needs of the group then:

| the task that it wants        | what is built of the group                                     |
|-------------------------------|----------------------------------------------------------------|
| is one of the group's         | that task alone; ``>>`` makes no edges, so none is wrong       |
| is a pipe of an earlier group | nothing, and the project is not looked at                      |
| is of another DAG             | nothing, and the project is not looked at                      |
| is another of this DAG        | every id and edge, of tasks that do nothing: a branch that     |
|                               | skips what is behind it asks for them                          |
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup, get_parsing_context

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.dag_factory.group_sources import PlanSource, planned_source
from kindling_airflow.dag_factory.tasks import TaskBuilder
from kindling_airflow.definitions.compile import Compiled, compile_planned
from kindling_airflow.definitions.dag_parts import dag_parts
from kindling_airflow.definitions.references import References
from kindling_airflow.errors import DefinitionError
from kindling_airflow.manifest.harvest import refuse_in_harvest
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.translator import Closing, task_id

log = logging.getLogger(__name__)
_LONGEST_ID = 250  # Airflow's own limit
_WATCHING = ("ReadyGateOperator", "StopStreamsOperator")  # by name: most DAGs have no use for them


class PlanTaskGroup(TaskGroup):
    """The TaskGroup of a plan. Made by :func:`kindling_task_group`.

    ``task >> group`` reaches the first pipes, ``group >> task`` the task behind all pipes: it fails
    if a pipe failed, and succeeds where pipes were skipped.
    """

    _compiled: Compiled | None
    _is_partial: bool

    def pipe(self, pipe_id: str) -> Any:
        """Return the task of a pipe, to add edges to it.

        Raises:
            DefinitionError: the plan has no such pipe.
        """
        name = f"{self.group_id}.{task_id(pipe_id)}"
        if self.dag.has_task(name):
            return self.dag.get_task(name)
        known = () if self._compiled is None else self._compiled.plan.pipe_ids
        if self._compiled is not None and pipe_id not in known:
            text = f"task group {self.group_id!r} has no pipe {pipe_id!r}."
            raise DefinitionError([f"{text}{did_you_mean(pipe_id, known)}"])
        return EmptyOperator(task_id=task_id(pipe_id), dag=self.dag, task_group=self)

    def serialize_for_task_group(self) -> Any:
        """Return what is stored of the group; warns where edges lead out of it and in again."""
        path = self._way_back()
        if path:
            log.warning(
                "Task group %r waits for itself: %s. Each task can run, but the group comes before "
                "and after %r, and a coming Airflow refuses such groups.\n"
                "  Fix: make two groups of the plan, 'select' one part in the first and 'exclude' "
                "it in the second, and put the task between them.",
                self.group_id,
                " >> ".join(path),
                path[1],
            )
        return super().serialize_for_task_group()

    def _way_back(self) -> list[str]:
        """Return a path of task ids that leaves the group and comes back; [] if there is none."""
        if self._is_partial:
            return []
        prefix, tasks = f"{self.group_id}.", self.dag.task_dict
        came_from: dict[str, str] = {}
        todo: deque[str] = deque()
        for own in (name for name in tasks if name.startswith(prefix)):
            for after in sorted(tasks[own].downstream_task_ids):
                if not after.startswith(prefix) and after not in came_from:
                    came_from[after] = own
                    todo.append(after)
        while todo:
            name = todo.popleft()
            for after in sorted(tasks[name].downstream_task_ids):
                if after.startswith(prefix):
                    path = [after, name]
                    while not path[-1].startswith(prefix):
                        path.append(came_from[path[-1]])
                    return path[::-1]
                if after not in came_from:
                    came_from[after] = name
                    todo.append(after)
        return []

    def get_roots(self) -> Generator[Any, None, None]:
        """Yield the tasks that wait for nothing in the group; none where it is built in part."""
        if not self._is_partial:
            yield from super().get_roots()

    def get_leaves(self) -> Generator[Any, None, None]:
        """Yield the tasks that nothing in the group waits for; none where it is built in part."""
        if not self._is_partial:
            yield from (task for task in super().get_leaves() if not _is_session(task))

    def _set_relatives(self, *arguments: Any, **options: Any) -> None:
        if not self._is_partial:
            super()._set_relatives(*arguments, **options)


def kindling_task_group(
    plan: PlanSource, *, group_id: str, base: str | Path | None = None, **definition: Any
) -> PlanTaskGroup:
    """Return a TaskGroup with the pipes of a plan, inside of ``with DAG(...)``.

    Task ids are those of the plan's own DAG, prefixed with ``group_id`` and a dot, so a DAG may
    contain a plan more than once.

    Args:
        plan: a definition file, a manifest or a plan (as a file or an object). Of a definition file
            all keys count but those of a DAG as a whole (schedule, tags, ...).
        group_id: the group's id.
        base: the folder that relative paths start from, or a file in it; default: the folder of the
            file that makes the DAG.
        **definition: keys of a definition; they take the place of the file's. ``project`` is needed
            where the plan is not a definition file.

    Raises:
        DefinitionError: listing everything that is wrong.
    """
    refuse_in_harvest("kindling_task_group")
    group = _empty_group(group_id)
    wanted = get_parsing_context()
    if wanted.task_id is not None and _is_elsewhere(group, wanted.dag_id, wanted.task_id):
        return group
    folder = _folder(base if base is not None else group.dag.fileloc)
    planned = planned_source(plan, definition, folder, group.dag.dag_id, group_id)
    params = {**planned.definition.params, **dict.fromkeys(group.dag.params)}
    definition_here = replace(planned.definition, params=params)
    planned = replace(planned, definition=definition_here)
    compiled = compile_planned(planned, closing=Closing.ALWAYS, complete=False)
    _check_lengths(group, compiled)
    _check_room(group, compiled)
    group._compiled = compiled
    prefix = f"{group.group_id}."
    inner = wanted.task_id.removeprefix(prefix) if wanted.task_id is not None else None
    own = compiled.spec.find(inner) if inner is not None and inner != wanted.task_id else None
    foreign = wanted.task_id is not None and own is None
    try:
        builder = TaskBuilder(
            dag_parts(compiled),
            group.dag,
            References(compiled.definition),
            group=group,
            stand_ins=foreign,
        )
        if own is not None:
            builder.build_one(own)
        else:
            builder.build_all(compiled)
    except DefinitionError:
        raise
    except Exception as error:  # the user's own task policy, or an id that is taken
        source = compiled.definition.source
        problem = f"{source}: Airflow rejects these tasks: {type(error).__name__}: {error}"
        raise DefinitionError([problem]) from error
    group._is_partial = own is not None
    return group


def _empty_group(group_id: str) -> PlanTaskGroup:
    where = f"kindling_task_group {group_id!r}"
    try:
        group = PlanTaskGroup(group_id=group_id)
    except RuntimeError:
        problem = f"{where}: called outside of a DAG\n  Fix: call it inside 'with DAG(...):'."
        raise DefinitionError([problem]) from None
    except Exception as error:  # an id that Airflow cannot take, or that is taken
        raise DefinitionError([f"{where}: {error}"]) from error
    group._compiled, group._is_partial = None, True
    return group


def _is_elsewhere(group: PlanTaskGroup, dag_id: str | None, wanted: str) -> bool:
    """Return whether a worker wants a task of another DAG, or a pipe that was built before."""
    dag = group.dag
    if dag_id != dag.dag_id:
        return True
    if not dag.has_task(wanted):
        return False
    task = dag.get_task(wanted)
    return isinstance(task, KindlingPipeOperator) or type(task).__name__ in _WATCHING


def _is_session(task: Any) -> bool:
    """Return whether a task runs a shared driver, whose end decides nothing."""
    return type(task).__name__ == "KindlingSessionOperator"


def _folder(base: str | Path) -> Path:
    place = Path(base).absolute()
    return place if place.is_dir() else place.parent


def _check_lengths(group: PlanTaskGroup, compiled: Compiled) -> None:
    """Refuse ids that Airflow could not keep."""
    spec = compiled.spec
    names: Mapping[str, int] = {
        node.task_id: len(f"{group.group_id}.{node.task_id}") for node in spec.nodes()
    }
    longest = max(names, key=names.__getitem__)
    if names[longest] > _LONGEST_ID:
        problem = (
            f"{compiled.definition.source}: the id of task {longest!r} has {names[longest]} "
            f"characters behind group {group.group_id!r}, and Airflow allows {_LONGEST_ID}\n"
            "  Fix: give the group a shorter id."
        )
        raise DefinitionError([problem])


def _check_room(group: PlanTaskGroup, compiled: Compiled) -> None:
    """Refuse a DAG around streams in which they could not all live, or not alone."""
    spec, dag = compiled.spec, group.dag
    if spec.lifetime is None:
        return
    where, problems = compiled.definition.source, []
    if dag.max_active_runs > 1:
        problems.append(
            f"{where}: DAG {dag.dag_id!r} may have {dag.max_active_runs} runs at once, and the "
            "streams of one would stop those of the other\n"
            "  Fix: give the DAG max_active_runs=1."
        )
    living = 0 if spec.stop is None else len(spec.stop.streams)
    needed = living + 2  # a gate, and the task that stops them
    if living and needed > dag.max_active_tasks:
        problems.append(
            f"{where}: DAG {dag.dag_id!r} may have {dag.max_active_tasks} tasks active at once, "
            f"and {living} long-running streams need {needed}: some would wait forever\n"
            f"  Fix: give the DAG max_active_tasks={needed} at least."
        )
    if problems:
        raise DefinitionError(problems)
