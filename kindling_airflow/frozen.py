"""Values that cannot change: what plans, declarations and specifications are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any, NoReturn

__all__ = [
    "EMPTY",
    "FrozenDict",
    "FrozenJson",
    "canonical_json",
    "digest_of",
    "digest_problems",
    "freeze",
    "thaw",
]


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

    For what is large and made by this package alone, so that nobody need walk over it again.
    """

    __slots__ = ()


EMPTY = FrozenDict()

_PIECE = 256  # items: of a manifest's pipes some 40 kB of text
_FROZEN = frozenset({str, int, float, bool, type(None), FrozenJson})


def freeze(value: Any) -> Any:
    """Return ``value`` with every mapping a :class:`FrozenDict`, every list, tuple or set a tuple.

    Sets are sorted, so that nothing depends on hash order. Other values are returned as they are.
    """
    if type(value) in _FROZEN:
        return value
    if isinstance(value, (list, tuple)):
        return tuple([freeze(item) for item in value])
    if isinstance(value, Mapping):
        return FrozenDict({str(key): freeze(item) for key, item in value.items()}) or EMPTY
    if isinstance(value, (set, frozenset)):
        return tuple(sorted((freeze(item) for item in value), key=repr))
    return value


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
    said = document.get("digest")
    left_out = ("schema_version", "digest", *implied)
    content = {key: document[key] for key in document if key not in left_out}
    try:
        found = digest_of(content)
    except (TypeError, ValueError, RecursionError) as error:
        return [f"the {what} holds what JSON cannot express: {error}"]
    if said in (None, found):
        return []
    problem = (
        f"the {what}'s digest is {said}, its content has {found}: it was edited by hand\n"
        f"  Fix: {remedy}."
    )
    return [problem]
