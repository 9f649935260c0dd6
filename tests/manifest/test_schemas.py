"""The published JSON Schemas of manifests and plans, against what is written and refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.data_pipes.expectations import accepted, in_range, satisfies, unique
from kindling_airflow.errors import ManifestError, PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest import FunctionRef, Manifest
from tests.strategies import acyclic_pipes, json_tags, pipe_ids

Reader = Callable[[Any], object]
SCHEMA_HOMES = {"manifest": "manifest", "plan": "execution_plan"}
READERS: dict[str, Reader] = {"manifest": Manifest.from_json, "plan": ExecutionPlan.from_json}


def _validator(name: str) -> Any:
    home = files(f"kindling_airflow.{SCHEMA_HOMES[name]}")
    text = home.joinpath(f"{name}.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))


def _documents() -> dict[str, dict[str, Any]]:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    pipes.register_pipe(
        "a",
        name="A",
        input_entity_ids=["raw"],
        output_entity_id="x",
        tags={"layer": "gold"},
        output_type="delta",
        use_watermark=True,
        driving_entity_ids=["raw"],
        expectations=[
            unique("id", tolerate=2),
            accepted("kind", ["x", 1, True], on_violation="drop", tolerate=0.5),
            in_range("size", 0, 9.5),
            satisfies("a > b", name="order"),
        ],
    )
    pipes.register_pipe("b", input_entity_ids=["x"], output_entity_id="y")
    pipes.register_pipe(
        "c",
        input_entity_ids=["x"],
        output_entity_id="z",
        sql="SELECT * FROM x WHERE id > :least",
        sql_file="c.sql",
        sql_parameters=["least"],
    )
    entities.register_entity(
        "raw",
        schema="id INT",
        merge_columns=["id"],
        partition_columns=["id"],
        cluster_columns=["id"],
        tags={"provider_type": "csv"},
    )
    manifest = Manifest.from_registries(pipes, entities, modules=["m"], sources={"m.py": "00"})
    document = manifest.to_json()
    del document["digest"]
    document["pipes"][0]["function"] = {"module": "m", "qualname": "a"}
    plan = ExecutionPlanGenerator(Manifest.from_json(document)).generate_batch_plan().to_json()
    del plan["digest"]
    return {"manifest": document, "plan": json.loads(json.dumps(plan))}


def _places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value of a document but those inside of free mappings."""
    steps: list[Any] = []
    if isinstance(value, dict) and not (where and where[-1] in ("tags", "metadata", "sources")):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    return [where, *(p for step in steps for p in _places(value[step], (*where, step)))]


def _changed(document: dict[str, Any], where: tuple[Any, ...], value: Any) -> Any:
    if not where:
        return value
    made = copy.deepcopy(document)
    inner: Any = made
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    return made


@pytest.mark.parametrize("name", READERS)
class TestSchema:
    def test_schema_is_one_and_describes_every_property(self, name: str) -> None:
        validator = _validator(name)
        Draft202012Validator.check_schema(validator.schema)
        for part, inner in validator.schema["properties"].items():
            assert inner["description"], part

    def test_document_fits_and_names_every_property(self, name: str) -> None:
        document = _documents()[name]
        validator = _validator(name)
        validator.validate(document)
        of_a_definition = {"dag"} if name == "manifest" else set()
        assert (
            document.keys() | {"digest"} | of_a_definition == validator.schema["properties"].keys()
        )
        READERS[name](document)

    @pytest.mark.parametrize("value", [None, True, 5, -1.5, "", " x ", "x", [], [1], {}, {"z": 1}])
    def test_what_the_schema_refuses_the_reader_refuses(self, name: str, value: Any) -> None:
        document, validator = _documents()[name], _validator(name)
        for where in _places(document):
            changed = _changed(document, where, value)
            if not validator.is_valid(changed):
                with pytest.raises((ManifestError, PlanValidationError)):
                    READERS[name](changed)

    def test_what_is_missing_is_missed_by_both(self, name: str) -> None:
        document, validator = _documents()[name], _validator(name)
        for key in document:
            rest = {other: document[other] for other in document if other != key}
            if not validator.is_valid(rest):
                with pytest.raises((ManifestError, PlanValidationError)):
                    READERS[name](rest)
        assert not validator.is_valid({})


@given(acyclic_pipes(pipe_ids(), hints=True), json_tags(), st.sampled_from(["batch", "streaming"]))
def test_everything_that_is_written_fits(
    registry: DataPipesRegistry, tags: dict[str, Any], strategy: str
) -> None:
    entities = DataEntityRegistry()
    entities.register_entity("somewhere else", tags=tags)
    manifest = Manifest.from_registries(registry, entities)
    _validator("manifest").validate(json.loads(manifest.dumps()))
    plan = ExecutionPlanGenerator(manifest).generate_plan(None, strategy)
    _validator("plan").validate(json.loads(json.dumps(plan.to_json())))


def test_function_references_fit() -> None:
    document = _documents()["manifest"]
    assert Manifest.from_json(document).functions == {"a": FunctionRef("m", "a")}
