"""Which entities may be written where, told by schemes alone."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.storage_needs import (
    checkpoint_problem,
    local_places,
    place_of,
    plan_storage_problems,
    storage_problem,
)
from kindling_airflow.tags.storage_types import STORAGE_TYPES, StorageType
from kindling_airflow.tags.storages import StorageAbilities
from kindling_airflow.tags.stream_settings import StreamSettings

APPEND, COMPLETE = StreamSettings(), StreamSettings(output_mode="complete")
CATALOG = {"provider_type": "iceberg", "provider.table": "lake.shop.orders"}
RENAMES = "a rename there is not one step that fails where the target exists"
LISTS = "a list of files there may lack some that are complete"


def entity(kind: str = "parquet", **tags: Any) -> EntityMetadata:
    return EntityMetadata("orders", tags={"provider_type": kind, **tags})


def problem(kind: str, place: str, **more: Any) -> str | None:
    return storage_problem(entity(kind), place, **more)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type that is published through a log of files that are created once."""
    row = StorageType("x:Y", place="folder", needs="log")
    monkeypatch.setitem(STORAGE_TYPES, "logged", row)


@pytest.mark.parametrize("kind", ["parquet", "delta", "iceberg", "table"])
@pytest.mark.parametrize("place", ["/x", "file:/x", "hdfs://nn/x", "viewfs://c/x", "webhdfs://n/x"])
def test_disks_and_hdfs_keep_everything(kind: str, place: str) -> None:
    assert problem(kind, place, conf={}) is None
    assert problem(kind, place, conf={}, stream=APPEND) is None


@pytest.mark.parametrize("scheme", ["s3a", "s3", "gs", "abfs", "abfss", "wasb", "dbfs", "oss"])
def test_iceberg_in_folders_is_for_disks_and_hdfs(scheme: str) -> None:
    text = problem("iceberg", f"{scheme}://lake/orders")
    assert text is not None
    assert text.startswith("entity 'orders', iceberg in folders, cannot be written to ")


def test_the_refusal_says_what_is_missing_and_what_helps() -> None:
    assert problem("iceberg", "s3a://lake/orders") == (
        "entity 'orders', iceberg in folders, cannot be written to 's3a://lake/orders' without "
        f"losing rows: {RENAMES}\n"
        "  Fix: store it as iceberg in a catalog (provider.catalog: lake), or use "
        "HDFS."
    )


@pytest.mark.parametrize("scheme", ["s3a", "gs", "abfss"])
def test_tables_of_catalogs_only_need_lists(scheme: str) -> None:
    place = f"{scheme}://lake/orders"
    assert storage_problem(EntityMetadata("orders", tags=CATALOG), place) is None
    assert problem("table", place) is None


def test_of_an_unknown_scheme_nothing_is_expected() -> None:
    assert problem("table", "oss://lake/orders") == (
        "entity 'orders', table, cannot be written to 'oss://lake/orders' without losing rows: "
        f"{LISTS} (nothing is known of oss://)\n"
        "  Fix: store it as iceberg in a catalog (provider.catalog: lake), or use "
        "HDFS."
    )


def test_delta_depends_on_its_log_store() -> None:
    assert problem("delta", "s3a://lake/x") is None  # a driver has the settings
    text = problem("delta", "s3a://lake/x", conf={})
    assert text == (
        "entity 'orders', delta, cannot be written to 's3a://lake/x' without losing rows: Delta's "
        "log store for s3a:// gives one version to two drivers that commit at once\n"
        "  Fix: configure a log store for several drivers (spark.delta.logStore.s3a.impl), or "
        "store it as iceberg in a catalog (provider.catalog: lake)."
    )
    conf = {"spark.delta.logStore.s3a.impl": "io.delta.storage.S3DynamoDBLogStore"}
    assert problem("delta", "s3a://lake/x", conf=conf) is None


@pytest.mark.usefixtures("logged")
def test_a_log_needs_files_that_are_created_once() -> None:
    for scheme in ("s3a", "gs", "abfss"):
        assert problem("logged", f"{scheme}://lake/x") is None
        assert problem("logged", f"{scheme}://lake/x", stream=COMPLETE) is None
        assert RENAMES in str(problem("logged", f"{scheme}://lake/x", stream=APPEND))
    can = StorageAbilities(consistent_listing=True)
    assert problem("logged", "s3a://lake/x", abilities=can) == (
        "entity 'orders', logged, cannot be written to 's3a://lake/x' without losing rows: of two "
        "drivers that create one file there at once, both may believe that they did\n"
        "  Fix: store it as iceberg in a catalog (provider.catalog: lake), or use "
        "HDFS."
    )


@pytest.mark.parametrize("kind", ["memory", "kafka", "shop.providers:Avro"])
def test_other_types_have_no_place(kind: str) -> None:
    assert problem(kind, "oss://lake/x") is None
    assert place_of(entity(kind), "s3a://lake") is None


@pytest.mark.parametrize(
    ("path", "warehouse", "place"),
    [
        (None, "s3a://lake/", "s3a://lake/orders"),
        ("a/b", "s3a://lake", "s3a://lake/a/b"),
        ("hdfs://nn/x", "s3a://lake", "hdfs://nn/x"),
        ("hdfs://nn/x", None, "hdfs://nn/x"),
        (None, "warehouse", None),
        (None, "{{ var.value.lake }}", None),
        (None, None, None),
    ],
)
def test_a_place_is_known_if_the_warehouse_is(
    path: str | None, warehouse: str | None, place: str | None
) -> None:
    tags = {} if path is None else {"provider.path": path}
    assert place_of(entity(**tags), warehouse) == place


def test_a_checkpoint_needs_renames() -> None:
    assert checkpoint_problem("p", "hdfs://nn/c") is None
    assert checkpoint_problem("p", "s3a://lake/c") == (
        f"pipe 'p': its checkpoint cannot be at 's3a://lake/c', because {RENAMES}: two drivers of "
        "one stream would take the same batch\n"
        "  Fix: set 'checkpoints' to a folder on HDFS, or on a disk that every driver mounts."
    )
    assert checkpoint_problem("p", "s3a://x", StorageAbilities(True, "rename", True)) is None


def pipe(pipe_id: str, output: str) -> PipeMetadata:
    return PipeMetadata(pipe_id, pipe_id, None, output_entity_id=output)


@pytest.fixture
def entities() -> DataEntityRegistry:
    found = DataEntityRegistry()
    for name, tags in {
        "folders": {"provider_type": "iceberg"},
        "catalog": CATALOG,
        "delta": {"provider_type": "delta"},
        "elsewhere": {"provider_type": "iceberg", "provider.path": "/mnt/x"},
    }.items():
        found.register_entity(name, name=name, tags=tags)
    return found


def test_all_problems_of_a_plan_come_at_once(entities: DataEntityRegistry) -> None:
    pipes = [pipe("a", "folders"), pipe("b", "catalog"), pipe("c", "delta"), pipe("d", "elsewhere")]
    found = plan_storage_problems(
        pipes,
        entities,
        "s3a://lake",
        streams={"b": StreamSettings(checkpoint="b")},
        conf_of=lambda _pipe_id: {},
    )
    assert [text.partition(",")[0] for text in found] == [
        "entity 'folders'",
        "pipe 'b': its checkpoint cannot be at 's3a://lake/b'",
        "entity 'delta'",
    ]


@pytest.mark.parametrize(
    ("name", "root", "warehouse", "refused"),
    [
        ("c", None, "s3a://lake", True),
        ("c", "hdfs://nn/c", "s3a://lake", False),
        ("hdfs://nn/c", None, "s3a://lake", False),
        ("s3a://lake/c", "hdfs://nn/c", "hdfs://nn", True),
        ("c", None, None, False),
    ],
)
def test_a_checkpoint_lies_where_it_is_put(
    entities: DataEntityRegistry, name: str, root: str | None, warehouse: str | None, refused: bool
) -> None:
    streams = {"b": StreamSettings(checkpoint=name)}
    found = plan_storage_problems(
        [pipe("b", "catalog")], entities, warehouse, streams=streams, checkpoints=root
    )
    assert bool(found) is refused


def test_a_warehouse_that_is_not_known_is_left_to_the_drivers(entities: DataEntityRegistry) -> None:
    assert plan_storage_problems([pipe("a", "folders")], entities, "{{ lake }}") == []


def test_local_places_are_named_once(entities: DataEntityRegistry) -> None:
    pipes = [pipe("a", "folders"), pipe("c", "delta"), pipe("d", "elsewhere"), pipe("b", "catalog")]
    assert local_places(pipes, entities, "/data") == ["/data", "/mnt/x"]
    assert local_places(pipes, entities, "s3a://lake") == ["/mnt/x"]
    assert local_places(pipes[3:], entities, "/data") == []
    assert local_places(pipes[3:], entities, "s3a://lake", ["b"], "/c") == ["/c"]
    assert local_places(pipes[3:], entities, "s3a://lake", ["b"], "hdfs://nn/c") == []
    assert local_places(pipes[3:], entities, "lake", ["b"]) == []


@pytest.mark.parametrize(
    ("conf", "refused"),
    [
        ({}, None),
        ({"type": "jdbc"}, None),
        ({"type": "hadoop"}, "s3a://lake/orders"),
        ({"type": "hadoop", "warehouse": "hdfs://nn/lake"}, None),
        (
            {"catalog-impl": "org.apache.iceberg.hadoop.HadoopCatalog", "warehouse": "s3a://o"},
            "s3a://o",
        ),
    ],
)
@pytest.mark.parametrize(
    "tags", [{"provider.catalog": "c"}, {"provider.table": "c.shop.orders"}], ids=["id", "name"]
)
def test_a_catalog_of_folders_alone_is_none(
    tags: dict[str, str], conf: dict[str, str], refused: str | None
) -> None:
    entity = EntityMetadata("orders", tags={"provider_type": "iceberg", **tags})
    given = {f"spark.sql.catalog.c.{key}": value for key, value in conf.items()}
    text = storage_problem(entity, "s3a://lake/orders", conf=given)
    assert text is None if refused is None else f"cannot be written to {refused!r}" in str(text)


def test_a_catalog_whose_tables_are_in_the_warehouse_is_on_its_disk() -> None:
    declared = DataEntityRegistry()
    tags = {"provider_type": "iceberg", "provider.catalog": "c"}
    declared.register_entity("orders", tags=tags)
    assert local_places([pipe("a", "orders")], declared, "/data") == ["/data"]
