"""Which input it was, where the rows of an input are the reason why a run has failed.

Rows are read when a result is written, so the error comes from there, and it speaks of tasks and
stages. The providers of the inputs are asked what it means.
"""

from __future__ import annotations

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import KindlingAirflowError, PipeRunError
from kindling_airflow.runner.failures.retryable import java_causes
from kindling_airflow.runner.providers.interface import ExplainsReads, ProviderContext
from kindling_airflow.runner.providers.lookup import provider_for


def explained(
    error: BaseException,
    pipe: PipeMetadata,
    entities: DataEntityRegistry,
    context: ProviderContext,
) -> BaseException:
    """Return an error in the words of the input that it is about; as it is, if of none."""
    if isinstance(error, KindlingAirflowError) or not java_causes(error):
        return error
    for entity_id in pipe.input_entity_ids:
        entity = entities.definition_or_default(entity_id)
        provider = provider_for(entity, context)
        text = provider.read_problem(entity, error) if isinstance(provider, ExplainsReads) else None
        if text is not None:
            explained_error = PipeRunError(text)
            explained_error.__cause__ = error
            return explained_error
    return error
