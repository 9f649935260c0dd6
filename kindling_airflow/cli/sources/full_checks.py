"""Checks of a source beyond its plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kindling_airflow.definitions.plan_checks import stream_type_problems
from kindling_airflow.deployment.package_content import project_files
from kindling_airflow.deployment.project_package import package_problems, read_info
from kindling_airflow.errors import DeclarationError, DefinitionError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.manifest import Manifest
from kindling_airflow.translator.streams import streaming_part
from kindling_airflow.translator.tag_problems import pipe_tag_problems

if TYPE_CHECKING:
    from kindling_airflow.definitions.definition import Definition


def check_in_full(plan: ExecutionPlan, declared: Manifest | None) -> None:
    """Check tags and streams of a plan without a definition, as compiling one would.

    Args:
        plan: the plan.
        declared: the manifest of the plan, if there is one.

    Raises:
        DeclarationError: lists every problem.
    """
    problems = list(pipe_tag_problems({p: plan.graph.nodes[p].tags for p in plan.pipe_ids}))
    streaming = streaming_part(plan, None)
    if streaming is not None:
        problems += streaming.problems
    if declared is not None:
        problems += stream_type_problems(plan, declared, streaming)
    if problems:
        raise DeclarationError(problems)


def check_package_files(definition: Definition, manifest: Manifest) -> None:
    """Check a definition's package against every file of the project, data files included.

    Raises:
        DefinitionError: the package is of another state of the project.
    """
    if definition.package is None or "://" in definition.package:
        return
    path = Path(definition.package)
    digests = project_files(definition.project_root, path).digests()
    problems = package_problems(path, read_info(path), manifest.digest, digests)
    if problems:
        raise DefinitionError(f"{definition.source}: {problem}" for problem in problems)
