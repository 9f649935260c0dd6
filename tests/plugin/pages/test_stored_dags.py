"""What is read from a DAG that Airflow has stored is the plan that it was compiled from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.plan_report import durations_of
from kindling_airflow.run_view.stored_plan import StoredPlan, stored_plan
from tests.plugin.pages.world import CLICKS, GRAPH, HOSTILE, SHOP, pipe, write_project

ROOT = Path(__file__).parents[3]


def compiled(file: Path) -> Compiled:
    return compile_definition(Definition.from_file(file))


def stored(made: Compiled) -> StoredPlan:
    from airflow.serialization.serialized_objects import DagSerialization

    text = json.dumps(DagSerialization.to_dict(build_dag(made)))
    found = stored_plan(json.loads(text))
    assert found is not None
    return found


def project(folder: Path, name: str, pipes: list[dict[str, object]], more: str = "") -> Compiled:
    write_project(folder, name, pipes, more)
    return compiled(folder / f"{name}.kindling.yaml")


def assert_same(made: Compiled) -> None:
    found, plan = stored(made), made.plan
    assert [set(g) for g in found.plan.generations] == [set(g) for g in plan.generations]
    edges = {(e.from_pipe, e.to_pipe) for e in plan.graph.edges}
    assert {(e.from_pipe, e.to_pipe) for e in found.plan.graph.edges} == edges
    external = set(plan.graph.external_entities())
    assert set(found.plan.graph.external_entities()) == external
    for name in plan.pipe_ids:
        node, again = plan.graph.nodes[name], found.plan.graph.nodes[name]
        assert (again.input_entities, again.output_entity) == (
            node.input_entities,
            node.output_entity,
        )


def test_a_batch_plan_comes_back_with_its_durations() -> None:
    made = compiled(ROOT / "dags" / "flights.kindling.yaml")
    assert_same(made)
    assert stored(made).durations == durations_of(made.plan)


def test_a_plan_of_1211_pipes_comes_back(tmp_path: Path) -> None:
    assert_same(project(tmp_path, "large", json.loads(GRAPH.read_text("utf-8"))))


@pytest.mark.parametrize("strategy", ["streaming", "hybrid"])
def test_streams_come_back_in_their_order(tmp_path: Path, strategy: str) -> None:
    pipes = CLICKS[:2] if strategy == "streaming" else CLICKS
    made = project(tmp_path, "clicks", pipes, f"strategy: {strategy}\nwidth: 3")
    assert_same(made)
    assert stored(made).plan.direction() == made.plan.direction()


@pytest.mark.parametrize(
    "more", ["barrier: generation", "group_by: tag:layer", "on_error: continue", "assets: true"]
)
def test_a_plan_comes_back_whatever_its_dag_looks_like(tmp_path: Path, more: str) -> None:
    layered = [{**one, "tags": {"layer": one["pipeid"][0]}} for one in SHOP]
    write_project(tmp_path, "shop", layered, "width: 2")
    file = tmp_path / "shop.kindling.yaml"
    key = more.partition(":")[0]
    lines = [line for line in file.read_text().splitlines() if not line.startswith(key)]
    file.write_text("\n".join([*lines, more]) + "\n")
    assert_same(compiled(file))


def test_hostile_ids_come_back(tmp_path: Path) -> None:
    names = [HOSTILE, "a`b", "two\nlines", "x_x41_y", "generation_0", "reads a; writes b."]
    pipes = [pipe(name, ["raw"]) for name in names]
    found = stored(project(tmp_path, "strange", pipes))
    assert list(found.pipes) == names
