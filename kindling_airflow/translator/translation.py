"""``translate``: plan + options -> DagSpec.

A plan in which c reads from a alone becomes

    generation 0: a b     ->     group generation_0: a, b
    generation 1: c              group generation_1: c   (upstream: a)

because groups show the generations, and edges are data edges. Where there are streams,
:mod:`kindling_airflow.translator.streams` says what takes the place of the edges between them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache

from kindling_airflow.common.immutable import EMPTY, FrozenDict
from kindling_airflow.errors import PlanValidationError, TranslationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import DataFlow, data_flow, is_forward
from kindling_airflow.translator.assets import asset_identifier
from kindling_airflow.translator.critical_path import priority_weights
from kindling_airflow.translator.dag_spec import DagSpec, EmptySpec, GroupSpec, TaskSpec
from kindling_airflow.translator.grouping import grouped
from kindling_airflow.translator.options import UNLIMITED, TranslateOptions
from kindling_airflow.translator.overrides import settings_by_pipe
from kindling_airflow.translator.rules import barriers, outcome, pipe_rule
from kindling_airflow.translator.sessions import (
    session_pool_problems,
    session_problems,
    session_specs,
)
from kindling_airflow.translator.stream_problems import (
    lifetime_problem,
    option_problems,
    task_problems,
)
from kindling_airflow.translator.streams import (
    Edges,
    Streaming,
    Wired,
    forward_plan,
    streaming_part,
)
from kindling_airflow.translator.tag_problems import measure_problems
from kindling_airflow.translator.task_ids import task_id
from kindling_airflow.translator.task_settings import TaskSettings


def translate(
    plan: ExecutionPlan, options: TranslateOptions, streaming: Streaming | None = None
) -> DagSpec:
    """Compile a plan. Same plan and options, same specification.

    Args:
        plan: a plan in forward order.
        options: the deployment's options.
        streaming: the streaming part of the plan under these options, where it is known already.

    Raises:
        TranslationError: the plan is empty, broken or of no order at all; a tag, an option or an
            override makes no sense, or matches nothing; a pool can never run a pipe, or not all
            streams at once. Lists every problem.
    """
    if not plan.pipe_ids:
        raise _refused(options, [_NO_PIPES])
    try:
        plan.validate()
    except PlanValidationError as error:
        raise _refused(options, error.problems) from error
    tags = {pipe_id: plan.graph.nodes[pipe_id].tags for pipe_id in plan.pipe_ids}
    if streaming is None:
        streaming = streaming_part(plan, options.lifetime, options.duration_seconds)
    defaults = EMPTY if streaming is None else streaming.defaults()
    settings, problems = settings_by_pipe(options, tags, defaults)
    if streaming is None:
        problems += _order_problems(plan)
        wrong = lifetime_problem(plan, options.lifetime, streaming)
        problems += [] if wrong is None else [f"lifetime {wrong}"]
    else:
        problems += streaming.problems
        problems += option_problems(plan, streaming, options)
        problems += task_problems(streaming, settings, options) if settings else ()
    problems += session_problems(settings, _streams(streaming))
    pool = options.session_pool
    problems += session_pool_problems(settings, pool, options.width_of(pool), _streams(streaming))
    problems += measure_problems(tags)
    if problems:
        raise _refused(options, problems)
    return _spec(plan, options, settings, streaming)


def _spec(
    plan: ExecutionPlan,
    options: TranslateOptions,
    settings: Mapping[str, TaskSettings],
    streaming: Streaming | None,
) -> DagSpec:
    flow = data_flow(plan)
    forward = plan if streaming is None else forward_plan(plan)
    weights = priority_weights(forward, options.barrier, flow, options.durations)
    ids = {pipe_id: task_id(pipe_id) for pipe_id in plan.pipe_ids}
    if streaming is not None and streaming.lives_on:
        wired = streaming.wired(plan, flow, ids)
    else:
        wired = _wired(forward, flow, ids, options, streaming)
    asset = _assets(options)

    def task(pipe_id: str) -> TaskSpec:
        own, node = settings[pipe_id], plan.graph.nodes[pipe_id]
        upstream, rule, stream = wired.edges(pipe_id)
        return TaskSpec(
            task_id=ids[pipe_id],
            pipe_id=pipe_id,
            upstream=upstream,
            priority_weight=weights[pipe_id] if own.priority is None else own.priority,
            trigger_rule=rule,
            inlets=asset(node.input_entities),
            outlets=asset((node.output_entity,) if node.output_entity else ()),
            settings=own,
            stream=stream,
        )

    return DagSpec(
        dag_id=options.dag_id,
        groups=tuple(
            GroupSpec(
                g.group_id,
                g.label,
                g.tooltip,
                tuple(map(task, g.pipe_ids)),
                wired.gates.get(g.group_id),
            )
            for g in grouped(wired.plan, flow, options)
        ),
        pool=options.pool,
        width=options.width,
        plan_digest=plan.digest,
        barriers=wired.barriers,
        outcome=wired.outcome,
        pools=_pools(options, settings),
        on_error=options.on_error,
        lifetime=None if streaming is None else streaming.lifetime,
        stop=wired.stop,
        sessions=session_specs(plan.graph, settings, ids, options, _streams(streaming)),
    )


def _streams(streaming: Streaming | None) -> Collection[str]:
    return () if streaming is None else streaming.settings


def _wired(
    plan: ExecutionPlan,
    flow: DataFlow,
    ids: Mapping[str, str],
    options: TranslateOptions,
    streaming: Streaming | None,
) -> Wired:
    """Return what waits for what where every task runs to its end."""
    walls = tuple(barriers(plan, ids, options))
    wall_before = _walls_by_pipe(plan, walls)
    ending = {} if streaming is None else {p: streaming.task(p) for p in streaming.settings}

    def edges(pipe_id: str) -> Edges:
        upstream = (*[ids[p] for p in flow.producers[pipe_id]], *wall_before.get(pipe_id, ()))
        return upstream, pipe_rule(options, bool(upstream)), ending.get(pipe_id)

    sinks = [p for p in plan.pipe_ids if not flow.consumers[p]]
    return Wired(plan, edges, outcome(ids, sinks, options), walls)


def _walls_by_pipe(plan: ExecutionPlan, walls: Sequence[EmptySpec]) -> dict[str, tuple[str, ...]]:
    """Return of each pipe the barrier that it waits for."""
    behind = [generation for generation in plan.generations if len(generation)][1:]
    return {
        pipe_id: (wall.task_id,)
        for wall, generation in zip(walls, behind, strict=False)
        for pipe_id in generation
    }


def _assets(options: TranslateOptions) -> Callable[[Iterable[str]], tuple[str, ...]]:
    """Return a function from entities to the identifiers of their assets."""
    if options.assets is None:
        return lambda _: ()
    identifier = cache(asset_identifier(options.assets))
    return lambda entity_ids: tuple([identifier(entity_id) for entity_id in entity_ids])


def _pools(options: TranslateOptions, settings: Mapping[str, TaskSettings]) -> FrozenDict:
    """Return the slots of every pool that a task is in, as far as they are the deployment's."""
    names = dict.fromkeys((options.pool, *(own.pool for own in settings.values())))
    own = {name: options.width_of(name) for name in names}
    return FrozenDict({name: width for name, width in own.items() if width != UNLIMITED})


_NO_PIPES = "the plan has no pipes\n  Fix: declare or choose at least one pipe."


def _refused(options: TranslateOptions, problems: Iterable[str]) -> TranslationError:
    return TranslationError(f"DAG {options.dag_id!r}: {problem}" for problem in problems)


def _order_problems(plan: ExecutionPlan) -> list[str]:
    if is_forward(plan):
        return []
    problem = (
        f"a plan of strategy {plan.strategy!r} starts consumers before their producers, and does "
        "not declare its pipes as streams\n"
        "  Fix: use a strategy of forward order, such as 'batch', or let this one set "
        "execution_order: reverse in the plan's metadata."
    )
    return [problem]
