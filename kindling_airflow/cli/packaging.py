"""``package``: writes a project as one zip for a cluster, and tests it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from kindling_airflow import __version__
from kindling_airflow.cli.package_upload import package_problems_at, place_for, put_package
from kindling_airflow.cli.sources.source import definition_in, existing_path
from kindling_airflow.cli.stdout import printed_to_stderr
from kindling_airflow.deployment.package_content import ProjectFiles, project_files, write_package
from kindling_airflow.deployment.project_package import (
    PackageInfo,
    content_name,
    package_problems,
    read_info,
)
from kindling_airflow.errors import KindlingAirflowError, PackageError, WrongCallError
from kindling_airflow.manifest import Manifest

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


def package_project(args: argparse.Namespace) -> int:
    """Write, or check, the package of a definition's project or of a project folder."""
    path = existing_path(args.source)
    if args.to is not None and args.output is not None:
        raise WrongCallError("--to and --output exclude each other")
    with printed_to_stderr():
        root, manifest, target = _project(path, args)
    if args.to is not None:
        return _put(args, path, manifest, project_files(root))
    if args.output is not None:
        target = Path(args.output)
    elif target is None:
        raise WrongCallError("the definition's package is not a local file: set --output")
    if target.suffix != ".zip":
        raise WrongCallError(f"the name of a package must end in .zip: {str(target)!r}")
    files = project_files(root, target)
    if args.check:
        return _check(args, target, manifest, files)
    info = _write(target, files, manifest)
    _print_package(args, str(target), target.stat().st_size, info, files)
    return 0


def _put(args: argparse.Namespace, path: Path, manifest: Manifest, files: ProjectFiles) -> int:
    """Put the package into a folder or an object store, or check whether it is there."""
    from kindling_airflow.definitions.definition import bare_name

    with printed_to_stderr():  # Airflow logs to standard output
        place = place_for(args.to)
    stem = path.resolve().name if path.is_dir() else bare_name(path)
    with TemporaryDirectory(prefix="kindling-package-") as folder:
        draft = Path(folder, "package.zip")
        info = _write(draft, files, manifest)
        content = draft.read_bytes()
    if args.check:
        uri = place.uri(content_name(stem, content))
        with printed_to_stderr():
            problems = package_problems_at(place, stem, content)
        return _print_check(args, uri, problems)
    with printed_to_stderr():
        uri, is_new = put_package(place, stem, content)
    _print_package(args, uri, len(content), info, files, uploaded=is_new)
    return 0


def _print_package(
    args: argparse.Namespace,
    name: str,
    size: int,
    info: PackageInfo,
    files: ProjectFiles,
    **more: bool,
) -> None:
    if args.json:
        document = {
            "package": name,
            "bytes": size,
            **info.to_json(),
            "left_out": dict(files.left_out),
            **more,
        }
        print(json.dumps(document, indent=2))
        return
    there = "" if more.get("uploaded", True) else "already there, "
    count = f"{len(files.names)} files of the project"
    print(f"{name}: {there}{count}, {size:,} bytes, {info.manifest}")
    for left_out, reason in files.left_out.items():
        print(f"  excluded: {left_out}: {reason}")


def _project(path: Path, args: argparse.Namespace) -> tuple[Path, Manifest, Path | None]:
    """Return a project's folder, its manifest, and the default path of its package."""
    from kindling_airflow.definitions.compile import plan_definition, plan_of
    from kindling_airflow.definitions.definition import bare_name
    from kindling_airflow.manifest.harvest import harvest

    if path.is_dir():
        manifest = harvest(path, args.modules or ())
        plan_of(manifest)
        return path, manifest, path.resolve().with_suffix(".zip")
    if path.suffix not in (".yaml", ".yml"):
        raise WrongCallError(f"{args.source!r} is not a definition or a project folder")
    definition = definition_in(path, args)
    manifest = harvest(definition.project_root, definition.modules)
    plan_definition(definition, manifest)
    package = definition.package
    if package is None:
        target: Path | None = path.with_name(bare_name(path) + ".zip")
    else:
        target = None if "://" in package else Path(package)
    return definition.project_root, manifest, target


def _write(target: Path, files: ProjectFiles, manifest: Manifest) -> PackageInfo:
    """Write the package; it appears complete and tested, or not at all."""
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
    """Import the project from the package alone, in another process."""
    done = subprocess.run(
        [sys.executable, "-c", _TRIAL, str(draft.resolve())],
        cwd=draft.resolve().parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackageError(
            [f"the project cannot be imported from its package: {done.stderr.strip()}"]
        )
    found = (done.stdout.split() or [""])[-1]
    if found != manifest.digest:
        problem = (
            "the project's declarations differ when they are imported from its package\n"
            "  Fix: make them depend on nothing but the files in the project's folder."
        )
        raise PackageError([problem])


def _check(args: argparse.Namespace, target: Path, manifest: Manifest, files: ProjectFiles) -> int:
    """Print whether the package is up to date."""
    try:
        info = read_info(target)
    except KindlingAirflowError as error:
        problems = [str(error)]
    else:
        problems = package_problems(target, info, manifest.digest, files.digests())
    return _print_check(args, str(target), problems)


def _print_check(args: argparse.Namespace, name: str, problems: list[str]) -> int:
    if args.json:
        print(json.dumps({"package": name, "current": not problems, "problems": problems}))
    else:
        print("\n".join(problems) or f"{name}: up to date")
    return 1 if problems else 0
