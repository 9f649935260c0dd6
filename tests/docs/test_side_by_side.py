"""What the pages about dev and prod, and about tables of a catalog, say, done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory.factory import load_dags
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from tests.docs.pages import DOCS

_IGNORED = shutil.ignore_patterns("*.manifest.json", "__pycache__")


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    source = DOCS / "examples" / "dev_and_prod" / "dags"
    return Path(shutil.copytree(source, tmp_path / "dags", ignore=_IGNORED))


def compiled(dags: Path, which: str) -> Compiled:
    return compile_definition(Definition.from_file(dags / f"orders_{which}.kindling.yaml"))


def test_dev_and_prod_share_pipes_and_nothing_else(dags: Path) -> None:
    dev, prod = compiled(dags, "dev"), compiled(dags, "prod")
    assert dev.plan.pipe_ids == prod.plan.pipe_ids
    assert dev.spec.pool != prod.spec.pool
    assets = [{a for t in c.spec.tasks() for a in (*t.inlets, *t.outlets)} for c in (dev, prod)]
    assert all(assets)
    assert assets[0].isdisjoint(assets[1])
    paths = [
        c.manifest.entities.definition_or_default("raw.orders").tags["provider.path"]
        for c in (dev, prod)
    ]
    assert paths == ["/data/dev/samples/orders.csv", "landing/orders.csv"]
    assert dev.definition.warehouse != prod.definition.warehouse


def test_on_an_object_store_the_tables_are_in_a_catalog_and_the_plan_is_the_same(
    dags: Path,
) -> None:
    hdfs, s3 = compiled(dags, "prod"), compiled(dags, "cloud")
    assert hdfs.plan.pipe_ids == s3.plan.pipe_ids
    assert hdfs.definition.warehouse == "hdfs://lake/warehouse"
    assert s3.definition.warehouse == "s3a://lake/warehouse"
    found = [
        s3.manifest.entities.definition_or_default(entity).tags["provider_type"]
        for entity in ("raw.orders", "silver.orders", "gold.revenue")
    ]
    assert found == ["csv", "iceberg", "iceberg"]


def test_all_are_dags_of_one_airflow(dags: Path) -> None:
    found = sorted(load_dags(dags / "kindling_dags.py"))
    assert found == ["orders_cloud", "orders_dev", "orders_prod"]


def test_the_commands_of_the_page(dags: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [str(dags / f"orders_{which}.kindling.yaml") for which in ("dev", "prod")]
    assert main(["validate", *both]) == 0
    assert main(["diff", *both]) == 0
    assert "~ tags.provider.path: '/data/dev/samples/orders.csv' -> 'landing/orders.csv'" in (
        capsys.readouterr().out
    )
    assert main(["settings", both[1], "gold.revenue"]) == 0
    cloud = str(dags / "orders_cloud.kindling.yaml")
    assert main(["settings", cloud, "gold.revenue"]) == 0
    assert "{{ conn.lake.password }}" not in capsys.readouterr().err
    assert main(["diff", both[1], cloud]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    changed = [line for line in shown if line[:2] in ("+ ", "- ", "~ ")]
    tags = [
        "provider_type: 'iceberg'",
        "provider.catalog: 'lake'",
        "provider.connection: 'lake_db'",
    ]
    added = [f"+ tags.{tag}" for tag in tags]
    assert changed == ["~ 'silver.orders'", *added, "~ 'gold.revenue'", *added]


def test_the_table_of_a_catalog_compiles() -> None:
    folder = DOCS / "examples" / "catalog_table" / "dags"
    found = compile_definition(Definition.from_file(folder / "shop.kindling.yaml"))
    assert found.plan.pipe_ids == ("gold.revenue",)
    assert found.definition.spark["conf"]["spark.sql.catalogImplementation"] == "hive"
