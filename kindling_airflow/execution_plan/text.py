"""A plan as human-readable text."""

from __future__ import annotations

from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["visualize_plan"]


def visualize_plan(plan: ExecutionPlan) -> str:
    """Return a plan as the indented text of the user's document.

    Each pipe is followed by the pipes of the plan that it waits for: its producers in a batch plan,
    its consumers in a streaming plan.
    """
    lines = [
        f"Execution Plan ({plan.strategy})",
        "=" * 50,
        f"Total Pipes: {plan.total_pipes()}",
        f"Total Generations: {plan.total_generations()}",
        f"Max Parallelism: {plan.max_parallelism()}",
        "",
        "Execution Order:",
        "-" * 50,
    ]
    for generation in plan.generations:
        lines += ["", f"Generation {generation.number}: ({len(generation)} pipes)"]
        for pipe_id in generation:
            deps = list(plan.awaited(pipe_id))
            lines.append(f"  - {pipe_id} (deps: {deps})" if deps else f"  - {pipe_id}")
    return "\n".join(lines)
