"""The properties of a session that formats need, and whether their classes are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from py4j.java_gateway import JavaClass
from pyspark.sql import SparkSession

from kindling_airflow.errors import DeclarationError

_EXTENSIONS = "spark.sql.extensions"

DELTA_SETTINGS: Mapping[str, str] = {
    _EXTENSIONS: "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def settings_for(
    formats: Collection[str], configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return the properties that a session for these formats lacks."""
    return settings_missing(DELTA_SETTINGS, configured) if "delta" in formats else {}


def settings_missing(
    needed: Mapping[str, str], configured: Callable[[str], str | None]
) -> dict[str, str]:
    """Return what must be set so that all that is needed is there; extensions come to others.

    Another session catalog is kept: it may delegate to this one.

    >>> settings_missing(DELTA_SETTINGS, {"spark.sql.extensions": "shop.Extension"}.get)
    ... # doctest: +NORMALIZE_WHITESPACE
    {'spark.sql.extensions': 'shop.Extension,io.delta.sql.DeltaSparkSessionExtension',
     'spark.sql.catalog.spark_catalog': 'org.apache.spark.sql.delta.catalog.DeltaCatalog'}
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
