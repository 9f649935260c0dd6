"""The properties that a session needs for the formats of its pipes, set before it is made.

Extensions and the session catalog cannot be changed once a session is there. A deployment that has
set them itself keeps what it has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from kindling_airflow.common.redaction import document_without_secrets
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.manifest.harvest import HarvestedModules, import_declarations
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.pipe.pipe_call import declarations_of
from kindling_airflow.runner.providers.session_properties import settings_for
from kindling_airflow.runner.providers.tables.catalogs import catalog_settings
from kindling_airflow.tags.storage_types import provider_type_of


def formats_of(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> set[str]:
    """Return the provider types of what pipes read and write."""
    return set(map(provider_type_of, _touched(pipes, entities)))


def session_settings(
    pipes: Iterable[PipeMetadata],
    entities: DataEntityRegistry,
    warehouse: str,
    configured: Callable[[str], str | None],
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the properties that a session lacks for the formats and catalogs of pipes.

    Raises:
        EntityError: the connection of a catalog is missing, or is for none.
    """
    touched = list(_touched(pipes, entities))
    environment = os.environ if environment is None else environment
    found = settings_for(set(map(provider_type_of, touched)), configured)
    return found | catalog_settings(touched, environment, warehouse, configured)


def _touched(
    pipes: Iterable[PipeMetadata], entities: DataEntityRegistry
) -> Iterator[EntityMetadata]:
    for pipe in pipes:
        for entity_id in (*pipe.input_entity_ids, pipe.output_entity_id):
            yield entities.definition_or_default(entity_id)


def settings_of_run(
    request: RunRequest,
    declared: HarvestedModules | None,
    configured: Callable[[str], str | None],
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the properties that the session of a single pipe lacks; none where it is not known.

    Raises:
        EntityError: the connection of a catalog is missing, or is for none.
    """
    if declared is not None:
        declared = declarations_of(request, declared)
    pipe = None if declared is None else declared.pipes.get_pipe_definition(request.pipe_id)
    if declared is None or pipe is None:
        return {}
    if pipe.awaits_inputs:  # its query is not read yet: it may read whatever there is
        every = list(declared.entities)
        found = settings_for(set(map(provider_type_of, every)), configured)
        variables = os.environ if environment is None else environment
        for entity in every:
            with suppress(EntityError):  # of one that it does not read
                found |= catalog_settings((entity,), variables, request.warehouse, configured)
        return found
    return session_settings((pipe,), declared.entities, request.warehouse, configured, environment)


def start_java(properties: Mapping[str, str]) -> None:
    """Start Java before the session where a property is secret.

    pyspark would put it on Java's command line, which other users of the machine can read.
    """
    from pyspark import SparkConf, SparkContext

    shown = document_without_secrets(properties)
    if shown == properties or SparkContext._gateway is not None:
        return
    conf = SparkConf(loadDefaults=False)
    for key, value in properties.items():
        if shown[key] == value or key.endswith("JavaOptions"):  # Java itself needs these
            conf.set(key, value)
    SparkContext._ensure_initialized(conf=conf)


def declared_early(request: RunRequest) -> HarvestedModules | None:
    """Import the project before there is a session; None if that fails.

    The run imports it once more then, and reports what is wrong, so nothing of the project may
    stay half imported.
    """
    root = Path(request.project_root).resolve()
    before = set(sys.modules)
    try:
        return import_declarations(root, request.modules)
    except (Exception, SystemExit):  # user code: anything may come out
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and root in Path(file).resolve().parents:
                del sys.modules[name]
        return None
