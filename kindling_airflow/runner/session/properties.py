"""The properties that a session needs for the formats of its pipes, set before it is made.

Extensions and the session catalog cannot be changed once a session is there. A deployment that has
set them itself keeps what it has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.manifest.harvest import HarvestedModules, import_declarations
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.pipe.pipe_call import declarations_of
from kindling_airflow.runner.providers.session_properties import settings_for
from kindling_airflow.tags.storage_types import provider_type_of


def formats_of(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> set[str]:
    """Return the provider types of what pipes read and write."""
    return {
        provider_type_of(entities.definition_or_default(entity_id))
        for pipe in pipes
        for entity_id in (*pipe.input_entity_ids, pipe.output_entity_id)
    }


def settings_of_run(
    request: RunRequest, declared: HarvestedModules | None, configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return the properties that the session of a single pipe lacks; none where it is not known."""
    if declared is not None:
        declared = declarations_of(request, declared)
    pipe = None if declared is None else declared.pipes.get_pipe_definition(request.pipe_id)
    if declared is None or pipe is None:
        return {}
    if pipe.awaits_inputs:  # its query is not read yet: it may read whatever there is
        ids = declared.entities.get_entity_ids()
        every = {provider_type_of(declared.entities.definition_or_default(name)) for name in ids}
        return settings_for(every, configured)
    return settings_for(formats_of((pipe,), declared.entities), configured)


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
