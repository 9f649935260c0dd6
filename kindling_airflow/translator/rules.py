r"""Decides when tasks run: trigger rules, barriers, and the task that makes failures visible.

| on_error          | pipe                                   | barrier       |
|-------------------|----------------------------------------|---------------|
| `skip_dependents` | `none_failed`                          | `all_done`    |
| `fail_fast`       | `none_failed`, and it asks as it starts | `none_failed` |
| `continue`        | `all_done`; roots `none_failed`        | `all_done`    |

Under no rule here does a skipped pipe stop those that read from it.

Airflow judges a run by its leaves alone. Under ``none_failed`` a failure marks everything behind it
down to the leaves. Where it does not get there, a task behind all pipes does: it does nothing, the
scheduler closes it without a worker, and it fails as soon as a pipe in front of it has failed.

    a (fails) --> b --+                 continue: b succeeds, and would be all that Airflow looks at
      \               |
       +--------------+--> outcome      none_failed: fails
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.translator.dag_spec import EmptySpec
from kindling_airflow.translator.options import Barrier, Closing, OnError, TranslateOptions
from kindling_airflow.translator.task_ids import OUTCOME_ID, join_id

NONE_FAILED = "none_failed"
_ALL_DONE = "all_done"
ALL_SUCCESS = "all_success"
ONE_SUCCEEDED = "none_failed_min_one_success"


def pipe_rule(options: TranslateOptions, has_upstream: bool) -> str:
    """Return the trigger rule of a pipe.

    Args:
        options: the deployment's options.
        has_upstream: whether it waits for anything of the plan. A root waits at most for a task
            that the plan knows nothing of, and what that means is not the error strategy's.
    """
    runs_anyway = options.on_error == OnError.CONTINUE and has_upstream
    return _ALL_DONE if runs_anyway else NONE_FAILED


def barriers(
    plan: ExecutionPlan, ids: Mapping[str, str], options: TranslateOptions
) -> Iterator[EmptySpec]:
    """Yield the task behind each generation but the last, where there is a barrier.

    Data edges decide which pipes depend on a failed one, so a barrier passes after any outcome,
    except under ``fail_fast``: there nothing more is started.
    """
    if options.barrier != Barrier.GENERATION:
        return
    stops = options.on_error == OnError.FAIL_FAST
    occupied = [generation for generation in plan.generations if len(generation)]
    for generation, behind in pairwise(occupied):
        yield EmptySpec(
            task_id=join_id(generation.number),
            label=f"generation {generation.number} done",
            upstream=tuple(ids[pipe_id] for pipe_id in generation),
            trigger_rule=NONE_FAILED if stops else _ALL_DONE,
            doc=f"Barrier: generation {behind.number} waits for all of generation "
            f"{generation.number}.",
        )


def outcome(
    ids: Mapping[str, str], sinks: Collection[str], options: TranslateOptions
) -> EmptySpec | None:
    """Return the task behind all pipes that fails if one did, where one is needed or wanted.

    Args:
        ids: the task ids by pipe id.
        sinks: the pipes that no other pipe of the plan reads from.
        options: the deployment's options.
    """
    swallows = options.on_error == OnError.CONTINUE
    # Behind a barrier that passes after any outcome, a pipe without readers is not a leaf.
    hides = options.barrier == Barrier.GENERATION and options.on_error == OnError.SKIP_DEPENDENTS
    if not (swallows or hides or options.closing == Closing.ALWAYS):
        return None
    return EmptySpec(
        task_id=OUTCOME_ID,
        label="outcome",
        upstream=tuple(ids.values() if swallows else [ids[pipe_id] for pipe_id in sinks]),
        trigger_rule=NONE_FAILED,
        doc="Fails if a pipe failed. Skipped pipes do not count.",
    )
