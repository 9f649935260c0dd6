"""A project as one zip: what a cluster's drivers and executors import it from.

    <modules and files of the project>     as they are in its folder
    kindling_airflow/...                   what the runner needs, without Airflow
    kindling-package.json                  what it was made of

``airflow kindling package`` makes it (:mod:`~kindling_airflow.deployment.package_content` says what
goes in).
It says which state of the project it holds, by the manifest's digest, which covers every source:
a DAG that was compiled from another state refuses it, and so does its driver. This module reads; it
travels with the runner.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.common.wording import first_of
from kindling_airflow.errors import PackageError

__all__ = [
    "INFO_NAME",
    "PACKAGE_VERSION",
    "RUNTIME",
    "PackageInfo",
    "content_name",
    "find_package",
    "package_problems",
    "read_info",
    "unpack",
    "uri_for_spark",
]

INFO_NAME = "kindling-package.json"
PACKAGE_VERSION = 1
RUNTIME = "kindling_airflow"
_SHOWN = 5
_DIGITS = 24
_DIGEST_IN_NAME = re.compile(rf"-([0-9a-f]{{{_DIGITS}}})\.zip$")


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """The description of a package.

    Attributes:
        manifest: digest of the manifest of the project that is in it.
        modules: the modules that make the declarations.
        release: the release of this package that made it.
        files: SHA-256 of each file of the project, by its path in the zip.
    """

    manifest: str
    modules: tuple[str, ...]
    release: str
    files: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "package_version": PACKAGE_VERSION,
            "manifest": self.manifest,
            "modules": list(self.modules),
            "release": self.release,
            "files": dict(self.files),
        }


def read_info(path: Path) -> PackageInfo:
    """Return the description of a package.

    Raises:
        PackageError: it does not exist, or is not a package of this version.
    """
    remedy = "\n  Fix: build it with 'airflow kindling package'."
    try:
        with zipfile.ZipFile(path) as package:
            document = json.loads(package.read(INFO_NAME))
        if document["package_version"] != PACKAGE_VERSION:
            problem = f"the package {str(path)!r} is not of version {PACKAGE_VERSION}{remedy}"
            raise PackageError([problem])
        return PackageInfo(
            str(document["manifest"]),
            tuple(map(str, document["modules"])),
            str(document["release"]),
            FrozenDict({str(k): str(v) for k, v in document["files"].items()}),
        )
    except FileNotFoundError as error:
        raise PackageError([f"package not found: {str(path)!r}{remedy}"]) from error
    except (OSError, zipfile.BadZipFile) as error:
        raise PackageError(
            [f"the package {str(path)!r} cannot be read: {error}{remedy}"]
        ) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise PackageError([f"{str(path)!r} is not a project package{remedy}"]) from error


def package_problems(
    path: Path, info: PackageInfo, manifest: str, sources: Mapping[str, str]
) -> list[str]:
    """Return why a package does not go with the declarations of a project; empty where it does."""
    from kindling_airflow import __version__

    if info.release != __version__:
        problem = (
            f"the package {str(path)!r} was built by release {info.release}, but this is release "
            f"{__version__}\n  Fix: rebuild it with 'airflow kindling package'."
        )
        return [problem]
    if info.manifest == manifest and all(info.files.get(k) == v for k, v in sources.items()):
        return []
    changed = [name for name, digest in sorted(sources.items()) if info.files.get(name) != digest]
    shown = first_of(list(map(repr, changed)), _SHOWN)
    why = f"changed since: {shown}" if changed else "other modules are imported"
    problem = (
        f"the package {str(path)!r} was built from another state of the project ({why}), so "
        "drivers would run different code than the plan was compiled from\n"
        "  Fix: rebuild it with 'airflow kindling package'."
    )
    return [problem]


def content_name(stem: str, content: bytes) -> str:
    """Return the name of a package that contains its own digest.

    >>> content_name("orders", b"...")
    'orders-ab5df625bc76dbd4e163bed2.zip'
    """
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}.zip"


def uri_for_spark(package: str, conf: Mapping[str, Any]) -> str:
    """Return a package's path or URI as spark-submit reads it.

    Hadoop reads S3 by the scheme ``s3a``; ``s3`` is kept where ``conf`` has a file system for it.

    >>> uri_for_spark("s3://lake/orders.zip", {}), uri_for_spark("gs://lake/orders.zip", {})
    ('s3a://lake/orders.zip', 'gs://lake/orders.zip')
    """
    scheme, found, rest = package.partition("://")
    if found and scheme in ("s3", "s3n") and f"spark.hadoop.fs.{scheme}.impl" not in conf:
        return f"s3a://{rest}"
    return package


def find_package(manifest: str, import_path: Iterable[str] | None = None) -> Path:
    """Return the package of a manifest on the import path, where spark-submit has put it.

    Args:
        manifest: the digest of the manifest that the task was compiled from.
        import_path: entries of the import path; default: this process's own.

    Raises:
        PackageError: there is none, or only others, or it has other content than its name says.
    """
    others = []
    for entry in sys.path if import_path is None else import_path:
        path = Path(entry)
        if path.suffix != ".zip" or not path.is_file():
            continue
        try:
            info = read_info(path)
        except PackageError:
            continue
        if info.manifest == manifest:
            _check_name(path)
            return path
        others.append(path.name)
    found = f"only {', '.join(map(repr, others))} is" if others else "none is"
    problem = (
        f"the driver needs the package of manifest {manifest}, but {found} on its import path\n"
        "  Fix: rebuild the package with 'airflow kindling package' and put it at the path that "
        "the definition's 'package' names."
    )
    raise PackageError([problem])


def _check_name(path: Path) -> None:
    """Refuse a package that has other content than its name says.

    Raises:
        PackageError: its name contains a digest, and its content has another.
    """
    named = _DIGEST_IN_NAME.search(path.name)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if named is not None and not found.startswith(named[1]):
        problem = (
            f"the package {path.name!r} is damaged: its SHA-256 is {found}\n"
            "  Fix: delete it, and upload it with 'airflow kindling package --to'."
        )
        raise PackageError([problem])


def unpack(path: Path, folder: Path) -> None:
    """Write the project in a package into a folder, so that its files can be opened.

    Raises:
        PackageError: its content does not match its description.
    """
    info = read_info(path)
    with zipfile.ZipFile(path) as package:
        for name, digest in info.files.items():
            content = package.read(name)
            target = (folder / name).resolve()
            if hashlib.sha256(content).hexdigest() != digest or folder.resolve() not in (
                target.parents
            ):
                raise PackageError([f"the package {str(path)!r} is damaged: {name!r}"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
