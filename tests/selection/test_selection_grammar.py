"""The grammar of selectors: what a text means, its canonical form, what is said of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.id_globs import Glob, Wildcard
from kindling_airflow.errors import SelectionError
from kindling_airflow.selection import Selector, parse_selector
from kindling_airflow.selection.syntax import Around, Combine, How, Kind, Rebuild, Word
from tests.strategies import pipe_ids

A_WORD = "write an id, a glob, tag:KEY, tag:KEY=VALUE, entity:ID, reads:ID or writes:ID."
QUOTE = "put double quotes around an id that holds spaces or any of ,()!+@"
SEPARATE = f"put a space (union) or a comma (intersection) between words; {QUOTE}."
OPERATORS = f"operators stand as in !2+x+ and !@x, for more write (..) as in @(x+); {QUOTE}."
ESCAPE = 'inside double quotes write \\" for a double quote and \\\\ for a backslash.'


def _steps(text: str) -> tuple[Any, ...]:
    return parse_selector(text).steps


def _pipe(*parts: str | Wildcard) -> Word:
    return Word(Kind.PIPE, Glob(parts))


def _refusal(text: str) -> str:
    with pytest.raises(SelectionError) as refused:
        parse_selector(text)
    return str(refused.value)


A, B, C = _pipe("a"), _pipe("b"), _pipe("c")


class TestWords:
    def test_word_without_prefix_is_a_glob_on_pipe_ids(self) -> None:
        assert _steps("silver.*") == (_pipe("silver.", Wildcard.SEGMENT),)
        assert _steps("a?**") == (_pipe("a", Wildcard.ONE, Wildcard.ANYTHING),)

    @pytest.mark.parametrize(
        "text", ["2x", "12", "a:b", "tags:x", "TAG:x", "a=b", "a\\b", "ä-漢/_'"]
    )
    def test_whatever_has_no_meaning_stands_for_itself(self, text: str) -> None:
        assert _steps(text) == (_pipe(text),)

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ('"a b"', ("a b",)),
            (r'"say \"x\" \\"', ('say "x" \\',)),
            ('"!+@,()\n"', ("!+@,()\n",)),
            ('"a*"*', ("a*", Wildcard.SEGMENT)),
            ('a" "b.?', ("a b.", Wildcard.ONE)),
            ('*""*', (Wildcard.ANYTHING,)),
            ('"tag:x"', ("tag:x",)),
            ('"tag":x', ("tag:x",)),
            ('"2"', ("2",)),
        ],
    )
    def test_quoted_text_stands_for_itself(self, text: str, parts: tuple[Any, ...]) -> None:
        assert _steps(text) == (_pipe(*parts),)

    def test_prefixes_look_at_tags_and_entities(self) -> None:
        assert _steps("tag:layer") == (Word(Kind.TAG, Glob(("layer",))),)
        assert _steps("entity:a") == (Word(Kind.ENTITY, Glob(("a",))),)
        assert _steps("reads:a*") == (Word(Kind.READS, Glob(("a", Wildcard.SEGMENT))),)
        assert _steps("writes:tag:x") == (Word(Kind.WRITES, Glob(("tag:x",))),)

    @pytest.mark.parametrize(
        ("text", "key", "value"),
        [
            ("tag:k=v", ("k",), ("v",)),
            ("tag:k=a=b", ("k",), ("a=b",)),
            ('tag:"k=x"=v', ("k=x",), ("v",)),
            ('tag:k"="=v', ("k=",), ("v",)),
            ('tag:k="a b"*', ("k",), ("a b", Wildcard.SEGMENT)),
            ('tag:k=""', ("k",), ()),
            ("tag:*=?", (Wildcard.SEGMENT,), (Wildcard.ONE,)),
        ],
    )
    def test_value_of_a_tag_begins_behind_the_first_unquoted_equals_sign(
        self, text: str, key: tuple[Any, ...], value: tuple[Any, ...]
    ) -> None:
        assert _steps(text) == (Word(Kind.TAG, Glob(key), Glob(value)),)


class TestOperators:
    @pytest.mark.parametrize(
        ("text", "steps"),
        [
            ("+a", (A, Around(None, 0))),
            ("a+", (A, Around(0, None))),
            ("+a+", (A, Around(None, None))),
            ("2+a", (A, Around(2, 0))),
            ("a+12", (A, Around(0, 12))),
            ("1+a+2", (A, Around(1, 2))),
            ("0+a+0", (A,)),
            ("0+a+1", (A, Around(0, 1))),
            ("@a", (A, Rebuild())),
            ("@(a+)", (A, Around(0, None), Rebuild())),
            ("1+(+a)", (A, Around(None, 0), Around(1, 0))),
            ("2+2x", (_pipe("2x"), Around(2, 0))),
            ("+2x", (_pipe("2x"), Around(None, 0))),
            ("2+2", (_pipe("2"), Around(2, 0))),
            ('"2"+2', (_pipe("2"), Around(0, 2))),
            ("999999999+a", (A, Around(999_999_999, 0))),
        ],
    )
    def test_graph_operators_follow_their_operand(self, text: str, steps: tuple[Any, ...]) -> None:
        assert _steps(text) == steps

    @pytest.mark.parametrize("text", ["a b", " a\tb\n", "(a) b", "a  (b)", "((a) (b))"])
    def test_spaces_unite(self, text: str) -> None:
        assert _steps(text) == (A, B, Combine(How.ANY, (False, False)))

    @pytest.mark.parametrize("text", ["a,b", "a , b", "(a),b", "( a,\n( b ) )"])
    def test_commas_intersect(self, text: str) -> None:
        assert _steps(text) == (A, B, Combine(How.ALL, (False, False)))

    def test_comma_binds_tighter_than_space(self) -> None:
        both = Combine(How.ALL, (False, False))
        assert _steps("a,b c") == (A, B, both, C, Combine(How.ANY, (False, False)))
        assert _steps("a b,c") == (A, B, C, both, Combine(How.ANY, (False, False)))

    def test_parentheses_group(self) -> None:
        either = Combine(How.ANY, (False, False))
        assert _steps("(a b),c") == (A, B, either, C, Combine(How.ALL, (False, False)))
        assert _steps("+(a b)+") == (A, B, either, Around(None, None))

    def test_exclamation_mark_negates_a_term(self) -> None:
        assert _steps("!a") == (A, Combine(How.ANY, (True,)))
        assert _steps("!+a b") == (A, Around(None, 0), B, Combine(How.ANY, (True, False)))
        assert _steps("a,!b") == (A, B, Combine(How.ALL, (False, True)))
        assert _steps("!(a b)") == (
            A,
            B,
            Combine(How.ANY, (False, False)),
            Combine(How.ANY, (True,)),
        )
        assert _steps("!(!a)") == (A, Combine(How.ANY, (True,)), Combine(How.ANY, (True,)))

    def test_hundred_parentheses_are_not_too_many(self) -> None:
        assert _steps("(" * 100 + "a" + ")" * 100 + " b") == _steps("a b")


class TestCanonicalText:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            (" ( a ),( !b )   2+c ", "a,(!b) 2+c"),
            ("((a,b)) (c d)", "a,b (c d)"),
            ("(a,b),c", "(a,b),c"),
            ("!(a,b) !(c)", "!(a,b) !c"),
            ("+(a)+ @(b+) !@a", "+a+ @(b+) !@a"),
            ("0+a+1 1+(1+a)", "a+1 1+(1+a)"),
            ('"a" "a b" "a*"*', 'a "a b" "a*"*'),
            (r'"\"" "\\ "', r'"\"" "\\ "'),
            ('2 "2"+ 2x+ +"12"', '"2" "2"+ 2x+ +"12"'),
            ('"tag:x" "tag:"* xtag:', '"tag:x" "tag:"* xtag:'),
            ('tag:"a=b"=c=d tag:k="" entity:"a=b"', 'tag:"a=b"=c=d tag:k="" entity:a=b'),
        ],
    )
    def test_text_is_written_in_its_shortest_form(self, text: str, canonical: str) -> None:
        assert str(parse_selector(text)) == canonical

    @given(pipe_ids())
    def test_every_id_can_be_selected_by_quoting_it(self, pipe_id: str) -> None:
        escaped = pipe_id.replace("\\", "\\\\").replace('"', '\\"')
        selector = parse_selector(f'"{escaped}"')
        assert selector.steps == (_pipe(pipe_id),)
        assert parse_selector(str(selector)) == selector

    @given(st.text(alphabet='ab1 ,()!+@"\\*?:=.', max_size=30) | st.text(max_size=20))
    def test_nothing_but_selectors_and_selection_errors_comes_out_of_any_text(
        self, text: str
    ) -> None:
        try:
            selector = parse_selector(text)
        except SelectionError:
            return
        assert parse_selector(str(selector)) == selector

    @given(
        st.lists(
            st.sampled_from(
                ["tag:", "entity:", "reads:", "writes:", *'kv=2+@!(), "\\*?.\n\u3000é']
            ),
            max_size=14,
        ).map("".join)
    )
    def test_canonical_text_of_what_can_be_read_gives_an_equal_selector(self, text: str) -> None:
        try:
            selector = parse_selector(text)
        except SelectionError:
            return
        canonical = str(selector)
        assert parse_selector(canonical) == selector
        assert str(parse_selector(canonical)) == canonical

    def test_selectors_are_values(self) -> None:
        assert parse_selector("a  b") == parse_selector("(a) b") != parse_selector("b a")
        assert hash(parse_selector("a  b")) == hash(parse_selector("(a) b"))
        assert parse_selector("a +b tag:k a").words() == (A, B, Word(Kind.TAG, Glob(("k",))))
        assert isinstance(parse_selector("a"), Selector)


class TestWrongTexts:
    @pytest.mark.parametrize("text", ["", " ", "\n\t"])
    def test_empty_text(self, text: str) -> None:
        assert _refusal(text) == f"the selector is empty: expected a word or '('\n  Fix: {A_WORD}"

    @pytest.mark.parametrize(
        ("text", "caret", "expected", "fix"),
        [
            ("a,", "  ^", "a word or '(' after ','", A_WORD),
            ("a , )", "    ^", "a word or '(' after ','", A_WORD),
            (",a", "^", "a word or '('", A_WORD),
            ("()", " ^", "a word or '(' after '('", A_WORD),
            ("( ", "  ^", "a word or '(' after '('", A_WORD),
            ("a ,,b", "   ^", "a word or '(' after ','", A_WORD),
            ("! a", " ^", "a word or '(' directly after '!'", A_WORD),
            ("+", " ^", "a word or '(' directly after '+'", A_WORD),
            ("!+,", "  ^", "a word or '(' directly after '!+'", A_WORD),
            (
                "!2+",
                "   ^",
                "a word or '(' directly after '!2+'",
                'write "2"+ if 2 is an id, not a number of levels.',
            ),
            ("a !!b", "   ^", "a word or '(' directly after '!'", OPERATORS),
            ("++a", " ^", "a word or '(' directly after '+'", OPERATORS),
            ("+@a", " ^", "a word or '(' directly after '+'", OPERATORS),
            ("@+a", " ^", "a word or '(' directly after '@'", OPERATORS),
            ("+!a", " ^", "a word or '(' directly after '+'", OPERATORS),
            ("@a+", "  ^", "a space, ',' or the end", OPERATORS),
            ("@2+a", "  ^", "a space, ',' or the end", OPERATORS),
            ("a++", "  ^", "a space, ',' or the end", OPERATORS),
            ("a+b", "  ^", "a space, ',' or the end", SEPARATE),
            ("a+1b", "   ^", "a space, ',' or the end", SEPARATE),
            ("a@b", " ^", "a space, ',' or the end", OPERATORS),
            ("a!b", " ^", "a space, ',' or the end", OPERATORS),
            ("a(b)", " ^", "a space, ',' or the end", SEPARATE),
            ("((a)b)", "    ^", "a space, ',' or ')'", SEPARATE),
            ("a b)", "   ^", "a '(' before this ')'", "remove it, or add the missing '('."),
            ("(a) (b (c)", "    ^", "a ')' for this '('", "add the missing ')'."),
            ('a "b c', "  ^", "a closing '\"' for this one", ESCAPE),
            ('"b\\"', "^", "a closing '\"' for this one", ESCAPE),
            ('"b\\', "^", "a closing '\"' for this one", ESCAPE),
            (r'"a\\\n"', "     ^", "'\"' or '\\' after the '\\'", ESCAPE),
            ("a+1234567890", "  ^", "at most 9 digits", "leave the number out to have all levels."),
            ("1234567890+a", "^", "at most 9 digits", "leave the number out to have all levels."),
            ('a ""', "   ^", "an id between the quotes", A_WORD),
            ("entity: b", "       ^", "an entity after 'entity:'", A_WORD),
            ('reads:""', "        ^", "an entity after 'reads:'", A_WORD),
            ("tag: b", "    ^", "a key after 'tag:'", A_WORD),
            ("a tag:=v", "      ^", "a key after 'tag:'", A_WORD),
            (
                "tag:k= v",
                "      ^",
                "a value after '='",
                'write tag:KEY where any value will do, tag:KEY="" for the empty text.',
            ),
        ],
    )
    def test_wrong_place_is_shown_with_what_belongs_there(
        self, text: str, caret: str, expected: str, fix: str
    ) -> None:
        assert _refusal(text) == (
            f"selector, column {len(caret)}: expected {expected}\n  {text}\n  {caret}\n  Fix: {fix}"
        )

    def test_too_many_parentheses(self) -> None:
        assert _refusal("(" * 101 + "a" + ")" * 101) == (
            "selector, column 101: expected at most 100 parentheses inside one another\n"
            f"  …{'(' * 37}a{')' * 34}…\n"
            f"   {' ' * 36}^\n"
            "  Fix: write it flatter: a comma binds tighter than a space, '!' tighter than both."
        )

    def test_what_is_wrong_inside_words_is_reported_at_once(self) -> None:
        text = '"a\\b" tag: c+1234567890 ('
        assert _refusal(text) == (
            "4 problems in the selection:\n"
            "1. selector, column 4: expected '\"' or '\\' after the '\\'\n"
            f"  {text}\n"
            "     ^\n"
            f"  Fix: {ESCAPE}\n"
            "2. selector, column 11: expected a key after 'tag:'\n"
            f"  {text}\n"
            "            ^\n"
            f"  Fix: {A_WORD}\n"
            "3. selector, column 14: expected at most 9 digits\n"
            f"  {text}\n"
            "               ^\n"
            "  Fix: leave the number out to have all levels.\n"
            "4. selector, column 26: expected a word or '(' after '('\n"
            f"  {text}\n"
            "                           ^\n"
            f"  Fix: {A_WORD}"
        )

    def test_caret_stands_below_its_character_whatever_the_others_are(self) -> None:
        assert _refusal("漢\n\x00e\u0301 b)") == (
            "selector, column 8: expected a '(' before this ')'\n"
            "  漢  e\u0301 b)\n"
            "         ^\n"
            "  Fix: remove it, or add the missing '('."
        )

    def test_long_text_is_shown_around_the_wrong_place(self) -> None:
        assert _refusal(f"{'x' * 50} {'y' * 50}) {'z' * 100}") == (
            "selector, column 102: expected a '(' before this ')'\n"
            f"  …{'y' * 36}) {'z' * 34}…\n"
            f"   {' ' * 36}^\n"
            "  Fix: remove it, or add the missing '('."
        )

    @pytest.mark.parametrize(
        "text",
        ["(" * 10**6, "+" * 10**6, '"' + "a\\\\" * 10**5, "1" * 10**6, '"' * 99_999, "!" * 10**6],
        ids=["parentheses", "plus", "open quote", "digits", "quotes", "exclamation marks"],
    )
    def test_huge_texts_are_read_or_refused(self, text: str) -> None:
        try:
            steps, complaint = _steps(text), ""
        except SelectionError as error:
            steps, complaint = (), str(error)
        assert len(steps) == 1 or "expected" in complaint
        assert len(complaint) < 400
