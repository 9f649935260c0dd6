"""``backfill-plan``: shows what ``airflow backfill create`` would run and write."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kindling_airflow.cli.airflow_dates import airflow_date
from kindling_airflow.cli.backfill.backfill_plan import (
    BackfillPlan,
    Request,
    Slot,
    StoredDag,
    plan_backfill,
    writes_of,
)
from kindling_airflow.cli.inside_airflow import asked_quietly
from kindling_airflow.cli.stdout import printed_to_stderr
from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.errors import KindlingAirflowError, WrongCallError


def show_backfill(args: argparse.Namespace) -> int:
    """Print the plan; the status is 1 if Airflow would reject the backfill."""
    found = asked_quietly(args, "'backfill-plan' needs Airflow", _planned)
    print(json.dumps(found.to_json(), indent=2) if args.json else found.text())
    return 1 if found.refusals else 0


def _planned(args: argparse.Namespace) -> BackfillPlan:
    from kindling_airflow.definitions.compile import compile_definition
    from kindling_airflow.definitions.definition import Definition
    from kindling_airflow.selection import select

    path = Path(args.source)
    if not path.is_file() or path.suffix not in (".yaml", ".yml"):
        raise WrongCallError(f"{args.source!r} is not a definition (*.kindling.yaml)")
    if args.max_active_runs is not None and args.max_active_runs < 1:
        raise WrongCallError(f"--max-active-runs must be at least 1, not {args.max_active_runs}")
    chosen, conf = _conf(args)
    with printed_to_stderr():
        compiled = compile_definition(Definition.from_file(path))
    definition = compiled.definition
    if compiled.spec.lifetime is not None:
        raise KindlingAirflowError(
            f"{definition.source}: streams cannot be backfilled: they continue from their "
            "checkpoints, whatever the interval of a run\n"
            "  Fix: start a run with 'airflow dags trigger', or backfill the batch pipes in a "
            "separate definition."
        )
    request = Request(
        dag_id=definition.dag_id,
        first=airflow_date(args.from_date),
        last=airflow_date(args.to_date),
        select=chosen,
        reprocess=args.reprocess_behavior,
        backwards=args.run_backwards,
        at_once=args.max_active_runs,
        conf=conf,
    )
    now = datetime.now(timezone.utc)
    slots = list(_slots(compiled, request, now))
    every = compiled.plan.pipe_ids
    pipes = select(compiled.plan.graph, request.select) if request.select else every
    stored, existing, problem = _stored(request.dag_id, slots)
    found = plan_backfill(
        request,
        [_with_run(slot, existing) for slot in slots],
        pipes,
        len(every) - len(pipes),
        writes_of(compiled.manifest, pipes),
        now=now,
        dag=stored,
        start_date=definition.start_date,
        own_limit=definition.max_active_runs,
        is_new_again=definition.partitions is not None,
    )
    if not problem:
        return found
    text = f"the DAG and its runs could not be read from Airflow's database: {problem}"
    return replace(found, notes=(*found.notes, text))


def _slots(compiled: Any, request: Request, now: datetime) -> Iterator[Slot]:
    """Yield the runs of the range by the DAG's schedule, as the scheduler computes them.

    Raises:
        KindlingAirflowError: the DAG has no schedule in time.
    """
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    from kindling_airflow.dag_factory.schedules import airflow_schedule
    from kindling_airflow.definitions.dag_parts import dag_parts
    from kindling_airflow.operators.run_interval import run_interval

    definition = compiled.definition
    if not (definition.cron or definition.every or definition.partitions):
        raise KindlingAirflowError(
            f"{definition.source}: Airflow cannot backfill a DAG without a schedule in time\n"
            "  Fix: set a cron expression, 'every' or 'partitions', or start single runs with "
            "'airflow dags trigger'."
        )
    if request.first > request.last:
        return
    dag = DAG(
        definition.dag_id,
        schedule=airflow_schedule(definition, dag_parts(compiled).outline),
        start_date=definition.start_date,
    )
    dag.fileloc = dag.relative_fileloc = definition.source
    scheduled = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    for info in scheduled.iter_dagrun_infos_between(request.first, request.last):
        interval = info.data_interval
        if interval is not None:
            if interval.end < now:  # Airflow omits intervals that have not ended
                day: Any = info.logical_date
                key = day.astimezone(timezone.utc).isoformat()
                yield Slot(key, interval.start, interval.end)
            continue
        run = SimpleNamespace(
            partition_key=info.partition_key, partition_date=getattr(info, "partition_date", None)
        )
        found = run_interval({"dag": dag, "dag_run": run}, "full")
        if found is not None:
            yield Slot(str(info.partition_key), *found, date=_date_of(info, scheduled.timetable))


def _date_of(info: Any, timetable: Any) -> datetime:
    """Return the time that Airflow compares with the dates of a backfill of partitions.

    That is the local time of the partition's begin, as if it were UTC; in Airflow 3.2, the time at
    which the partition's run is due.
    """
    if not hasattr(timetable, "localize_partition_datetime"):
        due: datetime = info.run_after
        return due
    begins = info.partition_date.astimezone(timetable.times.zone)
    there: datetime = begins.replace(tzinfo=timezone.utc)
    return there


def _with_run(slot: Slot, existing: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Slot:
    state, conf = existing.get(slot.key, ("", EMPTY))
    return replace(slot, state=state, had_select=str(conf.get(SELECT_PARAM) or ""), conf=conf)


def _conf(args: argparse.Namespace) -> tuple[str, Mapping[str, Any]]:
    """Return the selection of pipes, and the other parameters of the runs.

    Raises:
        WrongCallError: the conf is not a JSON object, or the selection is given twice.
    """
    select = " ".join(args.select or ())
    if not args.dag_run_conf:
        return select, EMPTY
    try:
        conf = json.loads(args.dag_run_conf)
    except ValueError as error:
        raise WrongCallError(f"--dag-run-conf is not JSON: {error}") from error
    if not isinstance(conf, dict):
        raise WrongCallError('--dag-run-conf must be a JSON object, such as \'{"region": "eu"}\'')
    chosen = conf.pop(SELECT_PARAM, None)
    if chosen and select:
        raise WrongCallError(
            f"pipes are selected twice: by --select and by {SELECT_PARAM!r} of the conf"
        )
    if chosen is not None and not isinstance(chosen, str):
        raise WrongCallError(f"{SELECT_PARAM!r} of --dag-run-conf must be text, not {chosen!r}")
    return select or chosen or "", conf


def _stored(
    dag_id: str, slots: list[Slot]
) -> tuple[StoredDag | None, Mapping[str, tuple[str, Mapping[str, Any]]], str]:
    """Return the stored DAG and its runs, or why the database is not available."""
    from sqlalchemy.exc import SQLAlchemyError

    from kindling_airflow.cli.backfill import backfill_database

    try:
        return (*backfill_database.stored_dag(dag_id, slots), "")
    except (SQLAlchemyError, RuntimeError, ImportError) as error:
        return None, {}, str(error).partition("\n")[0]
