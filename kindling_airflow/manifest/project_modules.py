"""Finds the modules of a project's folder that a harvest imports, and files it must not ignore.

Every module beneath the folder is imported, but for DAG files: they are Airflow's, and a DAG file
that is imported by a harvest would harvest its project once more, and so on without an end. A file
with declarations that cannot be imported by name is refused, because its pipes would be missing.
"""

from __future__ import annotations

import ast
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

_FACTORIES = ("load_dags", "kindling_dag", "kindling_task_group")
_DECLARERS = {"DataPipes": ("pipe", "view"), "DataEntities": ("entity",)}
_NOT_THE_PROJECTS = frozenset({"__pycache__", "node_modules", "site-packages", "test", "tests"})
_BARE = "has no __init__.py"


def project_modules(root: Path) -> tuple[str, ...]:
    """Return the names of all modules beneath a folder, sorted.

    Packages need an ``__init__.py``; a ``__main__.py`` is a program, not a module to import, and a
    file that calls :func:`~kindling_airflow.load_dags` or its like is a DAG file, unless it
    declares pipes or entities too.
    """
    return tuple(sorted(name for name, path in _modules_in(root, "", ()) if not _is_dag_file(path)))


def _modules_in(folder: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    own = folder.resolve()
    if own in above or not folder.is_dir():  # a link to a folder that it lies in
        return
    for path in folder.iterdir():
        if path.suffix == ".py" and path.stem.isidentifier() and not path.stem.startswith("__"):
            yield prefix + path.stem, path
        elif path.name.isidentifier() and (path / "__init__.py").is_file():
            yield prefix + path.name, path / "__init__.py"
            yield from _modules_in(path, f"{prefix}{path.name}.", (*above, own))


def declarations_passed_over(root: Path) -> list[str]:
    """Return a text for each file with declarations that :func:`project_modules` does not have.

    Tests are left out (a folder ``tests``, a file ``test_*.py``), and so is what is hidden or
    installed. In a DAGs folder, one with definitions or DAG files, so are folders without an
    ``__init__.py``, which are other projects; a warning in the log names them.
    """
    taken = {path.resolve() for _, path in _modules_in(root, "", ())}
    found = [
        (path, reason)
        for path, reason in _files_in(root)
        if path.resolve() not in taken and _declares(path)
    ]
    bare = [path for path, reason in found if reason.endswith(_BARE)]
    if bare and _is_dags_folder(root):
        names = ", ".join(path.relative_to(root).as_posix() for path in bare)
        log.warning("Not imported, because its folder has no __init__.py: %s", names)
        found = [(path, reason) for path, reason in found if path not in bare]
    return [
        f"file {path.relative_to(root).as_posix()!r} declares pipes or entities, but {reason}\n"
        "  Fix: correct that, or list the modules to import in project.modules."
        for path, reason in found
    ]


def _is_dags_folder(root: Path) -> bool:
    """Return whether definitions or DAG files are in or beneath a folder."""
    return any(
        name.endswith((".kindling.yaml", ".kindling.yml"))
        or (name.endswith(".py") and _is_dag_file(Path(place, name)))
        for place, names in _folders_in(root)
        for name in names
    )


def _folders_in(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders of a project with the names of their files."""
    for place, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_THE_PROJECTS
            and not Path(place, name, "pyvenv.cfg").exists()
        )
        yield place, files


def _files_in(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the Python files beneath a folder, each with why it may be no module."""
    for place, files in _folders_in(root):
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix == ".py" and not path.name.startswith((".", "__", "test_", "conftest.")):
                yield path, _reason(root, path)


def _reason(root: Path, path: Path) -> str:
    names = [*path.relative_to(root).parts[:-1], path.stem]
    wrong = next((name for name in names if not name.isidentifier()), None)
    if wrong is not None:
        what = "file" if wrong == path.stem else "folder"
        return f"the {what} name {wrong!r} is not a name that Python can import"
    folders = reversed(path.relative_to(root).parents[:-1])
    bare = next((f for f in folders if not (root / f / "__init__.py").is_file()), Path())
    return f"folder {bare.as_posix()!r} {_BARE}"


def _is_dag_file(path: Path) -> bool:
    """Return whether a file makes DAGs; one that declares as well is refused when it does so."""
    source = _content(path)
    if any(name.encode() in source for name in _DECLARERS):  # first: found early in most modules
        return False
    if not any(name.encode() in source for name in _FACTORIES):
        return False
    return any(
        isinstance(node, ast.Call) and _last_name(node.func) in _FACTORIES
        for node in ast.walk(_parsed(source))
    )


def _declares(path: Path) -> bool:
    """Return whether the import of a file declares pipes or entities."""
    source = _content(path)
    if not any(name.encode() in source for name in _DECLARERS):
        return False
    waiting: list[ast.AST] = [_parsed(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and _is_declaration(node.func):
            return True
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):  # its body runs when called
            waiting += node.decorator_list
        elif not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False


def _is_declaration(called: ast.expr) -> bool:
    declarer = _last_name(called.value) if isinstance(called, ast.Attribute) else ""
    return _last_name(called) in _DECLARERS.get(declarer, ())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # its import will say so
        return b""


def _parsed(source: bytes) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # its import will say so
        return ast.Module([], [])


def _last_name(node: ast.expr) -> str:
    """Return the last part of a name with dots; empty for any other expression."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
