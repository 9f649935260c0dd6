"""The project behind a manifest: where the code lies that its pipes are run with.

shop.manifest.json    of  shop/        what 'compile shop' writes
shop/manifest.json    of  shop/        beside the modules
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from kindling_airflow.errors import SourceError, WrongCallError, did_you_mean
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.harvest import harvest, is_current

__all__ = ["project_of"]


def project_of(path: Path, manifest: Manifest, called: argparse.Namespace) -> Path | None:
    """Return the folder that a manifest's modules are imported from.

    Args:
        path: the manifest's file.
        manifest: the manifest.
        called: the command's arguments.

    Returns:
        the folder that the command names, else where all files of the manifest lie; None if that is
        nowhere, or the command runs nothing.

    Raises:
        WrongCallError: what is named is no folder, or the manifest is of no modules.
        SourceError: the project is not the one of the manifest; lists every difference in pipes.
        HarvestError, DeclarationError: its modules cannot be imported.
    """
    if "project" not in called:
        return None
    if called.project is None:
        name = path.name.removesuffix(".json").removesuffix(".manifest")
        roots = [path.with_name(name), path.parent]
        root = next((r for r in roots if manifest.sources and not _missing(manifest, r)), None)
    elif not manifest.modules:
        raise WrongCallError(f"--project: {str(path)!r} is of no modules that could be imported")
    else:
        root = Path(called.project)
        if not root.is_dir():
            raise WrongCallError(f"--project: there is no folder {called.project!r}")
    if root is not None and not is_current(manifest, root):
        problems = list(_differences(manifest, root))
        if problems:
            raise SourceError(f"{path}: {problem}" for problem in problems)
    return None if root is None else root.resolve()


def _missing(manifest: Manifest, root: Path) -> list[str]:
    """Return which files of a manifest a folder does not have."""
    return [name for name in manifest.sources if not (root / name).is_file()]


def _differences(manifest: Manifest, root: Path) -> Iterator[str]:
    """Yield how a project is another than that of a manifest."""
    missing = _missing(manifest, root)
    for name in missing:
        yield (
            f"the project {str(root)!r} has no file {name!r}\n"
            "  Fix: name the project's folder with --project, or compile the manifest again."
        )
    if missing:
        return
    found = harvest(root, manifest.modules)
    lost = [p for p in manifest.get_pipe_ids() if found.get_pipe_definition(p) is None]
    for pipe_id in lost:
        hint = did_you_mean(pipe_id, found.get_pipe_ids())
        yield (
            f"the project {str(root)!r} has no pipe {pipe_id!r}.{hint}\n"
            "  Fix: name the project's folder with --project, or compile the manifest again."
        )
    if not lost and _declared(found) != _declared(manifest):
        yield (
            f"the project {str(root)!r} does not declare what the manifest says\n"
            "  Fix: compile the manifest again."
        )


def _declared(manifest: Manifest) -> list[object]:
    """Return what a manifest says, but for the files that it was made from."""
    document = manifest.to_json()
    return [document[key] for key in ("modules", "entities", "pipes")]
