"""What is promised of storage holds on S3, and a driver refuses what does not."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, EntityError
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.place_check import check_checkpoint, check_place
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.tags.stream_settings import StreamSettings
from tests.runner.conftest import Project

ROUNDS = 12


def test_of_four_that_create_one_file_at_once_one_does(spark: Any, lake: str) -> None:
    storage = Storage(spark)
    for n in range(ROUNDS):
        created: dict[int, bool] = {}
        path = f"{lake}/log/{n}"

        def create(me: int, path: str = path, created: dict[int, bool] = created) -> None:
            created[me] = storage.create_if_absent(path, f"written by {me}")

        threads = [threading.Thread(target=create, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [me for me, won in created.items() if won]
        assert len(winners) == 1
        assert storage.read_text(path) == f"written by {winners[0]}"


def test_a_store_with_conditional_puts_passes_the_probe(spark: Any, lake: str) -> None:
    storage = Storage(spark)
    assert storage.probe(f"{lake}/probes", "a") == ""
    assert storage.names(f"{lake}/probes") == []


class Deaf(Storage):
    """A store behind S3A that takes no notice of conditions."""

    def _create_at_once(self, path: str, text: str, *, is_conditional: bool) -> bool:
        assert is_conditional
        self.write_text(path, text)
        return True


def test_a_store_that_ignores_conditions_does_not_pass(spark: Any, lake: str) -> None:
    text = "the store ignores the condition of a conditional put (If-None-Match: *)"
    assert Deaf(spark).probe(f"{lake}/probes", "a") == text


def test_an_answer_that_was_lost_is_found_in_the_file(spark: Any, lake: str) -> None:
    class Lossy(Storage):
        def _create_at_once(self, path: str, text: str, *, is_conditional: bool) -> bool:
            super()._create_at_once(path, text, is_conditional=is_conditional)
            raise OSError("the connection is gone")

    assert Lossy(spark).create_if_absent(f"{lake}/x", "mine")
    assert not Lossy(spark).create_if_absent(f"{lake}/x", "another's")


def test_a_client_without_conditional_puts_cannot_create(
    spark: Any, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = "spark.hadoop.fs.s3a.bucket.off.create.conditional.enabled"
    spark._jsc.hadoopConfiguration().set(bucket.removeprefix("spark.hadoop."), "false")
    storage = Storage(spark)
    assert storage.abilities("s3a://off/x").create_if_absent == ""
    with pytest.raises(EntityError, match="both may believe that they did"):
        storage.create_if_absent("s3a://off/x", "a")


def entity(kind: str, **tags: Any) -> EntityMetadata:
    return EntityMetadata("orders", tags={"provider_type": kind, **tags})


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_driver_refuses_tables_that_would_lose_rows(spark: Any, lake: str, kind: str) -> None:
    with pytest.raises(DeclarationError, match=rf"entity 'orders', {kind}"):
        check_place(entity(kind), ProviderContext(spark, lake))


def test_a_driver_refuses_a_stream_of_parquet_and_its_checkpoint(spark: Any, lake: str) -> None:
    context = ProviderContext(spark, lake)
    with pytest.raises(DeclarationError, match="by a stream, cannot be written to"):
        check_place(entity("parquet"), context, StreamSettings())
    with pytest.raises(DeclarationError, match="its checkpoint cannot be at"):
        check_checkpoint("p", f"{lake}/_kindling/checkpoints/p", context)


def test_tables_of_a_catalog_are_fine(spark: Any, lake: str) -> None:
    context = ProviderContext(spark, lake)
    check_place(entity("iceberg", **{"provider.table": "lake.shop.orders"}), context)
    check_place(entity("table"), context)
    check_place(entity("memory"), context)


def test_a_view_of_file_systems_can_do_what_all_of_them_can(spark: Any, lake: str) -> None:
    conf = spark._jsc.hadoopConfiguration()
    conf.set("fs.viewfs.mounttable.mixed.link./s3", lake)
    conf.set("fs.viewfs.mounttable.mixed.link./disk", "file:///tmp")
    assert not Storage(spark).abilities("viewfs://mixed/disk/x").atomic_rename


def test_a_run_that_is_refused_has_not_begun(s3_project: Project, lake: str) -> None:
    s3_project.entity("out", name="out", tags={"provider.path": "ftp://127.0.0.1/out"})
    called = []
    s3_project.pipe("out", lambda: called.append(1))
    report = s3_project.run("out", warehouse=lake)
    assert report.status == "failed"
    assert report.error is not None
    assert "(nothing is known of ftp://)" in report.error.message
    assert report.extra["permanent"] is True
    assert called == []
