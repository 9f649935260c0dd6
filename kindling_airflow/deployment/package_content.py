"""Selects the files of a project's package, and writes it.

The same project and the same release give the same bytes, on every machine and at every time: the
entries are sorted, not compressed, and of one date.

    runtime   the modules that the runner imports, found by following import statements
    project   the files of its folder, without what is hidden, compiled, or looks like a secret
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.deployment.project_package import INFO_NAME, RUNTIME, PackageInfo
from kindling_airflow.errors import PackageError
from kindling_airflow.manifest import Manifest

__all__ = ["ProjectFiles", "project_files", "runtime_modules", "write_package"]

_SECRETS = ("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.keytab", "id_rsa*")
_COMPILED = ("*.pyc", "*.pyo", "*.so", "*.pyd")
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_ROOTS = ("runner",)


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """The files of a project that travel.

    Attributes:
        root: the project's folder.
        names: their paths relative to it, sorted.
        left_out: the files that are not packed, with the reason.
    """

    root: Path
    names: tuple[str, ...]
    left_out: Mapping[str, str]

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each file."""
        return {n: hashlib.sha256((self.root / n).read_bytes()).hexdigest() for n in self.names}


def project_files(root: Path, output: Path | None = None) -> ProjectFiles:
    """Return which files of a project's folder go into its package.

    Hidden files and folders, caches of compiled modules, files that look like keys and links that
    lead out of the folder stay behind.

    Args:
        root: the project's folder.
        output: the package itself, which may be inside that folder.

    Raises:
        PackageError: a name of the project's is one that the package needs for itself.
    """
    root = root.resolve()
    names: list[str] = []
    left_out: dict[str, str] = {}
    for path in _files_in(root):
        name = path.relative_to(root).as_posix()
        reason = _reason_against(path, root, output)
        if reason is None:
            names.append(name)
        elif reason:
            left_out[name] = reason
    taken = sorted({n.partition("/")[0] for n in names} & {RUNTIME, f"{RUNTIME}.py", INFO_NAME})
    if taken:
        raise PackageError(
            f"{str(root / name)!r} has a name that is reserved in the package\n  Fix: rename it."
            for name in taken
        )
    return ProjectFiles(root, tuple(sorted(names)), FrozenDict(dict(sorted(left_out.items()))))


def _files_in(root: Path) -> Iterator[Path]:
    """Yield the files beneath a folder, without those of excluded folders."""
    for folder, folders, files in os.walk(root):
        folders[:] = [n for n in folders if not n.startswith(".") and n != "__pycache__"]
        yield from (Path(folder, name) for name in files)


def _reason_against(path: Path, root: Path, output: Path | None) -> str | None:
    """Return why a file stays behind, empty where that needs no saying; None where it goes."""
    if path.name.startswith(".") or any(fnmatchcase(path.name, p) for p in _COMPILED[:2]):
        return ""
    if output is not None and path.resolve() == output.resolve():
        return ""
    if any(fnmatchcase(path.name.lower(), pattern) for pattern in _SECRETS):
        return "looks like a secret"
    if any(fnmatchcase(path.name, pattern) for pattern in _COMPILED):
        return "cannot be imported from a zip"
    if root not in path.resolve().parents:
        return "a link to outside the project"
    return None if path.is_file() else "not a regular file"


def runtime_modules(package: Path | None = None) -> dict[str, Path]:
    """Return the files of this package that the runner needs, by their paths in the zip."""
    folder = Path(__file__).parents[1] if package is None else package
    waiting = [
        path for name in _ROOTS for path in sorted((folder / name).rglob("*.py")) if path.is_file()
    ]
    found: dict[str, Path] = {}
    while waiting:
        path = waiting.pop()
        name = f"{RUNTIME}/{path.relative_to(folder).as_posix()}"
        if name in found:
            continue
        found[name] = path
        initials = [parent / "__init__.py" for parent in path.parents if folder in parent.parents]
        waiting += [initial for initial in (folder / "__init__.py", *initials) if initial.is_file()]
        for module in _imported(path):
            waiting += _files_of(folder, module)
    return dict(sorted(found.items()))


def _imported(path: Path) -> Iterator[str]:
    """Yield the names of modules that a file imports, wherever it does, except for type checks."""
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def _files_of(folder: Path, module: str) -> list[Path]:
    """Return the file of a module of this package; none where it is a name in a module."""
    top, _, rest = module.partition(".")
    if top != RUNTIME:
        return []
    place = folder.joinpath(*rest.split(".")) if rest else folder
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return [candidate for candidate in candidates if candidate.is_file()]


def write_package(path: Path, files: ProjectFiles, manifest: Manifest, release: str) -> PackageInfo:
    """Write a package; return its description.

    Raises:
        PackageError: a module of the manifest is not in the project; lists every one.
    """
    info = PackageInfo(manifest.digest, manifest.modules, release, FrozenDict(files.digests()))
    missing = sorted(set(manifest.sources) - set(files.names))
    if missing:
        raise PackageError(
            f"{name!r} is needed by the declarations but is excluded "
            f"({files.left_out.get(name, 'hidden')})\n  Fix: rename it."
            for name in missing
        )
    entries: dict[str, bytes] = {
        INFO_NAME: (json.dumps(info.to_json(), indent=2) + "\n").encode(),
        **{name: (files.root / name).read_bytes() for name in files.names},
        **{name: source.read_bytes() for name, source in runtime_modules().items()},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as package:
        for name, content in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = 0o100644 << 16
            package.writestr(entry, content)
    return info
