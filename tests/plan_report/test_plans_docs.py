"""The page about reading plans is true: its examples, its drawing, and the fields that it lists."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

from kindling_airflow.plan_report import diff, explain, forecast, plan_mermaid
from tests.builders import plan

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "plans.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_examples_and_drawing_are_what_the_page_shows() -> None:
    names: dict[str, Any] = {}
    code = "\n".join(_blocks("python"))
    test = doctest.DocTestParser().get_doctest(code, names, "plans.md", "docs/plans.md", 0)
    assert len(test.examples) == 14
    failed = doctest.DocTestRunner().run(test, clear_globs=False).failed
    assert failed == 0
    [drawing] = _blocks("mermaid")
    assert drawing == plan_mermaid(test.globs["plan"]) + "\n"


def test_fields_are_those_of_the_documents() -> None:
    made = plan("a -> b")
    for document in (
        explain(made, "b").to_json(),
        forecast(made).to_json(),
        diff(made, made).to_json(),
    ):
        said = re.search(rf"`to_json\(\)` has[^#]*`{next(iter(document))}`[^#]*", PAGE)
        assert said is not None
        assert set(document) <= set(re.findall("`([^`]+)`", said[0]))
