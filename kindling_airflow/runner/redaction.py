"""Reports without the secrets that a session and its process were configured with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.common.redaction import secret_values, without_secrets
from kindling_airflow.protocol.contracts import RunReport


def properties_of(spark: SparkSession) -> dict[str, str]:
    """Return the properties of an application, which stay; Java is asked for each of them."""
    return dict(spark.sparkContext.getConf().getAll())


def hides_secrets(
    spark: SparkSession | None = None, configured: Mapping[str, str] | None = None
) -> Callable[[str], str]:
    """Return a function that takes the secrets out of a text.

    Args:
        spark: a session of the application.
        configured: the application's properties, where the caller has them already.
    """
    if configured is None:
        configured = {} if spark is None else properties_of(spark)
    secrets = secret_values({**os.environ, **configured})
    return lambda text: without_secrets(text, secrets)


def report_without_secrets(report: RunReport, hide: Callable[[str], str]) -> RunReport:
    """Return a report in which each text has been through a function."""
    error = report.error
    return replace(
        report,
        location=hide(report.location),
        reason=hide(report.reason),
        error=error
        and replace(error, message=hide(error.message), traceback=hide(error.traceback)),
        extra=_in_each_text(report.extra, hide),
    )


def _in_each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_in_each_text(item, change) for item in value)
    if isinstance(value, Mapping):
        return FrozenDict({key: _in_each_text(item, change) for key, item in value.items()})
    return value
