"""The reference of the grammar is true: every row of its tables, and every example."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder
from kindling_airflow.selection import select

PAGE = (Path(__file__).parents[2] / "docs" / "selection.md").read_text("utf-8")

PIPES = {
    "bronze.orders": (["erp.orders"], {"layer": "bronze", "owner": "jane"}),
    "bronze.items": ([], {"layer": "bronze", "owner": ["jane", "jo"]}),
    "bronze.fx": (["erp.fx"], {"layer": "bronze", "priority": 5}),
    "silver.orders": (["bronze.orders", "bronze.items"], {"layer": "silver", "owner": "jo"}),
    "silver.fx": (["bronze.fx"], {"layer": "silver"}),
    "gold.sales": (["silver.orders"], {"layer": "gold", "pii": True}),
    "gold.tmp.check": (["silver.orders"], {"layer": "gold"}),
    "gold.rates": (["silver.fx"], {"layer": "gold"}),
    "2024 audit": (["silver.fx", "erp.orders"], {}),
}


def _drawn() -> PipeGraph:
    registry = DataPipesRegistry()
    for pipe_id, (inputs, tags) in PIPES.items():
        registry.register_pipe(
            pipe_id, input_entity_ids=inputs, output_entity_id=pipe_id, tags=tags
        )
    return PipeGraphBuilder(registry).build_graph()


def _tables() -> list[tuple[list[str], list[list[str]]]]:
    """Return the heads and rows of the page's tables."""
    tables = []
    for text in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        head, _, *rows = (re.split(r"\s*\|\s*", line.strip("| ")) for line in text.splitlines())
        tables.append((head, rows))
    return tables


def _codes(cell: str) -> tuple[str, ...]:
    return tuple(re.findall("`([^`]+)`", cell))


EXAMPLES = [
    (_codes(row[-2])[0], _codes(row[-1]))
    for head, rows in _tables()
    for row in rows
    if head[-1] == "result"
]


def test_every_table_of_results_is_found() -> None:
    assert len([head for head, _ in _tables() if head[-1] == "result"]) == 7
    assert len(EXAMPLES) == 35


@pytest.mark.parametrize(("selector", "result"), EXAMPLES)
def test_selector_chooses_what_the_table_says(selector: str, result: tuple[str, ...]) -> None:
    assert select(_drawn(), selector) == result


def test_table_of_pipes_is_the_graph() -> None:
    head, rows = next(table for table in _tables() if table[0][0] == "pipe")
    assert head == ["pipe", "reads", "tags"]
    shown = {_codes(row[0])[0]: (_codes(row[1]), row[2:]) for row in rows}
    assert list(shown) == list(PIPES)
    for pipe_id, (inputs, tags) in PIPES.items():
        said = str(tags).replace("'", "").replace("True", "true").strip("{}")
        assert shown[pipe_id][0] == tuple(inputs)
        assert ", ".join(_codes("".join(shown[pipe_id][1]))) == said


def test_examples_give_what_the_page_shows() -> None:
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(
        code, {"graph": _drawn()}, "selection.md", "docs/selection.md", 0
    )
    assert len(test.examples) == 9
    runner = doctest.DocTestRunner()
    assert runner.run(test).failed == 0
