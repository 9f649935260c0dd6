"""Finds modules that a project imports from folders that drivers do not have.

Airflow puts the DAGs folder, ``plugins`` and ``config`` on the import path of its processes. A
project that imports a helper from there compiles in Airflow, and fails in every driver.
"""

from __future__ import annotations

import ast
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from kindling_airflow.definitions.definition import Definition


def outside_module_problems(definition: Definition, sources: Iterable[str]) -> list[str]:
    """Return the modules that the files of a project import and its drivers would not find.

    Args:
        definition: the definition; one that gives its drivers Python files or an import path of
            their own is taken at its word.
        sources: the project's Python files, from its folder on.
    """
    if _brings_its_own(definition):
        return []
    root = definition.project_root
    places = [root.parent, *([definition.folder] if definition.folder is not None else [])]
    found: dict[str, tuple[str, int, str]] = {}
    for name in sources:
        if name.endswith(".py"):
            for top, line in _imports(root / name):
                place = None if top in found else _outside(top, root, places)
                if place is not None:
                    found[top] = (name, line, place)
    return [
        f"{name}:{line}: module {top!r} is imported from {place!r}, which is on Airflow's import "
        "path but not on a driver's\n"
        f"  Fix: move it into the project folder {str(root)!r}, install it, or pass it to the "
        "drivers by 'spark.py_files' or PYTHONPATH in 'spark.env_vars'."
        for top, (name, line, place) in found.items()
    ]


def _brings_its_own(definition: Definition) -> bool:
    layers: list[Mapping[str, Any]] = [definition.task, *definition.overrides.values()]
    for layer in layers:
        spark = layer.get("spark") or {}
        conf, variables = spark.get("conf") or {}, spark.get("env_vars") or {}
        keys = (*conf, *variables)
        if spark.get("py_files") or "spark.submit.pyFiles" in keys:
            return True
        if any(key.endswith("PYTHONPATH") for key in keys):
            return True
    return False


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno


def _outside(top: str, root: Path, places: Iterable[Path]) -> str | None:
    """Return the folder that only this process finds a module in; None where drivers find it."""
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return None
    if (root / f"{top}.py").is_file() or (root / top).is_dir():
        return None
    if _is_found(top, _path_of_a_driver()) or _is_found_otherwise(top):
        return None
    own = {folder for folder in map(_resolved, sys.path) if folder in _airflows_folders(places)}
    return next((str(f) for f in sorted(own) if f != root and _is_found(top, (str(f),))), None)


def _airflows_folders(places: Iterable[Path]) -> frozenset[Path]:
    """Return the folders that Airflow puts on its import path: of DAGs, plugins, configuration."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    plugins = os.environ.get("AIRFLOW__CORE__PLUGINS_FOLDER", str(home / "plugins"))
    dags = [folder for place in places for folder in (place, *place.parents)]
    return frozenset(map(_resolved, [*map(str, dags), plugins, str(home / "config")]))


def _resolved(place: str | Path) -> Path:
    return Path(place or ".").resolve()


def _is_found(top: str, path: Sequence[str]) -> bool:
    spec = PathFinder.find_spec(top, list(path))
    return spec is not None and (spec.origin is not None or spec.loader is not None)


def _is_found_otherwise(top: str) -> bool:
    """Return whether a finder that does not go by the path has it: an editable install."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        of_tests = "pytest" in type(finder).__module__  # it looks on the path
        if finder is PathFinder or find is None or of_tests:
            continue
        try:
            if find(top, None) is not None:
                return True
        except Exception:  # noqa: S112 (a finder of somebody else; it may want more)
            continue
    return False


@lru_cache(maxsize=1)
def _path_of_a_driver() -> tuple[str, ...]:
    """Return where a new interpreter of this installation looks for modules."""
    folders = [*site.getsitepackages(), *sysconfig.get_paths().values()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    folders += filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    for folder in list(dict.fromkeys(folders)):
        for file in sorted(Path(folder).glob("*.pth")) if Path(folder).is_dir() else ():
            lines = file.read_text("utf-8", errors="replace").splitlines()
            folders += [
                str(Path(folder, line.strip()))
                for line in lines
                if line.strip() and not line.startswith(("#", "import ", "import\t"))
            ]
    return tuple(dict.fromkeys(folders))
