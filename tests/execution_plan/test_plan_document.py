"""A plan as JSON: nothing is lost on the way there and back, and wrong documents are refused."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.immutable import FrozenDict, digest_of
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest import Manifest
from kindling_airflow.pipe_graph import PipeGraph, PipeNode
from tests.builders import plan
from tests.strategies import acyclic_pipes, json_tags, pipe_ids

CHAIN = "[raw] -> a -> b -> c"


def _document(**changes: Any) -> dict[str, Any]:
    """Return the document of a plan with changes, and without the digest that they belie."""
    document: dict[str, Any] = json.loads(json.dumps(plan(CHAIN).to_json()))
    del document["digest"]
    return {**document, **changes}


def _refusal(document: Any) -> str:
    with pytest.raises(PlanValidationError) as refused:
        ExecutionPlan.from_json(document)
    return str(refused.value)


class TestRoundTrip:
    def test_plan_is_read_back_whole(self) -> None:
        made = plan(CHAIN, "streaming", tags={"b": {"layer": "gold", "duration_hint": 3}})
        restored = ExecutionPlan.from_json(json.loads(json.dumps(made.to_json())))
        assert restored == made
        assert restored.digest == made.digest
        assert restored.to_json() == made.to_json()
        assert restored.graph.nodes["b"].tags == {"layer": "gold", "duration_hint": 3}
        assert restored.graph.topological_order == made.graph.topological_order
        assert restored.graph.adjacency == made.graph.adjacency
        assert restored.graph.entity_consumers == made.graph.entity_consumers
        assert restored.find_pipe_generation("c") == 0
        assert restored.validate()

    def test_declarations_keep_everything_but_their_functions(self) -> None:
        registry = DataPipesRegistry()
        registry.register_pipe(
            "a",
            execute=lambda x: x,
            name="The first",
            input_entity_ids=["x"],
            output_entity_id="y",
            output_type="delta",
            use_watermark=True,
            driving_entity_ids=["x"],
        )
        made = ExecutionPlanGenerator(registry).generate_batch_plan()
        node = ExecutionPlan.from_json(made.to_json()).graph.nodes["a"]
        declared = registry.get_pipe_definition("a")
        assert node.metadata is not None
        assert node.metadata.execute is None
        for name in ("name", "output_type", "use_watermark", "driving_entity_ids"):
            assert getattr(node.metadata, name) == getattr(declared, name)

    def test_tags_of_the_entities_that_the_plan_touches_come_along(self) -> None:
        registry, entities = DataPipesRegistry(), DataEntityRegistry()
        registry.register_pipe("a", input_entity_ids=["x"], output_entity_id="y")
        entities.register_entity("x", tags={"size_bytes": 7})
        entities.register_entity("y")
        entities.register_entity("elsewhere", tags={"size_bytes": 8})
        manifest = Manifest.from_registries(registry, entities)
        made = ExecutionPlanGenerator(manifest).generate_batch_plan()
        assert made.graph.entity_tags == {"x": {"size_bytes": 7}}
        assert made.to_json()["entities"] == {"x": {"size_bytes": 7}}
        assert ExecutionPlan.from_json(made.to_json()) == made

    def test_graph_that_was_made_by_hand_comes_back_without_declarations(self) -> None:
        nodes = {"a": PipeNode("a"), "b": PipeNode("b", ("x",), None)}
        made = ExecutionPlan(("a",), (Generation(0, ("a",)),), PipeGraph(nodes), "mine", {"x": 1})
        restored = ExecutionPlan.from_json(made.to_json())
        assert restored == made
        found = {pipe_id: tuple(node) for pipe_id, node in restored.graph.nodes.items()}
        assert found == {pipe_id: tuple(node) for pipe_id, node in nodes.items()}

    def test_broken_plan_is_read_so_that_it_can_be_looked_at(self) -> None:
        chain = plan(CHAIN)
        turned = ExecutionPlan(chain.pipe_ids, chain.generations[::-1], chain.graph, "batch")
        restored = ExecutionPlan.from_json(turned.to_json())
        assert restored == turned
        with pytest.raises(PlanValidationError):
            restored.validate()

    def test_fields_of_later_releases_are_ignored(self) -> None:
        document = _document(later=[1])
        document["pipes"][0]["later"] = {}
        assert ExecutionPlan.from_json(document) == plan(CHAIN)

    @given(acyclic_pipes(pipe_ids(), hints=True), st.sampled_from(["batch", "streaming"]))
    def test_any_plan_survives_json(self, registry: DataPipesRegistry, strategy: str) -> None:
        made = ExecutionPlanGenerator(registry).generate_plan(None, strategy)
        text = json.dumps(made.to_json())
        restored = ExecutionPlan.from_json(json.loads(text))
        assert json.dumps(restored.to_json()) == text
        assert restored == made
        assert hash(restored) == hash(made)

    @given(json_tags())
    def test_any_metadata_survives_json(self, metadata: dict[str, Any]) -> None:
        chain = plan("a")
        made = ExecutionPlan(chain.pipe_ids, chain.generations, chain.graph, "mine", metadata)
        text = json.dumps(made.to_json())
        assert json.dumps(ExecutionPlan.from_json(json.loads(text)).to_json()) == text


NOT_DIGESTED = ("schema_version", "digest", "edges")


class TestDigest:
    def test_digest_is_that_of_the_document_without_what_follows_from_it(self) -> None:
        document = plan(CHAIN).to_json()
        content = {k: v for k, v in document.items() if k not in NOT_DIGESTED}
        assert document["digest"] == plan(CHAIN).digest == digest_of(content)

    def test_tags_count(self) -> None:
        assert plan("a", tags={"a": {"x": 1}}).digest != plan("a").digest

    def test_changed_document_is_refused(self) -> None:
        document = plan("a").to_json()
        said = document["digest"]
        document["metadata"] = {"execution_order": "forward", "more": 1}
        content = {k: v for k, v in document.items() if k not in NOT_DIGESTED}
        assert _refusal(document) == (
            f"the plan's digest is {said}, its content has {digest_of(content)}: "
            "it was edited by hand\n  Fix: regenerate the plan."
        )


class TestWrongDocuments:
    @pytest.mark.parametrize("document", [None, [], "x", 1, True])
    def test_what_is_no_object(self, document: Any) -> None:
        kind = type(document).__name__
        assert _refusal(document) == f"a plan must be a JSON object, not {kind}"

    @pytest.mark.parametrize("version", [0, 2, True, "1", None])
    def test_unknown_versions(self, version: Any) -> None:
        assert _refusal(_document(schema_version=version)) == (
            f"plan schema version {version!r} is unknown; this release reads version 1\n"
            "  Fix: regenerate the plan."
        )

    def test_all_problems_are_reported_at_once(self) -> None:
        document = _document(
            strategy="",
            pipe_ids="a",
            generations=[1, {"number": "0", "pipe_ids": [1], "dependencies": None}],
            pipes=[{"pipeid": "a", "tags": 1}, {}, {"pipeid": "b", "output_entity_id": None}],
            edges=[["a", "b"], ["a", "b", "x"]],
            entities=[],
            metadata=None,
        )
        assert _refusal(document) == (
            "12 problems in the plan:\n"
            "1. edges[0] must be a list of two pipes and an entity\n"
            "2. entities must be an object from entity to tags\n"
            "3. generations[0] must be an object\n"
            "4. generations[1]: dependencies must be a list of strings\n"
            "5. generations[1]: number must be a whole number, not '0'\n"
            "6. generations[1]: pipe_ids must be a list of strings\n"
            "7. metadata must be a mapping, not NoneType: None\n"
            "8. pipe_ids must be a list of strings\n"
            "9. pipes[0]: pipe 'a': tags must be a mapping, not int: 1\n"
            "10. pipes[1]: pipeid must be a string, not NoneType: None\n"
            "11. pipes[2]: pipe 'b': output_entity_id must be a string, not NoneType: None\n"
            "12. strategy must be a name, not ''"
        )

    def test_lists_that_are_missing(self) -> None:
        assert _refusal({"schema_version": 1, "strategy": "batch"}) == (
            "4 problems in the plan:\n"
            "1. edges must be a list\n"
            "2. generations must be a list\n"
            "3. pipe_ids must be a list of strings\n"
            "4. pipes must be a list"
        )

    def test_pipe_that_is_there_twice(self) -> None:
        document = _document()
        document["pipes"].append(copy.deepcopy(document["pipes"][0]))
        document["pipes"].append({"pipeid": "a", "output_entity_id": "another"})
        assert _refusal(document) == (
            "2 problems in the plan:\n"
            "1. pipes[3]: pipe 'a' is already declared by pipes[0]\n"
            "2. pipes[4]: pipe 'a' is already declared by pipes[0]"
        )

    def test_tags_of_entities(self) -> None:
        assert _refusal(_document(entities={"x": 1})) == (
            "entities: 'x' must be a mapping, not int: 1"
        )

    def test_pipes_that_form_a_cycle(self) -> None:
        document = _document()
        document["pipes"][0]["input_entity_ids"] = ["b.out"]
        assert _refusal(document) == (
            "Pipes form a cycle: 'a' -> 'b' -> 'a'\n"
            "  'b' reads entity 'a.out', written by 'a'\n"
            "  'a' reads entity 'b.out', written by 'b'\n"
            "  Fix: remove one of these inputs, or split the pipe that reads its own result."
        )

    def test_edges_that_do_not_follow_from_the_pipes(self) -> None:
        remedy = "\n  Fix: regenerate the plan; edges follow from the pipes."
        assert _refusal(_document(edges=[["a", "b", "a.out"], ["a", "c", "x"]])) == (
            "edges[1] is ['a', 'c', 'x'], but the pipes' inputs and outputs imply "
            f"['b', 'c', 'b.out']{remedy}"
        )
        assert _refusal(_document(edges=[["a", "b", "a.out"]])) == (
            "edges[1] is nothing, but the pipes' inputs and outputs imply "
            f"['b', 'c', 'b.out']{remedy}"
        )
        more = [["a", "b", "a.out"], ["b", "c", "b.out"], ["c", "d", "x"]]
        assert _refusal(_document(edges=more)) == (
            f"edges[2] is ['c', 'd', 'x'], but the pipes' inputs and outputs imply nothing{remedy}"
        )

    def test_what_json_cannot_express(self) -> None:
        refused = _refusal(_document(later=object()))
        assert refused.startswith("the plan contains values that JSON cannot")

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["pipeid", "number", "pipe_ids", "tags", "output_entity_id"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ),
        st.sampled_from(
            [
                *("strategy", "pipe_ids", "generations", "pipes", "edges", "entities"),
                *("metadata", "digest", "schema_version"),
            ]
        ),
    )
    def test_nothing_but_a_plan_error_ever_comes_out(self, value: Any, field: str) -> None:
        with suppress(PlanValidationError):
            made = ExecutionPlan.from_json(_document(**{field: value}))
            assert ExecutionPlan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_entity_tags_cannot_change() -> None:
    assert isinstance(plan(CHAIN).graph.entity_tags, FrozenDict)
