"""What somebody should know of a source that is sound: nothing of it is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.definitions.templates import NAMES_OF_A_DATE, names_in, templates_of
from kindling_airflow.tags.intervals import read_of, write_mode_of
from kindling_airflow.tags.provider_types import is_absolute, provider_type_of
from kindling_airflow.tags.stream_settings import is_stream
from kindling_airflow.translator.overrides import some_pipes
from kindling_airflow.translator.streams import streaming_part

__all__ = ["notes_on", "notes_together"]

_STEPS = (("minute", 60, "hour"), ("hour", 24, "day"))
_MANY_ASSETS = (
    300  # with as many, Airflow takes some ten seconds for the Graph; with 1,000, minutes
)


def notes_on(source: Source) -> list[str]:
    """Return a text for each thing worth knowing; in the order of the plan's pipes."""
    return [
        *_unseen(source),
        *_assets(source),
        *_uneven_steps(source),
        *_batch_streams(source),
        *_repeated_rows(source),
        *_dates(source),
        *_without_intervals(source),
    ]


def _unseen(source: Source) -> Iterator[str]:
    from kindling_airflow.dag_factory.definition_files import is_ignored
    from kindling_airflow.definitions.definition import DEFINITION_SUFFIXES

    if source.definition is None:
        return
    if is_ignored(source.path):
        yield "an .airflowignore hides this file from Airflow, which will not have this DAG"
    if not source.path.name.endswith(DEFINITION_SUFFIXES):
        yield (
            f"load_dags does not read a file named {source.path.name!r}; Airflow has this DAG only "
            f"if its name ends in {DEFINITION_SUFFIXES[0]!r}, or a DAG file names it"
        )


def _uneven_steps(source: Source) -> Iterator[str]:
    """Yield the steps of a cron expression that do not come out even: they begin anew each hour."""
    definition = source.definition
    cron = "" if definition is None else definition.cron or definition.partitions or ""
    for (unit, size, whole), field in zip(_STEPS, cron.split(), strict=False):
        step = field.removeprefix("*/")
        if field != step and step.isdecimal() and 0 < int(step) < size and size % int(step):
            yield (
                f"the step {field!r} of its schedule begins anew with each {whole}, whose last "
                f"interval has {size % int(step)} {unit}s, not {step}: "
                f"'every: {step}{unit[0]}' has intervals of one length"
            )


def _assets(source: Source) -> Iterator[str]:
    if source.definition is None or source.definition.assets is None:
        return
    count = sum(node.output_entity is not None for node in source.plan.graph.nodes.values())
    if count > _MANY_ASSETS:
        yield (
            f"its tasks update {count:,} assets; Airflow's Graph of the DAG will take long to "
            "open, or will not: 'assets: false' mends that, or several DAGs"
        )


def _batch_streams(source: Source) -> Iterator[str]:
    plan, definition = source.plan, source.definition
    lifetime = None if definition is None else definition.lifetime
    if source.project is None or streaming_part(plan, lifetime) is not None:
        return
    tagged = [pipe_id for pipe_id in plan.pipe_ids if is_stream(plan.graph.nodes[pipe_id].tags)]
    if tagged:
        yield (
            f"{some_pipes(tagged)}, tagged processing_mode: streaming, runs as a batch pipe, "
            f"because the strategy is {plan.strategy!r}: 'config_based' makes it a stream"
        )


def _repeated_rows(source: Source) -> Iterator[str]:
    if source.project is None:
        return
    entities = source.project.manifest.entities
    for pipe_id in source.plan.streaming_pipes():
        output = source.plan.graph.nodes[pipe_id].output_entity
        if output and provider_type_of(entities.definition_or_default(output)) == "kafka":
            yield (
                f"pipe {pipe_id!r} sends rows to a topic at least once: after a crash, or a stop "
                "within a batch, those of the batch come again"
            )


def _dates(source: Source) -> Iterator[str]:
    """Templates that want a date of a run that has none: those that assets start."""
    definition = source.definition
    if definition is None or not (definition.follows_inputs or definition.updates):
        return
    for where, text in templates_of(definition):
        for name in sorted(names_in(text) & NAMES_OF_A_DATE):
            yield (
                f"{'.'.join(map(str, where))} takes {name!r}, which a run that assets start does "
                "not have: its tasks fail; {{ run_id }} and {{ dag_run.run_after }} never do"
            )


def _without_intervals(source: Source) -> Iterator[str]:
    """Yield what asks for the interval of a run in a DAG whose runs have none."""
    definition = source.definition
    if definition is None or source.project is None:
        return
    if definition.cron or definition.every or definition.partitions or definition.continuous:
        return
    if streaming_part(source.plan, definition.lifetime) is not None:
        return
    if definition.on_missing_interval == "fail":
        yield (
            "no run of this schedule has a data interval, and on_missing_interval is 'fail': every "
            "run fails; give it a schedule in time, or take on_missing_interval out"
        )
        return
    entities = source.project.manifest.entities
    asking, sliced, replaced = [], [], []
    for pipe_id, node in source.plan.graph.nodes.items():
        pipe = node.metadata
        if pipe is None:
            continue
        if not {"interval_start", "interval_end"}.isdisjoint(pipe.sql_parameters):
            asking.append(pipe_id)
        if any(read_of(pipe, entity_id) != "all" for entity_id in pipe.input_entity_ids):
            sliced.append(pipe_id)
        output = pipe.output_entity_id
        if output and write_mode_of(entities.definition_or_default(output)) == "overwrite_interval":
            replaced.append(pipe_id)
    for pipes, what in (
        (asking, "the query asks for the run's interval and fails"),
        (sliced, "a slice is to be read and everything is"),
        (replaced, "a slice is to be replaced and the whole table is"),
    ):
        if pipes:
            yield (
                f"{some_pipes(pipes)}: {what}, because no run of this schedule has a data "
                "interval; a cron expression, 'every' or 'partitions' gives them one"
            )


def notes_together(sources: Sequence[Source]) -> list[str]:
    """Return a text for each two definitions that run the same streams into the same tables.

    Nothing is wrong with that: one may run them by day, and another one catch up by night. But
    they have to have one checkpoint, and must not run at the same time.
    """
    found = [(source.definition.dag_id, _places(source)) for source in sources if source.definition]
    return [
        note
        for (one, own), (other, others) in combinations(found, 2)
        for note in _shared(f"DAGs {one!r} and {other!r}", own, others)
    ]


_Places = Mapping[tuple[str, str], str]
"""Where a stream keeps how far it is, by warehouse and pipe id."""


def _places(source: Source) -> _Places:
    definition = source.definition
    streaming = definition and streaming_part(source.plan, definition.lifetime)
    if definition is None or not streaming:
        return {}
    warehouse = (definition.warehouse or "").rstrip("/")
    root = (definition.checkpoints or f"{warehouse}/_kindling/checkpoints").rstrip("/")
    return {
        (warehouse, pipe_id): own.checkpoint
        if is_absolute(own.checkpoint)
        else f"{root}/{own.checkpoint}"
        for pipe_id, own in streaming.settings.items()
    }


def _shared(dags: str, own: _Places, others: _Places) -> Iterator[str]:
    both = [key for key in own if key in others]
    one_place = [key[1] for key in both if own[key] == others[key]]
    two_places = [key[1] for key in both if own[key] != others[key]]
    if one_place:
        yield (
            f"{dags} run {some_pipes(one_place)} as a stream with one checkpoint, and go on from "
            "each other: let only one of them run at a time, or give one a warehouse of its own"
        )
    if two_places:
        yield (
            f"{dags} run {some_pipes(two_places)} as a stream into one table, each with a "
            "checkpoint of its own: every row comes twice; let them have the same checkpoints, "
            "or give one a warehouse of its own"
        )
