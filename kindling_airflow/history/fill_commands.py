"""The backfills that write what is missing or stale, and nothing else."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.history.dag_pipes import StoredPipe
from kindling_airflow.history.gaps import Grid, Slot

__all__ = ["as_text", "fill_commands", "timestamp"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


def fill_commands(dag_id: str, grid: Grid) -> tuple[tuple[str, ...], ...]:
    """Return the arguments of ``airflow backfill create`` commands that fill a grid's gaps.

    Each is for runs that follow each other and need the same pipes. Airflow runs one backfill of a
    DAG at a time, so each command has to wait for the end of the one before. Parameters of existing
    runs are kept.
    """
    needs = [(slot, _conf(grid.gaps(n), slot)) for n, slot in enumerate(grid.slots)]
    return tuple(
        _command(dag_id, [slot for slot, _ in group], conf)
        for conf, group in _groups(needs)
        if conf is not None
    )


def _groups(
    needs: list[tuple[Slot, dict[str, Any] | None]],
) -> Iterator[tuple[dict[str, Any] | None, list[tuple[Slot, dict[str, Any] | None]]]]:
    for conf, group in groupby(needs, key=lambda need: need[1]):
        yield conf, list(group)


def _conf(pipes: tuple[StoredPipe, ...], slot: Slot) -> dict[str, Any] | None:
    if not pipes:
        return None
    found = dict(slot.conf or {})
    for group in dict.fromkeys(pipe.group for pipe in pipes):
        own = [_exactly(pipe.pipe_id) for pipe in pipes if pipe.group == group]
        found[f"{SELECT_PARAM}.{group}" if group else SELECT_PARAM] = " ".join(own)
    return found


def _exactly(pipe_id: str) -> str:
    """Return the selector of one pipe, whatever its id looks like.

    >>> _exactly("silver.orders"), _exactly("a b*")
    ('silver.orders', '"a b*"')
    """
    if _PLAIN.fullmatch(pipe_id):
        return pipe_id
    inner = pipe_id.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def _command(dag_id: str, slots: list[Slot], conf: Mapping[str, Any]) -> tuple[str, ...]:
    words = ["airflow", "backfill", "create", "--dag-id", dag_id]
    words += ["--from-date", timestamp(slots[0].date), "--to-date", timestamp(slots[-1].date)]
    if any(slot.state for slot in slots):
        words += ["--reprocess-behavior", "completed"]
    return (*words, "--dag-run-conf", json.dumps(conf))


def timestamp(time: datetime) -> str:
    """Return a time in UTC as Airflow's commands take it, midnight as its date.

    >>> timestamp(datetime(2026, 1, 2, tzinfo=timezone.utc))
    '2026-01-02'
    """
    there = time.astimezone(timezone.utc)
    midnight = there.time() == datetime.min.time()
    return f"{there:%Y-%m-%d}" if midnight else f"{there:%Y-%m-%dT%H:%M:%S}+00:00"


def as_text(command: tuple[str, ...]) -> str:
    """Return a command as one line for a shell."""
    return shlex.join(command)
