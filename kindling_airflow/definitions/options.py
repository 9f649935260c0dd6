"""Definition -> options of the translation."""

from __future__ import annotations

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.durations_file import read_durations
from kindling_airflow.translator import Barrier, Closing, OnError, TranslateOptions


def options_of(definition: Definition, closing: Closing = Closing.AS_NEEDED) -> TranslateOptions:
    """Return a definition's options of the translation of its plan."""
    return TranslateOptions(
        dag_id=definition.dag_id,
        pool=definition.pool,
        width=definition.width,
        pools=definition.pools,
        on_error=OnError(definition.on_error),
        barrier=Barrier(definition.barrier),
        group_by=definition.group_by,
        settings=definition.task,
        overrides=definition.overrides,
        assets=definition.assets,
        closing=closing,
        lifetime=definition.lifetime,
        duration_seconds=definition.duration,
        session_pool=definition.session_pool,
        durations=EMPTY if definition.durations is None else read_durations(definition.durations),
        memory_budget=definition.memory_budget,
    )
