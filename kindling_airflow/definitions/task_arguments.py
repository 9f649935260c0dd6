"""TaskSettings -> arguments of the operator: units become Airflow's, references what they name.

Made once for all pipes that share their settings.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kindling_airflow.definitions.python_objects import put_back
from kindling_airflow.definitions.references import References
from kindling_airflow.translator import CALLBACKS, TaskSettings

_PLAIN = ("pool", "pool_slots", "queue", "executor", "owner", "retries")
_PAUSES = {
    "retry_delay_seconds": "retry_delay",
    "max_retry_delay_seconds": "max_retry_delay",
    "execution_timeout_seconds": "execution_timeout",
}


def operator_arguments(
    settings: TaskSettings, references: References, objects: tuple[Any, ...]
) -> dict[str, Any]:
    """Return the arguments that settings make; what is not set is left to Airflow.

    Args:
        settings: what holds for a task.
        references: resolve its callbacks.
        objects: what references to objects from Python stand for.

    Raises:
        DefinitionError: a callback cannot be imported.
    """
    found: dict[str, Any] = {
        **put_back(settings.spark, objects),
        **put_back(settings.arguments, objects),
    }
    found |= {name: v for name in _PLAIN if (v := getattr(settings, name)) is not None}
    for key, argument in _PAUSES.items():
        seconds = getattr(settings, key)
        if seconds is not None:
            found[argument] = timedelta(seconds=seconds)
    backoff = settings.retry_exponential_backoff
    if backoff is not None:  # a number since Airflow 3.2: the factor; true has always meant 2
        found["retry_exponential_backoff"] = 2.0 if backoff is True else float(backoff)
    if settings.executor_config:
        found["executor_config"] = put_back(settings.executor_config, objects)
    for key in CALLBACKS:
        value = getattr(settings, key)
        if value is not None:
            found[key] = references.callbacks(value, (key,))
    return found
