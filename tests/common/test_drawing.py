"""Mermaid and DOT: no id can collide with another, and no label can end before its end."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.drawing import Arrow, Box, Group, printable, to_dot, to_mermaid
from kindling_airflow.execution_strategy import BatchExecutionStrategy
from kindling_airflow.pipe_graph import PipeGraphBuilder
from kindling_airflow.plan_report import plan_dot, plan_mermaid
from tests.builders import graph, pipes, plan
from tests.strategies import pipe_ids

HOSTILE = 'ab"\\#;<>&[]{}()|`*_-+.:/%\n\t\x00\u202e\ud800é表😀'
LABELS = pipe_ids() | st.text(alphabet=HOSTILE, max_size=9)

# What a reader makes of one line each; a line that fits none of them is a broken drawing.
MERMAID_LINE = re.compile(
    r'flowchart LR|  subgraph g\d+\["(?P<group>[^"]*)"\]|  end'
    r'|  (  )?n(?P<node>\d+)\["(?P<label>[^"]*)"\]'
    r'|  n(?P<tail>\d+) -->(\|"(?P<said>[^"]*)"\|)? n(?P<head>\d+)'
)
QUOTED = r'"((?:[^"\\\n]|\\.)*)"'
DOT_LINE = re.compile(
    r"digraph \{|  rankdir=LR; node \[shape=box\];|  \}|\}"
    rf"|  subgraph cluster_g\d+ \{{ label={QUOTED};"
    rf"|  (?:  )?n\d+ \[label={QUOTED}\];"
    rf"|  n\d+ -> n\d+(?: \[label={QUOTED}\])?;"
)


def shown_by_mermaid(label: str) -> str:
    """Return what a browser shows of a label: entity codes are its way to write HTML entities."""
    lines = label.split("<br/>")
    assert not any(set(line) & set("<>&") for line in lines)
    codes = [re.sub(r"#(\w+);", r"&#\1;", named(line)) for line in lines]
    return "\n".join(map(html.unescape, codes))


def named(line: str) -> str:
    """Return a line with the names of entities as numbers."""
    codes = {"quot": 34, "amp": 38, "lt": 60, "gt": 62}
    return re.sub(r"#(quot|amp|lt|gt);", lambda found: f"#{codes[found[1]]};", line)


def shown_by_dot(label: str) -> str:
    escapes = {"n": "\n", '"': '"', "\\": "\\"}
    return html.unescape(re.sub(r"\\(.)", lambda found: escapes[found[1]], label))


@given(st.lists(LABELS, min_size=1, max_size=4))
def test_mermaid_shows_each_label_as_it_is(labels: list[str]) -> None:
    boxes = [Box(str(n), label) for n, label in enumerate(labels)]
    arrows = [Arrow("0", box.key, f"x{box.label}") for box in boxes]
    text = to_mermaid(boxes, arrows, [Group(labels[0], ("0",))])
    found = [MERMAID_LINE.fullmatch(line) for line in text.split("\n")]
    matches = [match for match in found if match is not None]
    assert len(matches) == len(found)
    nodes = {m["node"]: shown_by_mermaid(m["label"]) for m in matches if m["node"]}
    assert nodes == {str(n): printable(label) for n, label in enumerate(labels)}
    said = [shown_by_mermaid(m["said"]) for m in matches if m["tail"]]
    assert said == [printable(f"x{label}") for label in labels]
    assert [shown_by_mermaid(m["group"]) for m in matches if m["group"] is not None] == [
        printable(labels[0])
    ]


@given(st.lists(LABELS, min_size=1, max_size=4))
def test_dot_shows_each_label_as_it_is(labels: list[str]) -> None:
    boxes = [Box(str(n), label) for n, label in enumerate(labels)]
    arrows = [Arrow("0", box.key, f"x{box.label}") for box in boxes]
    text = to_dot(boxes, arrows, [Group(labels[0], ("0",))])
    matches = [DOT_LINE.fullmatch(line) for line in text.split("\n")]
    assert None not in matches
    shown = [
        shown_by_dot(next(group for group in match.groups() if group is not None))
        for match in matches
        if match is not None and any(group is not None for group in match.groups())
    ]
    wanted = [labels[0], *labels, *(f"x{label}" for label in labels)]
    assert shown == [printable(label) for label in wanted]


@pytest.mark.parametrize(
    ("label", "escaped"),
    [
        ("silver.order_lines", "silver.order_lines"),
        ("two words", "two words"),
        ("end", "end"),
        ('"#;', "#quot;#35;#59;"),
        ("<b>&", "#lt;b#gt;#amp;"),
        ("1. not a list", "1#46; not a list"),
        ("__init__", "#95;#95;init#95;#95;"),
        ("`*md*`", "#96;#42;md#42;#96;"),
        ("fa:fa-user", "fa#58;fa-user"),
        ("a\\b", "a#92;b"),
        ("two\nlines", "two<br/>lines"),
        ("\x00\u202e", "#92;x00#92;u202e"),
        ("é 表", "é 表"),
    ],
)
def test_labels_of_mermaid(label: str, escaped: str) -> None:
    assert to_mermaid([Box("a", label)]) == f'flowchart LR\n  n0["{escaped}"]'


@pytest.mark.parametrize(
    ("label", "escaped"),
    [
        ("<b>", "<b>"),
        ('say "hi"', 'say \\"hi\\"'),
        ("a\\nb", "a\\\\nb"),
        ("a\nb", "a\\nb"),
        ("&lt;", "&amp;lt;"),
        ("\x00", "\\\\x00"),
        ("ends with \\", "ends with \\\\"),
    ],
)
def test_labels_of_dot(label: str, escaped: str) -> None:
    assert f'n0 [label="{escaped}"];' in to_dot([Box("a", label)])


def test_every_drawing_can_be_written_in_utf_8() -> None:
    boxes = [Box("a", "\ud800")]
    assert (to_mermaid(boxes) + to_dot(boxes)).encode("utf-8")


def test_keys_that_look_like_names_of_nodes_or_keywords_are_only_keys() -> None:
    text = to_mermaid(
        [Box("n1", "one"), Box("n0", "nil"), Box("end", "last")],
        [Arrow("n1", "n0"), Arrow("n0", "end")],
    )
    assert text.splitlines()[1:] == [
        '  n0["one"]',
        '  n1["nil"]',
        '  n2["last"]',
        "  n0 --> n1",
        "  n1 --> n2",
    ]


def test_nothing_makes_an_empty_drawing() -> None:
    assert to_mermaid([]) == "flowchart LR"
    assert to_dot([]) == "digraph {\n  rankdir=LR; node [shape=box];\n}"


class TestPlan:
    def test_mermaid_frames_generations_and_names_entities(self) -> None:
        assert plan_mermaid(plan("a -> b, a -> c")) == (
            "flowchart LR\n"
            '  subgraph g0["Generation 0"]\n'
            '    n0["a"]\n'
            "  end\n"
            '  subgraph g1["Generation 1"]\n'
            '    n1["b"]\n'
            '    n2["c"]\n'
            "  end\n"
            '  n0 -->|"a.out"| n1\n'
            '  n0 -->|"a.out"| n2'
        )

    def test_dot_frames_generations_and_names_entities(self) -> None:
        assert plan_dot(plan("a -> b", "streaming")) == (
            "digraph {\n"
            "  rankdir=LR; node [shape=box];\n"
            '  subgraph cluster_g0 { label="Generation 0";\n'
            '    n1 [label="b"];\n'
            "  }\n"
            '  subgraph cluster_g1 { label="Generation 1";\n'
            '    n0 [label="a"];\n'
            "  }\n"
            '  n0 -> n1 [label="a.out"];\n'
            "}"
        )

    def test_pipes_beyond_the_plan_are_not_drawn(self) -> None:
        made = BatchExecutionStrategy().plan(graph("a -> b -> c"), ["b"])
        assert plan_mermaid(made).splitlines()[2:] == ['    n0["b"]', "  end"]


def test_builder_draws_its_graph() -> None:
    builder = PipeGraphBuilder(pipes("a -> b, [x] -> a"))
    assert builder.visualize_mermaid(builder.build_graph()) == (
        'flowchart LR\n  n0["a"]\n  n1["b"]\n  n0 -->|"a.out"| n1'
    )
