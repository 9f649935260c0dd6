"""Which values of settings are secret, and texts and documents without them.

One rule for both sides: the task hides what it submits a driver with, and the driver hides what it
was configured with, from wherever that came. A value is secret if its key says so; of any other
value it is the part that :mod:`~kindling_airflow.common.secret_text` finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kindling_airflow.common.secret_text import is_secret_key, secrets_in, spans_of_secrets

__all__ = [
    "MASK",
    "document_without_secrets",
    "is_secret_key",
    "secret_values",
    "text_has_secret",
    "without_secrets",
]

MASK = "***"

_SHORTEST = 5  # what is shorter, or says so little, would be found everywhere
_HARMLESS = re.compile(r"(?i:true|false|none|null)|[\d.]{1,7}|([a-z][a-z0-9_]*\.){2,}[A-Z][\w$]*")
_WORKING_FOLDERS = ("PWD", "OLDPWD")  # variables of every shell


def secret_values(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secret values of settings, however deep, longest first; none twice.

    Values that would be found everywhere (numbers, ``true``, names of Java classes, anything of
    fewer than five characters) are not among them.
    """
    found = {value for value in _secrets(settings, inside=False) if _tells_something(value)}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def without_secrets(text: str, secrets: Sequence[str] = ()) -> str:
    """Return a text with each secret, and each that stands in it by its form, replaced by ``***``.

    >>> without_secrets("jdbc:x://a:b@h/d?password=hidden&ssl=true")
    'jdbc:x://a:***@h/d?password=***&ssl=true'
    """
    for secret in secrets:
        text = text.replace(secret, MASK)
    for start, end in reversed(spans_of_secrets(text)):
        text = f"{text[:start]}{MASK}{text[end:]}"
    return text


def text_has_secret(text: object) -> bool:
    """Return whether a value is a text in which a secret stands."""
    return isinstance(text, str) and bool(spans_of_secrets(text))


def document_without_secrets(value: Any, secrets: Sequence[str] = ()) -> Any:
    """Return a document to show: every secret value, and every secret in a text, is ``***``.

    >>> document_without_secrets({"conf": {"a.password": "hidden", "b": ["x://u:hidden@h"]}})
    {'conf': {'a.password': '***', 'b': ['x://u:***@h']}}
    """
    if isinstance(value, str):
        return without_secrets(value, secrets)
    if isinstance(value, Mapping):
        return {
            key: MASK
            if is_secret_key(key) and isinstance(item, str) and item
            else document_without_secrets(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [document_without_secrets(item, secrets) for item in value]
    return value


def _secrets(settings: Any, *, inside: bool) -> Iterator[str]:
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key in _WORKING_FOLDERS and str(value).startswith("/"):
                continue
            yield from _secrets(value, inside=inside or is_secret_key(key))
    elif isinstance(settings, Iterable) and not isinstance(settings, str | bytes):
        for item in settings:
            yield from _secrets(item, inside=inside)
    elif settings is not None:
        text = str(settings)
        if inside:
            yield text
        yield from secrets_in(text)


def _tells_something(value: str) -> bool:
    return len(value) >= _SHORTEST and _HARMLESS.fullmatch(value) is None
