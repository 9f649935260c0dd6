"""The page of a plan: the same bytes for the same plan, no network, and nothing in it but data."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import ForecastError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from kindling_airflow.pipe_graph import PipeGraph, PipeNode
from kindling_airflow.plan_report import plan_page
from kindling_airflow.plan_report.page_data import page_data
from tests.builders import graph, plan
from tests.strategies import acyclic_pipes, json_tags, pipe_ids

ATTACKS = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]>",
    '"><svg onload=alert(1)>',
    "{{script}}",
    "&lt;/script&gt;",
    "\u2028\u2029\u202e",
]


class Seen(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and the texts in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts.append((*self.elements[-1], data))

    def text_of(self, tag: str, **attributes: str) -> str:
        return "".join(
            text
            for name, found, text in self.texts
            if name == tag and attributes.items() <= found.items()
        )


def data_of(page: str) -> dict[str, Any]:
    """Return the plan as the page's own script reads it."""
    found: dict[str, Any] = json.loads(Seen(page).text_of("script", id="plan"))
    return found


def shape(page: str) -> list[tuple[str, dict[str, str | None]]]:
    return Seen(page).elements


@st.composite
def hostile_plans(draw: st.DrawFn) -> ExecutionPlan:
    """Draw a plan whose ids, names, entities and tags may be anything."""
    registry = DataPipesRegistry()
    anything = (
        st.sampled_from(ATTACKS).map(str.strip).filter(bool)
        | pipe_ids()
        | st.text("</script>!-", min_size=1)
    )
    for pipe in draw(acyclic_pipes(anything, max_pipes=5)):
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            name=draw(anything),
            tags=draw(json_tags()),
        )
    strategy = draw(st.sampled_from(["batch", "streaming"]))
    return ExecutionPlanGenerator(registry).generate_plan(None, strategy)


class TestSafety:
    @given(hostile_plans(), st.sampled_from(ATTACKS) | st.text(max_size=9))
    def test_whatever_the_plan_says_the_page_has_the_same_elements(
        self, made: ExecutionPlan, title: str
    ) -> None:
        page = plan_page(made, title)
        assert shape(page) == shape(plan_page(plan("a"), "a"))
        pipes = data_of(page)["pipes"]
        assert [pipe["id"] for pipe in pipes] == list(made.pipe_ids)
        assert [pipe["tags"] for pipe in pipes] == [
            json.loads(json.dumps(made.graph.nodes[p].tags)) for p in made.pipe_ids
        ]

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_attacks_stay_text(self, attack: str) -> None:
        registry = DataPipesRegistry()
        pipe_id = f"x{attack}x"
        registry.register_pipe(pipe_id, output_entity_id=f"{pipe_id}.out", tags={attack: attack})
        made = ExecutionPlanGenerator(registry).generate_batch_plan()
        page = plan_page(made, attack)
        assert shape(page) == shape(plan_page(plan("a"), "a"))
        assert data_of(page)["pipes"][0]["id"] == pipe_id
        assert "<img" not in page
        assert page.encode("utf-8")

    def test_title_is_text_in_both_its_places(self) -> None:
        seen = Seen(plan_page(plan("a"), "</title><b>&"))
        assert seen.text_of("title") == seen.text_of("h1") == "</title><b>&"

    def test_page_knows_no_address(self) -> None:
        page = plan_page(plan("a -> b"))
        assert not re.search(r"https?:|//[a-z]|url\(|@import|fetch\(|XMLHttp|WebSocket", page)
        loading = {"src", "href", "action", "data", "poster", "srcset", "style"}
        assert not [tag for tag, found in shape(page) if loading & found.keys()]
        assert not [found for _, found in shape(page) if any(key[:2] == "on" for key in found)]

    def test_policy_allows_the_two_parts_of_the_page_and_nothing_else(self) -> None:
        page = plan_page(plan("a"))
        seen = Seen(page)
        [policy] = [found["content"] for _, found in seen.elements if "http-equiv" in found]
        style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
        script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]

        def named(text: str) -> str:
            return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

        assert policy == (
            f"default-src 'none'; style-src 'sha256-{named(style)}'; "
            f"script-src 'sha256-{named(script)}'; base-uri 'none'; form-action 'none'"
        )
        scripts = [found for tag, found in seen.elements if tag == "script"]
        assert scripts == [{"type": "application/json", "id": "plan"}, {}]

    def test_script_makes_no_markup_of_texts(self) -> None:
        script = Seen(plan_page(plan("a"))).texts[-1][2]
        assert "createElement" in script
        for way in ("innerHTML", "outerHTML", "insertAdjacent", ".write(", "eval(", "Function("):
            assert way not in script

    @pytest.mark.skipif(shutil.which("node") is None, reason="no node to read the script with")
    def test_script_is_sound(self, tmp_path: Path) -> None:
        script = tmp_path / "page.js"
        script.write_text(
            re.findall(r"<script>(.*?)</script>", plan_page(plan("a")), re.DOTALL)[0], "utf-8"
        )
        ran = subprocess.run(
            ["node", "--check", str(script)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr


class TestData:
    def test_everything_about_a_small_plan(self) -> None:
        made = plan("a -> b, [x] -> b", tags={"b": {"layer": "gold", "duration_hint": 2}})
        data = page_data(made, None)
        assert data["facts"] == (
            "strategy batch · 2 pipes in 2 generations · at most 1 at once · critical path 3 s"
        )
        assert data["digest"] == made.digest
        assert data["direction"] == "forward"
        assert (data["critical"], data["criticalTime"]) == ([0, 1], "3 s")
        assert data["edges"] == [[0, 1]]
        assert [band["count"] for band in data["bands"]] == [1, 1]
        b = data["pipes"][1]
        assert {key: b[key] for key in b if key not in ("x", "y", "width")} == {
            "id": "b",
            "label": "b",
            "name": "",
            "generation": 1,
            "tags": {"layer": "gold", "duration_hint": 2},
            "inputs": [["a.out", "pipe", 0], ["x", "external", -1]],
            "output": "b.out",
            "marks": [],
            "before": 0,
            "time": [["takes", "2 s"], ["can start after", "1 s"], ["slack", "none"]],
        }

    def test_figures_are_those_of_the_plan(self) -> None:
        figures = page_data(plan("a -> b, a -> c, [x] -> c"), None)["figures"]
        assert figures == [
            ["pipes", "3"],
            ["generations", "2"],
            ["at most at once", "2"],
            ["data edges", "2"],
            ["external inputs", "1"],
            ["shared inputs", "1"],
        ]

    def test_edge_that_skips_a_generation_has_a_route(self) -> None:
        data = page_data(plan("a -> b -> c, a -> c"), None)
        assert [len(edge) for edge in data["edges"]] == [2, 3, 2]

    def test_slack_is_told(self) -> None:
        data = page_data(plan("a, b"), {"a": 5})
        assert data["pipes"][1]["time"][2] == ["slack", "4 s"]

    def test_streaming_plan_has_no_times(self) -> None:
        data = page_data(plan("a -> b", "streaming"), None)
        assert (data["critical"], data["criticalTime"]) == ([], "")
        assert [pipe["time"] for pipe in data["pipes"]] == [[], []]
        assert [pipe["before"] for pipe in data["pipes"]] == [1, -1]
        assert "critical" not in data["facts"]

    def test_streams_of_a_hybrid_plan_are_marked(self) -> None:
        made = plan("s -> b", "hybrid", tags={"s": {"processing_mode": "streaming"}})
        assert [pipe["marks"] for pipe in page_data(made, None)["pipes"]] == [["stream"], []]

    def test_inputs_say_where_they_come_from(self) -> None:
        made = BatchExecutionStrategy().plan(graph("a -> b -> b"), ["b"])
        assert page_data(made, None)["pipes"][0]["inputs"] == [
            ["a.out", "'a', which is not in the plan", -1],
            ["b.out", "own", -1],
        ]

    def test_what_cannot_be_printed_is_shown_as_an_escape_sequence(self) -> None:
        registry = DataPipesRegistry()
        registry.register_pipe("a\nb", output_entity_id="a\x01b", name="\u202ex")
        made = ExecutionPlanGenerator(registry).generate_batch_plan()
        pipe = page_data(made, None)["pipes"][0]
        assert (pipe["id"], pipe["label"]) == ("a\nb", "a\\nb")
        assert (pipe["output"], pipe["name"]) == ("a\\x01b", "\\u202ex")

    def test_node_without_declaration_writes_nothing(self) -> None:
        nodes = PipeGraph({"a": PipeNode("a")})
        made = ExecutionPlan(("a",), (Generation(0, ("a",)),), nodes, "batch")
        pipe = page_data(made, None)["pipes"][0]
        assert (pipe["output"], pipe["tags"], pipe["name"]) == (None, {}, "")

    def test_metadata_is_told_in_short(self) -> None:
        base = plan("a")
        metadata = {"order": "forward", "n": [1, "é"], "many": [{"x": 1}] * 3, "long": "y" * 400}
        made = ExecutionPlan(base.pipe_ids, base.generations, base.graph, "batch", metadata)
        assert page_data(made, None)["metadata"] == [
            ["order", "forward"],
            ["n", '[1, "é"]'],
            ["many", "3 objects"],
            ["long", "y" * 160 + " ..."],
        ]

    def test_empty_plan_has_a_page(self) -> None:
        data = data_of(plan_page(plan("")))
        assert (data["pipes"], data["edges"], data["bands"]) == ([], [], [])

    def test_duration_without_sense_is_refused(self) -> None:
        with pytest.raises(ForecastError):
            plan_page(plan("a"), durations={"a": 0})


class TestSameness:
    def test_same_plan_same_page(self) -> None:
        made = plan("a -> b -> d, a -> c -> d")
        assert plan_page(made) == plan_page(ExecutionPlan.from_json(made.to_json()))

    def test_without_a_title_the_strategy_is_named(self) -> None:
        assert Seen(plan_page(plan("a", "streaming"))).text_of("h1") == (
            "Execution plan (streaming)"
        )

    def test_hash_seed_does_not_matter(self) -> None:
        program = (
            "import hashlib, json, sys\n"
            "from pathlib import Path\n"
            "from kindling_airflow import DataPipes, ExecutionPlanGenerator, plan_page\n"
            "from kindling_airflow.data_pipes import DataPipesRegistry\n"
            "pipes = DataPipesRegistry()\n"
            "for record in json.loads(Path(sys.argv[1]).read_text('utf-8')):\n"
            "    pipes.register_pipe(**record)\n"
            "page = plan_page(ExecutionPlanGenerator(pipes).generate_batch_plan())\n"
            "print(hashlib.sha256(page.encode()).hexdigest())\n"
        )
        records = Path(__file__).resolve().parent.parent / "graphs" / "lakehouse_677.json"
        said = {
            subprocess.run(
                [sys.executable, "-c", program, str(records)],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("0", "1", "4711")
        }
        assert len(said) == 1
