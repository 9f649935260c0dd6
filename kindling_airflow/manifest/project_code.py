"""The identity of a project's code: one digest of the files that its drivers import.

A plan's digest covers declarations, not the bodies of functions. This one covers every ``.py`` and
``.sql`` file of the top-level modules and packages that importing the project loads, also those
that a function imports only when it is called:

    orders/pipes.py       imported for its declarations      counts
    orders/rates.py       imported inside of a function      counts
    orders/sql/day.sql    read for a query                   counts
    orders/rates.csv      data                               does not
    orders/tests/...      tests, hidden files, virtual environments, compiled modules: do not
    billing/pipes.py      a package that nothing imports     does not

The digest follows from relative paths and contents alone: it is the same on every machine, in every
folder, and for a package's unpacked files.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from kindling_airflow.common.immutable import EMPTY, FrozenDict, digest_of

__all__ = ["CodeIdentity", "ProjectCode", "changed_files", "code_roots", "project_code"]

_SUFFIXES = (".py", ".sql")
_NOT_THE_PROJECTS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_TESTS = frozenset({"test", "tests"})
_TEST_FILES = ("test_*.py", "*_test.py", "conftest.py")

MOST_ENTRIES = 50_000
"""How many files and folders are looked at before the code counts as too large to identify."""

_SETTLED_NS = 2_000_000_000
_TRIES = 3
_Signature = tuple[int, int, int, int]
_known: dict[str, tuple[_Signature, str]] = {}


@dataclass(frozen=True, slots=True)
class ProjectCode:
    """The code of a project as it is in a folder.

    Attributes:
        roots: what was looked at: files and folders relative to the project.
        files: SHA-256 of each file, by its path relative to the project.
        problem: why the code cannot be identified, or "".
    """

    roots: tuple[str, ...]
    files: Mapping[str, str] = EMPTY
    problem: str = ""

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the files; "" where there are none, or a problem."""
        return digest_of(dict(self.files)) if self.files and not self.problem else ""


@dataclass(frozen=True, slots=True)
class CodeIdentity:
    """Which code a task is for.

    Attributes:
        digest: of the code, as it was compiled; "" where it is not known.
        roots: what to look at for it.
        changed: the files that differ from those that the compiled manifest was made from.
        problem: why the code cannot be identified, or "".
    """

    digest: str = ""
    roots: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    problem: str = ""


def code_roots(sources: Collection[str], modules: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what to look at for the code of a project.

    Args:
        sources: the files that importing the project has read, relative to its folder.
        modules: what is imported, where the files are not known.

    >>> code_roots(["orders/__init__.py", "orders/pipes.py", "rates.py", "tests/made.py"])
    ('orders', 'rates.py', 'tests/made.py')
    """
    if not sources:
        tops = {name.partition(".")[0] for name in modules}
        return tuple(sorted(path for top in tops for path in (top, f"{top}.py")))
    found = {name for name in sources if not _is_foreign(name)}
    tops = {name.partition("/")[0] for name in found if _counts(name)}
    return tuple(sorted(tops | {name for name in found if not _counts(name)}))


def project_code(root: Path, roots: Iterable[str]) -> ProjectCode:
    """Return the code of a project as it is now.

    Links are followed, as Python does. A file that cannot be read is part of the digest by name.

    Args:
        root: the project's folder.
        roots: what to look at, see :func:`code_roots`; what is missing is left out.
    """
    chosen, place = tuple(roots), os.path.realpath(root)
    walk = _Walk()
    names = set()
    for name in chosen:
        path = os.path.join(place, name)  # noqa: PTH118 (text is several times faster here)
        if os.path.isfile(path):  # noqa: PTH113
            names.add(name)
        elif os.path.isdir(path):  # noqa: PTH112
            names.update(walk.files_in(path, name, ()))
    if walk.is_too_large:
        problem = (
            f"the code of project {str(root)!r} cannot be identified: more than {MOST_ENTRIES:,} "
            f"files and folders are beneath {', '.join(map(repr, chosen))}\n"
            "  Fix: move data and environments out of the project's packages."
        )
        return ProjectCode(chosen, problem=problem)
    files = {name: _digest(os.path.join(place, name)) for name in sorted(names)}  # noqa: PTH118
    return ProjectCode(chosen, FrozenDict(files))


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that are not the same in two states, new and missing ones among them.

    >>> changed_files({"a.py": "1", "b.py": "1", "c.py": "1"}, {"a.py": "1", "b.py": "2"})
    ('b.py', 'c.py')
    """
    names = sorted({*before, *now})
    return tuple(name for name in names if before.get(name) != now.get(name))


class _Walk:
    """Finds files of code, up to a number of entries."""

    def __init__(self) -> None:
        self._entries = 0

    @property
    def is_too_large(self) -> bool:
        return self._entries > MOST_ENTRIES

    def files_in(self, folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
        """Yield the files beneath a folder by their paths relative to the project."""
        real = os.path.realpath(folder)
        if real in above:  # a link to a folder that it lies in
            return
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            return
        self._entries += len(entries)
        if self.is_too_large or any(entry.name == "pyvenv.cfg" for entry in entries):
            return
        for entry in entries:
            name = f"{prefix}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if entry.name not in _NOT_THE_PROJECTS | _TESTS:
                    yield from self.files_in(entry.path, name, (*above, real))
            elif _counts(entry.name) and entry.is_file():
                yield name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_foreign(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part in _NOT_THE_PROJECTS for part in parts)


def _counts(name: str) -> bool:
    """Return whether a file of this path is found beneath its top-level folder."""
    path = PurePosixPath(name)
    return (
        path.suffix in _SUFFIXES
        and not _TESTS.intersection(path.parts[:-1])
        and not any(fnmatchcase(path.name, pattern) for pattern in _TEST_FILES)
    )


def _digest(path: str) -> str:
    """Return the SHA-256 of a file, from memory while the file is the same; "" if unreadable.

    A file that was changed within the last two seconds is read again: another change might not show
    in its times.
    """
    try:
        signature = _signature(path)
        known = _known.get(path)
        if known is not None and known[0] == signature:
            return known[1]
        for _ in range(_TRIES):  # until it was not written to meanwhile
            found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            before, signature = signature, _signature(path)
            if before == signature:
                break
    except OSError:
        return ""
    if time.time_ns() - max(signature[1:3]) > _SETTLED_NS:
        _known[path] = (signature, found)
    return found


def _signature(path: str) -> _Signature:
    status = os.stat(path)  # noqa: PTH116
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
