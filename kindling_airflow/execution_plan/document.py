"""A plan as a JSON document, and back.

    {"schema_version": 1, "digest": "sha256:...", "strategy": "batch",
     "pipe_ids": [...], "generations": [{"number": 0, "pipe_ids": [...], "dependencies": [...]}],
     "pipes": [{"pipeid": ..., "input_entity_ids": [...], "output_entity_id": ...}, ...],
     "entities": {"orders": {"size_bytes": 12}}, "metadata": {...},
     "edges": [["from", "to", "entity"], ...]}

``pipes`` are the declarations in the graph, without their functions and without what is left at
its default; ``entities`` are the tags of the entities that have some. Reading checks that every
field is what it should be, and that the edges are those that the pipes imply; whether the plan
obeys its strategy is checked by ``validate()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.immutable import TOO_DEEP, digest_problems, freeze
from kindling_airflow.data_entities import tag_problems
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import DeclarationError, GraphValidationError, PlanValidationError
from kindling_airflow.pipe_graph import PipeEdge, PipeGraph, PipeNode

if TYPE_CHECKING:
    from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["PLAN_SCHEMA_VERSION", "plan_content", "plan_fields"]

PLAN_SCHEMA_VERSION = 1

_OPTIONAL_FIELDS = (
    *("tags", "output_type", "use_watermark", "driving_entity_ids"),
    *("sql", "sql_file"),
)
_PIPE_FIELDS = (
    *("pipeid", "name", "input_entity_ids", "output_entity_id", "expectations"),
    *_OPTIONAL_FIELDS,
)


def plan_content(
    plan: ExecutionPlan, gather: Callable[[Iterable[Any]], Iterable[Any]] = list
) -> dict[str, Any]:
    """Return a plan's content, of types that JSON can express; its digest is made of this.

    The edges are left out: they follow from the pipes.

    Args:
        plan: the plan.
        gather: what the pipes are gathered into; ``iter`` makes them one by one, on demand.
    """
    graph = plan.graph
    return {
        "strategy": plan.strategy,
        "pipe_ids": plan.pipe_ids,
        "generations": [
            {"number": g.number, "pipe_ids": g.pipe_ids, "dependencies": g.dependencies}
            for g in plan.generations
        ],
        "pipes": gather(map(_pipe_json, graph.nodes.values())),
        "entities": graph.entity_tags,
        "metadata": plan.metadata,
    }


def _pipe_json(node: PipeNode) -> dict[str, Any]:
    pipe_id, inputs, output, declared = node
    found: dict[str, Any] = {"pipeid": pipe_id, "input_entity_ids": inputs}
    if output is not None:
        found["output_entity_id"] = output
    if declared is not None:
        if declared.name != pipe_id:
            found["name"] = declared.name
        for name in _OPTIONAL_FIELDS:
            value = getattr(declared, name)
            if value:
                found[name] = value
        if declared.expectations:
            found["expectations"] = [expected.to_json() for expected in declared.expectations]
    return found


def plan_fields(document: Any) -> dict[str, Any]:
    """Return the arguments of the ``ExecutionPlan`` that a JSON document describes.

    Fields that this release does not know are ignored, and a plan that was written by hand may do
    without a digest. Generations come as triples.

    Raises:
        PlanValidationError: unknown schema version, wrong fields (lists them all), edges that form
            a cycle or are not those of the pipes, changed content.
    """
    try:
        return _fields(document)
    except RecursionError as error:
        raise PlanValidationError([f"the plan: {TOO_DEEP}"]) from error


def _fields(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise PlanValidationError([f"a plan must be a JSON object, not {type(document).__name__}"])
    version = document.get("schema_version")
    if type(version) is not int or version != PLAN_SCHEMA_VERSION:
        problem = (
            f"plan schema version {version!r} is unknown; this release reads version "
            f"{PLAN_SCHEMA_VERSION}\n  Fix: regenerate the plan."
        )
        raise PlanValidationError([problem])
    problems: list[str] = []
    nodes = dict(_nodes(document, problems))
    edges = tuple(_edges(document, problems))
    entities = document.get("entities", {})
    problems += _tags_by_entity_problems(entities)
    metadata = document.get("metadata", {})
    problems += tag_problems("metadata", metadata)
    strategy = document.get("strategy")
    if not isinstance(strategy, str) or not strategy:
        problems.append(f"strategy must be a name, not {strategy!r}")
    pipe_ids = _strings("pipe_ids", document.get("pipe_ids"), problems)
    generations = list(_generations(document, problems))
    problems = problems or digest_problems(
        document, "plan", "regenerate the plan", implied=["edges"]
    )
    if problems:
        raise PlanValidationError(problems)
    try:
        graph = PipeGraph(nodes, freeze(entities), lazy=True)
    except GraphValidationError as error:
        raise PlanValidationError(error.problems) from error
    if edges != graph.edges:
        raise PlanValidationError([_edge_text(edges, graph.edges)])
    return {
        "pipe_ids": pipe_ids,
        "generations": generations,
        "graph": graph,
        "strategy": strategy,
        "metadata": metadata,
    }


def _strings(what: str, value: Any, problems: list[str]) -> tuple[str, ...]:
    if isinstance(value, list) and all(type(item) is str for item in value):
        return tuple(value)
    problems.append(f"{what} must be a list of strings")
    return ()


def _objects(
    document: Mapping[str, Any], key: str, problems: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    entries = document.get(key)
    if not isinstance(entries, list):
        problems.append(f"{key} must be a list")
        return
    for n, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield f"{key}[{n}]", entry
        else:
            problems.append(f"{key}[{n}] must be an object")


def _generations(
    document: Mapping[str, Any], problems: list[str]
) -> Iterator[tuple[int, tuple[str, ...], tuple[str, ...]]]:
    for where, entry in _objects(document, "generations", problems):
        number = entry.get("number")
        if type(number) is not int:
            problems.append(f"{where}: number must be a whole number, not {number!r}")
            number = -1
        pipe_ids = _strings(f"{where}: pipe_ids", entry.get("pipe_ids"), problems)
        waited = _strings(f"{where}: dependencies", entry.get("dependencies", []), problems)
        yield number, pipe_ids, waited


def _nodes(document: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, PipeNode]]:
    registry = DataPipesRegistry()
    seen: dict[str, str] = {}
    for where, entry in _objects(document, "pipes", problems):
        known = {key: entry[key] for key in _PIPE_FIELDS if key in entry}
        written = known.get("output_entity_id")
        if "output_entity_id" not in known:
            known["output_entity_id"] = "nothing"  # legal for a node that was made by hand
        pipe_id = known.get("pipeid")
        if isinstance(pipe_id, str) and (first := seen.setdefault(pipe_id, where)) != where:
            problems.append(f"{where}: pipe {pipe_id!r} is already declared by {first}")
            continue
        try:
            pipe = registry.register_pipe(**{"pipeid": None, **known})
        except DeclarationError as error:
            problems += [f"{where}: {problem}" for problem in error.problems]
            continue
        declared = pipe if written is not None else None
        yield pipe.pipeid, PipeNode(pipe.pipeid, pipe.input_entity_ids, written, declared)


def _edges(document: Mapping[str, Any], problems: list[str]) -> Iterator[PipeEdge]:
    entries = document.get("edges")
    if not isinstance(entries, list):
        problems.append("edges must be a list")
        return
    for n, entry in enumerate(entries):
        if (
            not isinstance(entry, list)
            or len(entry) != 3
            or not all(type(item) is str for item in entry)
        ):
            problems.append(f"edges[{n}] must be a list of two pipes and an entity")
        else:
            yield PipeEdge(*entry)


def _edge_text(stated: tuple[PipeEdge, ...], implied: tuple[PipeEdge, ...]) -> str:
    n = next(
        (n for n, pair in enumerate(zip(stated, implied, strict=False)) if pair[0] != pair[1]),
        min(len(stated), len(implied)),
    )
    shown, wanted = (list(edges[n]) if n < len(edges) else "nothing" for edges in (stated, implied))
    return (
        f"edges[{n}] is {shown}, but the pipes' inputs and outputs imply {wanted}\n"
        "  Fix: regenerate the plan; edges follow from the pipes."
    )


def _tags_by_entity_problems(entities: Any) -> list[str]:
    if not isinstance(entities, dict):
        return ["entities must be an object from entity to tags"]
    return [
        problem
        for entity, tags in entities.items()
        for problem in tag_problems(f"entities: {entity!r}", tags)
    ]
