"""The stateful operators of a query's plan as text: they decide whether its state fits.

    aggregation by [shop: string] of [count(1): bigint, sum(amount): double]
    watermark on at of 10 minutes

What Spark renumbers in every process (the ids of expressions) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pyspark.sql import DataFrame

_READERS_OWN = "_kindling_"  # in the names of a reader's own columns
_IDS = re.compile(r"#\d+L?(-T\d+(ms)?)?")
_BY_KEYS = {
    "Deduplicate": "rows once by",
    "DeduplicateWithinWatermark": "rows once, within the watermark, by",
}
_BY_FUNCTIONS = (
    "FlatMapGroupsInPandasWithState",
    "FlatMapGroupsWithState",
    "TransformWithState",
    "TransformWithStateInPandas",
    "TransformWithStateInPySpark",
)


def stateful_operators(frame: DataFrame) -> tuple[str, ...]:
    """Return the stateful operators of a streaming frame, from its result to its sources."""
    plan: Any = frame._jdf.queryExecution().analyzed()
    nodes = [node for node in _nodes(plan) if node.isStreaming()]
    names = _definitions(nodes)
    return tuple(text for node in nodes for text in _described(node, names))


def _described(node: Any, names: Mapping[int, str]) -> Iterator[str]:
    """Yield what a node of the plan is, if it keeps state."""
    kind = str(node.nodeName())
    if kind == "Aggregate":
        keys = _texts(node.groupingExpressions(), names)
        results = (e for e in _each(node.aggregateExpressions()) if _aggregates(e))
        values = [_typed(e.child() if e.nodeName() == "Alias" else e, {}) for e in results]
        yield f"aggregation by [{keys}] of [{', '.join(values)}]"
    elif kind == "EventTimeWatermark":
        yield f"watermark on {_text(node.eventTime(), {})} of {node.delay()}"
    elif kind in _BY_KEYS:
        yield f"{_BY_KEYS[kind]} [{_texts(node.keys(), names)}]"
    elif kind == "Distinct":
        yield f"rows once by [{_texts(node.output(), names)}]"
    elif kind == "Join" and all(child.isStreaming() for child in _each(node.children())):
        condition = node.condition()
        on = _text(condition.get(), names) if condition.isDefined() else "everything"
        yield f"{str(node.joinType().sql()).lower()} join of two streams on {on}"
    elif kind == "GlobalLimit":
        yield f"limit {_text(node.limitExpr(), {})}"
    elif kind in _BY_FUNCTIONS:
        yield f"{kind} by [{_texts(node.groupingAttributes(), names)}]"


def _aggregates(expression: Any) -> bool:
    """Return whether an expression has an aggregate in it; else it is one of the keys."""
    return any(
        str(found.nodeName()) in ("AggregateExpression", "PythonUDAF")
        for found in _nodes(expression)
    )


def _definitions(nodes: list[Any]) -> dict[int, str]:
    """Return what the named expressions of a plan stand for, by their ids.

    What a source's reader makes its columns of is not the pipe's: the state is the same without.
    """
    found = {}
    for node in nodes:
        if str(node.nodeName()) == "Project":
            for item in _each(node.projectList()):
                if str(item.nodeName()) == "Alias":
                    found[int(item.exprId().id())] = _text(item.child(), {})
    return {name: text for name, text in found.items() if _READERS_OWN not in text}


def _texts(expressions: Any, names: Mapping[int, str]) -> str:
    return ", ".join(_typed(expression, names) for expression in _each(expressions))


def _typed(expression: Any, names: Mapping[int, str]) -> str:
    """Return an expression with its type, because a state of other types is another one."""
    return f"{_text(expression, names)}: {expression.dataType().simpleString()}"


def _text(expression: Any, names: Mapping[int, str]) -> str:
    text = _IDS.sub("", str(expression.toString()))
    if names and str(expression.nodeName()) == "AttributeReference":
        meaning = names.get(int(expression.exprId().id()))
        return text if meaning is None else f"{text} = {meaning}"
    return text


def _nodes(root: Any) -> Iterator[Any]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += reversed(list(_each(node.children())))


def _each(sequence: Any) -> Iterator[Any]:
    """Yield the items of a Scala sequence."""
    items = sequence.iterator()
    while items.hasNext():
        yield items.next()
