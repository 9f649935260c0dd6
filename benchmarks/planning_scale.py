"""One size of the growth measurement, in a process of its own: prints a JSON document."""

from __future__ import annotations

import gc
import itertools
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.graphs import data_edges, random_graph, registry_of
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest import Manifest

_ROUNDS = 7


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _once(path: Path) -> dict[str, float]:
    marks = [time.process_time()]
    manifest = Manifest.read(path)
    marks.append(time.process_time())
    plan = ExecutionPlanGenerator(manifest).generate_batch_plan()
    marks.append(time.process_time())
    assert plan.digest
    marks.append(time.process_time())
    steps = dict(zip(("read", "graph and plan", "digest"), _differences(marks), strict=True))
    return {**steps, "all": marks[-1] - marks[0]}


def _differences(marks: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(marks)]


def _json(path: Path) -> float:
    """Return what it takes to read the text and to look once at each entity that a pipe reads."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    records = json.loads(path.read_text(encoding="utf-8"))["pipes"]
    writers = {record["output_entity_id"]: n for n, record in enumerate(records)}
    for record in records:
        for entity in record.get("input_entity_ids", ()):
            writers.get(entity)
    found = time.process_time() - start
    gc.enable()
    return found


def _networkx(path: Path) -> float:
    import networkx as nx

    records = json.loads(path.read_text(encoding="utf-8"))["pipes"]
    pipe_ids, edges = [record["pipeid"] for record in records], data_edges(records)
    gc.collect()
    start = time.process_time()
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(pipe_ids)
    graph.add_edges_from(edges)
    list(nx.topological_generations(graph))
    return time.process_time() - start


def main(pipes: int, edges: int) -> None:
    """Measure one size."""
    imports_mb = _peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.manifest.json"
        _write_in_child(path, pipes, edges)
        first = _once(path)
        peak_mb = _peak_mb()
        rounds = [first]
        for _ in range(_ROUNDS - 1):
            gc.collect()
            rounds.append(_once(path))
        best = min(rounds, key=lambda found: found["all"])
        best["median"] = statistics.median(found["all"] for found in rounds)
        references = {
            "json": min(_json(path) for _ in range(3)),
            "networkx": min(_networkx(path) for _ in range(3)),
        }
    print(json.dumps({**best, **references, "peak_mb": peak_mb, "imports_mb": imports_mb}))


def _write_in_child(path: Path, pipes: int, edges: int) -> None:
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=write, args=(path, pipes, edges))
    child.start()
    child.join()


def write(path: Path, pipes: int, edges: int) -> None:
    """Write the manifest of a random graph."""
    records = random_graph(pipes, edges)
    Manifest.from_registries(registry_of(records), DataEntityRegistry()).write(path)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
