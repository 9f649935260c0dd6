"""Finds the definition files of a DAG file: all beneath its folder that Airflow may see.

Links to folders are followed, as Airflow does, and files that an ``.airflowignore`` hides from
Airflow are ignored.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kindling_airflow.definitions.definition import DEFINITION_SUFFIXES

log = logging.getLogger(__name__)

_IGNORE = ".airflowignore"


def definition_files(folder: Path) -> list[Path]:
    """Return the definition files in and beneath a folder, sorted.

    Hidden folders and files are left out, and so is what Airflow ignores.
    """
    found: list[Path] = []
    ignores = any((place / _IGNORE).is_file() for place in _down_to(folder))
    for place, names in _folders(folder):
        ignores = ignores or _IGNORE in names
        found += [
            place / name
            for name in names
            if name.endswith(DEFINITION_SUFFIXES)
            and not name.startswith(".")
            and (place / name).is_file()
        ]
    return sorted(_seen_by_airflow(folder, found) if ignores and found else found)


def is_ignored(path: Path) -> bool:
    """Return whether an ``.airflowignore`` beside or above a definition file hides it."""
    place = path.absolute()
    if not any((folder / _IGNORE).is_file() for folder in _down_to(place.parent)):
        return False
    return not _seen_by_airflow(place.parent, [place])


def _folders(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder with the names of its files; each once, however many links lead to it."""
    seen = {folder.resolve()}
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        fresh = []
        for name in sorted(folders, key=lambda name: ((here / name).is_symlink(), name)):
            real = (here / name).resolve()
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                fresh.append(name)
        folders[:] = fresh
        yield here, files


def _down_to(folder: Path) -> list[Path]:
    """Return the folders from that of the bundle on to this one.

    Airflow puts the bundle's folder on the import path; above it nothing is Airflow's business.
    """
    places = [folder, *folder.parents]
    known = [*sys.path, os.environ.get("AIRFLOW__CORE__DAGS_FOLDER", "")]
    on_path = {str(Path(entry)) for entry in known if entry}
    roots = [n for n, place in enumerate(places) if str(place) in on_path]
    return places[max(roots, default=0) :: -1]


def _seen_by_airflow(folder: Path, found: list[Path]) -> list[Path]:
    """Leave out what Airflow ignores; by its own code, so that each pattern means the same."""
    from airflow.configuration import conf

    places = _down_to(folder)
    top = next((place for place in places if (place / _IGNORE).is_file()), folder)
    syntax: Any = conf.get("core", "dag_ignore_file_syntax", fallback="glob")
    try:
        from airflow._shared.module_loading import find_path_from_directory

        seen = set(find_path_from_directory(top, _IGNORE, syntax))
    except (ImportError, RuntimeError, OSError, ValueError) as error:  # links in circles, say
        log.warning("%s beneath %s could not be applied: %s", _IGNORE, top, error)
        return found
    ignored = [path for path in found if str(path) not in seen]
    if ignored:
        log.info("Ignored because of %s: %s", _IGNORE, ", ".join(map(str, ignored)))
    return [path for path in found if str(path) in seen]
