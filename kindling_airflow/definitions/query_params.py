"""Do the runs of a DAG have what its queries ask for? Known when the DAG is compiled."""

from __future__ import annotations

from collections.abc import Collection

from kindling_airflow.errors import did_you_mean
from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["query_param_problems"]

# What every run has; whether a run has an interval shows when it runs.
_OF_THE_RUN = ("interval_end", "interval_start", "pipe_id", "run_id")


def query_param_problems(plan: ExecutionPlan, params: Collection[str]) -> list[str]:
    """Return a text for each named parameter of a query that no run of the DAG need have.

    Args:
        plan: the plan.
        params: the parameters that the DAG declares.
    """
    known = (*params, *_OF_THE_RUN)
    pipes = (node.metadata for node in plan.graph.nodes.values())
    return [
        f"pipe {pipe.pipeid!r}: its query uses :{name}, which is not a param of the DAG."
        f"{did_you_mean(name, known)}\n"
        "  Fix: add it to the params of the definition, or correct the query."
        for pipe in pipes
        if pipe is not None
        for name in pipe.sql_parameters
        if name not in known
    ]
