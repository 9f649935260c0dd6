"""Settings that lie over the declarations: which one wins, what they may set, how they travel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.immutable import EMPTY, canonical_json, thaw
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import SettingsError
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.manifest.project_settings import (
    ENTITY_SETTINGS,
    PIPE_SETTINGS,
    SettingsLayer,
    apply_differences,
    differences_for,
)
from tests.strategies import json_tags


def _manifest() -> Manifest:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    for layer, source in (("bronze", "raw"), ("silver", "bronze"), ("gold", "silver")):
        pipes.register_pipe(
            f"{layer}.orders",
            input_entity_ids=[f"{source}.orders"],
            output_entity_id=f"{layer}.orders",
            tags={"layer": layer, "declared": True},
        )
    pipes.register_pipe("silver.eu.orders", output_entity_id="silver.eu.orders")
    entities.register_entity("raw.orders", tags={"provider_type": "csv"}, schema="id INT")
    return Manifest.from_registries(pipes, entities)


def _layer(source: str = "base.yaml", **sections: Any) -> SettingsLayer:
    return SettingsLayer.from_document(sections, source)


def _tags(manifest: Manifest, pipe_id: str) -> Any:
    pipe = manifest.get_pipe_definition(pipe_id)
    assert pipe is not None
    return pipe.tags


def _refusal(*layers: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        _manifest().with_settings([_layer(**layer) for layer in layers])
    return str(refused.value)


class TestWhichOneWins:
    def test_exact_id_beats_one_star_beats_two_whatever_their_order(self) -> None:
        patterns = {
            "silver.orders": {"tags": {"who": "exact"}},
            "**": {"tags": {"who": "two stars", "everywhere": 1}},
            "silver.*": {"tags": {"who": "one star", "near": 2}},
        }
        for order in (list(patterns), list(reversed(patterns))):
            layer = _layer(pipes={pattern: patterns[pattern] for pattern in order})
            found = _manifest().with_settings([layer])
            assert _tags(found, "silver.orders") == {
                "layer": "silver",
                "declared": True,
                "who": "exact",
                "everywhere": 1,
                "near": 2,
            }
            assert _tags(found, "silver.eu.orders") == {"who": "two stars", "everywhere": 1}

    def test_later_layer_wins_over_a_more_specific_pattern_of_an_earlier_one(self) -> None:
        base = _layer(pipes={"gold.orders": {"tags": {"a": 1, "b": 1}}})
        mine = _layer("mine.yaml", pipes={"**": {"tags": {"b": 2}}})
        found = _tags(_manifest().with_settings([base, mine]), "gold.orders")
        assert (found["a"], found["b"]) == (1, 2)
        found = _tags(_manifest().with_settings([mine, base]), "gold.orders")
        assert (found["a"], found["b"]) == (1, 1)

    def test_null_takes_a_tag_away(self) -> None:
        layer = _layer(pipes={"gold.*": {"tags": {"declared": None}}})
        assert _tags(_manifest().with_settings([layer]), "gold.orders") == {"layer": "gold"}

    def test_no_layers_and_empty_layers_change_nothing(self) -> None:
        assert _manifest().with_settings([]) == _manifest()
        empty = SettingsLayer.from_document(None, "empty.yaml")
        assert _manifest().with_settings([empty]) == _manifest()


class TestWhatMayBeSet:
    def test_every_field_but_what_is_code(self) -> None:
        layer = _layer(
            pipes={
                "gold.orders": {
                    "name": "Orders",
                    "output_type": "delta",
                    "use_watermark": True,
                    "driving_entity_ids": ["silver.orders"],
                }
            },
            entities={
                "raw.orders": {
                    "name": "Raw",
                    "schema": "id BIGINT",
                    "merge_columns": ["id"],
                    "partition_columns": ["day"],
                    "cluster_columns": ["id"],
                }
            },
        )
        found = _manifest().with_settings([layer])
        pipe = found.get_pipe_definition("gold.orders")
        assert pipe is not None
        assert (pipe.name, pipe.output_type, pipe.use_watermark) == ("Orders", "delta", True)
        assert pipe.driving_entity_ids == ("silver.orders",)
        assert pipe.input_entity_ids == ("silver.orders",)
        entity = found.entities.definition_or_default("raw.orders")
        assert (entity.name, entity.schema) == ("Raw", "id BIGINT")
        assert entity.tags == {"provider_type": "csv"}
        assert (entity.merge_columns, entity.partition_columns) == (("id",), ("day",))
        assert entity.cluster_columns == ("id",)
        assert {"input_entity_ids", "output_entity_id", "execute"}.isdisjoint(PIPE_SETTINGS)

    def test_entity_need_not_be_declared_to_be_set(self) -> None:
        layer = _layer(entities={"gold.*": {"tags": {"size_bytes": 5}}})
        found = _manifest().with_settings([layer])
        assert found.entities.definition_or_default("gold.orders").tags == {"size_bytes": 5}
        assert found.entities.get_entity_definition("silver.orders") is None

    def test_functions_and_sources_are_kept(self) -> None:
        manifest = _manifest()
        found = manifest.with_settings([_layer(pipes={"**": {"tags": {"x": 1}}})])
        assert (found.functions, found.modules) == (manifest.functions, manifest.modules)
        assert found.digest != manifest.digest


class TestWrongSettings:
    def test_what_matches_nothing_is_an_error(self) -> None:
        sections = {
            "pipes": {"gold.order": {}, "platinum.*": {}},
            "entities": {"raw.orderz": {}},
        }
        assert _refusal(sections) == (
            "3 problems in the settings:\n"
            "1. base.yaml: 'gold.order' matches no pipe. Did you mean 'gold.orders'?\n"
            "  Fix: correct the pattern, or remove the entry.\n"
            "2. base.yaml: 'platinum.*' matches no pipe.\n"
            "  Fix: correct the pattern, or remove the entry.\n"
            "3. base.yaml: 'raw.orderz' matches no entity. Did you mean 'raw.orders'?\n"
            "  Fix: correct the pattern, or remove the entry."
        )

    def test_values_that_do_not_fit_are_told_with_their_layers(self) -> None:
        one = {"source": "one.yaml", "pipes": {"gold.*": {"use_watermark": "yes"}}}
        two = {"source": "two.yaml", "pipes": {"gold.orders": {"name": 5}}}
        entities = {"source": "two.yaml", "entities": {"raw.*": {"merge_columns": "id"}}}
        assert _refusal(one, two, entities) == (
            "3 problems in the settings:\n"
            "1. one.yaml, two.yaml: pipe 'gold.orders': name must be a string, not int: 5\n"
            "2. one.yaml, two.yaml: pipe 'gold.orders': use_watermark must be True or False, "
            "not 'yes'\n"
            "3. two.yaml: entity 'raw.orders': merge_columns is the string 'id' where a list is "
            "expected\n  Fix: write ['id']"
        )

    def test_form_is_checked_whole(self) -> None:
        document = {
            "pipe": {},
            "pipes": {"a": {"tag": 1}, "b": 1, "c": {"tags": []}},
            "entities": [],
        }
        with pytest.raises(SettingsError) as refused:
            SettingsLayer.from_document(document, "s.yaml")
        assert str(refused.value) == (
            "4 problems in the settings:\n"
            "1. s.yaml: pipes: 'a': unknown setting 'tag'. Did you mean 'tags'?\n"
            "2. s.yaml: pipes: 'b' must be an id with a mapping of settings, not 1\n"
            "3. s.yaml: pipes: 'c': tags must be a mapping, not []\n"
            "4. s.yaml: unknown section 'pipe'. Did you mean 'pipes'?"
        )
        with pytest.raises(SettingsError) as refused:
            SettingsLayer.from_document({"entities": [1]}, "s.yaml")
        assert str(refused.value) == (
            "s.yaml: entities must be a mapping from id to settings, not [1]"
        )
        with pytest.raises(SettingsError) as refused:
            SettingsLayer.from_document([], "s.yaml")
        assert str(refused.value) == (
            "s.yaml: settings are a mapping of 'pipes' and 'entities', not list"
        )

    def test_unknown_names_without_a_near_one_list_what_there_is(self) -> None:
        with pytest.raises(SettingsError) as refused:
            SettingsLayer.from_document({"zzz": {}}, "s.yaml")
        assert str(refused.value) == "s.yaml: unknown section 'zzz'. Known: pipes, entities."


class TestDifferences:
    def test_only_what_a_pipe_touches_and_what_differs_travels(self) -> None:
        base = _manifest()
        layer = _layer(
            pipes={"gold.*": {"tags": {"x": 1}}},
            entities={"**.orders": {"tags": {"provider.path": "there"}}},
        )
        effective = base.with_settings([layer])
        assert differences_for(base, effective, ["gold.orders"]) == {
            "pipes": {"gold.orders": {"tags": {"layer": "gold", "declared": True, "x": 1}}},
            "entities": {
                "silver.orders": {"tags": {"provider.path": "there"}},
                "gold.orders": {"tags": {"provider.path": "there"}},
            },
        }
        assert differences_for(base, base, ["gold.orders"]) == EMPTY
        assert differences_for(base, _manifest(), ["gold.orders"]) == EMPTY
        assert differences_for(base, effective, ["unknown"]) == EMPTY

    @pytest.mark.parametrize("other", [1, 1.0])
    def test_tag_that_is_another_to_json_alone_is_a_difference(self, other: object) -> None:
        base = _manifest()
        effective = base.with_settings(
            [_layer(pipes={"gold.orders": {"tags": {"declared": other}}})]
        )
        found = differences_for(base, effective, ["gold.orders"])
        assert canonical_json(found) == canonical_json(
            {"pipes": {"gold.orders": {"tags": {"layer": "gold", "declared": other}}}}
        )

    def test_no_differences_leave_the_declarations_as_they_are(self) -> None:
        base = _manifest()
        assert apply_differences(base, {}) == (base.pipes, base.entities)

    @given(json_tags(), json_tags(), st.sampled_from(["**", "gold.*", "silver.orders"]))
    def test_driver_sees_what_the_plan_was_made_of(
        self, pipe_tags: dict[str, Any], entity_tags: dict[str, Any], pattern: str
    ) -> None:
        base = _manifest()
        layer = _layer(
            pipes={pattern: {"tags": pipe_tags, "name": "set"}},
            entities={pattern: {"tags": entity_tags, "schema": "id BIGINT"}},
        )
        effective = base.with_settings([layer])
        for pipe in effective.pipes:
            sent = json.loads(json.dumps(thaw(differences_for(base, effective, [pipe.pipeid]))))
            imported = HarvestedModules(base.pipes, base.entities)
            pipes, entities = apply_differences(imported, sent)
            assert pipes.get_pipe_definition(pipe.pipeid) == pipe
            for entity_id in (*pipe.input_entity_ids, pipe.output_entity_id):
                wanted = effective.entities.definition_or_default(entity_id)
                assert entities.definition_or_default(entity_id) == wanted
        everything = differences_for(base, effective, base.get_pipe_ids())
        pipes, _ = apply_differences(base, everything)
        assert list(pipes) == list(effective.pipes)


def test_settings_are_fields_of_the_declarations() -> None:
    assert set(PIPE_SETTINGS) <= set(DataPipesRegistry.register_pipe.__kwdefaults__ or {})
    assert set(ENTITY_SETTINGS) <= set(DataEntityRegistry.register_entity.__kwdefaults__ or {})
