r"""Graphs as Mermaid and DOT texts, whatever the ids in them look like.

    flowchart LR                    digraph {
      n0["raw"]                       n0 [label="raw"];
      n1["say #quot;hi#quot;"]        n1 [label="say \"hi\""];
      n0 -->|"orders"| n1             n0 -> n1 [label="orders"];

Nodes are named by their position, so that no id can collide with another one or with a keyword;
labels are escaped so that they show as they are. A line break in a label stays one; what cannot be
printed (control characters, marks that turn the direction of writing) shows as an escape sequence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

__all__ = ["Arrow", "Box", "Group", "printable", "to_dot", "to_mermaid"]

# First what may stand in a Mermaid label as it is, then the rest, which could be taken for HTML,
# for Markdown, for the name of an icon, or for the end of the label.
_PLAIN = re.compile(r"([^\W_]+|(?<=[^\W_])[._/-]+(?=[^\W_])| )|(.)", re.DOTALL)
_ENTITIES: Mapping[str, str] = {'"': "quot", "&": "amp", "<": "lt", ">": "gt"}
_DOT_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "&": "&amp;"})


class Box(NamedTuple):
    """A node: its key, unique in its drawing, and what is written on it."""

    key: str
    label: str


class Arrow(NamedTuple):
    """An edge between two boxes, with what is written on it."""

    tail: str
    head: str
    label: str = ""


class Group(NamedTuple):
    """A frame around boxes; a box is in one group at most."""

    label: str
    keys: tuple[str, ...]


def to_mermaid(
    boxes: Sequence[Box], arrows: Iterable[Arrow] = (), groups: Sequence[Group] = ()
) -> str:
    """Return a drawing as a Mermaid flowchart, from left to right.

    >>> print(to_mermaid([Box("a", "raw"), Box("b", '<b>"1"')], [Arrow("a", "b", "x")]))
    flowchart LR
      n0["raw"]
      n1["#lt;b#gt;#quot;1#quot;"]
      n0 -->|"x"| n1
    """
    names = _names(boxes)
    lines = ["flowchart LR"]
    for n, group, members in _grouped(boxes, groups):
        indent = "  "
        if group is not None:
            lines.append(f'  subgraph g{n}["{_mermaid_label(group.label)}"]')
            indent = "    "
        lines += [f'{indent}{names[b.key]}["{_mermaid_label(b.label)}"]' for b in members]
        if group is not None:
            lines.append("  end")
    for tail, head, label in arrows:
        text = f'|"{_mermaid_label(label)}"|' if label else ""
        lines.append(f"  {names[tail]} -->{text} {names[head]}")
    return "\n".join(lines)


def to_dot(boxes: Sequence[Box], arrows: Iterable[Arrow] = (), groups: Sequence[Group] = ()) -> str:
    r"""Return a drawing in the DOT language of Graphviz, from left to right.

    >>> print(to_dot([Box("a", "raw"), Box("b", '<b>"1"')], [Arrow("a", "b", "x")]))
    digraph {
      rankdir=LR; node [shape=box];
      n0 [label="raw"];
      n1 [label="<b>\"1\""];
      n0 -> n1 [label="x"];
    }
    """
    names = _names(boxes)
    lines = ["digraph {", "  rankdir=LR; node [shape=box];"]
    for n, group, members in _grouped(boxes, groups):
        indent = "  "
        if group is not None:
            lines.append(f'  subgraph cluster_g{n} {{ label="{_dot_label(group.label)}";')
            indent = "    "
        lines += [f'{indent}{names[b.key]} [label="{_dot_label(b.label)}"];' for b in members]
        if group is not None:
            lines.append("  }")
    for tail, head, label in arrows:
        text = f' [label="{_dot_label(label)}"]' if label else ""
        lines.append(f"  {names[tail]} -> {names[head]}{text};")
    return "\n".join([*lines, "}"])


def _names(boxes: Iterable[Box]) -> dict[str, str]:
    return {box.key: f"n{n}" for n, box in enumerate(boxes)}


def _grouped(
    boxes: Sequence[Box], groups: Sequence[Group]
) -> Iterator[tuple[int, Group | None, list[Box]]]:
    """Yield each group with its number and boxes, then the boxes that are in none."""
    by_key = {box.key: box for box in boxes}
    for n, group in enumerate(groups):
        yield n, group, [by_key.pop(key) for key in group.keys]
    yield len(groups), None, list(by_key.values())


def _mermaid_label(text: str) -> str:
    return _PLAIN.sub(lambda found: found[1] or _mermaid_code(found[2]), printable(text))


def _mermaid_code(character: str) -> str:
    if character == "\n":
        return "<br/>"
    return f"#{_ENTITIES.get(character, ord(character))};"


def _dot_label(text: str) -> str:
    return printable(text).translate(_DOT_ESCAPES)


def printable(text: str) -> str:
    """Return a text with escape sequences for what cannot be printed, line breaks excepted."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )
