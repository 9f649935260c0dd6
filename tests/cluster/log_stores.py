"""A log store of Delta that is safe for several drivers on S3: compiled here, for tests alone.

Delta's own one, ``S3DynamoDBLogStore``, is in a jar that the registries of these tests do not have,
and needs a DynamoDB. What this package does with a safe log store can be tested with any: this one
creates each entry of the log by a conditional put.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pyspark

from tests.runner.jars import format_jars

__all__ = ["CLASS", "delta_on_s3"]

CLASS = "kindling.tests.ConditionalPutLogStore"
_SOURCE = Path(__file__).parent / "java" / "ConditionalPutLogStore.java"


def delta_on_s3(folder: Path) -> dict[str, str]:
    """Compile the log store into a folder; return the Spark properties with which Delta uses it."""
    jars = list(map(str, format_jars("delta")))
    spark = f"{Path(pyspark.__file__).parent}/jars/*"
    classes = folder / "classes"
    subprocess.run(
        ["javac", "-nowarn", "-cp", os.pathsep.join([*jars, spark]), "-d", classes, _SOURCE],
        check=True,
    )
    jar = folder / "log-store.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes).as_posix())
    return {
        "spark.jars": ",".join([*jars, str(jar)]),
        "spark.delta.logStore.s3a.impl": CLASS,
    }
