"""What the pages name is there: tags, commands with their options, tasks, settings, keys."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from kindling_airflow.cli.command_table import COMMANDS
from kindling_airflow.provider_info import get_provider_info
from kindling_airflow.tags.storage_types import STORAGE_TYPES
from kindling_airflow.translator.task_ids import OUTCOME_ID
from tests.docs.pages import DOCS, ROOT, generator, name

# The changelog speaks of what was; decisions speak of what was decided against.
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "adr" not in p.parts)]
PACKAGE = ROOT / "kindling_airflow"

_TAG = re.compile(
    r"(?<![\w.\-/])(?:provider|stream|interval|quality|retry)\.[a-z_]+(?:\.[A-Za-z_]+)?(?![\w(])"
)
_CALL = re.compile(r"(?:kindling-airflow|airflow kindling) +(?P<words>[^`\n|;&>)]*)")
_TASK = re.compile(r"[Tt]ask,? `(?P<id>[\w.]+)`")
_OPTION = re.compile(r"(?<![\w\-])--[a-z][a-z\-]*")


def literals() -> set[str]:
    """Return every text of the package's code that is no docstring."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        strings = [
            node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ]
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value not in strings
        }
    return found


def known_tags() -> set[str]:
    found = {text for text in literals() if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+\.?", text)}
    for kind in STORAGE_TYPES.values():
        found |= set(kind.tags)
    return found


TAGS = known_tags()
REFUSED = {"quality.tier"}  # what tags.md names as refused
WILD = ("provider.option.", "stream.option.", "interval.read.")  # behind these comes a name


def is_known(tag: str) -> bool:
    return tag in TAGS | REFUSED or tag.startswith(WILD) or f"{tag}." in WILD


def test_the_tags_of_the_code_are_found() -> None:
    for tag in ("provider.path", "provider.connection", "interval.column", "retry.attempts"):
        assert tag in TAGS
    assert not is_known("provider.conn_id")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_tag_that_a_page_names_is_one(page: Path) -> None:
    code = re.findall(r"`([^`\n]+)`|^\s+(.*)$", page.read_text("utf-8"), re.MULTILINE)
    text = "\n".join(part for pair in code for part in pair)
    unknown = {tag for tag in _TAG.findall(text) if not is_known(tag)}
    modules = {tag for tag in unknown if (PACKAGE / tag.replace(".", "/")).parent.is_dir()}
    assert sorted(unknown - modules) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_and_option_that_a_page_names_is_there(page: Path) -> None:
    commands = {command.name: command for command in COMMANDS}
    wrong = []
    for found in _CALL.finditer(page.read_text("utf-8")):
        words = found["words"].split()
        if not words or not re.fullmatch(r"[a-z\-]+", words[0]):
            continue
        command = commands.get(words[0])
        if words[0] == "--version" or (command is None and words[0].startswith("--")):
            known = {"--version", "--help"}
        elif command is None:
            wrong.append(found[0])
            continue
        else:
            known = {flag for argument in command.arguments for flag in argument.flags}
        wrong += [f"{found[0]}: {o}" for o in _OPTION.findall(found["words"]) if o not in known]
    prose = r"^(kindling-airflow|airflow kindling) (is|has|and|run of|COMMAND)\b"
    assert [text for text in wrong if not re.match(prose, text)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_task_that_a_page_names_is_made(page: Path) -> None:
    ours = re.compile(rf"{OUTCOME_ID}|generation_\d+_done|ready_\d+|stop_streams")
    text = page.read_text("utf-8")
    named = {found["id"] for found in _TASK.finditer(text)}
    alike = {one for one in named if re.search(r"outcome|_done|ready|stop", one)}
    assert [one for one in sorted(alike) if not ours.fullmatch(one)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_setting_of_airflow_that_a_page_names_is_one(page: Path) -> None:
    options = get_provider_info()["config"]["kindling"]["options"]
    text = page.read_text("utf-8")
    named = set(re.findall(r"\[kindling\] ([a-z_]+)", text))
    named |= {found.lower() for found in re.findall(r"AIRFLOW__KINDLING__([A-Z_]+)", text)}
    assert sorted(named - set(options)) == []


def test_operators_of_the_metadata_are_all_that_there_are() -> None:
    (entry,) = get_provider_info()["operators"]
    made = [
        f"kindling_airflow.operators.{path.stem}"
        for path in sorted((PACKAGE / "operators").glob("*.py"))
        if re.search(r"^class \w+Operator\(", path.read_text("utf-8"), re.MULTILINE)
    ]
    shown = set(made) - {"kindling_airflow.operators.driver.submitting"}  # what pipe.py builds on
    assert entry["python-modules"] == sorted(shown)


def test_the_formats_of_jars_are_all_named() -> None:
    from kindling_airflow.deployment.jars import FORMATS

    (command,) = [command for command in COMMANDS if command.name == "jars"]
    (formats,) = [a for a in command.arguments if a.flags == ("formats",)]
    assert all(name in formats.options["help"] for name in FORMATS)
    assert all(name in command.help.lower() for name in FORMATS)


def test_a_run_has_what_the_definition_page_says_and_nothing_else() -> None:
    from dataclasses import fields

    from kindling_airflow.runner.pipe.run_context import RunContext

    page = (DOCS / "definition.md").read_text("utf-8")
    table = page.partition("## The interval in a pipe")[2].partition("## Errors")[0]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    own = {item.name for item in fields(RunContext)} | {
        key for key, value in vars(RunContext).items() if isinstance(value, property)
    }
    assert named == {key for key in own if not key.startswith("_")}


def test_the_supported_versions_are_the_locked_ones() -> None:
    page = (DOCS / "supported-versions.md").read_text("utf-8")
    assert generator().versions_block() in page
    for package, file in (
        ("apache-airflow", "requirements.lock"),
        ("sqlglot", "requirements.lock"),
    ):
        locked = re.findall(rf"^{package}==(\S+)", (ROOT / file).read_text("utf-8"), re.MULTILINE)
        assert f"`{package}`" in page
        assert locked[-1] in page


def test_delta_page_names_every_jar() -> None:
    from kindling_airflow.deployment.jars import FORMATS

    page = (DOCS / "how-to" / "delta-and-iceberg.md").read_text("utf-8")
    jars = [jar.file_name for kind in ("delta", "iceberg") for jar in FORMATS[kind]["4.1"]]
    assert [jar for jar in jars if jar not in page] == []
