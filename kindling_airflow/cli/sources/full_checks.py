"""What compiling a definition would find in declarations that come without one."""

from __future__ import annotations

from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.manifest import Manifest
from kindling_airflow.tags.stream_checks import check_streams
from kindling_airflow.translator.streams import streaming_part
from kindling_airflow.translator.tag_problems import pipe_tag_problems

__all__ = ["check_in_full"]


def check_in_full(plan: ExecutionPlan, declared: Manifest | None) -> None:
    """Check tags and streams of a plan, as far as that takes no keys of a definition.

    Args:
        plan: the plan.
        declared: the manifest that it was made from; None where there is only the plan.

    Raises:
        DeclarationError: listing every problem.
    """
    problems = list(pipe_tag_problems({p: plan.graph.nodes[p].tags for p in plan.pipe_ids}))
    streaming = streaming_part(plan, None)
    if streaming is not None:
        problems += streaming.problems
    if declared is not None:
        found = map(declared.get_pipe_definition, plan.pipe_ids)
        problems += check_streams(
            [pipe for pipe in found if isinstance(pipe, PipeMetadata)],
            declared.entities,
            () if streaming is None else tuple(streaming.settings),
            consumers_first=streaming is not None and streaming.lives_on,
        )
    if problems:
        raise DeclarationError(problems)
