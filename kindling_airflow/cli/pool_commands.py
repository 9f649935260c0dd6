"""``pools``: compares the pools that the deployment's DAGs need with those in the database."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kindling_airflow.cli.inside_airflow import asked_of_database
from kindling_airflow.cli.stdout import printed_to_stderr
from kindling_airflow.common.shared_ids import DEFAULT_POOL
from kindling_airflow.errors import KindlingAirflowError, WrongCallError, problems_of
from kindling_airflow.pools.needs import (
    UNLIMITED,
    PoolNeed,
    PoolState,
    PoolVerdict,
    SlotCount,
    compare,
)

_STYLES = {PoolState.OK: "green", PoolState.NARROWER: "yellow"}


def show_pools(args: argparse.Namespace) -> int:
    """List the pools; with ``--apply``, create missing ones."""
    verdicts, created, problems = asked_of_database(args, "pools", _found)
    if args.json:
        document = {
            "pools": [verdict.to_json() for verdict in verdicts],
            "created": created,
            "problems": problems,
        }
        print(json.dumps(document, indent=2))
    else:
        _show(verdicts, created, problems)
    return 1 if problems or any(v.state.is_fatal for v in verdicts) else 0


def _found(args: argparse.Namespace) -> tuple[tuple[PoolVerdict, ...], list[str], list[str]]:
    """Return the needed pools, the names of created ones, and problems of definitions."""
    from kindling_airflow.pools import database

    existing = database.existing_pools()
    folders = [Path(name) for name in args.folders] or database.bundle_folders()
    for folder in folders:
        if not folder.exists():
            raise WrongCallError(f"folder not found: {str(folder)!r}")
    defined, problems = _needs_of_definitions(folders)
    own = {need.dag_id for need in defined}
    # What Airflow has stored of a definition may be older.
    stored = [need for need in database.needs_of_stored_dags() if need.dag_id not in own]
    verdicts = compare([*defined, *stored], existing)
    created: list[str] = []
    if args.apply:
        wanted = {v.pool: v.wanted for v in verdicts if v.state is PoolState.MISSING}
        created = database.create_missing({p: n for p, n in wanted.items() if p != DEFAULT_POOL})
        verdicts = compare([*defined, *stored], database.existing_pools())
    return verdicts, created, problems


def _needs_of_definitions(folders: Iterable[Path]) -> tuple[list[PoolNeed], list[str]]:
    """Return the needs of the definitions in folders, and the problems of invalid ones."""
    from kindling_airflow.dag_factory.definition_files import definition_files
    from kindling_airflow.definitions.compile import compile_definition
    from kindling_airflow.definitions.definition import Definition

    needs: list[PoolNeed] = []
    problems: list[str] = []
    for folder in folders:
        for path in definition_files(folder):
            try:
                with printed_to_stderr():
                    spec = compile_definition(Definition.from_file(path)).spec
            except KindlingAirflowError as error:
                problems += problems_of(error)
            else:
                counts: dict[str, SlotCount] = {}
                for task in spec.tasks():
                    is_long_running = task.stream is not None and spec.stop is not None
                    count = counts.setdefault(task.settings.pool, SlotCount())
                    count.add(task.settings.pool_slots, is_long_running=is_long_running)
                for pool, count in counts.items():
                    least = count.least
                    wanted = least if pool == DEFAULT_POOL else spec.pools.get(pool, least)
                    needs.append(PoolNeed(pool, spec.dag_id, wanted, least, count.streams))
    return needs, problems


def _show(verdicts: Sequence[PoolVerdict], created: Sequence[str], problems: Sequence[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("pool", "needed by"):
        table.add_column(column, overflow="fold")
    for column in ("wanted", "slots"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for verdict in verdicts:
        state = "created" if verdict.pool in created else verdict.state.value
        table.add_row(
            Text(verdict.pool),
            Text(", ".join(need.dag_id for need in verdict.needs)),
            str(verdict.wanted),
            {None: "-", UNLIMITED: "no limit"}.get(verdict.slots, str(verdict.slots)),
            Text(state, style=_STYLES.get(verdict.state, "red")),
        )
    console.print(table if verdicts else "The DAGs of this deployment need no pools.")
    for verdict in verdicts:
        if verdict.state.is_fatal:
            console.print(Text(verdict.advice()))
    for problem in problems:
        console.print(Text(problem))
