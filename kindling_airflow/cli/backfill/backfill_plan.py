"""Plans a backfill: what it will run and write, as data and as text. Does not call Airflow."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

from kindling_airflow.common.immutable import EMPTY, thaw
from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.common.wording import counted
from kindling_airflow.manifest import Manifest
from kindling_airflow.tags.intervals import interval_column_of, write_mode_of

_MOST_SHOWN = 12
_AIRFLOWS_MAX_RUNS = 10
_HOW = {
    "overwrite": "replaces the whole table",
    "append": "adds rows",
    "merge": "merges on the key columns",
}


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of ``airflow backfill create``.

    Attributes:
        conf: parameters of all runs, besides the selection of pipes.
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
        key: its logical date, or its partition.
        start, end: its data interval.
        state: the state of an existing run; "" for none.
        had_select: the selection of an existing run, or "".
        conf: the conf of an existing run.
        date: the time that is compared with the dates of a backfill, if it is not the start.
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
        """Return it as text."""
        if self.mode == "overwrite_interval":
            return f"replaces the rows whose {self.column} is in the run's interval"
        return _HOW[self.mode]


@dataclass(frozen=True, slots=True)
class StoredDag:
    """A DAG in Airflow's database.

    Attributes:
        is_known: it is stored there.
        is_paused: it is paused.
        backfill: the id of its running backfill, or None.
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
        request: the arguments.
        runs: the runs of the backfill, in their order.
        left: the existing runs that are not re-run.
        pipes: the pipes that run in each.
        others: how many pipes are skipped in each.
        writes: what they write.
        refusals: why Airflow would reject it; empty if it would not.
        notes: what Airflow ignores, and other notes.
        commands: the commands, to be run one after the other.
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
        """The commands, one per line."""
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
        """Return the plan as text."""
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
        request: the arguments.
        slots: the runs of the range, by the DAG's schedule, earliest first.
        pipes: the pipes that run in each.
        others: how many are skipped in each.
        writes: what they write.
        now: the time.
        dag: the stored DAG; None if the database is not available.
        start_date: that of the definition.
        own_limit: the concurrent runs that the definition allows.
        is_new_again: whether Airflow replaces a run that is re-run by a new one, without conf.
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
        yield "no completed interval of the schedule begins between these dates"
    if dag is None:
        return
    if not dag.is_known:
        yield "the DAG processor has not stored the DAG yet"
    if dag.backfill is not None:
        yield f"backfill {dag.backfill} of this DAG is still running, and only one can run"
    if dag.waits_for_past and request.backwards:
        yield "tasks with depends_on_past cannot run backwards"
    if dag.waits_for_past and request.reprocess == "none":
        yield "tasks with depends_on_past need --reprocess-behavior failed or completed"


def _schedule_notes(
    request: Request, dag: StoredDag | None, start_date: datetime | None, own_limit: int
) -> Iterator[str]:
    if dag is not None and dag.is_paused:
        yield (
            "the DAG is paused: its runs will be created and wait until it is unpaused "
            f"('airflow dags unpause {request.dag_id}')"
        )
    if start_date is not None and request.first < start_date:
        yield "a backfill ignores start_date: runs before it are created as well"
    if request.at_once is None and own_limit < _AIRFLOWS_MAX_RUNS:
        yield (
            f"{_AIRFLOWS_MAX_RUNS} concurrent runs: a backfill ignores max_active_runs of the "
            f"definition ({own_limit}); set --max-active-runs"
        )


def _table_notes(request: Request, runs: Sequence[Slot], writes: Sequence[Write]) -> Iterator[str]:
    several = (request.at_once or _AIRFLOWS_MAX_RUNS) > 1
    interval = "the earliest interval" if request.backwards else "the latest interval"
    stays = "the run that publishes last" if several else interval
    replaced = ", ".join(repr(w.entity_id) for w in writes if w.mode == "overwrite")
    if replaced and len(runs) > 1:
        yield f"each run replaces all of {replaced}: the result of {stays} remains"
    merged = ", ".join(repr(w.entity_id) for w in writes if w.mode == "merge")
    if merged and len(runs) > 1 and several:
        yield f"rows with the same key in several runs: {merged} keeps those of {stays}"
    kept = ", ".join(map(repr, sorted({slot.had_select for slot in runs if slot.had_select})))
    if kept and not request.select:
        yield (
            f"runs of this range had a selection of pipes ({kept}), which Airflow would keep; the "
            "command below removes it"
        )


_Part = tuple[Mapping[str, Any] | None, Sequence[Slot]]
"""Runs of one command, and their conf; None: without conf."""


def _parts(request: Request, runs: Sequence[Slot], *, is_new_again: bool) -> list[_Part]:
    """Return the runs by command: all runs of a command have the same conf.

    It replaces the confs of existing runs, so it has to contain them; without a conf they keep
    theirs, unless Airflow creates new runs.
    """
    lost = is_new_again and any(slot.state and slot.conf for slot in runs)
    if not (request.select or request.conf or lost or any(slot.had_select for slot in runs)):
        return [(None, runs)]

    def conf_of(slot: Slot) -> dict[str, Any]:
        kept = {
            name: value for name, value in slot.conf.items() if slot.state and name != SELECT_PARAM
        }
        return {**kept, **request.conf, SELECT_PARAM: request.select}

    return [(conf, list(part)) for conf, part in groupby(runs, conf_of)] or [(conf_of(_NO_RUN), [])]


_NO_RUN = Slot("", datetime.min, datetime.min)  # noqa: DTZ901


def _conf_notes(request: Request, parts: Sequence[_Part]) -> Iterator[str]:
    given = {SELECT_PARAM, *request.conf}
    kept = sorted({name for conf, _ in parts for name in conf or () if name not in given})
    if kept:
        yield (
            f"runs of this range were started with {', '.join(map(repr, kept))}, which the conf of "
            "a backfill replaces; the commands below include it"
        )
    if len(parts) > 1:
        yield (
            f"runs of this range have {len(parts)} different confs in turn, and a backfill has "
            "one: run each command after the backfill of the previous one has ended"
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
    words += ["--from-date", _timestamp(first), "--to-date", _timestamp(last)]
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
        f"Backfill of {plan.request.dag_id!r}: {counted(runs, 'run')}, {counted(pipes, 'pipe')} in "
        f"each{skipped}, {counted(runs * pipes, 'task run')} with a driver"
    )
    yield ""
    shown = plan.runs if runs <= _MOST_SHOWN else plan.runs[: _MOST_SHOWN - 2]
    for slot in shown:
        yield _run_line(slot)
    if len(shown) < runs:
        yield f"  ... and {runs - len(shown) - 1} more"
        yield _run_line(plan.runs[-1])
    if plan.left:
        states = sorted({slot.state for slot in plan.left})
        yield f"  {counted(len(plan.left), 'run')} not re-run ({', '.join(states)})"
    yield ""
    width = max((len(write.pipe_id) for write in plan.writes), default=0)
    for write in plan.writes:
        yield f"  {write.pipe_id:{width}}  {write.entity_id}: {write.how()}"
    for title, texts in (("Airflow would reject this:", plan.refusals), ("Note:", plan.notes)):
        if texts:
            yield ""
            yield title
            yield from (f"  - {text}" for text in texts)
    yield ""
    yield from plan.commands


def _run_line(slot: Slot) -> str:
    again = f"  re-run, was {slot.state}" if slot.state else ""
    return f"  {_timestamp(slot.start)} to {_timestamp(slot.end)}{again}"


def _timestamp(time: datetime) -> str:
    """Return a time in UTC, midnight as its date."""
    there = time.astimezone(timezone.utc)
    midnight = there.time() == datetime.min.time()
    return f"{there:%Y-%m-%d}" if midnight else f"{there:%Y-%m-%dT%H:%M:%S}+00:00"


def _slot_json(slot: Slot) -> Mapping[str, Any]:
    return {
        "key": slot.key,
        "interval_start": slot.start.isoformat(),
        "interval_end": slot.end.isoformat(),
        "state": slot.state or None,
    }
