"""Secrets among a task's arguments: used by the driver, and shown nowhere.

Airflow writes a task's templated fields into its database, as the DAG says them and once more as
they are rendered, and its log has the command line. Between the DAG file and the driver a secret
value is therefore kept in a :class:`HiddenValue`, which everybody sees as ``***``; and what was
rendered is made known to Airflow's own masking, which keeps it out of logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import redact
from airflow.sdk.log import mask_secret

from kindling_airflow.secret_keys import MASK, is_secret_key, secret_values

__all__ = ["HiddenValue", "hidden", "keep_out_of_logs", "masked", "revealed"]


class HiddenValue:
    """A value that says only ``***`` of itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> str:
        """Return what Airflow stores of it."""
        return MASK

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenValue) and other.value == self.value

    def __hash__(self) -> int:
        return hash((HiddenValue, str(self.value)))


def hidden(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with every secret value hidden; the same object where there is none.

    Templates stay as they are: they are no secrets, and Airflow has yet to render them.
    """
    secret = {
        key: HiddenValue(value)
        for key, value in settings.items()
        if is_secret_key(key) and not _is_template(value)
    }
    return {**settings, **secret} if secret else settings


def revealed(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return settings as they were before :func:`hidden`."""
    if settings is None:
        return None
    return {k: v.value if isinstance(v, HiddenValue) else v for k, v in settings.items()}


def keep_out_of_logs(*settings: Mapping[str, Any] | None) -> None:
    """Let Airflow replace the secret values of settings by ``***`` in all that this task logs."""
    for each in settings:
        for value in secret_values(revealed(each) or {}):
            mask_secret(value)


def masked(text: str) -> str:
    """Return a text as Airflow masks it: without what it knows to be secret by now."""
    return str(redact(text))


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)
