"""Declarations -> manifest: imports a project's modules and collects what they declare.

The import happens in this process, but leaves it as it was: the project's folder is on the import path
only meanwhile, and the modules that came from it are forgotten afterwards, so two projects may both
have a ``pipes.py`` and a changed file is seen at the next harvest. No Spark session is started.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from kindling_airflow.data_entities import DataEntities, DataEntityRegistry
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.errors import DeclarationError, HarvestError
from kindling_airflow.manifest import Manifest

__all__ = ["HarvestedModules", "harvest", "import_declarations", "is_current", "project_modules"]


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
        DeclarationError: modules import, but what they declare is wrong.
        ManifestError: a pipe's function cannot be found by name.
    """
    names = tuple(modules) or project_modules(root)
    with _isolated(root):
        found = import_declarations(root, names)
        sources = _sources(root)
    return Manifest.from_registries(found.pipes, found.entities, modules=names, sources=sources)


def import_declarations(root: Path, modules: Sequence[str]) -> HarvestedModules:
    """Import modules that lie in (or beside) ``root`` and return what they declare.

    The modules stay imported, because the functions of the pipes live in them.

    Raises:
        HarvestError: as :func:`harvest`.
        DeclarationError: as :func:`harvest`.
    """
    if not root.is_dir():
        raise HarvestError(
            [f"the project folder {str(root)!r} does not exist\n  Fix: correct project.path."]
        )
    found = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
        importlib.invalidate_caches()
    failed: list[tuple[str, BaseException]] = []
    with DataPipes.declaring_into(found.pipes), DataEntities.declaring_into(found.entities):
        for name in modules:
            try:
                importlib.import_module(name)
            except (Exception, SystemExit) as error:  # user code: anything may come out
                failed.append((name, error))
    if failed:
        _raise_failures(root, failed)
    return found


def _raise_failures(root: Path, failed: Sequence[tuple[str, BaseException]]) -> NoReturn:
    """Raise one error for all modules; what is wrong with a declaration keeps its own class."""
    first = failed[0][1]
    if all(isinstance(error, DeclarationError) for _, error in failed):
        raise DeclarationError(
            f"module {name!r}: {problem}"
            for name, error in failed
            for problem in getattr(error, "problems", ())
        ) from first
    raise HarvestError(_failure_text(root, name, error) for name, error in failed) from first


def _failure_text(root: Path, name: str, error: BaseException) -> str:
    """Return what failed with the traceback from the user's first own line on."""
    missing = isinstance(error, ModuleNotFoundError) and error.name == name
    if missing:
        return (
            f"module {name!r} was not found in the project folder\n"
            "  Fix: correct project.modules, or project.path to the folder that contains it."
        )
    frames = traceback.extract_tb(error.__traceback__)
    own = [n for n, frame in enumerate(frames) if Path(frame.filename).is_relative_to(root)]
    shown = frames[own[0] :] if own else frames[-1:]
    text = "".join([*traceback.format_list(shown), *traceback.format_exception_only(error)])
    indented = "\n".join("    " + line for line in text.rstrip().splitlines())
    return (
        f"module {name!r} failed to import: {type(error).__name__}: {error}\n{indented}\n"
        "  Fix: mend the module; declarations must import without a Spark session."
    )


def project_modules(root: Path) -> tuple[str, ...]:
    """Return the names of all modules beneath a folder, sorted; packages need an ``__init__.py``."""
    return tuple(sorted(_modules_in(root, "")))


def _modules_in(folder: Path, prefix: str) -> Iterator[str]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix == ".py" and path.stem.isidentifier() and path.stem != "__init__":
            yield prefix + path.stem
        elif path.name.isidentifier() and (path / "__init__.py").is_file():
            yield prefix + path.name
            yield from _modules_in(path, f"{prefix}{path.name}.")


def is_current(manifest: Manifest, root: Path) -> bool:
    """Tell whether the files that a manifest was made from are still the same."""
    return bool(manifest.sources) and all(
        (root / name).is_file() and _sha256(root / name) == digest
        for name, digest in manifest.sources.items()
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sources(root: Path) -> dict[str, str]:
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    own = sorted({Path(f).resolve() for f in files if f and _beneath(f, root)})
    return {path.relative_to(root.resolve()).as_posix(): _sha256(path) for path in own}


def _beneath(file: str, root: Path) -> bool:
    return Path(file).resolve().is_relative_to(root.resolve())


@contextmanager
def _isolated(root: Path) -> Iterator[None]:
    """Forget, before and after, the modules that lie beneath ``root`` or have the names of its own."""
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
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and _beneath(file, root):
                del sys.modules[name]
        sys.modules.update(shadowed)


def _is_replaceable(name: str, module: ModuleType | None) -> bool:
    """Only modules that came from a file outside of the installation make way for a project's."""
    file = getattr(module, "__file__", None)
    top = name.partition(".")[0]
    installed = top in sys.stdlib_module_names or top in ("kindling_airflow", "__main__")
    return bool(file) and not installed and "site-packages" not in Path(str(file)).parts


