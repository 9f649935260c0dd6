"""The provider of an entity, by its tag ``provider_type``; and what readers of any may rely on."""

from __future__ import annotations

import importlib
from operator import attrgetter
from typing import Any

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, EntityError
from kindling_airflow.runner.providers.interface import (
    Counts,
    EntityProvider,
    ProviderContext,
    WritableProvider,
    WriteModes,
)
from kindling_airflow.runner.schema.input_check import checked_input
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.intervals import WriteMode, write_mode_of
from kindling_airflow.tags.storage_types import (
    is_class_reference,
    provider_type_of,
    registered_types,
    storage_type_of,
)


def provider_for(entity: EntityMetadata, context: ProviderContext) -> EntityProvider:
    """Return the provider of an entity.

    Raises:
        DeclarationError: its ``provider_type`` is unknown or no provider, or its tags do not fit.
        EntityError: the class behind the type cannot be imported or made.
    """
    problems = entity_tag_problems(entity)
    if problems:
        raise DeclarationError(problems)
    kind = provider_type_of(entity)
    known = storage_type_of(entity)
    reference = kind if known is None else known.provider
    what = f"entity {entity.entityid!r}: provider_type {kind!r}"
    try:
        if is_class_reference(reference):
            module, _, name = reference.partition(":")
            provider_class: Any = attrgetter(name)(importlib.import_module(module))
        else:
            [entry] = registered_types()[kind]
            provider_class = entry.load()
        made = provider_class(context)
    except DeclarationError as error:
        raise DeclarationError(f"entity {entity.entityid!r}: {p}" for p in error.problems) from None
    except (Exception, SystemExit) as error:  # third-party code: anything may come out
        raise EntityError(
            f"{what} cannot be loaded: {type(error).__name__}: {error}\n"
            "  Fix: repair or install the package that defines it on the driver."
        ) from error
    if not isinstance(made, EntityProvider):
        problem = (
            f"{what} is not an entity provider: {provider_class!r}\n"
            "  Fix: implement the methods of "
            "kindling_airflow.runner.providers.interface.EntityProvider."
        )
        raise DeclarationError([problem])
    return made


def writable_provider_for(entity: EntityMetadata, context: ProviderContext) -> WritableProvider:
    """Return the provider of an entity that is to be written.

    Raises:
        DeclarationError: as :func:`provider_for`; entities of this type are sources.
        EntityError: as :func:`provider_for`.
    """
    provider = provider_for(entity, context)
    if not isinstance(provider, WritableProvider):
        problem = (
            f"entity {entity.entityid!r}: {provider_type_of(entity)} entities are sources and "
            "cannot be written\n"
            "  Fix: let the pipe write a parquet entity (provider_type: parquet, the default)."
        )
        raise DeclarationError([problem])
    return provider


def writable_mode(entity: EntityMetadata, provider: WritableProvider) -> WriteMode:
    """Return how an entity is to be written.

    Raises:
        DeclarationError: its provider cannot do that.
    """
    mode = write_mode_of(entity)
    known = provider.write_modes if isinstance(provider, WriteModes) else ("overwrite",)
    if mode not in known:
        problem = (
            f"entity {entity.entityid!r}: provider_type {provider_type_of(entity)!r} does not "
            f"support write mode {mode!r}\n  Fix: use one of the write modes {', '.join(known)}."
        )
        raise DeclarationError([problem])
    return mode


def read_counted(entity: EntityMetadata, provider: EntityProvider) -> tuple[DataFrame, int | None]:
    """Return an entity's rows, and their number where counting is cheap.

    Raises:
        EntityError: it is not there.
        PipeRunError: it does not fit its declared schema.
    """
    frame = provider.read(entity)
    rows = provider.count(entity, frame) if isinstance(provider, Counts) else None
    return checked_input(entity, frame), rows
