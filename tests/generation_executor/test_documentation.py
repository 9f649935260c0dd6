"""docs/execution.md: its examples do what they show, its tables are complete."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import pytest

from kindling_airflow.generation_executor import (
    ErrorStrategy,
    GenerationExecutor,
    PipeStatus,
    signals,
)
from kindling_airflow.generation_executor.options import StreamingOptions
from kindling_airflow.generation_executor.signals import PAYLOADS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "execution.md"
TEXT = PAGE.read_text("utf-8")


def table(first_column: str) -> dict[str, list[str]]:
    """Return the rows of the table with this header: the words in code style, by the first one."""
    header = re.search(rf"^\| {re.escape(first_column)} \|.*\n\|---.*\n", TEXT, re.MULTILINE)
    assert header is not None
    rows = {}
    for line in TEXT[header.end() :].partition("\n\n")[0].splitlines():
        cells = line.strip("|").split(" | ")
        rows[cells[0].strip(" `")] = re.findall(r"`(\w+)`", cells[-1])
    return rows


@pytest.fixture
def _no_receivers_left() -> Iterator[None]:
    yield
    signals.pipe_failed._clear_state()


@pytest.mark.usefixtures("_no_receivers_left")
def test_the_examples_do_what_they_show() -> None:
    code = "\n".join(re.findall(r"^```python\n(>>> .*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(code, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 15
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=told.append)
    assert not told, "".join(told)


def test_the_signals_are_those_of_the_code_with_their_arguments() -> None:
    assert {name: tuple(words) for name, words in table("signal").items()} == dict(PAYLOADS)


def test_the_options_are_those_of_the_call() -> None:
    taken = list(signature(GenerationExecutor.execute).parameters)[2:]
    assert list(table("argument of `execute`, `execute_batch`")) == taken


def test_the_streaming_options_are_those_of_the_code() -> None:
    assert list(table("`streaming_options`")) == list(StreamingOptions.__dataclass_fields__)


def test_the_error_strategies_and_statuses_are_those_of_the_code() -> None:
    assert set(table("`error_strategy`")) == {strategy.value for strategy in ErrorStrategy}
    assert set(table("status")) == {status.value for status in PipeStatus}
