"""What is measured on: pipes as records, of real projects and made up."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from kindling_airflow.data_pipes import DataPipesRegistry

__all__ = [
    "GRAPHS",
    "REAL",
    "Record",
    "chain",
    "data_edges",
    "random_graph",
    "real_graph",
    "registry_of",
]

Record = dict[str, Any]
REAL = ("lakehouse_677", "healthcare_1211")
GRAPHS = Path(__file__).resolve().parent.parent / "tests" / "graphs"


def real_graph(name: str) -> list[Record]:
    """Return the pipes of a public project; see tests/graphs/README.md."""
    records: list[Record] = json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8"))
    return records


def chain(length: int) -> list[Record]:
    """Return pipes that each read what the one before writes."""
    return [
        {"pipeid": f"p{n}", "input_entity_ids": [f"e{n - 1}"], "output_entity_id": f"e{n}"}
        for n in range(length)
    ]


def random_graph(pipes: int, edges: int, seed: int = 1) -> list[Record]:
    """Return pipes of which each reads from random earlier ones, with so many edges in all."""
    source = random.Random(seed)
    inputs: list[set[int]] = [set() for _ in range(pipes)]
    for _ in range(edges):
        while True:
            reader = source.randrange(1, pipes)
            writer = source.randrange(reader)
            if writer not in inputs[reader]:
                inputs[reader].add(writer)
                break
    return [
        {
            "pipeid": f"p{n}",
            "input_entity_ids": [f"e{writer}" for writer in sorted(inputs[n])],
            "output_entity_id": f"e{n}",
        }
        for n in range(pipes)
    ]


def registry_of(records: list[Record]) -> DataPipesRegistry:
    """Return the records as declared pipes."""
    registry = DataPipesRegistry()
    for record in records:
        registry.register_pipe(**record)
    return registry


def data_edges(records: list[Record]) -> list[tuple[str, str]]:
    """Return the edges that the records imply, worked out here and not by the package."""
    writers = {record["output_entity_id"]: record["pipeid"] for record in records}
    return [
        (writers[entity], record["pipeid"])
        for record in records
        for entity in record.get("input_entity_ids", ())
        if entity in writers and writers[entity] != record["pipeid"]
    ]
