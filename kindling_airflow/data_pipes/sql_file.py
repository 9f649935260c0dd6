"""The text of a pipe whose query is in a file.

The file is looked for beside the module that declares the pipe, then from the project's folder on.
It is read through the module's loader, so a project may be in a zip.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kindling_airflow.errors import DeclarationError


def read_sql_file(name: object, module: Mapping[str, Any]) -> tuple[str, Path]:
    """Return a file's text (UTF-8), and where it lies.

    Args:
        name: the file, relative.
        module: the globals of the module that names it.

    Raises:
        DeclarationError: the name is not a relative path, the file is not found, or not valid
            UTF-8.
    """
    if not isinstance(name, str) or not name.strip():
        raise DeclarationError([f"sql_file must be the name of a file, not {name!r}"])
    if PurePosixPath(name).is_absolute():
        problem = (
            f"sql_file {name!r} is an absolute path\n"
            "  Fix: name it relative to the declaring module or the project, which it travels with."
        )
        raise DeclarationError([problem])
    tried = []
    for folder in dict.fromkeys(_folders(module)):
        path = Path(os.path.normpath(folder / name))
        tried.append(str(path))
        content = _content(path, module.get("__loader__"))
        if content is None:
            continue
        try:
            return content.decode("utf-8-sig"), path
        except UnicodeDecodeError as error:
            raise DeclarationError(
                [f"sql_file {str(path)!r} is not valid UTF-8: {error}"]
            ) from error
    problem = (
        f"sql_file not found: {name!r}; searched {' and '.join(map(repr, tried))}\n"
        "  Fix: correct the path; it is relative to the declaring module or to the project's "
        "folder."
    )
    raise DeclarationError([problem])


def _folders(module: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the folder of a module, then the one from which it is imported."""
    file = module.get("__file__")
    if not isinstance(file, str):
        yield Path.cwd()
        return
    folder = Path(file).parent
    yield folder
    package = module.get("__package__") or ""
    above = len(package.split(".")) if package else 0
    yield Path(*folder.parts[: len(folder.parts) - above])


def _content(path: Path, loader: Any) -> bytes | None:
    try:
        if hasattr(loader, "get_data"):
            content: bytes = loader.get_data(str(path))
            return content
        return path.read_bytes()
    except OSError:
        return None
