"""The example of the page about tables of a catalog, run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.manifest.harvest import import_declarations, isolated_imports
from tests.docs.pages import DOCS

pytestmark = pytest.mark.system


def test_the_table_is_found_by_its_name(spark: Any, tmp_path: Path) -> None:
    from kindling_airflow.runner.session.runner import SessionPipeRunner

    root = Path(
        shutil.copytree(DOCS / "examples" / "catalog_table" / "dags" / "shop", tmp_path / "shop")
    )
    warehouse = tmp_path / "warehouse"
    (warehouse / "landing").mkdir(parents=True)
    rows = "id,day,amount\n1,2026-03-01,10.5\n2,2026-03-01,4.5\n3,2026-03-02,1.0\n"
    (warehouse / "landing" / "orders.csv").write_text(rows)
    spark.sql("CREATE DATABASE IF NOT EXISTS shop")
    try:
        with isolated_imports(root):
            declared = import_declarations(root, ["shop_tables"])
            runner = SessionPipeRunner(spark, declared, str(warehouse), project_root=str(root))
            report = runner("gold.revenue")
        assert report.status == "published", report.error
        found = spark.sql("SELECT revenue, day FROM shop.revenue ORDER BY day").collect()
        assert [(row[0], row[1].isoformat()) for row in found] == [
            (15.0, "2026-03-01"),
            (1.0, "2026-03-02"),
        ]
    finally:
        spark.sql("DROP TABLE IF EXISTS shop.revenue")
        spark.sql("DROP DATABASE IF EXISTS shop CASCADE")
