"""Which input columns each column of a result comes from, read from Spark's analyzed plan.

Spark gives a plan as JSON: nodes and expressions in preorder, each with the number of its children.
Every column has an id. What defines one names others, down to the columns of the inputs:

    Project [s#7, tv#12]                     tv#12   <- v#6
      Aggregate [s#7], [sum(v#6) AS tv#12]   s#7      = (orders, s)
        Relation [id#5, v#6, s#7]            v#6      = (orders, v)

Only what is known is returned. A column of unknown origin (a Python function over whole frames, a
subquery, rows that a pipe makes) leaves out every column that depends on it. An input that occurs
twice, as in a self-join, has other ids the second time: its relation is recognized by its columns,
where no other input has the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Source", "column_sources"]

Source = tuple[str, str]  # an entity and one of its columns

_CONSTANT = ("Range", "LocalRelation", "OneRowRelation")
_LEFT_ALONE = ("LeftSemi$", "LeftAnti$")
_LEFT_OF_TWO = ("Intersect", "Except")
_BEYOND = ("Subquery", "Exists", "ListQuery", "OuterReference")


def column_sources(plan: str, inputs: Mapping[str, str]) -> dict[str, tuple[Source, ...]]:
    """Return the sources of a result's columns, in the order of its columns, where they are known.

    A column that comes from no input, such as a constant, has no sources.

    Args:
        plan: the analyzed plan of ``result.select("*")``, as Spark's ``toJSON`` gives it.
        inputs: the same of each input, by entity id.
    """
    origins: dict[int, Source] = {}
    relations: dict[Any, list[list[int]]] = {}
    for entity, text in inputs.items():
        read = _root_of(text)
        for expression in read.columns("projectList"):
            origins[_id(expression[0])] = (entity, str(expression[0]["name"]))
        for leaf in _leaves(read):
            relations.setdefault(leaf.signature(), []).append(leaf.output())
    root = _root_of(plan)
    try:
        definitions, unions = _definitions(root), _unions(root)
    except _UnknownOutputError:
        return {}
    for leaf in _leaves(root):
        first, *others = relations.get(leaf.signature(), [[]])
        if not others:
            for column, same in zip(leaf.output(), first, strict=False):
                if column != same:
                    definitions.setdefault(column, {same})
    found: dict[str, tuple[Source, ...]] = {}
    for expression in root.columns("projectList"):
        sources = _resolved(_id(expression[0]), origins, definitions, unions)
        if sources is not None:
            found[str(expression[0]["name"])] = tuple(sorted(sources))
    return found


class _UnknownOutputError(Exception):
    """The order of a node's columns is not known, and is needed."""


Expression = list[dict[str, Any]]  # its nodes in preorder


@dataclass(slots=True)
class _Node:
    facts: Mapping[str, Any]
    children: list[_Node] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return _kind(self.facts)

    def columns(self, name: str) -> list[Expression]:
        """Return a field that holds a list of expressions."""
        value = self.facts.get(name)
        return [item for item in value if _is_expression(item)] if isinstance(value, list) else []

    def expressions(self) -> Iterator[Expression]:
        for value in self.facts.values():
            yield from _expressions_in(value)

    def signature(self) -> tuple[Any, ...]:
        """Return what a relation has in common with another instance of it."""
        columns = [(e[0]["name"], str(e[0]["dataType"])) for e in self.columns("output")]
        return self.kind, *columns

    def output(self) -> list[int]:
        """Return the ids of the node's columns, in order.

        Raises:
            _UnknownOutputError: they are not known.
        """
        own = {"Project": "projectList", "Aggregate": "aggregateExpressions"}.get(self.kind)
        if own is None and not self.children:
            own = "output"
        if own is None and "output" in self.facts and self.kind != "Union":
            own = "output"
        if own is not None:
            return [_id(expression[0]) for expression in self.columns(own)]
        added = {"Window": "windowExpressions", "Generate": "generatorOutput"}.get(self.kind)
        if added is not None:
            new = [_id(expression[0]) for expression in self.columns(added)]
            return self.children[0].output() + new
        if self.kind == "Join":
            how = str(self.facts.get("joinType"))
            both = not any(name in how for name in (*_LEFT_ALONE, "ExistenceJoin"))
            return [c for child in self.children[: 1 + both] for c in child.output()]
        if self.kind == "WithCTE":
            return self.children[-1].output()
        if len(self.children) == 1 or self.kind in ("Union", *_LEFT_OF_TWO):
            return self.children[0].output()
        raise _UnknownOutputError


def _root_of(text: str) -> _Node:
    nodes = iter(json.loads(text))
    root = _Node(next(nodes))
    open_nodes = [root]
    for facts in nodes:
        while len(open_nodes[-1].children) == open_nodes[-1].facts["num-children"]:
            open_nodes.pop()
        node = _Node(facts)
        open_nodes[-1].children.append(node)
        open_nodes.append(node)
    return root


def _walk(root: _Node) -> Iterator[_Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _leaves(root: _Node) -> list[_Node]:
    return [node for node in _walk(root) if not node.children and node.kind.endswith("Relation")]


def _definitions(root: _Node) -> dict[int, set[int] | None]:
    """Return, for each column that the plan makes, the ids in its definition; None: unknown."""
    made: dict[int, set[int] | None] = {}

    def add(column: int, parts: set[int] | None) -> None:
        known = made.get(column, set())
        made[column] = None if parts is None or known is None else known | parts

    ctes = {node.facts.get("id"): node for node in _walk(root) if node.kind == "CTERelationDef"}
    for node in _walk(root):
        for expression in node.expressions():
            for column, parts in _aliases(expression):
                add(column, parts)
        new = [_id(expression[0]) for expression in node.columns("output")]
        if node.kind == "Generate":
            generator = _named_in(_expressions_in(node.facts.get("generator")))
            for expression in node.columns("generatorOutput"):
                add(_id(expression[0]), generator)
        elif node.kind == "Expand":  # Spark's JSON leaves the projections out
            for column in set(new) - set(node.children[0].output()):
                add(column, None)
        elif node.kind == "CTERelationRef" and node.facts.get("cteId") in ctes:
            inside = ctes[node.facts["cteId"]].children[0].output()
            for column, other in zip(new, inside, strict=False):
                if column != other:
                    add(column, {other})
        elif node.kind in _CONSTANT:
            for column in new:
                add(column, set())
    return made


def _unions(root: _Node) -> dict[int, set[int]]:
    """Return the columns of the other branches: a union's columns have the ids of the first."""
    others: dict[int, set[int]] = {}
    for node in _walk(root):
        if node.kind == "Union":
            for child in node.children[1:]:
                for column, other in zip(node.output(), child.output(), strict=True):
                    others.setdefault(column, set()).add(other)
    return others


def _resolved(
    column: int,
    origins: Mapping[int, Source],
    made: Mapping[int, set[int] | None],
    unions: Mapping[int, set[int]],
) -> set[Source] | None:
    """Return the sources of a column; None where one is unknown."""
    found: set[Source] = set()
    waiting, seen = [column], {column}
    while waiting:
        current = waiting.pop()
        parts: set[int] | None = made.get(current)
        if current in origins:
            found.add(origins[current])
            parts = set()
        if parts is None:
            return None
        parts = parts | unions.get(current, set())
        waiting += parts - seen
        seen |= parts
    return found


def _aliases(expression: Expression) -> Iterator[tuple[int, set[int] | None]]:
    for start, node in enumerate(expression):
        if _kind(node) == "Alias":
            yield _id(node), _named_in([expression[start + 1 : _end(expression, start)]])


def _end(expression: Expression, start: int) -> int:
    """Return where the part of an expression ends that begins at a node."""
    end, wanted = start, 1
    while wanted:
        wanted += expression[end]["num-children"] - 1
        end += 1
    return end


def _named_in(expressions: Iterable[Expression]) -> set[int] | None:
    """Return the columns that expressions name; None where they hold more than can be seen."""
    nodes = [node for expression in expressions for node in expression]
    if any(word in _kind(node) for node in nodes for word in _BEYOND):
        return None
    return {_id(node) for node in nodes if _kind(node) == "AttributeReference"}


def _expressions_in(value: Any) -> Iterator[Expression]:
    if _is_expression(value):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _expressions_in(item)


def _is_expression(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _kind(facts: Mapping[str, Any]) -> str:
    return str(facts.get("class", "")).rpartition(".")[2]


def _id(node: Mapping[str, Any]) -> int:
    return int(node["exprId"]["id"])
