"""Secrets among a task's arguments: used by the driver, and shown nowhere.

Airflow writes a task's templated fields into its database, as the DAG says them and once more as
they are rendered, and its log has the command line. Between the DAG file and the driver a value
that is secret, or in which a secret stands, is therefore kept in a :class:`HiddenValue`, which
shows itself with ``***`` in the secret's place; and what was rendered is made known to Airflow's
own masking, which keeps it out of logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import redact
from airflow.sdk.log import mask_secret

from kindling_airflow.common.redaction import (
    MASK,
    is_secret_key,
    secret_values,
    text_has_secret,
    without_secrets,
)

__all__ = ["HiddenValue", "hidden", "keep_out_of_logs", "masked", "rendered", "revealed"]

_ONE_TEMPLATE = re.compile(r"\s*\{\{(?:(?!\}\}).)*\}\}\s*", re.DOTALL)


class HiddenValue:
    """A value that shows itself without what is secret of it.

    Args:
        value: the value.
        shown: what is shown in its place.
    """

    __slots__ = ("shown", "value")

    def __init__(self, value: Any, shown: str = MASK) -> None:
        self.value = value
        self.shown = shown

    def serialize(self) -> str:
        """Return what Airflow stores of it."""
        return self.shown

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return self.shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenValue) and other.value == self.value

    def __hash__(self) -> int:
        return hash((HiddenValue, str(self.value)))


def hidden(value: Any) -> Any:
    """Return an argument with every secret in it hidden; the same object where there is none.

    A template alone stays as it is: it is no secret, and what it stands for is registered with
    Airflow's masking when it is rendered.
    """
    if isinstance(value, Mapping):
        items = {key: _hidden_item(key, item) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, (list, tuple)):
        flags = ["", *map(str, value)]  # what stands behind '--password' is one
        found = [
            _hidden_item(flag if _is_flag(flag) else "", item)
            for flag, item in zip(flags, value, strict=False)
        ]
        same = all(new is old for new, old in zip(found, value, strict=True))
        return value if same else type(value)(found)
    return HiddenValue(value, without_secrets(value)) if text_has_secret(value) else value


def revealed(value: Any) -> Any:
    """Return an argument as it was before :func:`hidden`."""
    return _changed(value, lambda found: found.value)


def rendered(value: Any, render: Callable[[Any], Any]) -> Any:
    """Return an argument whose hidden values are rendered; the others have been."""

    def again(found: HiddenValue) -> HiddenValue:
        if not _is_template(found.value):
            return found
        new = render(found.value)
        return HiddenValue(new, MASK if found.shown == MASK else without_secrets(str(new)))

    return _changed(value, again)


def keep_out_of_logs(*arguments: Any) -> None:
    """Let Airflow replace the secrets of arguments by ``***`` in all that this task logs."""
    for each in arguments:
        for value in secret_values({"": revealed(each)}):
            mask_secret(value)


def masked(text: str) -> str:
    """Return a text without what Airflow knows to be secret by now, and what looks like it."""
    return without_secrets(str(redact(text)))


def _hidden_item(key: str, value: Any) -> Any:
    if is_secret_key(key) and value and not isinstance(value, (bool, HiddenValue)):
        if not isinstance(value, str) or not _ONE_TEMPLATE.fullmatch(value):
            return HiddenValue(value)
        return value
    return hidden(value)


def _changed(value: Any, change: Callable[[HiddenValue], Any]) -> Any:
    if isinstance(value, HiddenValue):
        return change(value)
    if type(value) is dict:
        return {key: _changed(item, change) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_changed(item, change) for item in value)
    return value


def _is_flag(text: str) -> bool:
    return text.startswith("-") and "=" not in text and " " not in text


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)
