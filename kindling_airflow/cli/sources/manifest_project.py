"""Finds the project of a manifest, whose code its pipes run.

shop.manifest.json -> shop/        written by 'compile shop'
shop/manifest.json -> shop/        beside the modules
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.errors import SourceError, WrongCallError
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.harvest import harvest, is_current


def project_of(path: Path, manifest: Manifest, args: argparse.Namespace) -> Path | None:
    """Return the folder that a manifest's modules are imported from.

    Args:
        path: the manifest's file.
        manifest: the manifest.
        args: the command's arguments.

    Returns:
        the folder of ``--project``, else the one that has all files of the manifest; None if there
        is none, or the command does not run pipes.

    Raises:
        WrongCallError: ``--project`` is not a folder, or the manifest has no modules.
        SourceError: the project does not match the manifest; lists every difference in pipes.
        HarvestError, DeclarationError: its modules cannot be imported.
    """
    if "project" not in args:
        return None
    if args.project is None:
        name = path.name.removesuffix(".json").removesuffix(".manifest")
        roots = [path.with_name(name), path.parent]
        root = next((r for r in roots if manifest.sources and not _missing(manifest, r)), None)
    elif not manifest.modules:
        raise WrongCallError(f"--project: {str(path)!r} has no modules to import")
    else:
        root = Path(args.project)
        if not root.is_dir():
            raise WrongCallError(f"--project: folder not found: {args.project!r}")
    if root is not None and not is_current(manifest, root):
        problems = list(_differences(manifest, root))
        if problems:
            raise SourceError(f"{path}: {problem}" for problem in problems)
    return None if root is None else root.resolve()


def _missing(manifest: Manifest, root: Path) -> list[str]:
    """Return the files of a manifest that a folder does not have."""
    return [name for name in manifest.sources if not (root / name).is_file()]


def _differences(manifest: Manifest, root: Path) -> Iterator[str]:
    """Yield the differences between a project and a manifest."""
    missing = _missing(manifest, root)
    for name in missing:
        yield (
            f"the project {str(root)!r} has no file {name!r}\n"
            "  Fix: set --project to the project's folder, or compile the manifest again."
        )
    if missing:
        return
    found = harvest(root, manifest.modules)
    lost = [p for p in manifest.get_pipe_ids() if found.get_pipe_definition(p) is None]
    for pipe_id in lost:
        hint = did_you_mean(pipe_id, found.get_pipe_ids())
        yield (
            f"the project {str(root)!r} has no pipe {pipe_id!r}.{hint}\n"
            "  Fix: set --project to the project's folder, or compile the manifest again."
        )
    if not lost and _declared(found) != _declared(manifest):
        yield (
            f"the declarations of the project {str(root)!r} differ from the manifest\n"
            "  Fix: compile the manifest again."
        )


def _declared(manifest: Manifest) -> list[object]:
    """Return a manifest without the files that it was compiled from."""
    document = manifest.to_json()
    return [document[key] for key in ("modules", "entities", "pipes")]
