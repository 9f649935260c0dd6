"""The manifests of the last harvests, for a parse in which a project's import takes too long.

Each parse of a DAG file is a separate process, so they are kept in files: in a folder of this user,
which others can neither read nor write, in AIRFLOW_HOME or the folder for temporary files. They
are used only while every file of the project that they were made from is unchanged. Where the
folder cannot be had, nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kindling_airflow.common.atomic_write import write_whole
from kindling_airflow.errors import ManifestError
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.harvest import is_current

_KEPT = 30 * 86_400  # seconds


def remember(root: Path, modules: Sequence[str], manifest: Manifest) -> None:
    """Keep the manifest of a harvest."""
    path = _place(root, modules)
    if path is None:
        return
    text = manifest.dumps()
    with suppress(OSError, ValueError):
        if path.is_file() and path.read_text("utf-8") == text:
            path.touch()
        else:
            _forget_old(path.parent)
            write_whole(path, text)


def last_manifest(root: Path, modules: Sequence[str]) -> Manifest | None:
    """Return the manifest of the last harvest of a project, if its files are as they were."""
    path = _place(root, modules)
    if path is None or not path.is_file():
        return None
    with suppress(ManifestError, OSError):
        manifest = Manifest.read(path)
        return manifest if is_current(manifest, root, modules) else None
    return None


def last_harvested(root: Path, modules: Sequence[str]) -> float:
    """Return when a project was harvested last, in seconds since 1970; 0 if it never was."""
    path = _place(root, modules)
    with suppress(OSError):
        return 0.0 if path is None else path.stat().st_mtime
    return 0.0


def _place(root: Path, modules: Sequence[str]) -> Path | None:
    folder = _folder()
    key = json.dumps([str(root), list(modules)])
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    return None if folder is None else folder / f"{name}.manifest.json"


def _folder() -> Path | None:
    """Return the folder of this user's, made if need be; None if none is safe to use."""
    user = getattr(os, "geteuid", int)()
    for base in (os.environ.get("AIRFLOW_HOME"), tempfile.gettempdir()):
        if not base:
            continue
        path = Path(base) / f".kindling_airflow_{user}"
        with suppress(OSError):
            path.mkdir(mode=0o700, exist_ok=True)
            found = path.lstat()
            is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == user
            if is_own and not found.st_mode & 0o077 and os.access(path, os.W_OK):
                return path
    return None


def _forget_old(folder: Path) -> None:
    """Delete what no parse has written for long: of projects that are gone, or lie elsewhere."""
    for path in folder.glob("*.manifest.json"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _KEPT:
                path.unlink()
