"""Reads the plan of a task group from a definition file, a manifest, or a plan."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.definitions.compile import Planned, plan_definition, planned_as
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.schema_check import definition_schema, keys_of_level
from kindling_airflow.definitions.yaml_file import read_definition_file
from kindling_airflow.errors import DefinitionError, ProblemsError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.manifest import Manifest

PlanSource = str | os.PathLike[str] | Manifest | ExecutionPlan


def planned_source(
    plan: PlanSource, keys: Mapping[str, Any], base: Path, dag_id: str, group_id: str
) -> Planned:
    """Return the plan of a task group with the definition that goes with it.

    Args:
        plan: where the plan comes from.
        keys: keys of a definition that take the place of a file's.
        base: the folder that relative paths start from.
        dag_id: the DAG that the group is in.
        group_id: the group.

    Raises:
        DefinitionError: listing everything that is wrong.
    """
    source = f"kindling_task_group {group_id!r}"
    problems = [
        f"{source}: {key!r} is a DAG-level key\n  Fix: set it on the DAG."
        for key in keys
        if key in keys_of_level("dag")
    ]
    problems += _airflows_keys(source, keys)
    if problems:
        raise DefinitionError(problems)
    if not isinstance(plan, (Manifest, ExecutionPlan)):
        path = base / plan
        if path.suffix in (".yaml", ".yml"):
            read = read_definition_file(path, path.name)
            return plan_definition(Definition.from_read_file(read, keys))
        plan = _read(path, source)
    chosen = [key for key in keys_of_level("plan") if key in keys]
    if chosen and isinstance(plan, ExecutionPlan):
        raise DefinitionError(
            f"{source}: {key!r} selects or orders pipes, which a plan already does\n"
            "  Fix: remove it, or pass the manifest instead of the plan."
            for key in chosen
        )
    document = {"dag_id": dag_id, **keys}
    definition = Definition.from_document(document, base=base, source=source)
    if isinstance(plan, Manifest):
        return plan_definition(definition, plan)
    return _checked(planned_as(definition, plan))


def _airflows_keys(source: str, keys: Mapping[str, Any]) -> list[str]:
    """Return the keys that are arguments of Airflow's DAG, and that no definition has."""
    unknown = keys.keys() - definition_schema()["properties"].keys()
    if not unknown:
        return []
    from airflow.sdk import DAG

    return [
        f"{source}: {key!r} is an argument of the DAG\n  Fix: pass it to DAG(...)."
        for key in unknown.intersection(signature(DAG.__init__).parameters)
    ]


def _read(path: Path, source: str) -> Manifest | ExecutionPlan:
    try:
        with collector_paused():
            document = json.loads(path.read_text("utf-8"))
        if isinstance(document, Mapping) and "generations" in document:
            return ExecutionPlan.from_json(document)
        return Manifest.from_json(document)
    except OSError as error:
        problem = f"{source}: cannot read {str(path)!r}: {error.strerror}"
        raise DefinitionError([problem]) from error
    except ProblemsError as error:
        found = [f"{source}: {path.name}: {problem}" for problem in error.problems]
        raise DefinitionError(found) from error
    except (ValueError, RecursionError) as error:
        problem = f"{source}: {path.name} is not a JSON document: {error}"
        raise DefinitionError([problem]) from error


def _checked(planned: Planned) -> Planned:
    """Refuse a plan of another project."""
    known = planned.manifest.get_pipe_ids()
    unknown = [pipe_id for pipe_id in planned.plan.pipe_ids if pipe_id not in set(known)]
    if unknown:
        raise DefinitionError(
            f"{planned.definition.source}: the plan has pipe {pipe_id!r}, which the project does "
            f"not.{did_you_mean(pipe_id, known)}\n  Fix: plan this project again."
            for pipe_id in unknown
        )
    return planned
