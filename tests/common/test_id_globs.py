"""Patterns for ids: what matches, which of two is the more specific, and no pattern that hangs."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kindling_airflow.common.id_globs import Glob, Wildcard, glob_specificity, matches_glob


def _matches_by_trying(pattern: str, text: str) -> bool:
    """The oracle: try every length for every star, star by star."""

    @cache
    def fits(p: int, t: int) -> bool:
        if p == len(pattern):
            return t == len(text)
        if pattern[p] == "*":
            behind = next((n for n in range(p, len(pattern)) if pattern[n] != "*"), len(pattern))
            allowed = text[t:] if behind - p > 1 else text[t:].partition(".")[0]
            return any(fits(behind, t + n) for n in range(len(allowed) + 1))
        if t == len(text):
            return False
        same = text[t] != "." if pattern[p] == "?" else text[t] == pattern[p]
        return same and fits(p + 1, t + 1)

    return fits(0, 0)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("silver.orders", ["silver.orders"], ["silver.order", "silver.orders2", "silver-orders"]),
        ("silver.*", ["silver.orders", "silver."], ["silver.eu.orders", "silver", "xsilver.a"]),
        ("silver.**", ["silver.orders", "silver.eu.orders", "silver."], ["silver", "gold.a"]),
        ("*.orders", ["silver.orders", ".orders"], ["orders", "silver.eu.orders"]),
        ("**.orders", ["silver.orders", "silver.eu.orders"], ["orders", "silver.orders.x"]),
        ("*.*", ["a.b"], ["a", "a.b.c"]),
        ("*", ["a", "a b", "", "é\n"], ["a.b"]),
        ("**", ["a", "a.b.c", "", "\n.\n"], []),
        ("***", ["a.b.c"], []),
        ("day_?", ["day_1", "day_\n"], ["day_", "day_10", "day_."]),
        ("??", ["ab"], ["a", "abc", ".a"]),
        ("a*b**c", ["abc", "axbc", "ab.x.c", "abxc.c"], ["a.bc", "ab"]),
        ("[ab]$(x)|\\d^", ["[ab]$(x)|\\d^"], ["a", "[ab]$(x)|1^"]),
        ("", [""], ["a"]),
    ],
)
def test_pattern_matches_whole_ids(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [text for text in matching + others if matches_glob(pattern, text)] == matching


@given(
    st.text(alphabet="ab.*?é", max_size=10),
    st.text(alphabet="ab.é\n", max_size=12),
)
@example("**ab*a**b", "a.ab.aab.b")
def test_pattern_matches_what_trying_every_length_finds(pattern: str, text: str) -> None:
    assert matches_glob(pattern, text) == _matches_by_trying(pattern, text)


@given(st.text(alphabet="ab.*?", max_size=8), st.data())
def test_text_made_from_a_pattern_matches_it(pattern: str, data: st.DataObject) -> None:
    fillings = {
        Wildcard.ONE: st.sampled_from("ax"),
        Wildcard.SEGMENT: st.text(alphabet="ax", max_size=3),
        Wildcard.ANYTHING: st.text(alphabet="ax.", max_size=4),
    }
    parts = Glob.parse(pattern).parts
    text = "".join(p if isinstance(p, str) else data.draw(fillings[p]) for p in parts)
    assert matches_glob(pattern, text)


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 40 + "b", "**a" * 40 + "b", "**a*" * 40 + "b", "*a*.**" * 30 + "b", "?*" * 40 + "b"],
)
def test_no_pattern_sets_off_exponential_backtracking(pattern: str) -> None:
    assert not matches_glob(pattern, "a" * 80)
    assert not matches_glob(pattern, "a.a" * 50)


def test_pattern_that_is_longer_than_any_id_is_not_even_compiled() -> None:
    assert not matches_glob("*a" * 300_000, "a" * 80)


class TestSpecificity:
    def test_exact_comes_before_star_and_star_before_two_stars(self) -> None:
        ranked = ["a.b", "a.?", "a.*", "?.*", "*", "a.**", "**"]
        for more, less in pairwise(ranked):
            assert glob_specificity(more) > glob_specificity(less)

    def test_among_equals_more_literal_characters_win(self) -> None:
        assert glob_specificity("silver.*") > glob_specificity("*.tmp")
        assert glob_specificity("silver.orders.**") > glob_specificity("**.orders")
        assert glob_specificity("*.*.long_name.*") > glob_specificity("short.*")
        assert glob_specificity("day_??") > glob_specificity("day??")

    def test_then_more_single_characters_and_then_fewer_stars(self) -> None:
        assert glob_specificity("a?*") > glob_specificity("a*")
        assert glob_specificity("a*b") > glob_specificity("*a*b")
        assert glob_specificity("a**b") > glob_specificity("a**b*")

    def test_patterns_of_one_shape_are_equals(self) -> None:
        assert glob_specificity("a*") == glob_specificity("*a")


class TestGlobs:
    def test_parts_are_merged_so_that_one_pattern_has_one_form(self) -> None:
        assert Glob.parse("a?*b***").parts == (
            "a",
            Wildcard.ONE,
            Wildcard.SEGMENT,
            "b",
            Wildcard.ANYTHING,
        )
        pieces = [("a", False), ("*", True), ("", True), ("?b", True), ("*", False), ("*", False)]
        assert Glob.of(pieces).parts == ("a*?b", Wildcard.ANYTHING)

    def test_literal_star_matches_a_star_alone(self) -> None:
        glob = Glob.of([("a*", True), ("?", False)])
        assert list(map(glob.matcher(), ["a*b", "axb"])) == [True, False]

    def test_only_globs_without_wildcards_are_literal(self) -> None:
        assert Glob.parse("a.b").literal == "a.b"
        assert Glob.parse("").literal == ""
        assert Glob.parse("a?").literal is None
        assert Glob.parse("*").literal is None

    def test_finder_picks_the_matching_ones_in_their_order(self) -> None:
        known = {"b.x": 1, "a.x": 2, "a.y": 3}
        assert list(Glob.parse("*.x").finder()(known)) == ["b.x", "a.x"]
        assert list(Glob.parse("a.y").finder()(known)) == ["a.y"]
        assert list(Glob.parse("a.z").finder()(known)) == []

    def test_wider_glob_crosses_dots(self) -> None:
        assert str(Glob.parse("a*.?*").across_dots()) == "a**.?**"
