"""Reading definition files: YAML without its traps, and nothing that hangs or crashes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase

import pytest
import yaml

from kindling_airflow.definitions import yaml_file
from kindling_airflow.definitions.yaml_file import DefinitionFile, located, read_definition_file
from kindling_airflow.errors import DefinitionError

LOOK = "\n  Fix: look at this line and the one before."
KEEP = "\n  Fix: keep one of them."
SYNTAX = "\n  Fix: look at this line and the one before; quote what starts with '*' or '@'."


class _PurePython(yaml.SafeLoader):
    """What is used where PyYAML came without libyaml."""


_PurePython.yaml_implicit_resolvers = yaml_file._Loader.yaml_implicit_resolvers


@pytest.fixture(params=["as installed", "pure Python"])
def _either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure Python":
        monkeypatch.setattr(yaml_file, "_Loader", _PurePython)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.yaml"


def read(file: Path, text: str | bytes) -> DefinitionFile:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_definition_file(file, "x.yaml")


def error(file: Path, text: str | bytes) -> str:
    with pytest.raises(DefinitionError) as caught:
        read(file, text)
    return str(caught.value)


def problems(file: Path, text: str) -> list[str]:
    found = read(file, text)
    return [located(found.source, found.lines, problem) for problem in found.problems]


pytestmark = pytest.mark.usefixtures("_either_parser")


def test_values_are_what_yaml_says_except_that_dates_stay_text(file: Path) -> None:
    text = """\
text: shop
quoted: "5"
number: 5
fraction: 0.5
yes: yes
nothing: ~
date: 2026-01-31
moment: 2026-01-31T06:00:00Z
list: [a, {b: c}]
empty: {map: {}, list: []}
merge: "<<"
equals: =
forced: !!str 5
bare: ! 5
"""
    assert read(file, text).keys == {
        "text": "shop",
        "quoted": "5",
        "number": 5,
        "fraction": 0.5,
        "yes": True,
        "nothing": None,
        "date": "2026-01-31",
        "moment": "2026-01-31T06:00:00Z",
        "list": ["a", {"b": "c"}],
        "empty": {"map": {}, "list": []},
        "merge": "<<",
        "equals": "=",
        "forced": "5",
        "bare": "5",
    }


def test_every_key_and_item_has_its_line(file: Path) -> None:
    text = """\
# a comment
dag_id: x

project:
  path: shop
  modules:
    - a
    - [b,
       c]
"""
    assert read(file, text).lines == {
        ("dag_id",): 2,
        ("project",): 4,
        ("project", "path"): 5,
        ("project", "modules"): 6,
        ("project", "modules", 0): 7,
        ("project", "modules", 1): 8,
        ("project", "modules", 1, 0): 8,
        ("project", "modules", 1, 1): 9,
    }


def test_aliases_and_merges_work(file: Path) -> None:
    text = """\
base: &base {a: 1, b: 2}
other: &other {b: 3, c: 4}
again: *base
merged:
  b: 0
  <<: [*base, *other]
one: {<<: *other, d: 5}
"""
    found = read(file, text)
    assert found.keys["again"] == {"a": 1, "b": 2}
    assert found.keys["merged"] == {"a": 1, "b": 0, "c": 4}
    assert found.keys["one"] == {"b": 3, "c": 4, "d": 5}
    assert found.problems == ()


def test_a_key_that_is_given_twice_is_no_silent_merge(file: Path) -> None:
    text = """\
dag_id: x
width: 1
spark:
  conf: {a: 1, a: 1}
width: 2
"""
    assert problems(file, text) == [
        "x.yaml:4: spark.conf.a: duplicate key, first set in line 4" + KEEP,
        "x.yaml:5: width: duplicate key, first set in line 2" + KEEP,
    ]


def test_the_same_key_in_two_places_is_fine(file: Path) -> None:
    assert problems(file, "a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 1}]\nx: 1\n") == []


def test_a_merge_of_what_is_no_mapping(file: Path) -> None:
    assert problems(file, "a:\n  <<: [1]\n") == [
        (
            "x.yaml:2: a.<<: '<<' merges a value that is not a mapping\n"
            "  Fix: write '<<: *name' of a mapping."
        )
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c\n", ":1: not valid YAML: mapping values are not allowed"),
        ("a: 1\nb: [1, 2\n", ":3: not valid YAML: "),
        ("a: 1\nschedule: @daily\n", ":2: not valid YAML: found character"),
        ("a: 1\nschedule: * * * * *\n", ":2: not valid YAML: "),
        ("a: 1\n\tb: 2\n", ":2: not valid YAML: found "),
        ('a: "open\n', ":2: not valid YAML: found unexpected end of stream"),
    ],
)
def test_text_that_is_no_yaml_has_the_line(file: Path, text: str, said: str) -> None:
    found = error(file, text)
    assert found.startswith(f"x.yaml{said}")
    assert found.endswith(SYNTAX)
    assert found.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "and this file is empty"),
        ("# only a comment\n", "and this file is empty"),
        ("~\n", "and this file is empty"),
        ("- dag_id: x\n", "not list"),
        ("flights\n", "not str"),
        ("5\n", "not int"),
    ],
)
def test_text_that_is_no_mapping(file: Path, text: str, found: str) -> None:
    assert error(file, text) == (
        f"x.yaml: a definition is a mapping of keys, {found}\n"
        "  Fix: start with 'dag_id: ...' and 'project: ...'."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: \0\n", ":2: the character '\\x00' is not allowed in YAML\n  Fix: remove it."),
        (
            "a: 1\n\n\x1b: 2\n",
            ":3: the character '\\x1b' is not allowed in YAML\n  Fix: remove it.",
        ),
        (
            "a: 1\n---\nb: 2\n",
            ":2: a second document starts here\n  Fix: one file, one definition.",
        ),
        ("a: 1\n? [b]\n: 2\n", f":2: a key must be plain text{LOOK}"),
        ("a: 1\n? {b: c}\n: 2\n", f":2: a key must be plain text{LOOK}"),
        ("a: &a b\n*a : 2\n", f":2: a key must be plain text{LOOK}"),
        ("a: 1\nb: *a\n", f":2: the alias '*a' is not defined before this line{LOOK}"),
        ("a: &a\n  b: *a\n", f":2: the alias '*a' is not defined before this line{LOOK}"),
        (
            "a: 1\nb: !!python/object/apply:os.abort []\n",
            (
                ":2: the tag 'tag:yaml.org,2002:python/object/apply:os.abort' is not allowed "
                f"here{LOOK}"
            ),
        ),
        ("a: !!set {b}\n", f":1: the tag 'tag:yaml.org,2002:set' is not allowed here{LOOK}"),
        ("a: !!bool maybe\n", f":1: the tag 'tag:yaml.org,2002:bool' is not allowed here{LOOK}"),
        ("a: !own b\n", f":1: the tag '!own' is not allowed here{LOOK}"),
        (
            f"a: {'9' * 5000}\n",
            ":1: this number cannot be read\n  Fix: put it in quotes if it is text.",
        ),
        ("a: 0b_\n", ":1: this number cannot be read\n  Fix: put it in quotes if it is text."),
    ],
)
def test_yaml_that_has_no_place_in_a_definition(file: Path, text: str, said: str) -> None:
    assert error(file, text) == f"x.yaml{said}"


def test_bytes_that_are_no_utf_8(file: Path) -> None:
    assert error(file, "a: 1\nb: ä\n".encode("latin-1")) == (
        "x.yaml:2: not UTF-8 text\n  Fix: save the file as UTF-8."
    )


def test_a_byte_order_mark_is_no_part_of_the_first_key(file: Path) -> None:
    assert read(file, "a: ä\n".encode("utf-8-sig")).keys == {"a": "ä"}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_definition_file(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: cannot be read: Is a directory\n  Fix: correct the path or its rights."
    )
    with pytest.raises(DefinitionError) as caught:
        read_definition_file(tmp_path / "x.yaml", "x.yaml")
    assert str(caught.value) == (
        "x.yaml: cannot be read: No such file or directory\n  Fix: correct the path or its rights."
    )


DEEP = f"nested deeper than 20 levels{LOOK}"
WIDE = "more than 100000 values, aliases counted in full\n  Fix: shorten the file."


def laughs(template: str) -> str:
    """Return ten levels, each ten times the one before."""
    lines = ["a: &a {lol: 1}"]
    lines += [
        f"{name}: &{name} " + template.format(", ".join([f"*{before}"] * 10))
        for before, name in pairwise(ascii_lowercase[:10])
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 10_000 + "]" * 10_000, f":1: {DEEP}"),
        ("a: " + "[" * 10_000, f":1: {DEEP}"),
        ("a: " + "{b: " * 10_000 + "1" + "}" * 10_000, f":1: {DEEP}"),
        ("\n".join(f"{' ' * n}a:" for n in range(1_000)), f":21: {DEEP}"),
        ("a:\n- " + "- " * 10_000 + "b", f":2: {DEEP}"),
        (laughs("[{}]"), f":6: {WIDE}"),
        (laughs("{{<<: [{}]}}"), f":6: {WIDE}"),
        ("a: [" + "1," * 100_001 + "]", f":1: {WIDE}"),
    ],
    ids=["lists", "no end", "mappings", "indented", "dashes", "aliases", "merged", "many values"],
)
def test_a_file_without_end_is_refused_early(file: Path, text: str, said: str) -> None:
    assert error(file, text) == f"x.yaml{said}"


def test_what_is_large_but_sane_is_read(file: Path) -> None:
    text = "base: &a [x, y, z]\nmany: [" + "*a, " * 1_000 + "]\nlong: " + "x" * 1_000_000 + "\n"
    assert len(read(file, text).keys["many"]) == 1_000
