"""``package``: a project as one zip for a cluster, tried before it is kept."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kindling_airflow import __version__
from kindling_airflow.cli.stdout import printed_to_stderr
from kindling_airflow.deployment.package_content import ProjectFiles, project_files, write_package
from kindling_airflow.deployment.project_package import PackageInfo, package_problems, read_info
from kindling_airflow.errors import (
    DefinitionError,
    KindlingAirflowError,
    PackageError,
    WrongCallError,
)
from kindling_airflow.manifest import Manifest

if TYPE_CHECKING:
    from kindling_airflow.definitions.definition import Definition

__all__ = ["check_package_files", "package_project"]

# Imports the project from the zip alone, as a driver on a cluster does, and prints its digest.
_TRIAL = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(f"No module named {name!r}: a cluster has none", name=name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tempfile import TemporaryDirectory
from kindling_airflow.errors import KindlingAirflowError
from kindling_airflow.manifest.harvest import harvest
from kindling_airflow.deployment.project_package import read_info, unpack

assert sys.modules["kindling_airflow"].__file__.startswith(sys.argv[1])
with TemporaryDirectory() as folder:
    unpack(Path(sys.argv[1]), Path(folder))
    try:
        print(harvest(Path(folder), read_info(Path(sys.argv[1])).modules).digest)
    except KindlingAirflowError as error:
        sys.exit(str(error).replace(folder, "<project>"))
"""


def package_project(called: argparse.Namespace) -> int:
    """Make the package of a definition's project or of a project's folder, and say so."""
    path = Path(called.source)
    if not path.exists():
        raise WrongCallError(f"there is no {called.source!r}")
    with printed_to_stderr():
        root, manifest, target = _project(path, called)
    if called.output is not None:
        target = Path(called.output)
    elif target is None:
        raise WrongCallError("the definition's package is no local file: name one with --output")
    if target.suffix != ".zip":
        raise WrongCallError(f"a package's name ends in .zip, which {str(target)!r} does not")
    files = project_files(root, target)
    if called.check:
        return _check(called, target, manifest, files)
    info = _write(target, files, manifest)
    _say(called, target, info, files)
    return 0


def check_package_files(definition: Definition, manifest: Manifest) -> None:
    """Check a definition's package against every file of the project, data files included.

    Raises:
        DefinitionError: it is of another state of the project.
    """
    if definition.package is None or "://" in definition.package:
        return
    path = Path(definition.package)
    digests = project_files(definition.project_root, path).digests()
    problems = package_problems(path, read_info(path), manifest.digest, digests)
    if problems:
        raise DefinitionError(f"{definition.source}: {problem}" for problem in problems)


def _project(path: Path, called: argparse.Namespace) -> tuple[Path, Manifest, Path | None]:
    """Return a project's folder, its manifest, and where its package goes by default."""
    from kindling_airflow.definitions.compile import plan_definition, plan_of
    from kindling_airflow.definitions.definition import Definition, bare_name
    from kindling_airflow.manifest.harvest import harvest

    if path.is_dir():
        manifest = harvest(path, called.modules or ())
        plan_of(manifest)
        return path, manifest, path.resolve().with_suffix(".zip")
    if path.suffix not in (".yaml", ".yml"):
        raise WrongCallError(f"{called.source!r} is neither a definition nor a project folder")
    if called.modules:
        raise WrongCallError("a definition names its modules itself; leave out --module")
    definition = Definition.from_file(path)
    manifest = harvest(definition.project_root, definition.modules)
    plan_definition(definition, manifest)
    package = definition.package
    if package is None:
        target: Path | None = path.with_name(bare_name(path) + ".zip")
    else:
        target = None if "://" in package else Path(package)
    return definition.project_root, manifest, target


def _write(target: Path, files: ProjectFiles, manifest: Manifest) -> PackageInfo:
    """Write the package; it appears whole and tried, or not at all."""
    draft = target.with_name(f".{target.stem}.draft.zip")
    try:
        info = write_package(draft, files, manifest, __version__)
        _try(draft, manifest)
        draft.replace(target)
    except OSError as error:
        raise WrongCallError(f"cannot write {str(target)!r}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            draft.unlink()
    return info


def _try(draft: Path, manifest: Manifest) -> None:
    """Import the project from the package, in a process that has nothing else of it."""
    done = subprocess.run(
        [sys.executable, "-c", _TRIAL, str(draft.resolve())],
        cwd=draft.resolve().parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackageError([f"the project does not work from a package: {done.stderr.strip()}"])
    found = (done.stdout.split() or [""])[-1]
    if found != manifest.digest:
        problem = (
            "the project's declarations are others when they are imported from a package\n"
            "  Fix: let them depend on nothing but the files in the project's folder."
        )
        raise PackageError([problem])


def _check(
    called: argparse.Namespace, target: Path, manifest: Manifest, files: ProjectFiles
) -> int:
    """Say whether the package is the one that would be made."""
    try:
        info = read_info(target)
    except KindlingAirflowError as error:
        problems = [str(error)]
    else:
        problems = package_problems(target, info, manifest.digest, files.digests())
    if called.json:
        print(json.dumps({"package": str(target), "current": not problems, "problems": problems}))
    else:
        print("\n".join(problems) or f"{target}: current")
    return 1 if problems else 0


def _say(called: argparse.Namespace, target: Path, info: PackageInfo, files: ProjectFiles) -> None:
    size = target.stat().st_size
    if called.json:
        document = {
            "package": str(target),
            "bytes": size,
            **info.to_json(),
            "left_out": dict(files.left_out),
        }
        print(json.dumps(document, indent=2))
        return
    print(f"{target}: {len(files.names)} files of the project, {size:,} bytes, {info.manifest}")
    for name, reason in files.left_out.items():
        print(f"  left out: {name}: {reason}")
