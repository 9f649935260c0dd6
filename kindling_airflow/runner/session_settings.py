"""What a session needs for the formats that its pipes read and write, set before it is made.

Extensions and the session catalog cannot be changed once a session is there. A deployment that has
set them itself keeps what it has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.contracts import RunRequest
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.harvest import HarvestedModules, import_declarations
from kindling_airflow.provider_types import provider_type_of
from kindling_airflow.runner.pipe_call import declarations_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "DELTA_SETTINGS",
    "check_jars",
    "declared_early",
    "formats_of",
    "settings_for",
    "settings_missing",
    "settings_of_run",
]

_EXTENSIONS = "spark.sql.extensions"

DELTA_SETTINGS: Mapping[str, str] = {
    _EXTENSIONS: "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def formats_of(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> set[str]:
    """Return the provider types of what pipes read and write."""
    return {
        provider_type_of(entities.definition_or_default(entity_id))
        for pipe in pipes
        for entity_id in (*pipe.input_entity_ids, pipe.output_entity_id)
    }


def settings_for(
    formats: Collection[str], configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return the properties that a session for these formats lacks.

    Args:
        formats: provider types.
        configured: returns what a property is set to, or None.
    """
    return settings_missing(DELTA_SETTINGS, configured) if "delta" in formats else {}


def settings_of_run(
    request: RunRequest, declared: HarvestedModules | None, configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return the properties that the session of a single pipe lacks; none where it is not known.

    Args:
        request: the run.
        declared: the project's declarations, or None if they cannot be imported.
        configured: returns what a property is set to, or None.
    """
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

    The run imports it once more then, and says what is wrong, so nothing of the project's own may
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


def settings_missing(
    needed: Mapping[str, str], configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return what must be set so that all that is needed is there; extensions come to others.

    A session catalog of somebody else is left alone: it may hand on to this one.

    >>> settings_missing(DELTA_SETTINGS, {"spark.sql.extensions": "shop.Extension"}.get)
    ... # doctest: +NORMALIZE_WHITESPACE
    {'spark.sql.extensions': 'shop.Extension,io.delta.sql.DeltaSparkSessionExtension',
     'spark.sql.catalog.spark_catalog': 'org.apache.spark.sql.delta.catalog.DeltaCatalog'}
    """
    found = {}
    for key, value in needed.items():
        said = configured(key) or ""
        if key == _EXTENSIONS:
            names = [name.strip() for name in said.split(",") if name.strip()]
            if value not in names:
                found[key] = ",".join([*names, value])
        elif not said or said == "builtin":
            found[key] = value
    return found


def check_jars(spark: SparkSession, provider_type: str, class_name: str) -> None:
    """Check that the driver has a format's classes.

    Raises:
        DeclarationError: it has not.
    """
    from py4j.java_gateway import JavaClass

    found: Any = spark._jvm
    for part in class_name.split("."):
        found = getattr(found, part)
    if not isinstance(found, JavaClass):
        problem = (
            f"provider_type {provider_type!r}: the driver does not have its jars\n"
            f"  Fix: fetch them with 'airflow kindling jars {provider_type}', which prints the "
            "setting spark.jars for the definition."
        )
        raise DeclarationError([problem])
