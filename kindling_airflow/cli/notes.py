"""What somebody should know of a source that is sound: nothing of it is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from kindling_airflow.cli.sources import Source
from kindling_airflow.provider_types import provider_type_of

__all__ = ["notes_on"]

_MANY_ASSETS = (
    300  # with as many, Airflow takes some ten seconds for the Graph; with 1,000, minutes
)


def notes_on(source: Source) -> list[str]:
    """Return a text for each thing worth knowing; in the order of the plan's pipes."""
    return [*_assets(source), *_repeated_rows(source)]


def _assets(source: Source) -> Iterator[str]:
    if source.definition is None or source.definition.assets is None:
        return
    count = sum(node.output_entity is not None for node in source.plan.graph.nodes.values())
    if count > _MANY_ASSETS:
        yield (
            f"its tasks update {count:,} assets; Airflow's Graph of the DAG will take long to "
            "open, or will not: 'assets: false' mends that, or several DAGs"
        )


def _repeated_rows(source: Source) -> Iterator[str]:
    if source.project is None:
        return
    entities = source.project.manifest.entities
    for pipe_id in source.plan.streaming_pipes():
        output = source.plan.graph.nodes[pipe_id].output_entity
        if output and provider_type_of(entities.definition_or_default(output)) == "kafka":
            yield (
                f"pipe {pipe_id!r} sends rows to a topic at least once: after a crash, those of a "
                "batch come again"
            )
