"""Planning against networkx, and how it grows.

The reference is what networkx alone needs for the same pipes: a ``DiGraph`` of ready-made nodes and
edges, and ``topological_generations`` over it. The package starts from declarations: it finds the
edges, checks them, builds the same ``DiGraph``, plans and validates. The goals are at most 3 times
the reference on each graph, and 4 seconds from the file of 100,000 pipes to the digest.
"""

from __future__ import annotations

import networkx as nx
from rich.console import Console
from rich.table import Table

from benchmarks.graphs import REAL, chain, data_edges, random_graph, real_graph, registry_of
from benchmarks.timing import in_new_process, paired
from kindling_airflow.execution_strategy import ExecutionPlanGenerator

__all__ = ["run"]

_ROUNDS = 31
_FEW_ROUNDS = 5
_SIZES = (10_000, 100_000)


def run(console: Console) -> None:
    """Measure and print."""
    _against_networkx(console)
    _growth(console)


def _against_networkx(console: Console) -> None:
    table = Table(title="Planning against networkx (CPU ms)", title_justify="left")
    columns = ("graph", "pipes", "edges", "declare", "plan", "networkx", "least ratio", "median")
    for column in columns:
        table.add_column(column, justify="left" if column == "graph" else "right")
    graphs = {
        "chain of 2,000": chain(2000),
        **{name: real_graph(name) for name in REAL},
        "random 10,000": random_graph(10_000, 30_000),
        "random 100,000": random_graph(100_000, 300_000),
    }
    for name, records in graphs.items():
        edges, pipe_ids = data_edges(records), [record["pipeid"] for record in records]
        generator = ExecutionPlanGenerator(registry_of(records))
        declare, plan, reference = paired(
            [
                lambda records=records: registry_of(records),  # type: ignore[misc]
                generator.generate_batch_plan,
                lambda ids=pipe_ids, edges=edges: _networkx_alone(ids, edges),  # type: ignore[misc]
            ],
            _ROUNDS if len(records) < 10_000 else _FEW_ROUNDS,
        )
        table.add_row(
            name,
            f"{len(records):,}",
            f"{len(edges):,}",
            *(f"{timed.best * 1000:.1f}" for timed in (declare, plan, reference)),
            f"{plan.best / reference.best:.2f}",
            f"{plan.typical / reference.typical:.2f}",
        )
    console.print(table)


def _networkx_alone(pipe_ids: list[str], edges: list[tuple[str, str]]) -> list[list[str]]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(pipe_ids)
    graph.add_edges_from(edges)
    return list(nx.topological_generations(graph))


def _growth(console: Console) -> None:
    table = Table(
        title="From a manifest file to a validated plan (CPU s, a process of its own)",
        title_justify="left",
    )
    steps = ("read", "graph and plan", "digest", "all", "median")
    for column in ("pipes", "edges", *steps, "JSON", "networkx", "peak MB", "of it imports"):
        table.add_column(column, justify="right")
    rows = []
    for pipes in _SIZES:
        found = in_new_process("benchmarks.planning_scale", str(pipes), str(3 * pipes))
        rows.append(found)
        table.add_row(
            f"{pipes:,}",
            f"{3 * pipes:,}",
            *(f"{found[step]:.2f}" for step in steps),
            f"{found['json']:.2f}",
            f"{found['networkx']:.2f}",
            f"{found['peak_mb']:.0f}",
            f"{found['imports_mb']:.0f}",
        )
    console.print(table)
    grown = ", ".join(
        f"{what} {rows[1][key] / rows[0][key]:.1f} times"
        for what, key in (("all", "all"), ("JSON", "json"), ("networkx", "networkx"))
    )
    console.print(f"Growth from 10,000 to 100,000 pipes: {grown}")
    console.print("JSON: the text parsed by json, and one look-up for each input of a pipe.")
