"""Tags that are not in the registry, and were likely meant to be.

Tags are free: custom tags go into the manifest and have no effect. But so would a misspelt one, and
what it was written for would not happen. So an unknown tag is refused where it is likely to be
meant for this package:

- it is spelled like a known one, but for a letter or two, for case, dashes, dots and underscores;
- it is in a namespace of this package (``retry.``, ``stream.``, ``provider.``, ...);
- it is known, but for entities where a pipe has it, or the other way round;
- it is a tag of the framework behind the user's document that is spelled otherwise here.

Everything else is free (``layer``, ``team.owner``), and so is all that begins with ``x.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kindling_airflow.tags.registry import REGISTRY, Kind

__all__ = ["FREE", "likely_tag", "unknown_tag_problems"]

FREE = "x."
"""What begins with this is never looked at."""

_NAMESPACES = frozenset(row.name.partition(".")[0] for row in REGISTRY if "." in row.name)
_ON_BOTH = frozenset({"owner", "priority"})  # words that entities may well have for themselves
_SHORT, _LONG = 6, 8  # letters from which on one, two wrong letters still are the same word
_SEPARATORS = re.compile(r"[._\-\s]+")
_HISTORY = (
    "tables keep no history of their rows. SCD type 1, rows that replace those "
    "with the same key: set write_mode: merge and merge_columns. SCD type 2, a history: let the "
    "pipe read its own output and return all versions with columns for their validity, or add "
    "versions by write_mode: append"
)
_WRITES = "set write_mode: overwrite, overwrite_interval, append, or merge with merge_columns"
_TRIES = "set retry.attempts, or the key 'retries' of the definition"
_FRAMEWORKS = {"scd.": _HISTORY, "write.": _WRITES}
_AT_THE_ENTITY = " (at the entity that the pipe writes)"
_FIELD = "give it to the declaration as an argument; it is not a tag"
_ELSEWHERE: Mapping[Kind, Mapping[str, str]] = {
    "entity": {
        **dict.fromkeys(("scd", "scdtype"), _HISTORY),
        "writemode": _WRITES,
        **dict.fromkeys(("clustercolumns", "mergecolumns", "partitioncolumns"), _FIELD),
    },
    "pipe": {
        **dict.fromkeys(("scd", "scdtype"), f"{_HISTORY}{_AT_THE_ENTITY}"),
        "writemode": f"{_WRITES}{_AT_THE_ENTITY}",
        **dict.fromkeys(("retries", "retry"), _TRIES),
        **dict.fromkeys(("retrydelay", "retrydelayseconds"), "set retry.interval_seconds"),
        **dict.fromkeys(
            ("timeout", "executiontimeout", "executiontimeoutseconds"), "set timeout_seconds"
        ),
        **dict.fromkeys(("drivingentityids", "expectations", "usewatermark"), _FIELD),
    },
}


def unknown_tag_problems(
    kind: Kind, tags: Mapping[str, Any], custom_provider: bool = False
) -> Iterator[str]:
    """Yield what is wrong with the names of tags that seem to be meant for this package.

    Which ``provider.*`` an entity may have depends on its type, and which ``interval.*`` on its
    inputs; :mod:`~kindling_airflow.tags.entity_checks` and
    :mod:`~kindling_airflow.tags.interval_checks` check them.

    Args:
        kind: what has the tags.
        tags: the tags.
        custom_provider: whether they are of an entity whose type is not built-in: its provider
            may read any tag.
    """
    plain = _PLAIN[kind]
    if plain.issuperset(tags):
        return  # as nearly always
    for key in tags:
        if key not in plain and (text := _problem(kind, key, custom_provider)):
            yield text


def likely_tag(kind: Kind, key: str) -> str | None:
    """Return the known tag that an unknown one was likely meant to be, or None.

    >>> likely_tag("pipe", "retry_atempts"), likely_tag("pipe", "layer")
    ('retry.attempts', None)
    """
    return _nearest(_bare(key), _BARE[kind])


@lru_cache(maxsize=4096)
def _problem(kind: Kind, key: str, custom_provider: bool) -> str | None:
    """Return what is wrong with a tag's name, or None; a plan may have 100,000 tags of one name."""
    if key.startswith((FREE, "interval.", *_FAMILIES[kind])) and key not in _FAMILIES[kind]:
        return None
    if kind == "entity" and key.startswith("provider."):
        return None
    other: Kind = "pipe" if kind == "entity" else "entity"
    if key in _PLAIN[other] or key.startswith(_FAMILIES[other]):
        if key in _ON_BOTH:
            return None
        whose = "entities" if other == "entity" else "pipes"
        where = "the entity that the pipe reads or writes" if kind == "pipe" else "the pipe"
        return f"tag {key!r} is for {whose} and has no effect here\n  Fix: set it on {where}."
    text = _elsewhere(kind, key) or _misspelt(kind, other, key, custom_provider)
    if text is None:
        return None
    return f"unknown tag {key!r}{text}, or name it '{FREE}{key}' if it is a custom tag."


def _elsewhere(kind: Kind, key: str) -> str | None:
    """Return what to write for a tag that belongs elsewhere, or None."""
    remedy = _ELSEWHERE[kind].get(_bare(key))
    for namespace, framework_remedy in _FRAMEWORKS.items():
        if key.casefold().startswith(namespace):
            remedy = framework_remedy + (_AT_THE_ENTITY if kind == "pipe" else "")
    return None if remedy is None else f", which has no effect\n  Fix: {remedy}"


def _misspelt(kind: Kind, other: Kind, key: str, custom_provider: bool) -> str | None:
    """Return what a tag was likely meant to be, or what its namespace has; None for a free one."""
    nearest = likely_tag(kind, key) or likely_tag(other, key)
    if nearest is not None and not (custom_provider and nearest.startswith("provider.")):
        return f". Did you mean {nearest!r}?\n  Fix: correct it"
    first, dot, _ = key.casefold().partition(".")
    if not dot or first not in _NAMESPACES:
        return None
    known = dict.fromkeys(row.text() for row in REGISTRY if row.name.startswith(f"{first}."))
    return f". Known tags: {', '.join(known)}.\n  Fix: correct it"


def _bare(name: str) -> str:
    """Return a name without what separates its words, in lower case.

    >>> _bare("Retry-Attempts"), _bare("retryAttempts")
    ('retryattempts', 'retryattempts')
    """
    return _SEPARATORS.sub("", name).casefold()


def _nearest(bare: str, known: Mapping[str, str]) -> str | None:
    """Return the known name that was likely meant, or None."""
    if bare in known:
        return known[bare]
    near = [(_distance(bare, name, _allowed(name)), name) for name in known]
    fitting = [
        (d, name)
        for d, name in near
        if d <= _allowed(name) and not (len(name) < _SHORT and len(bare) > len(name))
    ]
    return known[min(fitting)[1]] if fitting else None


def _allowed(name: str) -> int:
    return 2 if len(name) >= _LONG else 1


def _distance(one: str, other: str, most: int) -> int:
    """Return how many letters to add, drop, change or swap, counted up to one more than ``most``.

    >>> _distance("duration_hnt", "duration_hint", 2), _distance("onwer", "owner", 2)
    (1, 1)
    >>> _distance("layer", "duration_hint", 2)
    3
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for n, letter in enumerate(one, 1):
        older, before, row = before, row, [n]
        for m, theirs in enumerate(other, 1):
            cost = min(row[m - 1] + 1, before[m] + 1, before[m - 1] + (letter != theirs))
            if n > 1 and m > 1 and letter == other[m - 2] and one[n - 2] == theirs:
                cost = min(cost, older[m - 2] + 1)
            row.append(cost)
    return min(row[-1], most + 1)


def _names(kind: Kind, *, families: bool) -> frozenset[str]:
    return frozenset(
        row.name for row in REGISTRY if row.of == kind and row.name.endswith(".") is families
    )


_KINDS: tuple[Kind, ...] = ("entity", "pipe")
_PLAIN = {kind: _names(kind, families=False) for kind in _KINDS}
_FAMILIES = {kind: tuple(sorted(_names(kind, families=True))) for kind in _KINDS}
_BARE = {kind: {_bare(name): name for name in sorted(_PLAIN[kind])} for kind in _KINDS}
