"""Publishes a pipe's result: checked, staged, judged, put in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.protocol.contracts import ExpectationReport
from kindling_airflow.runner.failures.storage_errors import naming_storage_errors
from kindling_airflow.runner.providers.interface import Published, Staged, WritableProvider, Write
from kindling_airflow.runner.quality import Audit
from kindling_airflow.runner.schema.output_check import checked_output


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the result of a pipe goes.

    Attributes:
        pipe: the pipe.
        entity: what it writes.
        provider: of this entity.
    """

    pipe: PipeMetadata
    entity: EntityMetadata
    provider: WritableProvider


def publish_result(
    where: Destination,
    result: Any,
    write: Write,
    *,
    before_publish: Callable[[], None],
    before_stage: Callable[[], None] = lambda: None,
    judge: Callable[[Staged], None] = lambda _staged: None,
) -> tuple[Published, tuple[ExpectationReport, ...]]:
    """Publish what a pipe returned; return what was published, and the outcome of expectations.

    Args:
        where: where it goes.
        result: what the pipe returned.
        write: how it is written.
        before_publish: nothing is published if it raises.
        before_stage: nothing is staged, and nothing that others have staged is cleared away, if it
            raises.
        judge: is called with what is staged; nothing is published if it raises.

    Raises:
        PipeRunError: the result does not fit the output's declaration.
        ExpectationError: the result must not be published.
        EntityError: the storage is in the way.
    """
    audit = Audit(where.pipe)
    frame = checked_output(where.pipe, where.entity, result, audit.kept)
    location = where.provider.describe(where.entity).location
    before_stage()
    with naming_storage_errors(where.entity.entityid, location, "staged"):
        staged = where.provider.stage(where.entity, frame, write)
    outcomes = audit.verdict(staged)
    judge(staged)
    before_publish()
    with naming_storage_errors(where.entity.entityid, location, "published"):
        published = where.provider.publish(where.entity, staged, write)
    return published or Published(staged.rows), outcomes
