"""What YAML readers disagree about is kept as it is written, or refused with a remedy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.settings_file import read_settings
from kindling_airflow.definitions.yaml_file import located, read_definition_file
from kindling_airflow.definitions.yaml_scalars import Scalar
from kindling_airflow.errors import DefinitionError, SettingsError

# text: what YAML 1.1 reads (PyYAML), what YAML 1.2's core schema reads (by its tables, by hand)
READINGS: dict[str, tuple[Any, Any]] = {
    "010": (8, 10),
    "08": ("08", 8),
    "007": (7, 7),
    "0": (0, 0),
    "+12": (12, 12),
    "1_000": (1000, "1_000"),
    "0b11": (3, "0b11"),
    "0x10": (16, 16),
    "-0x10": (-16, "-0x10"),
    "0o17": ("0o17", 15),
    "12:30:00": (45000, "12:30:00"),
    "1:30.5": (90.5, "1:30.5"),
    "1.50": (1.5, 1.5),
    ".5": (0.5, 0.5),
    "1e3": ("1e3", 1000.0),
    "1.5e3": ("1.5e3", 1500.0),
    "1.5e+3": (1500.0, 1500.0),
    "1_0.5": (10.5, "1_0.5"),
    "-.inf": (-math.inf, -math.inf),
    "true": (True, True),
    "False": (False, False),
    "NO": (False, "NO"),
    "on": (True, "on"),
    "y": ("y", "y"),
    "2026-01-01": ("2026-01-01", "2026-01-01"),
}


def read(tmp_path: Path, text: str) -> tuple[Any, list[str]]:
    path = tmp_path / "x.kindling.yaml"
    path.write_text(text)
    found = read_definition_file(path, "x")
    return found.keys, [located("x", found.lines, problem) for problem in found.problems]


@pytest.mark.parametrize("text", READINGS)
def test_a_property_is_the_text_that_was_written(tmp_path: Path, text: str) -> None:
    place = f"{{a: {text}, b: &x [1], c: '{text}'}}"
    keys, problems = read(
        tmp_path, f"n: &n {text}\nspark: {{conf: {place}, env_vars: {{A: *n}}}}\n"
    )
    is_word = isinstance(READINGS[text][1], bool)
    assert keys["spark"]["conf"]["a"] == (READINGS[text][0] if is_word else text)
    assert keys["spark"]["env_vars"]["A"] == (READINGS[text][0] if is_word else text)
    assert keys["spark"]["conf"]["c"] == text
    assert all(not problem.startswith("x:2") for problem in problems)


@pytest.mark.parametrize("text", READINGS)
def test_a_value_is_what_every_reader_reads_or_refused(tmp_path: Path, text: str) -> None:
    old, new = READINGS[text]
    keys, problems = read(tmp_path, f"params: {{a: {text}}}\n")
    if type(old) is type(new) and old == new:
        assert problems == []
        assert keys["params"]["a"] == old
    else:
        assert len(problems) == 1
        assert problems[0].startswith(f"x:1: params.a: {text} is ")
        assert "Fix: put it in quotes" in problems[0]


def test_the_text_of_a_problem(tmp_path: Path) -> None:
    assert read(tmp_path, "width: 010\nparams: {land: NO}\n")[1] == [
        (
            "x:1: width: 010 is 8 to YAML 1.1 and 10 to YAML 1.2\n"
            "  Fix: put it in quotes if it is text, or write it plainly, as 8 or 10."
        ),
        (
            "x:2: params.land: NO is false to YAML 1.1 and text to YAML 1.2\n"
            "  Fix: put it in quotes if it is text, or write it plainly, as false."
        ),
    ]


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "on_failure_callback: {kwargs: {password: 0123456}}\n")[1]
    assert "0123456" not in problem
    assert "quotes" in problem


def test_nan_is_nan_to_both() -> None:
    assert Scalar(math.nan, ".NaN").is_clear
    assert not Scalar("x", ".NaN").is_clear


@pytest.mark.parametrize("word", ["yes", "NO", "on", "Off"])
def test_a_key_of_true_or_false_takes_the_old_words(tmp_path: Path, word: str) -> None:
    text = f"catchup: {word}\nparams: {{full: {{type: boolean, default: {word}}}}}\n"
    keys, problems = read(tmp_path, text)
    assert problems == []
    assert keys["catchup"] is keys["params"]["full"]["default"] is (word in ("yes", "on"))


def test_a_parameter_of_type_string_is_text(tmp_path: Path) -> None:
    text = "params: {zip: {type: string, default: 01234, enum: [01234, 1.50], maxLength: 5}}\n"
    keys, problems = read(tmp_path, text)
    assert problems == []
    assert keys["params"]["zip"] == {
        "type": "string",
        "default": "01234",
        "enum": ["01234", "1.50"],
        "maxLength": 5,
    }


def test_merged_keys_and_overrides_keep_their_text(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    path = tmp_path / "d.kindling.yaml"
    path.write_text(
        "dag_id: d\nproject: p\n"
        "spark: {conf: &base {a: 010, b: 1.50, c: yes, d: true, e: ~}}\n"
        "overrides: {x: {spark: {conf: {<<: *base, f: 12:30:00}}}}\n"
    )
    definition = Definition.from_file(path)
    base = {"a": "010", "b": "1.50", "c": "yes", "d": "true"}
    assert dict(definition.spark["conf"]) == base
    conf = definition.overrides["x"]["spark"]["conf"]
    assert dict(conf) == {**base, "d": True, "e": None, "f": "12:30:00"}
    path.write_text("dag_id: d\nproject: p\nwidth: 010\n")
    with pytest.raises(DefinitionError, match=r"010 is 8 to YAML 1\.1 and 10 to YAML 1\.2"):
        Definition.from_file(path)


def test_layers_of_settings_alike(tmp_path: Path) -> None:
    path = tmp_path / "prod.yaml"
    path.write_text("entities: {raw: {tags: {provider.option.sep: 010, provider.header: on}}}\n")
    with pytest.raises(SettingsError, match=r"provider\.header: on is true to YAML 1\.1"):
        read_settings(None, [path])
    path.write_text("entities: {raw: {tags: {provider.option.sep: 010, provider.n: 1.5}}}\n")
    (layer,) = read_settings(None, [path])
    assert dict(layer.entities["raw"]["tags"]) == {"provider.option.sep": "010", "provider.n": 1.5}


def test_aliases_of_aliases_are_not_followed_for_ever(tmp_path: Path) -> None:
    lists = "\n".join(
        f"a{n}: &a{n} {'[' * 15}{f'*a{n - 1}' if n else 1}{']' * 15}" for n in range(60)
    )
    problems = read(tmp_path, f"{lists}\n")[1]
    assert problems
    assert all("nested deeper than 20 levels" in problem for problem in problems)
