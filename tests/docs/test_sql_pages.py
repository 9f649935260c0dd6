"""What the page about pipes in SQL says, done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DeclarationError
from kindling_airflow.manifest.harvest import harvest
from tests.docs.pages import DOCS, blocks

PAGE = DOCS / "how-to" / "sql-pipes.md"


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A copy of the page's folder."""
    ignored = shutil.ignore_patterns("*.manifest.json", "__pycache__")
    source = DOCS / "examples" / "sql_pipes" / "dags"
    return Path(shutil.copytree(source, tmp_path / "dags", ignore=ignored))


def test_the_example_compiles_with_inputs_from_its_queries(dags: Path) -> None:
    plan = compile_definition(Definition.from_file(dags / "shop.kindling.yaml")).plan
    assert {p: n.input_entities for p, n in plan.graph.nodes.items()} == {
        "silver.orders": ("raw.orders",),
        "gold.revenue": ("silver.orders",),
    }
    declared = plan.graph.nodes["silver.orders"].metadata
    assert declared is not None
    assert declared.sql_parameters == ("country", "interval_end", "interval_start")


def test_explain_prints_the_query(dags: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(dags / "shop.kindling.yaml"), "silver.orders"]) == 0
    printed = capsys.readouterr().out
    query = (dags / "shop" / "sql" / "orders.sql").read_text().rstrip()
    shown = "\n".join(f"  {line}" for line in query.splitlines())
    assert printed.endswith(f"Query (sql/orders.sql):\n{shown}\n")


def test_the_error_of_the_page_is_the_one_that_comes(dags: Path) -> None:
    file = dags / "shop" / "sql" / "orders.sql"
    file.write_text(file.read_text().replace("raw_orders", "raw_ordres"))
    with pytest.raises(DeclarationError) as refused:
        harvest(dags / "shop")
    shown = [text.strip() for text in blocks(PAGE, "text")]
    assert [problem for problem in refused.value.problems if problem in shown]
