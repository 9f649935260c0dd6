"""What a backfill will run and write, as data and as text; what it asks of Airflow is handed in."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

from kindling_airflow.common.frozen import EMPTY, thaw
from kindling_airflow.manifest import Manifest
from kindling_airflow.tags.intervals import interval_column_of, write_mode_of

__all__ = ["BackfillPlan", "Request", "Slot", "StoredDag", "Write", "plan_backfill", "writes_of"]

_CHOICE = "select"  # in the conf of a run, see operators/start_checks.py
_MOST_SHOWN = 12
_AIRFLOWS_OWN = 10
_HOW = {
    "overwrite": "replaces the whole table",
    "append": "adds rows",
    "merge": "merges on the key columns",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What ``airflow backfill create`` is to be called with.

    Attributes:
        conf: parameters that all runs get, besides the choice of pipes.
    """

    dag_id: str
    first: datetime
    last: datetime
    select: str = ""
    reprocess: str = "none"
    backwards: bool = False
    at_once: int | None = None
    conf: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Slot:
    """One run of the range.

    Attributes:
        key: what Airflow calls it: its logical date, or its partition.
        start, end: its data interval.
        state: the state of the run that there is already; "" for none.
        had_select: the choice that such a run was started with, or "".
        conf: all that it was started with.
        date: what the dates of a backfill are compared with, if it is not the start.
    """

    key: str
    start: datetime
    end: datetime
    state: str = ""
    had_select: str = ""
    conf: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """What a pipe writes in each run."""

    pipe_id: str
    entity_id: str
    mode: str
    column: str = ""

    def how(self) -> str:
        """Return it for people."""
        if self.mode == "overwrite_interval":
            return f"replaces the rows whose {self.column} is in the run's interval"
        return _HOW[self.mode]


@dataclass(frozen=True, slots=True)
class StoredDag:
    """What Airflow knows of the DAG; None as a whole where it was not asked.

    Attributes:
        is_known: it is in the database, serialised.
        is_paused: it is paused.
        backfill: the id of its backfill under way, or None.
        waits_for_past: it has tasks with ``depends_on_past``.
    """

    is_known: bool = True
    is_paused: bool = False
    backfill: int | None = None
    waits_for_past: bool = False


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What a backfill will do.

    Attributes:
        request: the call.
        runs: the runs that there will be, in their order; those that are left alone are not.
        left: the runs that are left alone.
        pipes: the pipes that run in each.
        others: how many pipes are skipped in each.
        writes: what they write.
        refusals: why Airflow refuses it; empty if it does not.
        notes: what Airflow ignores, and what else is to be known.
        commands: the commands that do it, one after the other.
    """

    request: Request
    runs: tuple[Slot, ...]
    left: tuple[Slot, ...]
    pipes: tuple[str, ...]
    others: int
    writes: tuple[Write, ...]
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The commands, a line each."""
        return "\n".join(self.commands)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON document."""
        return {
            "dag_id": self.request.dag_id,
            "runs": [_slot_json(slot) for slot in self.runs],
            "left_alone": [_slot_json(slot) for slot in self.left],
            "pipes": list(self.pipes),
            "pipes_skipped": self.others,
            "task_runs": len(self.runs) * len(self.pipes),
            "writes": [
                {"pipe": w.pipe_id, "entity": w.entity_id, "mode": w.mode, "column": w.column}
                for w in self.writes
            ],
            "refusals": list(self.refusals),
            "notes": list(self.notes),
            "command": self.command,
            "commands": list(self.commands),
        }

    def text(self) -> str:
        """Return the plan for people."""
        return "\n".join(_lines(self))


def writes_of(manifest: Manifest, pipes: Sequence[str]) -> tuple[Write, ...]:
    """Return what pipes write, in their order."""
    found = []
    entities = {entity.entityid: entity for entity in manifest.entities}
    for pipe_id in pipes:
        pipe = manifest.get_pipe_definition(pipe_id)
        if pipe is None or not pipe.output_entity_id:
            continue
        entity = entities.get(pipe.output_entity_id)
        mode = "overwrite" if entity is None else write_mode_of(entity)
        column = (interval_column_of(entity) or "") if entity is not None else ""
        found.append(Write(pipe_id, pipe.output_entity_id, mode, column))
    return tuple(found)


def plan_backfill(
    request: Request,
    slots: Sequence[Slot],
    pipes: Sequence[str],
    others: int,
    writes: Sequence[Write],
    *,
    now: datetime,
    dag: StoredDag | None = None,
    start_date: datetime | None = None,
    own_limit: int = 1,
    is_new_again: bool = False,
) -> BackfillPlan:
    """Return what a backfill will do.

    Args:
        request: what it will be called with.
        slots: the runs of the range, by the DAG's schedule, earliest first.
        pipes: the pipes that run in each.
        others: how many are skipped in each.
        writes: what they write.
        now: the time.
        dag: what Airflow knows.
        start_date: that of the definition.
        own_limit: how many runs the definition allows at once.
        is_new_again: whether Airflow makes a new run, without conf, where one is run again.
    """
    ordered = slots[::-1] if request.backwards else slots
    runs = tuple(slot for slot in ordered if _is_run(slot, request.reprocess))
    left = tuple(slot for slot in ordered if not _is_run(slot, request.reprocess))
    parts = _parts(request, runs, is_new_again=is_new_again)
    return BackfillPlan(
        request=request,
        runs=runs,
        left=left,
        pipes=tuple(pipes),
        others=others,
        writes=tuple(writes),
        refusals=tuple(_refusals(request, slots, now, dag)),
        notes=(
            *_schedule_notes(request, dag, start_date, own_limit),
            *_table_notes(request, runs, writes),
            *_conf_notes(request, parts),
        ),
        commands=tuple(_commands(request, parts)),
    )


def _is_run(slot: Slot, reprocess: str) -> bool:
    if not slot.state:
        return True
    again = {"none": (), "failed": ("failed",), "completed": ("failed", "success")}
    return slot.state in again[reprocess]


def _refusals(
    request: Request, slots: Sequence[Slot], now: datetime, dag: StoredDag | None
) -> Iterator[str]:
    if request.first > request.last:
        yield "the first date is after the last one"
    elif min(request.first, request.last) >= now:
        yield "both dates are in the future"
    elif not slots:
        yield "no interval of the schedule that is over begins between these dates"
    if dag is None:
        return
    if not dag.is_known:
        yield "Airflow does not know the DAG yet: the DAG processor has not stored it"
    if dag.backfill is not None:
        yield f"backfill {dag.backfill} of this DAG is under way, and there can be one only"
    if dag.waits_for_past and request.backwards:
        yield "tasks with depends_on_past cannot run backwards"
    if dag.waits_for_past and request.reprocess == "none":
        yield "tasks with depends_on_past need --reprocess-behavior failed or completed"


def _schedule_notes(
    request: Request,
    dag: StoredDag | None,
    start_date: datetime | None,
    own_limit: int,
) -> Iterator[str]:
    if dag is not None and dag.is_paused:
        yield (
            "the DAG is paused: its runs will be made and wait until it is unpaused "
            f"('airflow dags unpause {request.dag_id}')"
        )
    if start_date is not None and request.first < start_date:
        yield "a backfill does not heed start_date: runs before it are made as well"
    if request.at_once is None and own_limit < _AIRFLOWS_OWN:
        yield (
            f"{_AIRFLOWS_OWN} runs at once: a backfill does not heed max_active_runs of the "
            f"definition ({own_limit}); say --max-active-runs"
        )


def _table_notes(request: Request, runs: Sequence[Slot], writes: Sequence[Write]) -> Iterator[str]:
    several = _at_once(request) > 1
    interval = "the earliest interval" if request.backwards else "the latest interval"
    stays = "whichever run publishes last" if several else interval
    replaced = ", ".join(repr(w.entity_id) for w in writes if w.mode == "overwrite")
    if replaced and len(runs) > 1:
        yield f"each run replaces all of {replaced}: what stays is that of {stays}"
    merged = ", ".join(repr(w.entity_id) for w in writes if w.mode == "merge")
    if merged and len(runs) > 1 and several:
        yield f"rows of one key in several runs: {merged} keeps that of {stays}"
    kept = ", ".join(map(repr, sorted({slot.had_select for slot in runs if slot.had_select})))
    if kept and not request.select:
        yield (
            f"runs of this range were for some pipes only ({kept}), and Airflow keeps that for "
            "them; the command below takes it away"
        )


def _at_once(request: Request) -> int:
    return request.at_once or _AIRFLOWS_OWN


_Part = tuple[Mapping[str, Any] | None, Sequence[Slot]]
"""Runs that one command makes, and the conf that it gives them; None: it gives none."""


def _parts(request: Request, runs: Sequence[Slot], *, is_new_again: bool) -> list[_Part]:
    """Return which runs one command can make: it gives all of them the same conf.

    That takes the place of what runs that are run again were started with, so it has to have all
    of it; without one they keep theirs, unless Airflow makes new ones.
    """
    lost = is_new_again and any(slot.state and slot.conf for slot in runs)
    if not (request.select or request.conf or lost or any(slot.had_select for slot in runs)):
        return [(None, runs)]

    def conf_of(slot: Slot) -> dict[str, Any]:
        kept = {name: value for name, value in slot.conf.items() if slot.state and name != _CHOICE}
        return {**kept, **request.conf, _CHOICE: request.select}

    return [(conf, list(part)) for conf, part in groupby(runs, conf_of)] or [(conf_of(_NO_RUN), [])]


_NO_RUN = Slot("", datetime.min, datetime.min)  # noqa: DTZ901


def _conf_notes(request: Request, parts: Sequence[_Part]) -> Iterator[str]:
    given = {_CHOICE, *request.conf}
    kept = sorted({name for conf, _ in parts for name in conf or () if name not in given})
    if kept:
        yield (
            f"runs of this range were started with {', '.join(map(repr, kept))}, which a conf of a "
            "backfill replaces; the commands below have it, too"
        )
    if len(parts) > 1:
        yield (
            f"runs of this range have {len(parts)} different confs in turn, and a backfill has "
            "one: call a command when the backfill of the one before is over"
        )


def _commands(request: Request, parts: Sequence[_Part]) -> Iterator[str]:
    for n, (conf, runs) in enumerate(parts):
        first, last = request.first, request.last
        dates = [slot.date or slot.start for slot in runs]
        is_first, is_last = n == 0, n == len(parts) - 1
        if request.backwards:
            is_first, is_last = is_last, is_first
        yield _command(
            request, first if is_first else min(dates), last if is_last else max(dates), conf
        )


def _command(
    request: Request, first: datetime, last: datetime, conf: Mapping[str, Any] | None
) -> str:
    words = ["airflow", "backfill", "create", "--dag-id", request.dag_id]
    words += ["--from-date", _moment(first), "--to-date", _moment(last)]
    if request.at_once is not None:
        words += ["--max-active-runs", str(request.at_once)]
    if request.reprocess != "none":
        words += ["--reprocess-behavior", request.reprocess]
    if request.backwards:
        words += ["--run-backwards"]
    if conf is not None:
        words += ["--dag-run-conf", json.dumps(thaw(conf))]
    return shlex.join(words)


def _lines(plan: BackfillPlan) -> Iterator[str]:
    runs, pipes = len(plan.runs), len(plan.pipes)
    skipped = f" ({plan.others} skipped)" if plan.others else ""
    yield (
        f"Backfill of {plan.request.dag_id!r}: {_count(runs, 'run')}, {_count(pipes, 'pipe')} in "
        f"each{skipped}, {_count(runs * pipes, 'task run')} with a driver"
    )
    yield ""
    shown = plan.runs if runs <= _MOST_SHOWN else plan.runs[: _MOST_SHOWN - 2]
    for slot in shown:
        yield _run_line(slot)
    if len(shown) < runs:
        yield f"  ... and {runs - len(shown) - 1} more"
        yield _run_line(plan.runs[-1])
    if plan.left:
        why = {f"{slot.state}" for slot in plan.left}
        yield f"  {_count(len(plan.left), 'run')} left alone ({', '.join(sorted(why))})"
    yield ""
    width = max((len(write.pipe_id) for write in plan.writes), default=0)
    for write in plan.writes:
        yield f"  {write.pipe_id:{width}}  {write.entity_id}: {write.how()}"
    for title, texts in (("Airflow refuses this:", plan.refusals), ("Note:", plan.notes)):
        if texts:
            yield ""
            yield title
            yield from (f"  - {text}" for text in texts)
    yield ""
    yield from plan.commands


def _run_line(slot: Slot) -> str:
    again = f"  again, was {slot.state}" if slot.state else ""
    return f"  {_moment(slot.start)} to {_moment(slot.end)}{again}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _moment(moment: datetime) -> str:
    """Return a moment in UTC, a midnight as its date."""
    there = moment.astimezone(timezone.utc)
    midnight = there.time() == datetime.min.time()
    return f"{there:%Y-%m-%d}" if midnight else f"{there:%Y-%m-%dT%H:%M:%S}+00:00"


def _slot_json(slot: Slot) -> Mapping[str, Any]:
    return {
        "key": slot.key,
        "interval_start": slot.start.isoformat(),
        "interval_end": slot.end.isoformat(),
        "state": slot.state or None,
    }
