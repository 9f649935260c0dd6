"""The properties of a session that formats need, and whether their classes are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from py4j.java_gateway import JavaClass
from pyspark.sql import SparkSession

from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.storage_types import STORAGE_TYPES

_EXTENSIONS = "spark.sql.extensions"


def settings_for(
    formats: Collection[str], configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return the properties that a session for these formats lacks."""
    found: dict[str, str] = {}

    def so_far(key: str) -> str | None:
        return found.get(key) or configured(key)

    for name, row in STORAGE_TYPES.items():
        if name in formats:
            found |= settings_missing(row.session, so_far)
    return found


def settings_missing(
    needed: Mapping[str, str], configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return what must be set so that all that is needed is there; extensions come to others.

    Another session catalog is kept: it may delegate to this one.

    >>> needed = {"spark.sql.extensions": "b.B", "c": "d"}
    >>> settings_missing(needed, {"spark.sql.extensions": "a.A"}.get)
    {'spark.sql.extensions': 'a.A,b.B', 'c': 'd'}
    """
    found = {}
    for key, value in needed.items():
        current = configured(key) or ""
        if key == _EXTENSIONS:
            names = [name.strip() for name in current.split(",") if name.strip()]
            if value not in names:
                found[key] = ",".join([*names, value])
        elif not current or current == "builtin":
            found[key] = value
    return found


def check_jars(spark: SparkSession, provider_type: str, class_name: str) -> None:
    """Check that the driver has a format's classes.

    Raises:
        DeclarationError: it has not.
    """
    found: Any = spark._jvm
    for part in class_name.split("."):
        found = getattr(found, part)
    if not isinstance(found, JavaClass):
        problem = (
            f"provider_type {provider_type!r}: its jars are not on the driver's class path\n"
            f"  Fix: fetch them with 'airflow kindling jars {provider_type}', which prints the "
            "setting spark.jars for the definition."
        )
        raise DeclarationError([problem])


def check_settings(spark: SparkSession, provider_type: str, name: str) -> None:
    """Check that a session, which may have been created elsewhere, has a format's properties.

    Raises:
        DeclarationError: it lacks some.
    """
    missing = settings_for({provider_type}, lambda key: spark.conf.get(key, None))
    if missing:
        lines = "\n".join(f"        {key}: {value}" for key, value in missing.items())
        problem = (
            f"provider_type {provider_type!r}: the Spark session lacks settings that {name} needs\n"
            f"  Fix: add to the definition\n    spark:\n      conf:\n{lines}"
        )
        raise DeclarationError([problem])
