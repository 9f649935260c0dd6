"""Declarations -> manifest: imports a project's modules and collects what they declare.

The import happens in this process, but leaves it as it was: the project's folder is on the import
path only meanwhile, and the modules that came from it are forgotten afterwards, so two projects
may both have a ``pipes.py``, and a changed file is seen at the next harvest. No Spark session is
started.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from kindling_airflow.column_checks import declared_columns
from kindling_airflow.data_entities import DataEntities, DataEntityRegistry, list_problems
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.errors import DeclarationError, HarvestError, problems_of
from kindling_airflow.manifest import Manifest
from kindling_airflow.sql_inputs import check_queries

__all__ = [
    "HarvestedModules",
    "harvest",
    "import_declarations",
    "is_current",
    "isolated_imports",
    "project_modules",
]


@dataclass(frozen=True, slots=True)
class HarvestedModules:
    """What importing a project's modules declared."""

    pipes: DataPipesRegistry
    entities: DataEntityRegistry


def harvest(root: Path, modules: Sequence[str] = ()) -> Manifest:
    """Return the manifest of the project in the folder ``root``.

    Args:
        root: the folder that goes on the import path.
        modules: what to import, in this order; by default every module beneath ``root``.

    Raises:
        HarvestError: modules fail to import; names each, and keeps the traceback of the first.
        DeclarationError: modules import, but what they declare is wrong, queries included.
        ManifestError: a pipe's function cannot be found by name.
    """
    root = root.resolve()
    names = modules or project_modules(root)
    with isolated_imports(root) as imported:
        found = import_declarations(root, names)
        entity_ids = found.entities.get_entity_ids()
        check_queries(found.pipes, entity_ids, declared_columns(found.entities))
        files = [module.__file__ for module in imported().values()]
        files += [str(path) for path in found.pipes.sql_files.values() if root in path.parents]
        sources = {_relative(root, file): _sha256(Path(file)) for file in files if file}
    return Manifest.from_registries(found.pipes, found.entities, modules=names, sources=sources)


def import_declarations(root: Path, modules: Sequence[str]) -> HarvestedModules:
    """Import modules that lie in ``root``, or are installed, and return what they declare.

    Queries that name no inputs have none yet: deriving them takes a parser, which a cluster need
    not have.

    ``root`` becomes the first folder of the import path, and the modules stay imported, because the
    functions of the pipes live in them.

    Raises:
        HarvestError: as :func:`harvest`.
        DeclarationError: as :func:`harvest`.
    """
    root = root.resolve()
    if not root.is_dir():
        problem = f"the project folder {str(root)!r} does not exist\n  Fix: correct project.path."
        raise HarvestError([problem])
    problems = list_problems("modules", modules)
    if problems:
        raise HarvestError(problems)
    found = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry != str(root))]
    _look_anew(root)
    failed: list[tuple[str, BaseException]] = []
    with DataPipes.declaring_into(found.pipes), DataEntities.declaring_into(found.entities):
        for name in modules:
            try:
                _check_origin(root, importlib.import_module(name))
            except (Exception, SystemExit) as error:  # user code: anything may come out
                failed.append((name, error))
    if failed:
        _raise_failures(failed)
    return found


def _look_anew(root: Path) -> None:
    """Let Python see files that are new in a folder; zips on the import path are left in peace.

    They would all be read anew, and pyspark is one of them in a driver.
    """
    for place, finder in list(sys.path_importer_cache.items()):
        forget = getattr(finder, "invalidate_caches", None)
        if forget is not None and (place == str(root) or place.startswith(f"{root}{os.sep}")):
            forget()


def _check_origin(root: Path, module: ModuleType) -> None:
    """Refuse a module that was imported in place of the project's own of the same name."""
    top = module.__name__.partition(".")[0]
    own = (root / f"{top}.py").is_file() or (root / top / "__init__.py").is_file()
    if own and not _is_beneath(root, module):
        problem = (
            f"module {module.__name__!r} of the project is hidden by the installed module {top!r}\n"
            "  Fix: give the project's module another name."
        )
        raise HarvestError([problem])


def _raise_failures(failed: Sequence[tuple[str, BaseException]]) -> NoReturn:
    """Raise one error for all modules; what is wrong with a declaration keeps its own class."""
    first = failed[0][1]
    if all(isinstance(error, DeclarationError) for _, error in failed):
        raise DeclarationError(
            f"module {name!r}: {problem}"
            for name, error in failed
            for problem in problems_of(error)
        ) from first
    raise HarvestError(_failure_text(name, error) for name, error in failed) from first


def _failure_text(name: str, error: BaseException) -> str:
    """Return what failed, with the traceback from the first line of the imported code on."""
    if isinstance(error, HarvestError):
        return str(error)
    shown = list(dropwhile(_is_machinery, traceback.extract_tb(error.__traceback__)))
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and not shown and f"{name}.".startswith(f"{missing}."):
        return (
            f"module {name!r} was not found in the project folder\n"
            "  Fix: correct project.modules, or project.path to the folder that contains it."
        )
    text = "".join([*traceback.format_list(shown), *traceback.format_exception_only(error)])
    indented = "\n".join("    " + line for line in text.rstrip().splitlines())
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    return (
        f"module {name!r} failed to import: {what}\n{indented}\n"
        "  Fix: mend the module; declarations must import without a Spark session."
    )


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    own = frame.filename in (__file__, importlib.__file__)
    return own or frame.filename.startswith("<frozen importlib")


def project_modules(root: Path) -> tuple[str, ...]:
    """Return the names of all modules beneath a folder, sorted.

    Packages need an ``__init__.py``; a ``__main__.py`` is a program, not a module to import.
    """
    return tuple(sorted(_modules_in(root, "")))


def _modules_in(folder: Path, prefix: str) -> Iterator[str]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix == ".py" and path.stem.isidentifier() and not path.stem.startswith("__"):
            yield prefix + path.stem
        elif path.name.isidentifier() and (path / "__init__.py").is_file():
            yield prefix + path.name
            yield from _modules_in(path, f"{prefix}{path.name}.")


def is_current(manifest: Manifest, root: Path, modules: Sequence[str] | None = None) -> bool:
    """Tell whether a harvest of the project would give this manifest again.

    Args:
        manifest: a manifest of the project.
        root: the project's folder.
        modules: what a harvest would import, as for :func:`harvest`; None leaves that out of the
            comparison, so that a new file goes unnoticed.
    """
    if modules is not None and tuple(modules or project_modules(root)) != manifest.modules:
        return False
    return bool(manifest.sources) and all(
        (root / name).is_file() and _sha256(root / name) == digest
        for name, digest in manifest.sources.items()
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _relative(root: Path, file: str) -> str:
    return Path(file).relative_to(root).as_posix()


def _places(module: object) -> list[str]:
    """Return where a module comes from: its file, or the folders of a package without one.

    Only a module's own attributes are asked: what else stands in ``sys.modules`` may do anything.
    """
    said = vars(module) if isinstance(module, ModuleType) else {}
    file = said.get("__file__")
    return [file] if isinstance(file, str) else list(map(str, said.get("__path__") or ()))


def _is_beneath(root: Path, module: object) -> bool:
    return any(place.startswith(f"{root}{os.sep}") for place in _places(module))


@contextmanager
def isolated_imports(root: Path) -> Iterator[Callable[[], dict[str, ModuleType]]]:
    """Set aside the modules that a folder's would collide with; forget the folder's at the end.

    Yields:
        a function that returns the project's modules that have been imported so far.
    """
    path = list(sys.path)
    names = {child.stem for child in root.iterdir()} if root.is_dir() else set()
    shadowed = {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in names and _is_replaceable(name, module)
    }
    for name in shadowed:
        del sys.modules[name]
    before = set(sys.modules)

    def imported() -> dict[str, ModuleType]:
        new = sorted(set(sys.modules) - before)
        return {name: sys.modules[name] for name in new if _is_beneath(root, sys.modules[name])}

    try:
        yield imported
    finally:
        sys.path[:] = path
        for name in imported():
            del sys.modules[name]
        sys.modules.update(shadowed)


def _is_replaceable(name: str, module: ModuleType) -> bool:
    """Only modules that came from outside of the installation make way for a project's."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("kindling_airflow", "__main__"):
        return False
    parts = [part for place in _places(module) for part in Path(place).parts]
    return bool(parts) and not {"site-packages", "dist-packages"}.intersection(parts)
