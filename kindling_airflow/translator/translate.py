"""``translate``: plan + options -> DagSpec.

A plan in which c reads from a alone becomes

    generation 0: a b     ->     group generation_0: a, b
    generation 1: c              group generation_1: c   (upstream: a)

because groups show the generations, and edges are data edges.
"""

from __future__ import annotations

from kindling_airflow.critical_path import duration_hint, is_forward
from kindling_airflow.errors import PlanValidationError, TranslationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.translator.critical_path import priority_weights
from kindling_airflow.translator.dag_spec import DagSpec, GroupSpec, TaskSpec
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.task_ids import group_id, task_id

__all__ = ["translate"]

# A skipped pipe had nothing new to read: what hangs on it still runs. A failed one stops them.
_TRIGGER_RULE = "none_failed"


def translate(plan: ExecutionPlan, options: TranslateOptions) -> DagSpec:
    """Compile a plan. Same plan and options, same specification.

    Args:
        plan: a plan in forward order.
        options: what the deployment decides.

    Raises:
        TranslationError: the plan is empty, broken or of reverse order, or a ``duration_hint`` is
            no positive number; lists every problem.
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
    if not plan.pipe_ids:
        return ["the plan has no pipes\n  Fix: declare or choose at least one pipe."]
    try:
        plan.validate()
    except PlanValidationError as error:
        return list(error.problems)
    problems = []
    if not is_forward(plan):
        problems.append(
            f"a plan of strategy {plan.strategy!r} starts consumers before their producers, which "
            "tasks that run to their end cannot do\n"
            "  Fix: use a strategy of forward order, such as 'batch'."
        )
    hints = {pipe_id: plan.graph.nodes[pipe_id].tags for pipe_id in plan.pipe_ids}
    problems += [
        f"pipe {pipe_id!r}: tag duration_hint must be a positive number of seconds, not "
        f"{tags.get('duration_hint')!r}"
        for pipe_id, tags in hints.items()
        if duration_hint(tags) is None
    ]
    return problems


def _tooltip(generation: Generation, options: TranslateOptions) -> str:
    pipes = "1 pipe" if len(generation) == 1 else f"{len(generation)} pipes"
    return (
        f"Generation {generation.number}: {pipes}, at most {options.width} at once "
        f"in pool {options.pool!r}"
    )
