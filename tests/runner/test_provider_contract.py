"""Every provider that writes holds the same contract, the one that third parties can run too."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.runner.providers.contract import RULES, Case
from kindling_airflow.runner.providers.memory_tables import MemoryTables

pytestmark = pytest.mark.system


@pytest.mark.parametrize("kind", ["parquet", "table", "memory"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Callable[[Case], None], kind: str, spark: Any, tmp_path: Path) -> None:
    entity_id = f"orders_{uuid.uuid4().hex}"  # the catalog is that of the whole test session
    # Spark takes these for a pattern where a table's folder has them, which is refused.
    pattern = "" if kind == "table" else "[1] {a} ${x} * \\"
    warehouse = tmp_path / f"ware 'house' $(x) %20 \" ä\n{pattern}"
    rule(Case(spark, str(warehouse), {"provider_type": kind}, entity_id, MemoryTables()))
