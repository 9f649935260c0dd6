"""Secrets among a task's arguments: used by the driver, and shown nowhere.

Airflow writes a task's templated fields into its database, before and after rendering, and the
command line into its log. A value that is or contains a secret is therefore wrapped in a
:class:`HiddenValue`, displayed with ``***``, between the DAG file and the driver; rendered secrets
are registered with Airflow's masking of logs.
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
    """A value that is displayed without its secrets.

    Args:
        value: the value.
        shown: what is displayed in its place.
    """

    __slots__ = ("shown", "value")

    def __init__(self, value: Any, shown: str = MASK) -> None:
        self.value = value
        self.shown = shown

    def serialize(self) -> str:
        """Return what Airflow stores."""
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

    A value that is one template is not hidden; its result is masked when it is rendered.
    """
    if isinstance(value, Mapping):
        items = {key: _hidden_item(key, item) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, (list, tuple)):
        flags = ["", *map(str, value)]  # the item after '--password' is one
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
    """Return an argument with its hidden values rendered, as the others have been."""

    def again(found: HiddenValue) -> HiddenValue:
        if not _is_template(found.value):
            return found
        new = render(found.value)
        return HiddenValue(new, MASK if found.shown == MASK else without_secrets(str(new)))

    return _changed(value, again)


def keep_out_of_logs(*arguments: Any) -> None:
    """Register the secrets of arguments with Airflow's masking of this task's log."""
    for each in arguments:
        for value in secret_values({"": revealed(each)}):
            mask_secret(value)


def masked(text: str) -> str:
    """Return a text without registered secrets, and without what looks like one."""
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
