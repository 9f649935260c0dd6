"""Properties and environment of the Spark session of a ``run``.

A task passes the keys under ``spark`` to spark-submit. A session that is started without it takes
the matching properties.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kindling_airflow.cli.run.definition_keys import is_template
from kindling_airflow.cli.sources.source import Source
from kindling_airflow.common.immutable import EMPTY

_DEFAULTS = {
    "spark.master": "local[*]",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "WARN",
}
_PROPERTIES = {
    "archives": "spark.archives",
    "driver_class_path": "spark.driver.extraClassPath",
    "driver_memory": "spark.driver.memory",
    "exclude_packages": "spark.jars.excludes",
    "files": "spark.files",
    "jars": "spark.jars",
    "keytab": "spark.kerberos.keytab",
    "packages": "spark.jars.packages",
    "principal": "spark.kerberos.principal",
    "py_files": "spark.submit.pyFiles",
    "repositories": "spark.jars.repositories",
}
_IMPORT_PATH = "PYTHONPATH"
_SUBMIT_ARGUMENTS = "PYSPARK_SUBMIT_ARGS"


def session_properties(source: Source, args: argparse.Namespace) -> dict[str, str]:
    """Return the session's properties: defaults, then the definition's, then those of ``--conf``.

    Templates are omitted. As for spark-submit, a key overrides the property of the same meaning.
    """
    spark = _spark_of(source)
    keys = {name: str(spark[key]) for key, name in _PROPERTIES.items() if _is_set(spark.get(key))}
    conf = {name: value for name, value in _mapping(spark, "conf").items() if _is_set(value)}
    own = dict(pair.split("=", 1) for pair in args.conf or ())
    return {**_DEFAULTS, **conf, **keys, **own}


def session_environment(source: Source) -> dict[str, str]:
    """Return the variables that the definition adds to the session's process."""
    spark = _spark_of(source)
    found = {n: str(v) for n, v in _mapping(spark, "env_vars").items() if _is_set(v)}
    files = spark.get("py_files")
    if _is_set(files):  # the project may import them before there is a session
        paths = [str(Path(name.strip()).resolve()) for name in str(files).split(",")]
        below = found.get(_IMPORT_PATH) or os.environ.get(_IMPORT_PATH, "")
        found[_IMPORT_PATH] = os.pathsep.join(filter(None, (*paths, below)))
    properties = spark.get("properties_file")
    if _is_set(properties):
        before = os.environ.get(_SUBMIT_ARGUMENTS, "pyspark-shell")
        found[_SUBMIT_ARGUMENTS] = f"--properties-file {shlex.quote(str(properties))} {before}"
    return found


def _spark_of(source: Source) -> Mapping[str, Any]:
    return EMPTY if source.definition is None else source.definition.spark


def _mapping(spark: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = spark.get(key) or EMPTY
    return found


def _is_set(value: Any) -> bool:
    return value is not None and not is_template(value)
