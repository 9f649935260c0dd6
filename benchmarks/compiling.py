"""From a manifest to a complete DAG: against bare operators by hand, and against Astronomer Cosmos.

Cosmos lives in an environment of its own, made at the first call (``build/cosmos``), on top of the
Airflow of this one. It gets the same graph as a dbt manifest, each pipe a model; no dbt is run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.graphs import GRAPHS, REAL
from benchmarks.timing import in_new_process

__all__ = ["run"]

_ROUNDS = "7"
_ROOT = Path(__file__).resolve().parent.parent
_COSMOS = _ROOT / "build" / "cosmos"
_PACKAGES = ("astronomer-cosmos==1.15.*", "aenum", "deprecation", "msgpack")


def run(console: Console) -> None:
    """Measure and print."""
    table = Table(
        title=f"From a manifest to a DAG (CPU ms; first in its process, least of {_ROUNDS})",
        title_justify="left",
    )
    for column in ("graph", "tasks", "this package", "by hand", "ratio", "Cosmos", "ratio"):
        table.add_column(column, justify="left" if column == "graph" else "right")
    python = _cosmos_python(console)
    for name in REAL:
        found = in_new_process("benchmarks.compiling_once", name, _ROUNDS)
        cosmos = _cosmos(python, name) if python is not None else None
        table.add_row(
            name,
            f"{found['tasks']:,}",
            f"{found['first'] * 1000:.0f}, {found['ours'] * 1000:.0f}",
            f"{found['by_hand'] * 1000:.0f}",
            f"{found['ours'] / found['by_hand']:.2f}",
            _milliseconds(cosmos),
            ""
            if cosmos is None
            else f"{found['first'] / cosmos['first']:.2f}, {found['ours'] / cosmos['best']:.2f}",
        )
    console.print(table)


def _milliseconds(cosmos: dict[str, Any] | None) -> str:
    if cosmos is None:
        return "not installed"
    return f"{cosmos['first'] * 1000:.0f}, {cosmos['best'] * 1000:.0f}"


def _cosmos_python(console: Console) -> Path | None:
    """Return the interpreter of an environment with Cosmos, or None where it cannot be made."""
    python = _COSMOS / "bin" / "python"
    if not python.exists():
        venv.create(_COSMOS, with_pip=True)
        packages = next(_COSMOS.glob("lib/python*/site-packages"))
        here = sysconfig.get_paths()["purelib"]
        (packages / "beneath.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *_PACKAGES]
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        console.print("Cosmos could not be installed here; it is left out.")
        return None
    return python


def _cosmos(python: Path, graph: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(str(python), "-m", "benchmarks.cosmos_once"),
                *(str(GRAPHS / f"{graph}.json"), folder, _ROUNDS),
            ],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    run(Console(width=120, file=sys.stdout))
