"""Selecting pipes: every word and operator on a drawn graph, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import SelectionError
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder, PipeNode
from kindling_airflow.selection import select
from tests.builders import graph, pipes


def _tagged(drawing: str, **tags: Mapping[str, Any]) -> PipeGraph:
    return PipeGraphBuilder(pipes(drawing, tags)).build_graph()


def _selected(drawing: str, expression: str) -> str:
    return " ".join(select(graph(drawing), expression))


def _refusal(drawn: PipeGraph, expression: Any, exclude: Any = ()) -> str:
    with pytest.raises(SelectionError) as refused:
        select(drawn, expression, exclude)
    return str(refused.value)


class TestOperators:
    r"""
      a         x
     / \       /
    b   c     y        d reads b and c, z reads y and c
     \ / \   /
      d   \ /
      |    z
      e
    """

    DRAWING = "a -> b -> d -> e, a -> c -> d, x -> y -> z, c -> z"

    @pytest.mark.parametrize(
        ("expression", "selected"),
        [
            ("d", "d"),
            ("+d", "a b d c"),
            ("d+", "d e"),
            ("+d+", "a b d e c"),
            ("1+d", "b d c"),
            ("2+d", "a b d c"),
            ("0+d", "d"),
            ("c+1", "d c z"),
            ("c+2", "d e c z"),
            ("1+c+1", "a d c z"),
            ("+c+1", "a d c z"),
            ("999999999+e", "a b d e c"),
            ("@x", "a c x y z"),
            ("@b", "a b d e c"),
            ("@e", "a b d e c"),
            ("@a", "a b d e c x y z"),
            ("1+(d z)", "b d c y z"),
            ("1+(1+e)", "b d e c"),
            ("@(b,!b b)", "a b d e c"),
        ],
    )
    def test_graph_operators_add_what_is_up_and_down(self, expression: str, selected: str) -> None:
        assert _selected(self.DRAWING, expression) == selected

    @pytest.mark.parametrize(
        ("expression", "selected"),
        [
            ("x e b", "b e x"),
            ("+d,c+", "d c"),
            ("e +d,c+", "d e c"),
            ("(e +d),c+", "d e c"),
            ("(x +d),c+", "d c"),
            ("+d,c+,z+ y", "y"),
        ],
    )
    def test_spaces_unite_and_commas_intersect(self, expression: str, selected: str) -> None:
        assert _selected(self.DRAWING, expression) == selected

    @pytest.mark.parametrize(
        ("expression", "selected"),
        [
            ("!d", "a b e c x y z"),
            ("!+d !z", "e x y"),
            ("+d !b", "a d c"),
            ("!b +d", "a d c"),
            ("+d !b !c", "a d"),
            ("+d,!b", "a d c"),
            ("!b,+d", "a d c"),
            ("!b,!+z", "d e"),
            ("x +d,!b", "a d c x"),
            ("b +d,!b", "a b d c"),
            ("x (!+z)", "b d e x"),
            ("x !+z,!b", "d e x"),
            ("!(!d)", "d"),
            ("e,!(b c)", "e"),
            ("+(!+e)", "a c x y z"),
        ],
    )
    def test_exclamation_mark_takes_away(self, expression: str, selected: str) -> None:
        assert _selected(self.DRAWING, expression) == selected

    def test_order_is_the_order_of_the_graph_and_not_of_the_words(self) -> None:
        assert _selected("c, a, b", "b c a") == "c a b"

    def test_list_is_read_as_if_its_texts_stood_side_by_side(self) -> None:
        drawn = graph(self.DRAWING)
        assert select(drawn, ["x", "e b"]) == select(drawn, "x e b") == ("b", "e", "x")
        assert select(drawn, ("+d", "!b")) == select(drawn, "+d !b") == ("a", "d", "c")
        assert select(drawn, ["x", "(!+z)"]) == select(drawn, "x (!+z)")
        assert select(drawn, ["x", "x"]) == ("x",)

    def test_exclusion_is_taken_away_from_the_whole(self) -> None:
        drawn = graph(self.DRAWING)
        assert select(drawn, "+d e", "b") == ("a", "d", "e", "c")
        assert select(drawn, "+d e", ["b", "c+"]) == ("a",)
        assert select(drawn, "+d", "!b") == ("b",)
        assert select(drawn, "+d", []) == select(drawn, "+d") == ("a", "b", "d", "c")


class TestWords:
    DRAWING = (
        "[raw.a] -> bronze.a -> silver.eu.a -> gold, [raw.b] -> bronze.b -> gold, [raw.b] -> gold"
    )

    @pytest.mark.parametrize(
        ("expression", "selected"),
        [
            ("bronze.*", "bronze.a bronze.b"),
            ("silver.**", "silver.eu.a"),
            ("**.a", "bronze.a silver.eu.a"),
            ("*.?", "bronze.a bronze.b"),
            ("*", "gold"),
            ("**", "bronze.a silver.eu.a gold bronze.b"),
        ],
    )
    def test_globs_match_pipe_ids(self, expression: str, selected: str) -> None:
        assert _selected(self.DRAWING, expression) == selected

    @pytest.mark.parametrize(
        ("expression", "selected"),
        [
            ("entity:gold.out", "gold"),
            ("entity:bronze.a.out", "bronze.a"),
            ("entity:raw.a", "bronze.a"),
            ("entity:raw.b", "gold bronze.b"),
            ("entity:raw.*", "bronze.a gold bronze.b"),
            ("entity:**.b.out", "bronze.b"),
            ("reads:raw.b", "gold bronze.b"),
            ("reads:bronze.*.out", "silver.eu.a gold"),
            ("writes:bronze.*.out", "bronze.a bronze.b"),
            ("writes:gold.out", "gold"),
        ],
    )
    def test_entities_stand_for_their_pipes(self, expression: str, selected: str) -> None:
        assert _selected(self.DRAWING, expression) == selected

    def test_pipe_that_reads_its_own_output_writes_and_reads_it(self) -> None:
        drawing = "a -> a -> b"
        assert _selected(drawing, "entity:a.out") == "a"
        assert _selected(drawing, "reads:a.out") == "a b"
        assert _selected(drawing, "writes:a.out") == "a"
        assert _selected(drawing, "+a") == "a"

    @pytest.mark.parametrize(
        ("expression", "selected"),
        [
            ("tag:layer", "a b c d"),
            ("tag:layer=gold", "a"),
            ("tag:layer=*", "a b d"),
            ("tag:layer=**", "a b c d"),
            ('tag:layer=""', "d"),
            ("tag:lay*", "a b c d"),
            ("tag:owner=jane", "a b"),
            ("tag:owner=jo", "b"),
            ("tag:owner=j?", "b"),
            ("tag:n=3", "a b"),
            ("tag:n=3.5", "c"),
            ("tag:n=true", "d"),
            ("tag:n=null", "e"),
            (r'tag:n="{\"a\":null,\"x\":[1,\"é\"]}"', "f"),
            ("tag:n=[3]", "g"),
            ('tag:"data team"="x y"', "f"),
        ],
    )
    def test_tags_are_compared_by_their_json_text(self, expression: str, selected: str) -> None:
        drawn = _tagged(
            "a, b, c, d, e, f, g",
            a={"layer": "gold", "owner": "jane", "n": 3},
            b={"layer": "silver", "owner": ["jane", "jo"], "n": "3"},
            c={"layer": "x.y", "n": 3.5, "owner": []},
            d={"layer": "", "n": True},
            e={"n": None},
            f={"n": {"x": [1, "é"], "a": None}, "data team": "x y"},
            g={"n": [[3], 4]},
        )
        assert " ".join(select(drawn, expression)) == selected

    def test_ids_with_spaces_operators_and_digits_are_quoted(self) -> None:
        drawn = graph("2 -> 2x -> my pipe! -> a*b -> 漢 字")
        assert select(drawn, '"2"+1') == ("2", "2x")
        assert select(drawn, "2x") == ("2x",)
        assert select(drawn, "1+2x") == ("2", "2x")
        assert select(drawn, '1+"my pipe!" "漢 字"') == ("2x", "my pipe!", "漢 字")
        assert select(drawn, '"a*b"') == ("a*b",)

    def test_pipes_without_a_declaration_have_no_tags(self) -> None:
        bare = PipeGraph(nodes=FrozenDict(a=PipeNode("a")))
        assert select(bare, "a") == ("a",)
        assert _refusal(bare, "tag:x") == (
            "no pipe has a tag 'x'.\n  Fix: correct the word, or leave it out."
        )


class TestWordsThatMatchNothing:
    @pytest.fixture
    def drawn(self) -> PipeGraph:
        return _tagged(
            "[raw.orders] -> silver.orders -> gold.sales",
            **{"silver.orders": {"layer": "silver", "area": "a.b", "none": []}},
        )

    @pytest.mark.parametrize(
        ("word", "problem", "fix"),
        [
            (
                "slver.orders",
                "no pipe has an id 'slver.orders'. Did you mean 'silver.orders'?",
                "correct the word, or leave it out.",
            ),
            (
                "xyz.*",
                "no pipe has an id that matches 'xyz.*'.",
                "correct the word, or leave it out.",
            ),
            (
                "silver*",
                "no pipe has an id that matches 'silver*'. Did you mean 'silver.orders'?",
                "'*' does not match a dot, '**' does: write silver**",
            ),
            (
                "raw.orders",
                "no pipe has an id 'raw.orders'. Did you mean 'silver.orders'?",
                "an entity has such an id: write entity:raw.orders",
            ),
            (
                "*.sales.out",
                "no pipe has an id that matches '*.sales.out'.",
                "an entity has such an id: write entity:*.sales.out",
            ),
            (
                "entity:gold.sale",
                "no pipe writes or reads an entity 'gold.sale'. Did you mean 'gold.sales.out'?",
                "correct the word, or leave it out.",
            ),
            (
                "reads:gold.sales.out",
                "no pipe reads an entity 'gold.sales.out'.",
                "correct the word, or leave it out.",
            ),
            (
                "writes:*.out",
                "no pipe writes an entity that matches '*.out'.",
                "'*' does not match a dot, '**' does: write writes:**.out",
            ),
            (
                "tag:layr",
                "no pipe has a tag 'layr'. Did you mean 'layer'?",
                "correct the word, or leave it out.",
            ),
            (
                "tag:layr=silver",
                "no pipe has a tag 'layr'. Did you mean 'layer'?",
                "correct the word, or leave it out.",
            ),
            (
                "tag:layer=silvr",
                "no pipe has a tag 'layer' with a value 'silvr'. Did you mean 'silver'?",
                "correct the word, or leave it out.",
            ),
            (
                "tag:none=x",
                "no pipe has a tag 'none' with a value 'x'.",
                "correct the word, or leave it out.",
            ),
            (
                "tag:are?=*",
                "no pipe has a tag that matches 'are?' with a value that matches '*'.",
                "'*' does not match a dot, '**' does: write tag:are?=**",
            ),
            (
                "tags:layer=silver",
                "no pipe has an id 'tags:layer=silver'.",
                "there is a prefix 'tag:': write tag:layer=silver",
            ),
            (
                'TAG:lay*r="a b"*',
                "no pipe has an id that matches 'TAG:lay*r=a b*'.",
                "there is a prefix 'tag:': write tag:lay*r=\"a b\"*",
            ),
            (
                "tags:**",
                "no pipe has an id that matches 'tags:**'.",
                "there is a prefix 'tag:': write tag:**",
            ),
            (
                "entities:gold.*.out",
                "no pipe has an id that matches 'entities:gold.*.out'.",
                "there is a prefix 'entity:': write entity:gold.*.out",
            ),
            (
                "read:a=b",
                "no pipe has an id 'read:a=b'.",
                "there is a prefix 'reads:': write reads:a=b",
            ),
            (
                "tags:",
                "no pipe has an id 'tags:'.",
                "correct the word, or leave it out.",
            ),
            (
                "target:layer",
                "no pipe has an id 'target:layer'.",
                "correct the word, or leave it out.",
            ),
            (
                "?ags:layer",
                "no pipe has an id that matches '?ags:layer'.",
                "correct the word, or leave it out.",
            ),
        ],
    )
    def test_text_says_what_there_is_not_and_what_is_near(
        self, drawn: PipeGraph, word: str, problem: str, fix: str
    ) -> None:
        assert _refusal(drawn, word) == f"{problem}\n  Fix: {fix}"

    def test_all_words_are_reported_at_once_wherever_they_stand(self, drawn: PipeGraph) -> None:
        assert _refusal(drawn, ["**,!x", "+(y y)"], ["reads:z", "("]) == (
            "4 problems in the selection:\n"
            "1. no pipe has an id 'x'.\n"
            "  Fix: correct the word, or leave it out.\n"
            "2. no pipe has an id 'y'.\n"
            "  Fix: correct the word, or leave it out.\n"
            "3. no pipe reads an entity 'z'.\n"
            "  Fix: correct the word, or leave it out.\n"
            "4. selector, column 2: expected a word or '(' after '('\n"
            "  (\n"
            "   ^\n"
            "  Fix: write an id, a glob, tag:KEY, tag:KEY=VALUE, entity:ID, reads:ID or writes:ID."
        )

    def test_selection_without_a_pipe_is_an_error(self, drawn: PipeGraph) -> None:
        text = (
            "the selection {} is empty: each word matches a pipe, but none is left\n"
            "  Fix: check what the commas and exclusions take away."
        )
        assert _refusal(drawn, "silver.*,gold.*") == text.format("'silver.*,gold.*'")
        assert _refusal(drawn, ["gold.*", "!**"]) == text.format("'gold.* !**'")
        assert _refusal(drawn, "gold.*", ["**"]) == text.format("'gold.*' without '**'")

    def test_part_of_a_selection_may_be_empty(self, drawn: PipeGraph) -> None:
        assert select(drawn, "silver.*,gold.* gold.*") == ("gold.sales",)

    def test_nothing_matches_in_an_empty_graph(self) -> None:
        assert _refusal(PipeGraphBuilder(DataPipesRegistry()).build_graph(), "**") == (
            "no pipe has an id that matches '**'.\n  Fix: correct the word, or leave it out."
        )

    @pytest.mark.parametrize(
        ("expression", "problem"),
        [
            (None, "expression must be a string or a list of strings, not None"),
            ({"a": 1}, "expression must be a string or a list of strings, not {'a': 1}"),
            (["a", 3], "expression[1] must be a string, not 3"),
            ([], "expression is an empty list\n  Fix: write ['**'] to select all pipes."),
        ],
    )
    def test_what_is_no_text_is_refused(self, expression: Any, problem: str) -> None:
        assert _refusal(graph("a"), expression) == problem

    def test_exclusion_that_is_no_text_is_refused(self) -> None:
        assert _refusal(graph("a"), "a", None) == (
            "exclude must be a string or a list of strings, not None"
        )
        assert _refusal(graph("a"), "a", "") == _refusal(graph("a"), "")

    def test_only_the_first_words_are_compared_with_the_ids_of_a_huge_graph(self) -> None:
        nodes = {f"pipe_{n}": PipeNode(f"pipe_{n}") for n in range(40_000)}
        huge = PipeGraph(nodes=FrozenDict(nodes))
        error = _refusal(huge, "pip_1 pip_2 pip_3")
        assert "no pipe has an id 'pip_2'. Did you mean 'pipe_2'?" in error
        assert "no pipe has an id 'pip_3'.\n" in error


class _Counting(dict[str, Any]):
    """The neighbours of each pipe; counts look-ups."""

    looked_up = 0

    def __getitem__(self, pipe_id: str) -> Any:
        self.looked_up += 1
        return super().__getitem__(pipe_id)


class _CountingDigraph(nx.DiGraph):  # type: ignore[type-arg]
    adjlist_outer_dict_factory = _Counting


class TestScale:
    def test_each_operator_looks_once_at_each_pipe(self) -> None:
        layers = [[f"{layer}_{n}" for n in range(8)] for layer in "abcdef"]
        drawing = ", ".join(
            f"{one} -> {other}"
            for upper, lower in pairwise(layers)
            for one in upper
            for other in lower
        )
        drawn = graph(drawing)
        counting = _CountingDigraph(drawn.digraph)
        vars(drawn)["digraph"] = counting
        up, down = counting._pred, counting._succ
        up.looked_up = down.looked_up = 0
        assert len(select(drawn, "+f_3")) == 41
        assert (up.looked_up, down.looked_up) == (41, 0)
        assert len(select(drawn, "@c_3")) == 17 + 24 + 7
        assert (up.looked_up, down.looked_up) == (41 + 48 - 7 + 7, 25)

    def test_chain_that_is_deeper_than_the_stack(self) -> None:
        chain = graph(" -> ".join(f"p{n}" for n in range(5_000)))
        assert select(chain, "+p4999") == tuple(chain.nodes)
        assert select(chain, "p0+4000,!p0+3999") == ("p4000",)

    def test_nesting_that_is_deeper_than_the_stack_when_each_level_is_several(self) -> None:
        text = "a"
        for _ in range(100):
            text = f"!+({text},a b),a a"
        assert select(graph("a -> b"), text) == ("a",)
