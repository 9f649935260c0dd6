"""Analyzed plans as Spark's ``toJSON`` gives them, built by hand and small.

    plan(project(["id"], relation({"id": 1})))

An expression is a list of nodes in preorder; a column's name stands for a reference to it.
"""

from __future__ import annotations

import json
from typing import Any

Node = dict[str, Any]


def column(name: str, number: int) -> list[Node]:
    return [_expression("AttributeReference", 0, name=name, number=number)]


def alias(name: str, number: int, *children: list[Node]) -> list[Node]:
    """Return a column that is a function of others."""
    inner = _expression("Function", len(children))
    below = [node for child in children for node in child]
    return [_expression("Alias", 1, name=name, number=number), inner, *below]


def subquery() -> list[Node]:
    return [_expression("ScalarSubquery", 0)]


def _expression(kind: str, children: int, *, name: str = "", number: int = 0) -> Node:
    found: Node = {"class": f"org.x.{kind}", "num-children": children}
    if name:
        found |= {"name": name, "dataType": "long", "exprId": {"id": number, "jvmId": "j"}}
    return found


def node(kind: str, *children: list[Node], **fields: Any) -> list[Node]:
    """Return a plan: a node and what is below it, in preorder."""
    facts = {"class": f"org.x.{kind}", "num-children": len(children), **fields}
    return [facts, *(below for child in children for below in child)]


def relation(columns: dict[str, int], kind: str = "LogicalRelation") -> list[Node]:
    return node(kind, output=[column(name, n) for name, n in columns.items()])


def project(columns: list[list[Node]], below: list[Node]) -> list[Node]:
    return node("Project", below, projectList=columns)


def everything(columns: dict[str, int], below: list[Node]) -> str:
    """Return the JSON of ``select("*")`` over a plan with these columns."""
    return json.dumps(project([column(name, n) for name, n in columns.items()], below))
