"""Declarations -> manifest: imports a project's modules and collects what they declare.

A harvest imports them in a separate process (:mod:`~kindling_airflow.manifest.harvest_calls`), so
it sees what a fresh process would, and leaves this one as it was. A driver imports them in its own
process, where the functions of the pipes are called. No Spark session is started.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from kindling_airflow.common.interrupts import noticed_interrupts
from kindling_airflow.data_entities import DataEntities, DataEntityRegistry, list_problems
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.data_pipes.sql_inputs import check_queries
from kindling_airflow.errors import DeclarationError, HarvestError, ProblemsError, problems_of
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.project_modules import declarations_passed_over, project_modules
from kindling_airflow.tags.column_checks import declared_columns

__all__ = [
    "HarvestedModules",
    "harvest",
    "harvest_document",
    "harvest_here",
    "import_declarations",
    "is_current",
    "is_unchanged",
    "isolated_imports",
    "project_modules",
    "refuse_in_harvest",
]

_importing: ContextVar[Path | None] = ContextVar("kindling_importing", default=None)


@dataclass(frozen=True, slots=True)
class HarvestedModules:
    """What importing a project's modules declared."""

    pipes: DataPipesRegistry
    entities: DataEntityRegistry


def harvest(root: Path, modules: Sequence[str] = (), *, seconds: float | None = None) -> Manifest:
    """Return the manifest of the project in the folder ``root``, imported in its own process.

    Args:
        root: the folder that goes on the import path.
        modules: what to import, in this order; by default every module beneath ``root``.
        seconds: how long that may take; default: as long as it likes.

    Raises:
        HarvestError: modules fail to import; names each, with its traceback. Files with
            declarations cannot be imported by name. The import takes too long, or ends the process.
        DeclarationError: modules import, but what they declare is wrong, queries included.
        ManifestError: a driver would not find a pipe's function again.
    """
    from kindling_airflow.manifest.harvest_calls import (  # a driver has no use
        HarvestOrder,
        harvest_all,
    )

    (found,) = harvest_all([HarvestOrder(root.resolve(), modules)], seconds=seconds)
    if isinstance(found, ProblemsError):
        raise found
    return found


def harvest_document(root: str, modules: Sequence[str]) -> dict[str, Any]:
    """Return a project's manifest as a JSON document, or what is wrong; called in a child."""
    try:
        return {"manifest": harvest_here(Path(root), modules).to_json()}
    except ProblemsError as error:
        return {"error": type(error).__name__, "problems": list(error.problems)}


def harvest_here(root: Path, modules: Sequence[str] = ()) -> Manifest:
    """Return the manifest of a project, imported in this process.

    The process is left as it was: the project's folder is on the import path only meanwhile, and
    the modules that came from it are forgotten afterwards. But modules from elsewhere that have
    been imported before are not executed again, and declare nothing.

    Raises:
        HarvestError, DeclarationError, ManifestError: as :func:`harvest`.
    """
    root = root.resolve()
    passed_over = [] if modules else declarations_passed_over(root)
    if passed_over:
        raise HarvestError(passed_over)
    names = modules or project_modules(root)
    with isolated_imports(root) as imported:
        found = import_declarations(root, names)
        entity_ids = found.entities.get_entity_ids()
        check_queries(found.pipes, entity_ids, declared_columns(found.entities))
        files = [module.__file__ for module in imported().values()]
        files += [str(path) for path in found.pipes.sql_files.values() if root in path.parents]
        paths = [Path(file) for file in files if file]
        sources = {path.relative_to(root).as_posix(): _sha256(path) for path in paths}
    return Manifest.from_registries(found.pipes, found.entities, modules=names, sources=sources)


def refuse_in_harvest(what: str) -> None:
    """Refuse to make DAGs while a project's modules are imported: there would be no end to it.

    Raises:
        HarvestError: they are being imported now.
    """
    root = _importing.get()
    if root is not None:
        problem = (
            f"{what} was called while the modules of project {str(root)!r} were imported: a DAG "
            "file is not a module of a project\n"
            "  Fix: keep declarations out of the DAG file, and list the project's modules in "
            "project.modules, or move the DAG file out of the project's folder."
        )
        raise HarvestError([problem])


def import_declarations(root: Path, modules: Sequence[str]) -> HarvestedModules:
    """Import modules that are in ``root`` or installed, and return what they declare.

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
    with (
        DataPipes.declaring_into(found.pipes),
        DataEntities.declaring_into(found.entities),
        noticed_interrupts() as interrupted,
        _importing_from(root),
    ):
        for name in modules:
            try:
                _check_origin(root, importlib.import_module(name))
            except BaseException as error:  # user code: anything may come out
                if interrupted():
                    raise
                failed.append((name, error))
    if failed:
        _raise_failures(failed)
    return found


@contextmanager
def _importing_from(root: Path) -> Iterator[None]:
    token = _importing.set(root)
    try:
        yield
    finally:
        _importing.reset(token)


def _look_anew(root: Path) -> None:
    """Let Python see files that are new in a folder; zips on the import path are left alone.

    They would all be read again, and pyspark is one of them in a driver.
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
            f"module {module.__name__!r} of the project is shadowed by the installed module "
            f"{top!r}\n"
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
    what = f"{type(error).__name__}: {_said(error)}".removesuffix(": ")
    return (
        f"module {name!r} failed to import: {what}\n{indented}\n"
        "  Fix: correct the module; declarations must import without a Spark session."
    )


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # user code: anything may come out
        return f"<its text cannot be made: {type(second).__name__}>"


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    own = frame.filename in (__file__, importlib.__file__)
    return own or frame.filename.startswith("<frozen importlib")


def is_current(manifest: Manifest, root: Path, modules: Sequence[str] | None = None) -> bool:
    """Return whether a harvest of the project would give this manifest again.

    Args:
        manifest: a manifest of the project.
        root: the project's folder.
        modules: what a harvest would import, as for :func:`harvest`; None leaves that out of the
            comparison, so that a new file goes unnoticed.
    """
    return is_unchanged(root, manifest.modules, manifest.sources, modules)


def is_unchanged(
    root: Path,
    harvested: tuple[str, ...],
    sources: Mapping[str, str],
    modules: Sequence[str] | None,
) -> bool:
    """Return whether a project is unchanged since it was harvested.

    Args:
        root: the project's folder.
        harvested: the modules that were imported.
        sources: SHA-256 of each file that was read, by path relative to the folder.
        modules: as for :func:`is_current`.
    """
    if modules is not None and tuple(modules or project_modules(root)) != harvested:
        return False
    return bool(sources) and all(
        (root / name).is_file() and _sha256(root / name) == digest
        for name, digest in sources.items()
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _places(module: object) -> list[str]:
    """Return where a module comes from: its file, or the folders of a package without one.

    Only a real module's own attributes are read: other objects in ``sys.modules`` may run code.
    """
    attributes = vars(module) if isinstance(module, ModuleType) else {}
    file = attributes.get("__file__")
    return [file] if isinstance(file, str) else list(map(str, attributes.get("__path__") or ()))


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
