"""Settings files -> layers of :mod:`kindling_airflow.manifest.project_settings`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kindling_airflow.definitions.yaml_file import located, read_definition_file
from kindling_airflow.errors import DefinitionError, SettingsError
from kindling_airflow.manifest.project_settings import SettingsLayer

SETTINGS_NAME = "kindling.settings.yaml"  # in the project's folder, it is the first layer


def read_settings(project_root: Path | None, paths: Iterable[Path]) -> tuple[SettingsLayer, ...]:
    """Return the layers of a project: its own file, if there is one, then the files named.

    Raises:
        SettingsError: a file cannot be read or is not a layer of settings; lists every problem.
    """
    layers: list[SettingsLayer] = []
    problems: list[str] = []
    for path in settings_files(project_root, paths):
        try:
            layers.append(_read(path))
        except (DefinitionError, SettingsError) as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    return tuple(layers)


def settings_files(project_root: Path | None, paths: Iterable[Path]) -> list[Path]:
    """Return the files of a project's layers: its own, if there is one, then the files named."""
    own = [project_root / SETTINGS_NAME] if project_root is not None else []
    return [*(path for path in own if path.is_file()), *paths]


def _read(path: Path) -> SettingsLayer:
    read = read_definition_file(
        path, path.name, what="a file of settings", start="'pipes:' or 'entities:'"
    )
    if read.problems:
        raise SettingsError(located(read.source, read.lines, problem) for problem in read.problems)
    return SettingsLayer.from_document(read.keys, read.source)
