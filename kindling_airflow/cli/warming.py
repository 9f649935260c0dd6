"""``warm``: creates the class-data archive of this Java and Spark, and tests it.

    warm-up job -> archive -> a JVM that loads classes from it

The archive appears complete or not at all. One that exists and matches is kept. Of several commands
on one folder one creates it, and the others wait for it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kindling_airflow.deployment.start_profile import (
    Installation,
    ProfileMode,
    archive_in,
    archive_name,
    driver_options,
    find_installation,
)
from kindling_airflow.errors import StartProfileError

_WARM_UP = Path(__file__).resolve().parent.parent / "runner" / "warm_up.py"
_TIMEOUT_SECONDS = 900  # a busy machine is not an error
_FROM_ARCHIVE = "shared objects file (top)"
_CONFIGURED = "a configuration folder of Spark with files in it comes first on the class path"


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that matches this machine.

    Attributes:
        path: the file.
        installation: its Java and Spark.
        made: whether it was created now.
        classes: how many classes a JVM loads from it at its start.
    """

    path: Path
    installation: Installation
    made: bool
    classes: int

    def to_json(self) -> dict[str, object]:
        """Return the archive as a JSON document."""
        return {
            "archive": str(self.path),
            "bytes": self.path.stat().st_size,
            "made": self.made,
            "classes_at_start": self.classes,
            "java": str(self.installation.java_home),
            "spark": str(self.installation.spark_home),
        }


def warm(args: argparse.Namespace) -> int:
    """Create the archive, unless one matches, and print it."""
    from kindling_airflow.operators.driver.start_options import profile_folder

    folder = Path(args.folder) if args.folder is not None else profile_folder()
    say: Callable[[str], None] = (lambda _: None) if args.json else print
    archive = warm_archive(folder, say, force=args.force)
    document = archive.to_json()
    if args.json:
        print(json.dumps(document, indent=2))
        return 0
    done = "Created" if archive.made else "Up to date:"
    print(f"{done} {archive.path} ({document['bytes']:,} bytes), tested with")
    print(f"  Java  {archive.installation.java_home}")
    print(f"  Spark {archive.installation.spark_home}")
    return 0


def warm_archive(
    folder: Path,
    say: Callable[[str], None] = lambda _text: None,
    *,
    force: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Archive:
    """Return the archive that matches this machine; create it if there is none.

    Args:
        folder: the folder of the archives.
        say: called with a sentence before a long step.
        force: create it even if one exists.
        environment: the variables of the drivers; default: this process's own.

    Raises:
        StartProfileError: it cannot be created, or a JVM loads no classes from it.
    """
    variables = dict(os.environ if environment is None else environment)
    installation = find_installation(variables)
    if installation is None:
        raise StartProfileError(
            "no start-up profile: no Spark with a Java was found\n"
            "  Fix: install pyspark beside this package and set JAVA_HOME, or set SPARK_HOME."
        )
    folder = folder.absolute()
    found = None if force else _matching(folder, installation, variables, say)
    if found is not None:
        return found
    try:
        with _alone_in(folder):
            if not force:  # another process may have created it meanwhile
                found = _matching(folder, installation, variables)
            return found or _made(folder, installation, variables, say)
    except OSError as error:
        raise StartProfileError(f"no start-up profile: {error}") from error


def _matching(
    folder: Path,
    installation: Installation,
    variables: Mapping[str, str],
    say: Callable[[str], None] = lambda _text: None,
) -> Archive | None:
    path = archive_in(folder, installation)
    if path is None:
        return None
    classes = _classes_from(path, installation, variables)
    if classes:
        return Archive(path, installation, made=False, classes=classes)
    say(f"{path} does not match any more.")
    return None


def _made(
    folder: Path,
    installation: Installation,
    variables: Mapping[str, str],
    say: Callable[[str], None],
) -> Archive:
    say("Creating the start-up profile for Spark, once (about half a minute) ...")
    path = _make(folder, installation, variables)
    classes = _classes_from(path, installation, variables)
    if not classes:
        raise StartProfileError(
            f"{str(path)!r} was created, but a JVM loads nothing from it: {_CONFIGURED}, or "
            "another option prevents it\n"
            "  Fix: set Spark's properties in definitions or SPARK_SUBMIT_OPTS, not in "
            "SPARK_CONF_DIR."
        )
    return Archive(path, installation, made=True, classes=classes)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process creates an archive in a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, or the process
        yield


def _make(folder: Path, installation: Installation, environment: Mapping[str, str]) -> Path:
    """Run the warm-up job and archive its classes; delete earlier archives of its kind."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as scratch:
        draft = Path(scratch) / "draft.jsa"
        job = [str(_WARM_UP), scratch]
        _submit(installation, environment, f'"-XX:ArchiveClassesAtExit={draft}"', job)
        if not draft.is_file():
            raise StartProfileError("no start-up profile: this Java creates no class-data archives")
        archive = folder / archive_name(installation, draft.stat().st_size)
        draft.replace(archive)
    for earlier in folder.glob(f"spark-{installation.key}-*.jsa"):
        if earlier != archive:
            earlier.unlink(missing_ok=True)
    return archive


def _classes_from(archive: Path, installation: Installation, environment: Mapping[str, str]) -> int:
    """Return how many classes a JVM loads from the archive when it starts as drivers do."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "classes.log"
        options = driver_options(ProfileMode.ARCHIVE, archive)
        logged = f"{options} -Xlog:class+load=info:file={log}"
        _submit(installation, environment, logged, ["--version"], configured=True)
        text = log.read_text("utf-8", "replace") if log.is_file() else ""
    return text.count(_FROM_ARCHIVE)


def _submit(
    installation: Installation,
    environment: Mapping[str, str],
    options: str,
    arguments: list[str],
    *,
    configured: bool = False,
) -> None:
    """Call spark-submit with options of its JVM; ``configured`` keeps the deployment's settings."""
    kept = {k: v for k, v in environment.items() if configured or not k.startswith("SPARK_")}
    own = {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_HOME": str(installation.spark_home),
        "SPARK_SUBMIT_OPTS": options,
    }
    job = ["--master", "local[1]", "--conf", "spark.ui.enabled=false"]
    program = installation.spark_home / "bin" / "spark-submit"
    try:
        subprocess.run(
            [str(program), *([] if arguments == ["--version"] else job), *arguments],
            env={**kept, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        lines = re.sub(r"\n\tat .*", "", error.stdout or "").strip().splitlines()
        shown = "\n".join(f"    {line}" for line in lines[-15:])
        raise StartProfileError(f"no start-up profile: spark-submit failed:\n{shown}") from error
    except subprocess.TimeoutExpired as error:
        text = f"no start-up profile: spark-submit did not end within {_TIMEOUT_SECONDS} s"
        raise StartProfileError(text) from error
