"""Notes on valid sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.common.wording import some_pipes
from kindling_airflow.definitions.templates import NAMES_OF_A_DATE, names_in, templates_of
from kindling_airflow.tags.intervals import read_of, write_mode_of
from kindling_airflow.tags.paths import is_absolute
from kindling_airflow.tags.storage_types import provider_type_of
from kindling_airflow.tags.stream_settings import is_stream

_STEPS = (("minute", 60, "hour"), ("hour", 24, "day"))
_MANY_ASSETS = 300  # Airflow's Graph then opens in some ten seconds; with 1,000, in minutes


def notes_on(source: Source) -> list[str]:
    """Return the notes on a source."""
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
        yield "an .airflowignore file hides this file from Airflow, which will not load this DAG"
    if not source.path.name.endswith(DEFINITION_SUFFIXES):
        yield (
            f"load_dags does not read a file named {source.path.name!r}; Airflow loads this DAG "
            f"only if the name ends in {DEFINITION_SUFFIXES[0]!r}, or a DAG file names it"
        )


def _uneven_steps(source: Source) -> Iterator[str]:
    """Yield notes on steps of a cron expression that do not divide an hour or a day."""
    definition = source.definition
    cron = "" if definition is None else definition.cron or definition.partitions or ""
    for (unit, size, whole), field in zip(_STEPS, cron.split(), strict=False):
        step = field.removeprefix("*/")
        if field != step and step.isdecimal() and 0 < int(step) < size and size % int(step):
            yield (
                f"the step {field!r} of its schedule restarts with each {whole}, whose last "
                f"interval has {size % int(step)} {unit}s, not {step}: "
                f"'every: {step}{unit[0]}' has intervals of equal length"
            )


def _assets(source: Source) -> Iterator[str]:
    if source.definition is None or source.definition.assets is None:
        return
    count = sum(node.output_entity is not None for node in source.plan.graph.nodes.values())
    if count > _MANY_ASSETS:
        yield (
            f"its tasks write {count:,} assets; Airflow's Graph of the DAG will open slowly or "
            "not at all: set 'assets: false', or split the DAG"
        )


def _batch_streams(source: Source) -> Iterator[str]:
    plan = source.plan
    if source.project is None or source.streaming() is not None:
        return
    tagged = [pipe_id for pipe_id in plan.pipe_ids if is_stream(plan.graph.nodes[pipe_id].tags)]
    if tagged:
        yield (
            f"{some_pipes(tagged)}, tagged processing_mode: streaming, runs as a batch pipe, "
            f"because the strategy is {plan.strategy!r}: use 'config_based' to run it as a stream"
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
                "within a batch, the rows of the batch are repeated"
            )


def _dates(source: Source) -> Iterator[str]:
    """Yield notes on templates that use a date, in runs without one: those started by assets."""
    definition = source.definition
    if definition is None or not (definition.follows_inputs or definition.updates):
        return
    for where, text in templates_of(definition):
        for name in sorted(names_in(text) & NAMES_OF_A_DATE):
            yield (
                f"{'.'.join(map(str, where))} uses {name!r}, which a run started by assets does "
                "not have: its tasks fail; use {{ run_id }} or {{ dag_run.run_after }}"
            )


def _without_intervals(source: Source) -> Iterator[str]:
    """Yield notes on uses of the data interval in a DAG whose runs have none."""
    definition = source.definition
    if definition is None or source.project is None:
        return
    if definition.cron or definition.every or definition.partitions or definition.continuous:
        return
    if source.streaming() is not None:
        return
    if definition.on_missing_interval == "fail":
        yield (
            "no run of this schedule has a data interval, and on_missing_interval is 'fail': every "
            "run fails; set a schedule in time, or remove on_missing_interval"
        )
        return
    entities = source.project.manifest.entities
    querying, sliced, replaced = [], [], []
    for pipe_id, node in source.plan.graph.nodes.items():
        pipe = node.metadata
        if pipe is None:
            continue
        if not {"interval_start", "interval_end"}.isdisjoint(pipe.sql_parameters):
            querying.append(pipe_id)
        if any(read_of(pipe, entity_id) != "all" for entity_id in pipe.input_entity_ids):
            sliced.append(pipe_id)
        output = pipe.output_entity_id
        if output and write_mode_of(entities.definition_or_default(output)) == "overwrite_interval":
            replaced.append(pipe_id)
    for pipes, what in (
        (querying, "the query uses the run's interval and fails"),
        (sliced, "all data is read instead of a slice"),
        (replaced, "the whole table is replaced instead of a slice"),
    ):
        if pipes:
            yield (
                f"{some_pipes(pipes)}: {what}, because no run of this schedule has a data "
                "interval; set a cron expression, 'every' or 'partitions'"
            )


def notes_together(sources: Sequence[Source]) -> list[str]:
    """Return a note for each two definitions that run the same streams into the same tables.

    That is valid: one may run them by day, and another catch up by night. But they have to share a
    checkpoint, and must not run at the same time.
    """
    found = [(source.definition.dag_id, _places(source)) for source in sources if source.definition]
    return [
        note
        for (one, own), (other, others) in combinations(found, 2)
        for note in _shared(f"DAGs {one!r} and {other!r}", own, others)
    ]


_Places = Mapping[tuple[str, str], str]
"""The checkpoint of a stream, by warehouse and pipe id."""


def _places(source: Source) -> _Places:
    definition, streaming = source.definition, source.streaming()
    if definition is None or streaming is None:
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
            f"{dags} run {some_pipes(one_place)} as a stream with the same checkpoint, and "
            "continue each other: run only one of them at a time, or set another warehouse for one"
        )
    if two_places:
        yield (
            f"{dags} run {some_pipes(two_places)} as a stream into the same table, each with its "
            "own checkpoint: every row is duplicated; set the same checkpoints, or another "
            "warehouse for one"
        )
