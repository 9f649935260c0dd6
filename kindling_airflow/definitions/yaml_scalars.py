"""Numbers and words that YAML readers disagree about: kept as written, or refused.

    010         8 to YAML 1.1, 10 to YAML 1.2         1_000   1000, or text
    12:30:00    45000, or text                        1e3     text, or 1000.0
    0o17        text, or 15                           NO      false, or text

Where a text is wanted (Spark properties, environment variables, parameters of type string, options
of a provider), a number is the text that was written: ``1.50`` is not ``1.5``. Elsewhere a value
that the two versions of YAML read differently is refused. ``yes``, ``no``, ``on`` and ``off`` stay
what they are under keys that take true or false, and are refused where anything may stand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.redaction import MASK, is_secret_key
from kindling_airflow.tags.names import OPTION_TAGS, STREAM_OPTION_TAGS

_Where = tuple[str | int, ...]

_TEXTS_IN_SPARK = ("conf", "env_vars")
_TEXT_TAGS = (OPTION_TAGS, STREAM_OPTION_TAGS)
_FREE = frozenset({"params", "arguments", "executor_config", "kwargs", "tags", "access_control"})
_OF_THE_TYPE = ("default", "enum", "const", "examples")

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain scalar that is not text to at least one of the two versions.

    Attributes:
        value: what YAML 1.1 reads.
        text: what is written.
    """

    value: Any
    text: str

    @property
    def other(self) -> Any:
        """What YAML 1.2 reads."""
        return _read_by_1_2(self.text)

    @property
    def is_clear(self) -> bool:
        """Whether both versions read the same."""
        other = self.other
        if isinstance(other, float) and math.isnan(other):
            return isinstance(self.value, float) and math.isnan(self.value)
        return type(other) is type(self.value) and bool(other == self.value)


def as_written(value: Any, text: str) -> Any:
    """Return a plain scalar as it is kept while a file is read: with its text where that counts."""
    found = Scalar(value, text)
    if isinstance(value, str) and found.is_clear:
        return value
    return value if value is None else found


def reading_problems(root: Any) -> tuple[Any, list[tuple[_Where, str]]]:
    """Return a document with a value in place of each scalar, and what is read differently.

    Args:
        root: mappings, lists and values, with a :class:`Scalar` where its text may count; no
            deeper than a reader allows.
    """
    problems: list[tuple[_Where, str]] = []

    def resolve(value: Any, where: _Where, wanted: str) -> Any:
        if isinstance(value, dict):
            inner = _wanted_within(value, where, wanted)
            return {
                key: resolve(item, (*where, key), inner.get(key, inner[None]))
                for key, item in value.items()
            }
        if isinstance(value, list):
            each = wanted if where[0:1] == ("params",) else ""  # elsewhere no list is a text
            return [resolve(item, (*where, n), each) for n, item in enumerate(value)]
        if not isinstance(value, Scalar):
            return value
        if wanted == "text" and (not isinstance(value.value, bool) or not value.is_clear):
            return value.text
        if not value.is_clear and not _is_settled(value, where, wanted):
            problems.append((where, _problem(value, where)))
        return value.value

    return resolve(root, (), ""), problems


def _wanted_within(value: Mapping[str, Any], where: _Where, wanted: str) -> dict[Any, str]:
    """Return what is wanted under the keys of a mapping; under None, of all others."""
    if where[-2:] in tuple(("spark", name) for name in _TEXTS_IN_SPARK):
        return {None: "text"}
    if where[-1:] == ("tags",):
        return {None: wanted, **{k: "text" for k in value if k.startswith(_TEXT_TAGS)}}
    if len(where) == 2 and where[0] == "params":
        kind = {"string": "text", "boolean": "boolean"}.get(str(value.get("type")), wanted)
        return {None: wanted, **dict.fromkeys(_OF_THE_TYPE, kind)}
    return {None: wanted}


def _is_settled(value: Scalar, where: _Where, wanted: str) -> bool:
    """Return whether it is clear what ``yes`` or ``off`` means: a key takes true or false."""
    return isinstance(value.value, bool) and (wanted == "boolean" or _FREE.isdisjoint(where))


def _problem(value: Scalar, where: _Where) -> str:
    if any(is_secret_key(step) for step in where):
        return f"{MASK} is read differently by YAML 1.1 and YAML 1.2\n  Fix: put it in quotes."
    readings = f"{_shown(value.value)} to YAML 1.1 and {_shown(value.other)} to YAML 1.2"
    plain = dict.fromkeys(
        _shown(read) for read in (value.value, value.other) if not isinstance(read, str)
    )
    return (
        f"{value.text} is {readings}\n"
        f"  Fix: put it in quotes if it is text, or write it plainly, as {' or '.join(plain)}."
    )


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _read_by_1_2(text: str) -> Any:
    for pattern, read in _READERS:
        if pattern.fullmatch(text):
            return read(text)
    return text


def _readers() -> Iterator[tuple[re.Pattern[str], Any]]:
    yield _NULL, lambda _: None
    yield _BOOL, lambda text: text.lower() == "true"
    yield _INT, lambda text: int(text) if len(text) <= 400 else float(text)
    yield _BASED, lambda text: int(text, 0)
    yield _FLOAT, float
    yield _INF, lambda text: float(text.replace(".", ""))
    yield _NAN, lambda _: math.nan


_READERS = tuple(_readers())
