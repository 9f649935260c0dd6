"""The data of a plan's page as JSON: pipes with their places, edges, and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kindling_airflow.common.drawing import printable
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.wording import counted
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.data_pipes.sql_query import query_text
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import data_flow, is_forward
from kindling_airflow.plan_report.chains import longest_chains
from kindling_airflow.plan_report.durations import Times, seconds_text
from kindling_airflow.plan_report.layout import BAND_GAP, BOX_HEIGHT, layout_of

_LONGEST_VALUE = 160


def page_data(plan: ExecutionPlan, durations: Mapping[str, float] | None) -> dict[str, Any]:
    """Return the page's data for a valid plan; pipes are named by their numbers.

    Raises:
        ForecastError: a duration is not a positive number.
    """
    layout, flow = layout_of(plan), data_flow(plan)
    numbers = {pipe_id: n for n, pipe_id in enumerate(plan.pipe_ids)}
    timing, links = _timing(plan, durations), longest_chains(plan)
    return {
        "facts": _facts(plan, timing),
        "direction": plan.direction(),
        "digest": plan.digest,
        "figures": _figures(plan),
        "metadata": [[one_line(key), _short(value)] for key, value in plan.metadata.items()],
        "width": layout.width,
        "height": layout.height,
        "boxHeight": BOX_HEIGHT,
        "bandGap": BAND_GAP,
        "bands": [
            {"x": band.x, "width": band.width, "count": len(generation)}
            for band, generation in zip(layout.bands, plan.generations, strict=True)
        ],
        "pipes": [
            {
                **_pipe(plan, numbers, pipe_id),
                "before": -1 if link.before is None else numbers[link.before],
                **asdict(layout.places[pipe_id]),
                "time": timing.of_pipe[pipe_id],
            }
            for pipe_id, link in ((p, links[p]) for p in plan.pipe_ids)
        ],
        "edges": [
            [numbers[p], numbers[q], *layout.routes.get((p, q), ())]
            for p in plan.pipe_ids
            for q in flow.consumers[p]
        ],
        "critical": [numbers[pipe_id] for pipe_id in timing.critical],
        "criticalTime": timing.whole,
    }


def one_line(text: str) -> str:
    r"""Return a text in one line, with escape sequences for what cannot be printed.

    >>> print(one_line("two" + chr(10) + "lines"))
    two\nlines
    """
    return printable(text).replace("\n", "\\n")


@dataclass(frozen=True, slots=True)
class _Timing:
    """What is known of times: the critical path, its length, and a few lines for each pipe."""

    critical: tuple[str, ...]
    whole: str
    of_pipe: Mapping[str, list[list[str]]]


def _timing(plan: ExecutionPlan, durations: Mapping[str, float] | None) -> _Timing:
    if not is_forward(plan):
        return _Timing((), "", {pipe_id: [] for pipe_id in plan.pipe_ids})
    times = Times.of(plan, durations)

    def lines(pipe_id: str) -> list[list[str]]:
        slack = times.slack_seconds(pipe_id)
        return [
            ["takes", seconds_text(times.own_seconds(pipe_id))],
            ["can start after", seconds_text(times.earliest_start_seconds(pipe_id))],
            ["slack", seconds_text(slack) if slack else "none"],
        ]

    return _Timing(
        times.critical_path(),
        seconds_text(times.whole_seconds()),
        {p: lines(p) for p in plan.pipe_ids},
    )


def _pipe(plan: ExecutionPlan, numbers: Mapping[str, int], pipe_id: str) -> dict[str, Any]:
    node = plan.graph.nodes[pipe_id]
    name = node.metadata.name if node.metadata is not None else pipe_id
    streams = plan.metadata.get("streaming_pipes", ())
    return {
        "id": pipe_id,
        "label": one_line(pipe_id),
        "name": "" if name == pipe_id else one_line(name),
        "generation": plan.find_pipe_generation(pipe_id),
        "tags": thaw(node.tags),
        "inputs": [_input(plan, numbers, pipe_id, entity) for entity in node.input_entities],
        "output": None if node.output_entity is None else one_line(node.output_entity),
        "marks": ["stream"] if pipe_id in streams else [],
        **_query(node.metadata),
    }


def _query(declared: PipeMetadata | None) -> dict[str, str]:
    """Return a pipe's query, and the headline over it; nothing for a function."""
    if declared is None or declared.sql is None:
        return {}
    where = "" if declared.sql_file is None else f" ({one_line(declared.sql_file)})"
    return {"sql": printable(query_text(declared.sql)), "sqlTitle": f"Query{where}"}


def _input(
    plan: ExecutionPlan, numbers: Mapping[str, int], pipe_id: str, entity: str
) -> list[str | int]:
    """Return an input: the entity, where it comes from, the number of the pipe that writes it."""
    producer = plan.graph.get_producer(entity)
    if producer is None:
        return [one_line(entity), "external", -1]
    if producer == pipe_id:
        return [one_line(entity), "own", -1]
    if producer not in numbers:
        return [one_line(entity), f"{producer!r}, which is not in the plan", -1]
    return [one_line(entity), "pipe", numbers[producer]]


def _facts(plan: ExecutionPlan, timing: _Timing) -> str:
    pipes = counted(plan.total_pipes(), "pipe")
    generations = counted(plan.total_generations(), "generation")
    facts = [
        f"strategy {plan.strategy}",
        f"{pipes} in {generations}",
        f"at most {plan.max_parallelism():,} at once",
    ]
    if timing.critical:
        facts.append(f"critical path {timing.whole}")
    return " · ".join(facts)


def _figures(plan: ExecutionPlan) -> list[list[str]]:
    graph = plan.graph
    return [
        ["pipes", f"{plan.total_pipes():,}"],
        ["generations", f"{plan.total_generations():,}"],
        ["at most at once", f"{plan.max_parallelism():,}"],
        ["data edges", f"{len(graph.edges):,}"],
        ["external inputs", f"{len(graph.external_entities()):,}"],
        ["shared inputs", f"{len(graph.get_shared_inputs()):,}"],
    ]


def _short(value: Any) -> str:
    """Return a value of the strategy's metadata as a short text."""
    if isinstance(value, tuple) and any(isinstance(item, Mapping) for item in value):
        return counted(len(value), "object")
    text = value if isinstance(value, str) else json.dumps(thaw(value), ensure_ascii=False)
    return one_line(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} ...")
