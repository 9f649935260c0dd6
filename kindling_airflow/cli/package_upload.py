"""Puts a package into a folder or an object store under a name that contains its digest.

A package that is there already is not written again: of one name there is one content. Stores that
can create an object only if it is absent are asked for that; on others two uploads at once write
the same bytes. What is there afterwards is read and compared.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from kindling_airflow.deployment.project_package import content_name
from kindling_airflow.errors import PackageError, WrongCallError

__all__ = ["package_problems_at", "place_for", "put_package"]

# Hadoop's names of a file system that fsspec knows by another.
_SCHEMES = {"s3a": "s3", "s3n": "s3"}


class Place(Protocol):
    """Where packages are put."""

    def uri(self, name: str) -> str:
        """Return the path or URI of a package, as a definition names it."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a package, or None where it is absent."""

    def create(self, name: str, content: bytes) -> None:
        """Write a package that is absent; one that another writer has created meanwhile stays."""


def put_package(place: Place, stem: str, content: bytes) -> tuple[str, bool]:
    """Put a package in a place; return its path or URI, and whether it was written.

    Args:
        place: the folder or object store.
        stem: what the name begins with.
        content: the package.

    Raises:
        PackageError: the place cannot be read or written, or has other content under the name.
    """
    name = content_name(stem, content)
    with _naming(place.uri(name)):
        is_new = place.read(name) is None
        if is_new:
            place.create(name, content)
    problems = package_problems_at(place, stem, content)
    if problems:
        raise PackageError(problems)
    return place.uri(name), is_new


def package_problems_at(place: Place, stem: str, content: bytes) -> list[str]:
    """Return why a package is not in a place; empty where it is.

    Raises:
        PackageError: the place cannot be read.
    """
    name = content_name(stem, content)
    uri = place.uri(name)
    with _naming(uri):
        found = place.read(name)
    if found is None:
        return [f"package not found: {uri!r}\n  Fix: run the command without --check."]
    if found != content:
        digest = hashlib.sha256(found).hexdigest()
        problem = f"the package at {uri!r} is damaged: its SHA-256 is {digest}"
        return [f"{problem}\n  Fix: delete it, and run the command again."]
    return []


@contextmanager
def _naming(uri: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the store, or the lack of a connection, raises
        problem = (
            f"the package cannot be read or written at {uri!r}: {type(error).__name__}: {error}\n"
            "  Fix: check the path; for an object store also its Airflow provider and its "
            "connection (scheme://conn_id@bucket)."
        )
        raise PackageError([problem]) from error


def place_for(to: str) -> Place:
    """Return the place that a path or URI names.

    Raises:
        WrongCallError: an object store is named, and Airflow is not installed.
    """
    scheme, found, rest = to.partition("://")
    if not found or scheme == "file":
        folder = Path(to) if not found else Path("/" + rest.lstrip("/"))
        return _Folder(folder, f"file://{folder}" if found else str(folder))
    try:
        from airflow.sdk import ObjectStoragePath
    except ImportError as error:
        raise WrongCallError(
            f"--to {to!r}: object stores are reached through Airflow, which is not installed here; "
            f"name a folder, or use 'airflow kindling package' ({error})"
        ) from error
    try:
        root = ObjectStoragePath(f"{_SCHEMES.get(scheme, scheme)}://{rest}")
    except Exception as error:  # an unknown scheme; a provider or a connection that is missing
        raise WrongCallError(
            f"--to {to!r}: {type(error).__name__}: {error}; install the Airflow provider of the "
            "store"
        ) from error
    return _Store(root, f"{scheme}://{rest.rpartition('@')[2]}")


class _Folder:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, folder: Path, shown: str) -> None:
        self._folder = folder
        self._shown = shown.rstrip("/")

    def uri(self, name: str) -> str:
        return f"{self._shown}/{name}"

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{name}.{uuid.uuid4().hex}"
        try:
            draft.write_bytes(content)
            draft.chmod(0o644)
            draft.replace(self._folder / name)  # whole or not at all; another's has the same bytes
        finally:
            with suppress(OSError):
                os.unlink(draft)  # noqa: PTH108


class _Store:
    """An object store, through Airflow's ``ObjectStoragePath`` and its connection."""

    def __init__(self, root: Any, shown: str) -> None:
        self._root = root
        self._shown = shown.rstrip("/")

    def uri(self, name: str) -> str:
        return f"{self._shown}/{name}"

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        path.fs.invalidate_cache()
        try:
            return bytes(path.fs.cat_file(path.path))
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> None:
        path = self._root / name
        try:
            path.fs.pipe_file(path.path, content, mode="create")
        except (TypeError, NotImplementedError):  # knows no conditional creation
            path.fs.pipe_file(path.path, content)
        except Exception:
            if self.read(name) is None:  # another writer was not first: the error is real
                raise
