"""``translate``: plan + options -> DagSpec.

    plan                         DagSpec
    generation 0: a b            group generation_0: a, b
    generation 1: c      ->      group generation_1: c   (upstream: a)
                                 c waits for a alone: groups show the generations, edges are data edges
"""

from __future__ import annotations

from kindling_airflow.errors import TranslationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.translator.critical_path import duration_hint, priority_weights
from kindling_airflow.translator.dag_spec import DagSpec, GroupSpec, TaskSpec
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.task_ids import group_id, task_id

__all__ = ["translate"]

# A skipped pipe had nothing new to read: what hangs on it still runs. A failed one stops its dependents.
_TRIGGER_RULE = "none_failed"


def translate(plan: ExecutionPlan, options: TranslateOptions) -> DagSpec:
    """Compile a plan. Same plan and options, same specification.

    Args:
        plan: a plan in forward order.
        options: what the deployment decides.

    Raises:
        TranslationError: the plan is empty or of reverse order, or a ``duration_hint`` is no positive
            number; lists every problem.
    """
    problems = _problems(plan)
    if problems:
        raise TranslationError(f"DAG {options.dag_id!r}: {problem}" for problem in problems)
    weights = priority_weights(plan)
    ids = {pipe_id: task_id(pipe_id) for pipe_id in plan.pipe_ids}

    def task(pipe_id: str) -> TaskSpec:
        return TaskSpec(
            task_id=ids[pipe_id],
            pipe_id=pipe_id,
            upstream=tuple(ids[p] for p in plan.graph.get_dependencies(pipe_id) if p in ids),
            pool=options.pool,
            pool_slots=options.pool_slots,
            priority_weight=weights[pipe_id],
            retries=options.retries,
            retry_delay_seconds=options.retry_delay_seconds,
            trigger_rule=_TRIGGER_RULE,
        )

    groups = tuple(
        GroupSpec(group_id(g.number), _tooltip(g, options), tuple(task(p) for p in g))
        for g in plan.generations
    )
    return DagSpec(options.dag_id, groups, options.pool, options.width, plan.digest)


def _problems(plan: ExecutionPlan) -> list[str]:
    problems = []
    if not plan.pipe_ids:
        problems.append("the plan has no pipes\n  Fix: declare or choose at least one pipe.")
    forward = all(
        (plan.find_pipe_generation(e.from_pipe) or 0) < (plan.find_pipe_generation(e.to_pipe) or 0)
        for e in plan.graph.edges
        if plan.find_pipe_generation(e.from_pipe) is not None
        and plan.find_pipe_generation(e.to_pipe) is not None
    )
    if not forward or plan.direction() == "reverse":
        problems.append(
            f"a plan of strategy {plan.strategy!r} starts consumers before their producers, which tasks "
            "that run to their end cannot do\n  Fix: use a strategy of forward order, such as 'batch'."
        )
    problems += [
        f"pipe {pipe_id!r}: tag duration_hint must be a positive number of seconds, not "
        f"{plan.graph.nodes[pipe_id].tags.get('duration_hint')!r}"
        for pipe_id in plan.pipe_ids
        if duration_hint(plan.graph.nodes[pipe_id].tags) is None
    ]
    return problems


def _tooltip(generation: Generation, options: TranslateOptions) -> str:
    return f"Generation {generation.number}: {len(generation)} pipes, at most {options.width} at once in pool {options.pool!r}"
