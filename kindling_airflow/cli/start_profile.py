"""A start-up profile for small Spark drivers: class-data archive, light collector, one compiler.

Half of a small pipe's time is the JVM loading and compiling classes. A class-data archive (AppCDS,
JEP 350) brings them ready-made. It belongs to one Java and one Spark; where it does not fit, or
could not be
made, drivers start without it: a profile is never an error. The class path has to be the same, so a
configuration folder (``SPARK_CONF_DIR``) with files in it, which Spark puts first, rules an archive
out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["profile_options", "warm_archive"]

_WARM_UP = Path(__file__).resolve().parent.parent / "runner" / "warm_up.py"
_LIGHT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_TIMEOUT_SECONDS = 300


def profile_options(folder: Path, say: Callable[[str], None] = lambda _text: None) -> str:
    """Return the profile as options of the JVM, with the archive if there is or can be one.

    Args:
        folder: where archives are kept; one that fits is used again.
        say: called with a sentence when something takes long or goes wrong.
    """
    archive = warm_archive(folder, say)
    # An archive that does not fit is passed over in silence, not with a line in every task's log.
    use = f" -XX:SharedArchiveFile={archive} -Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off"
    return _LIGHT + use if archive else _LIGHT


def warm_archive(folder: Path, say: Callable[[str], None] = lambda _text: None) -> Path | None:
    """Return the archive for this Java and this Spark, made now if need be, or None."""
    key = _key()
    if key is None:
        return None
    folder = folder.resolve()
    archive = folder / f"spark-{key}.jsa"
    if " " in str(archive):  # Java options are split at spaces
        say(f"No start-up profile: the path {str(archive)!r} has spaces in it.")
        return None
    if archive.is_file():
        return archive
    say("Making the start-up profile for Spark, once (about half a minute) ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make(archive)
        for other in folder.glob("spark-*.jsa"):  # 160 MB each, and of no use to this environment
            if other != archive:
                other.unlink(missing_ok=True)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"No start-up profile, which only costs time: {error}")
        return None
    return archive


def _key() -> str | None:
    """Name this Java and this Spark, or None where one of them is not to be found."""
    java = shutil.which("java")
    if "JAVA_HOME" in os.environ:
        java = str(Path(os.environ["JAVA_HOME"]) / "bin" / "java")
    if java is None:
        return None
    try:
        said = subprocess.run(
            [java, "-version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        spark = version("pyspark")
    except (OSError, subprocess.SubprocessError, PackageNotFoundError):
        return None
    # The archive remembers the class path, so a moved environment needs one of its own.
    parts = (said.stderr, spark.encode(), sys.prefix.encode(), _WARM_UP.read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _make(archive: Path) -> None:
    """Run the warm-up job once and keep its classes; the archive appears whole or not at all."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        draft = Path(scratch) / "draft.jsa"
        options = f"{_LIGHT} -XX:ArchiveClassesAtExit={draft}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SPARK_")}
        subprocess.run(
            [
                str(Path(sys.executable).parent / "spark-submit"),
                *("--master", "local[1]"),
                *("--conf", f"spark.driver.extraJavaOptions={options}"),
                *("--conf", "spark.ui.enabled=false"),
                str(_WARM_UP),
                scratch,
            ],
            env={**environment, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
        draft.replace(archive)
