"""Values that cannot change: what plans, declarations and specifications are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from math import isfinite
from typing import Any, NoReturn

DEEPEST = 100
"""How deep lists and mappings may be nested in tags and in a plan's metadata."""

TOO_DEEP = (
    f"lists and mappings are nested too deep; tags and metadata may be {DEEPEST} deep\n"
    "  Fix: flatten it."
)


class FrozenDict(dict[str, Any]):
    """A mapping that refuses to change; equal to a dict with the same items, and hashable.

    It stays a ``dict`` so that ``json.dumps`` and the users of the document's ``metadata`` dict
    need no special case.

    >>> FrozenDict(a=1) == {"a": 1}
    True
    >>> FrozenDict(a=1)["a"] = 2
    Traceback (most recent call last):
    ...
    TypeError: this mapping is immutable; make a new one instead: {**old, key: value}
    """

    __slots__ = ()

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("this mapping is immutable; make a new one instead: {**old, key: value}")

    __setitem__ = __delitem__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> FrozenDict:
        return self


class FrozenJson(FrozenDict):
    """A mapping whose maker vouches that all of it is frozen already and of JSON's types.

    For what is large and made by this package alone, so that it need not be walked over again.
    """

    __slots__ = ()


EMPTY = FrozenDict()

_PIECE = 256  # items: of a manifest's pipes some 40 kB of text
_FROZEN = frozenset({str, int, float, bool, type(None), FrozenJson})
_DEEPEST_OF_ALL = 2 * DEEPEST  # a document may hold tags, and a plan some documents
_SHOWN = 30  # letters of a path into what is too deep


def freeze(value: Any, _levels: int = _DEEPEST_OF_ALL) -> Any:
    """Return ``value`` with every mapping a :class:`FrozenDict`, every list, tuple or set a tuple.

    Sets are sorted, so that nothing depends on hash order. Keys and other values are returned as
    they are: whether JSON has them is for :func:`json_problems` to say.

    Raises:
        ValueError: the value holds itself, or what no document of this package holds: lists and
            mappings in one another, 200 deep.
    """
    kind = type(value)
    if kind in _FROZEN:
        return value
    if kind is FrozenDict and _FROZEN.issuperset(map(type, value.values())):
        return value
    if not isinstance(value, (list, tuple, Mapping, set, frozenset)):
        return value
    if not _levels:
        raise ValueError(TOO_DEEP)
    levels = _levels - 1
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(item, levels) for key, item in value.items()}) or EMPTY
    items = [freeze(item, levels) for item in value]
    return tuple(items if isinstance(value, (list, tuple)) else sorted(items, key=repr))


def json_problems(what: str, value: Any) -> list[str]:
    r"""Return all that JSON cannot express in a value, each with its path.

    Sets count as lists. Where the value is more than :data:`DEEPEST` deep, the search ends: it may
    hold itself.

    >>> json_problems("tags", {"a": [1, {2: "b"}]})
    ["tags['a'][1]: key 2 must be a string, not int\n  Fix: put it in quotes."]
    """
    problems = []
    pending: list[tuple[str, Any, int]] = [(what, value, 1)]
    while pending:
        where, item, level = pending.pop()
        if isinstance(item, Mapping):
            if type(item) is FrozenJson:
                continue
            problems += [
                f"{where}: key {key!r} must be a string, not {type(key).__name__}\n"
                "  Fix: put it in quotes."
                for key in item
                if not isinstance(key, str)
            ]
            pending += [(f"{where}[{key!r}]", inner, level + 1) for key, inner in item.items()]
        elif isinstance(item, (list, tuple)):
            pending += [(f"{where}[{n}]", inner, level + 1) for n, inner in enumerate(item)]
        elif isinstance(item, (set, frozenset)):
            pending += [(f"{where}[...]", inner, level + 1) for inner in item]
        else:
            problems += _value_problems(where, item)
            continue
        if level > DEEPEST:
            end = len(what) + _SHOWN
            problems.append(
                f"{where[:end]}{'...' if where[end:] else ''}: lists and mappings are nested more "
                f"than {DEEPEST} deep\n  Fix: flatten it."
            )
            break
    return problems


def _value_problems(where: str, value: object) -> list[str]:
    if value is None or isinstance(value, (str, int)):
        return []
    if isinstance(value, float):
        if isfinite(value):
            return []
        what = repr(value)
    else:
        what = f"of type {type(value).__name__}"
    return [f"{where} is {what}, which JSON cannot express\n  Fix: write it as text, in quotes."]


def same_json(one: Any, other: Any) -> bool:
    """Return whether two values are equal as JSON, which distinguishes 1, 1.0 and true.

    >>> same_json({"a": 1, "b": 2}, {"b": 2, "a": 1}), same_json({"a": 1}, {"a": True})
    (True, False)
    """
    return bool(one == other) and canonical_json(one) == canonical_json(other)


def thaw(value: Any) -> Any:
    """Return ``value`` as plain dicts and lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(item) for item in value]
    return value


def canonical_json(document: Any) -> str:
    """Return the one JSON text of a document: keys sorted, no spaces, non-ASCII escaped.

    Raises:
        TypeError: if the document holds something that JSON cannot express.
        ValueError: if it holds NaN or an infinity.
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(document: Any) -> str:
    """Return ``sha256:<hex>`` of a document's canonical JSON.

    The text of a large document is never there as a whole. Where an object has an iterator, it
    counts as the list of what it yields.
    """
    digest = hashlib.sha256()
    for piece in _pieces(document):
        digest.update(piece.encode())
    return f"sha256:{digest.hexdigest()}"


def _pieces(document: Any) -> Iterator[str]:
    """Yield the canonical JSON of a document piece by piece: the long lists of an object."""
    if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
        yield canonical_json(document)
        return
    before = "{"
    for key in sorted(document):
        value = document[key]
        yield f"{before}{canonical_json(key)}:"
        before = ","
        if isinstance(value, (list, tuple, Iterator)):
            yield from _pieces_of_list(iter(value))
        else:
            yield canonical_json(value)
    yield "}" if document else "{}"


def _pieces_of_list(items: Iterator[Any]) -> Iterator[str]:
    before = "["
    while some := list(islice(items, _PIECE)):
        yield before + canonical_json(some)[1:-1]
        before = ","
    yield "]" if before == "," else "[]"


def digest_problems(
    document: Mapping[str, Any], what: str, remedy: str, implied: Collection[str] = ()
) -> list[str]:
    """Return what is wrong with a document's digest of all but itself and the schema version.

    The document is taken as it stands, fields of later releases included; one that was written by
    hand may do without a digest.

    Args:
        document: the document.
        what: what messages call it.
        remedy: what to do where the digest is another.
        implied: fields that follow from the others, and are no part of the digest.
    """
    stored = document.get("digest")
    left_out = ("schema_version", "digest", *implied)
    content = {key: document[key] for key in document if key not in left_out}
    try:
        found = digest_of(content)
    except RecursionError:
        return [f"the {what}: {TOO_DEEP}"]
    except (TypeError, ValueError) as error:
        return [f"the {what} contains values that JSON cannot express: {error}"]
    if stored in (None, found):
        return []
    problem = (
        f"the {what}'s digest is {stored}, its content has {found}: it was edited by hand\n"
        f"  Fix: {remedy}."
    )
    return [problem]
