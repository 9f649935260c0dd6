"""What is secret among settings, told by the names of the keys, and how texts are kept free of it.

One rule for both sides: the task hides what it submits a driver with, and the driver hides what it
was configured with, from wherever that came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["MASK", "is_secret_key", "secret_values", "without_secrets"]

MASK = "***"

# Spark's own rule (spark.redaction.regex), and the keys of the object stores that it leaves out.
_SECRET_KEY = re.compile(
    r"secret|passw|passphrase|token|credentials?$"
    r"|(access|account|api|private|encryption)[._-]?key|[._-]sas[._-]",
    re.IGNORECASE,
)
# Half of a URL may be secret as well: jdbc:postgresql://user:password@host/db?password=...
_USER_INFO = re.compile(r"(?P<before>://[^\s/:@]*:)[^\s/@]+(?=@)")
_PARAMETER = re.compile(
    r"(?P<before>[?&;][^\s=&;?]*(?:secret|passw|token|sig(?:nature)?)[^\s=&;?]*=)[^\s&;'\"]+",
    re.IGNORECASE,
)
_SHORTEST = 5  # what is shorter, or says so little, would be found everywhere
_HARMLESS = re.compile(r"(?i:true|false|none|null)|[\d.]{1,7}|([a-z][a-z0-9_]*\.){2,}[A-Z][\w$]*")


def is_secret_key(key: object) -> bool:
    """Tell whether the value under a key is nobody's business.

    >>> is_secret_key("spark.hadoop.fs.s3a.secret.key"), is_secret_key("spark.executor.memory")
    (True, False)
    """
    return _SECRET_KEY.search(str(key)) is not None


def secret_values(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secret values of settings, however deep, longest first; none twice.

    Values that would be found everywhere (numbers, ``true``, names of Java classes, anything of
    fewer than five characters) are not among them.
    """
    found = {value for value in _secrets(settings, inside=False) if _tells_something(value)}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """Return a text with each secret, and each password in a URL, replaced by ``***``.

    >>> without_secrets("jdbc:x://a:b@h/d?password=hidden&ssl=true", ())
    'jdbc:x://a:***@h/d?password=***&ssl=true'
    """
    for secret in secrets:
        text = text.replace(secret, MASK)
    return _PARAMETER.sub(rf"\g<before>{MASK}", _USER_INFO.sub(rf"\g<before>{MASK}", text))


def _secrets(settings: Any, *, inside: bool) -> Iterator[str]:
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _secrets(value, inside=inside or is_secret_key(key))
    elif isinstance(settings, Iterable) and not isinstance(settings, str | bytes):
        for item in settings:
            yield from _secrets(item, inside=inside)
    elif inside and settings is not None:
        yield str(settings)


def _tells_something(value: str) -> bool:
    return len(value) >= _SHORTEST and _HARMLESS.fullmatch(value) is None
