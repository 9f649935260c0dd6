"""A storage type is one row and one class: here is one more."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.deployment.jars import FORMATS
from kindling_airflow.errors import DeclarationError
from kindling_airflow.runner.providers.lookup import provider_for
from kindling_airflow.runner.providers.session_properties import settings_for
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.names import PATH_TAG
from kindling_airflow.tags.plan_checks import check_entities
from kindling_airflow.tags.storage_types import STORAGE_TYPES, StorageType, StreamSource
from kindling_airflow.tags.stream_checks import check_streams

ROW = StorageType(
    f"{__name__}:HudiProvider",
    (PATH_TAG,),
    lambda entity: [] if entity.merge_columns else ["needs merge_columns\n  Fix: name the key."],
    place="folder",
    write_modes=("overwrite", "merge"),
    source=StreamSource(replaced_by_runs=("overwrite",)),
    session={"spark.sql.extensions": "org.apache.hudi.HoodieSparkSessionExtension"},
)


class HudiProvider:
    """Reads nothing, but has every method."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def describe(self, entity: EntityMetadata) -> Any: ...

    def exists(self, entity: EntityMetadata) -> bool:
        return False

    def read(self, entity: EntityMetadata) -> Any: ...


@pytest.fixture(autouse=True)
def hudi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORAGE_TYPES, "hudi", ROW)


def entity(entity_id: str = "orders", **tags: Any) -> EntityMetadata:
    own = {"provider_type": "hudi", **tags}
    return EntityMetadata(entity_id, tags=own, merge_columns=("id",))


def test_its_tags_are_checked() -> None:
    assert entity_tag_problems(entity(**{"provider.path": "x", "write_mode": "merge"})) == []
    wrong = {"provider.pth": "x", "write_mode": "append", "provider.path": "../x"}
    where = "entity 'orders': "
    found = [
        text.splitlines()[0].removeprefix(where) for text in entity_tag_problems(entity(**wrong))
    ]
    assert found == [
        "provider_type 'hudi' has no tag 'provider.pth'. Did you mean 'provider.path'?",
        "tag provider.path '../x' leaves the warehouse",
        "hudi cannot be written by 'append'",
    ]
    keyless = EntityMetadata("orders", tags={"provider_type": "hudi"})
    assert entity_tag_problems(keyless) == [
        "entity 'orders': needs merge_columns\n  Fix: name the key."
    ]


def test_its_places_and_its_streams_are_checked() -> None:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    for name, reads in (("a", "raw"), ("b", "a")):
        pipes.register_pipe(name, input_entity_ids=[reads], output_entity_id=name)
    entities.register_entity("a", tags={"provider_type": "hudi"}, merge_columns=["id"])
    entities.register_entity("raw", tags={"provider.path": "a"})
    with pytest.raises(DeclarationError, match="are the same folder 'a'"):
        check_entities(pipes, entities)
    found = check_streams(pipes, entities, ["b"])
    assert any(
        "written by 'a' with write_mode 'overwrite', which replaces rows" in f for f in found
    )


def test_the_runner_finds_its_class_and_the_session_what_it_needs() -> None:
    context: Any = object()
    provider = provider_for(entity(), context)
    assert isinstance(provider, HudiProvider)
    assert provider.context is context
    extensions = "spark.sql.extensions"
    assert settings_for({"hudi"}, {}.get) == dict(ROW.session)
    assert settings_for({"hudi", "delta"}, {}.get)[extensions].split(",") == [
        "io.delta.sql.DeltaSparkSessionExtension",
        ROW.session[extensions],
    ]


def test_every_key_of_jars_is_that_of_a_type() -> None:
    known = {row.jars for row in STORAGE_TYPES.values() if row.jars}
    assert known | {"postgresql"} == set(FORMATS)  # the driver of a catalog's database


@pytest.mark.parametrize("name", [name for name in STORAGE_TYPES if name != "hudi"])
def test_every_row_names_a_class(name: str) -> None:
    module, _, class_name = STORAGE_TYPES[name].provider.partition(":")
    imported = pytest.importorskip(module)
    assert callable(getattr(imported, class_name))
