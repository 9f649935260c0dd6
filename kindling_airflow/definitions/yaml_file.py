"""A definition file -> its keys, and the line of each.

YAML without its traps: a key that is given twice is an error and not silently the last one, dates
stay text, what readers disagree about is refused (:mod:`.yaml_scalars`), tags that make objects are
refused, and a file that is deep or wide without end (nested, or by aliases of aliases) is refused
before it costs anything. Aliases and ``<<`` merges of sane size work as ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import Reader

from kindling_airflow.common.redaction import MASK, is_secret_key
from kindling_airflow.definitions.yaml_scalars import as_written, reading_problems
from kindling_airflow.errors import DefinitionError

Where = tuple[str | int, ...]
Problem = tuple[Where, str]

DEEPEST = 20  # levels; a definition has four
MOST_VALUES = 100_000

_YAML_FIX = "\n  Fix: look at this line and the one before."
_SYNTAX_FIX = f"{_YAML_FIX[:-1]}; quote what starts with '*' or '@'."
_PREFIX = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset({None, "!", f"{_PREFIX}str", f"{_PREFIX}seq", f"{_PREFIX}map"})


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that leaves dates as they are written."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != f"{_PREFIX}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class DefinitionFile:
    """The content of a definition file.

    Attributes:
        path: the file.
        source: what messages call it.
        keys: its keys, as JSON has them.
        lines: the line of each key and item, by its way from the root.
        problems: what YAML lets pass and a definition does not.
        digest: SHA-256 of its bytes.
    """

    path: Path
    source: str
    keys: Mapping[str, Any]
    lines: Mapping[Where, int]
    problems: tuple[Problem, ...] = ()
    digest: str = ""


def read_definition_file(
    path: Path,
    source: str | None = None,
    *,
    what: str = "a definition",
    start: str = "'dag_id: ...' and 'project: ...'",
) -> DefinitionFile:
    """Read a definition file as far as YAML goes.

    Args:
        path: the file.
        source: what messages call it; default: its path.
        what: what messages call such a file.
        start: what messages say that such a file starts with.

    Raises:
        DefinitionError: it cannot be read, is not UTF-8 or not YAML, or does not hold a mapping.
    """
    source = str(path) if source is None else source
    try:
        data = path.read_bytes()
        builder = _Builder(data.decode("utf-8-sig"))
    except OSError as error:
        raise DefinitionError(
            [f"{source}: cannot be read: {error.strerror}\n  Fix: correct the path or its rights."]
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DefinitionError(
            [f"{source}:{line}: not UTF-8 text\n  Fix: save the file as UTF-8."]
        ) from None
    except _Refused as error:
        raise DefinitionError([f"{source}:{error.line}: {error.text}"]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f":{mark.line + 1}" if mark is not None else ""
        what = " ".join(str(getattr(error, "problem", None) or error).split())
        raise DefinitionError([f"{source}{at}: not valid YAML: {what}{_SYNTAX_FIX}"]) from None
    if not isinstance(builder.root, dict):
        empty = builder.root is None
        found = "and this file is empty" if empty else f"not {type(builder.root).__name__}"
        problem = f"{source}: {what} is a mapping of keys, {found}\n  Fix: start with {start}."
        raise DefinitionError([problem])
    digest = hashlib.sha256(data).hexdigest()
    problems = tuple(builder.problems)
    return DefinitionFile(path, source, builder.root, builder.lines, problems, digest)


def located(source: str, lines: Mapping[Where, int], problem: Problem) -> str:
    """Return a problem's text behind the file, the line and the key that it is about."""
    where, text = problem
    line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), None)
    key = ".".join(map(str, where))
    return f"{source}{f':{line}' if line else ''}: {f'{key}: ' if key else ''}{text}"


class _Refused(Exception):  # noqa: N818 (never leaves this module)
    """The file is YAML, but none for a definition."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(line, text)
        self.line, self.text = line, text


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    value: dict[str, Any] | list[Any]
    where: Where
    anchor: str | None
    size_before: int
    key: str | None = None
    merged: list[Mapping[str, Any]] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)


class _Builder:
    """Builds the document of a YAML text, event by event, without recursion.

    Raises:
        _Refused: the text goes beyond what a definition may be.
        yaml.YAMLError: it is not YAML.
    """

    def __init__(self, text: str) -> None:
        self.root: Any = None
        self.lines: dict[Where, int] = {}
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # the value, and how many values it holds
        self._stack: list[_Frame] = []
        self._size = 0
        odd = Reader.NON_PRINTABLE.search(text)
        if odd is not None:
            line = text.count("\n", 0, odd.start()) + 1
            raise _Refused(
                line, f"the character {odd[0]!r} is not allowed in YAML\n  Fix: remove it."
            )
        self._loader = _Loader(text)
        try:
            for event in self._events():
                self._take(event)
        finally:
            self._loader.dispose()
        self._check_depth(self.root, ())
        self.root, unclear = reading_problems(self.root)
        self.problems += unclear

    def _check_depth(self, value: Any, where: Where) -> None:
        """Remove what aliases of aliases nest too deeply, with a problem each."""
        if not isinstance(value, (dict, list)):
            return
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(items):
            if len(where) < DEEPEST - 1:
                self._check_depth(item, (*where, key))
            elif isinstance(item, (dict, list)):
                value[key] = None
                text = f"nested deeper than {DEEPEST} levels\n  Fix: flatten it."
                self.problems.append(((*where, key), text))

    def _events(self) -> Iterator[Any]:
        documents = 0
        while self._loader.check_event():
            event = self._loader.get_event()
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                text = "a second document starts here\n  Fix: one file, one definition."
                raise _Refused(_line(event), text)
            if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                yield event

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self._end()
            return
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
            return
        if event.tag not in _PLAIN_TAGS:
            tag = MASK if self._is_secret() else repr(event.tag)
            raise _Refused(_line(event), f"the tag {tag} is not allowed here{_YAML_FIX}")
        self._grow(1, event)
        if isinstance(event, yaml.ScalarEvent):
            if self._awaits_key():
                self._key(event)
            else:
                self._put(self._scalar(event), event, 1, event.anchor)
            return
        if self._awaits_key():
            raise _Refused(_line(event), f"a key must be plain text{_YAML_FIX}")
        if len(self._stack) == DEEPEST:
            raise _Refused(_line(event), f"nested deeper than {DEEPEST} levels{_YAML_FIX}")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        where = self._place(event)
        self._stack.append(_Frame({} if is_mapping else [], where, event.anchor, self._size - 1))

    def _end(self) -> None:
        frame = self._stack.pop()
        if isinstance(frame.value, dict):
            for base in frame.merged:
                for key, value in base.items():
                    frame.value.setdefault(key, value)
        self._put(frame.value, None, self._size - frame.size_before, frame.anchor)

    def _alias(self, event: Any) -> None:
        if self._awaits_key():
            raise _Refused(_line(event), f"a key must be plain text{_YAML_FIX}")
        if event.anchor not in self._anchors:
            alias = MASK if self._is_secret() else event.anchor
            text = f"the alias '*{alias}' is not defined before this line{_YAML_FIX}"
            raise _Refused(_line(event), text)
        value, size = self._anchors[event.anchor]
        self._grow(size, event)
        self._put(value, event, size, None)

    def _is_secret(self) -> bool:
        """Return whether the value that comes now is a secret, which no message may show."""
        return any(frame.key is not None and is_secret_key(frame.key) for frame in self._stack)

    def _grow(self, size: int, event: Any) -> None:
        self._size += size
        if self._size > MOST_VALUES:
            text = (
                f"more than {MOST_VALUES} values, aliases counted in full\n  Fix: shorten the file."
            )
            raise _Refused(_line(event), text)

    def _awaits_key(self) -> bool:
        return (
            bool(self._stack)
            and isinstance(self._stack[-1].value, dict)
            and (self._stack[-1].key is None)
        )

    def _key(self, event: Any) -> None:
        frame, key = self._stack[-1], event.value
        where = (*frame.where, key)
        first = frame.taken.setdefault(key, _line(event))
        if where in self.lines:
            text = f"duplicate key, first set in line {first}\n  Fix: keep one of them."
            self.problems.append((where, text))
        self.lines[where] = _line(event)
        frame.key = key

    def _place(self, event: Any) -> Where:
        """Return the way from the root to the value that comes now, and note its line."""
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if isinstance(frame.value, dict):
            return (*frame.where, frame.key or "")
        where = (*frame.where, len(frame.value))
        self.lines[where] = _line(event)
        return where

    def _put(self, value: Any, event: Any, size: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        if not self._stack:
            self.root = value
            return
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            if event is not None:
                self._place(event)
            frame.value.append(value)
            return
        key, frame.key = frame.key or "", None
        if key == "<<":
            self._merge(frame, value)
        else:
            frame.value[key] = value

    def _merge(self, frame: _Frame, value: Any) -> None:
        bases = value if isinstance(value, list) else [value]
        if all(isinstance(base, dict) for base in bases):
            frame.merged += bases
        else:
            text = (
                "'<<' merges a value that is not a mapping\n  Fix: write '<<: *name' of a mapping."
            )
            self.problems.append(((*frame.where, "<<"), text))

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag is None:
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag in ("!", f"{_PREFIX}merge", f"{_PREFIX}value"):
            tag = f"{_PREFIX}str"
        try:
            value = self._loader.construct_object(yaml.ScalarNode(tag, event.value))
            is_plain = event.tag is None and event.implicit[0]
            return as_written(value, event.value) if is_plain else value
        except (ValueError, KeyError):  # it only looks like a number, or has no end
            text = "this number cannot be read\n  Fix: put it in quotes if it is text."
            raise _Refused(_line(event), text) from None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
