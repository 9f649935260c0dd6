"""A driver whose project comes in a package: the folder that it is imported from is made here.

spark-submit puts the package on the import path of driver and executors. Executors import from it
as it is; the driver unpacks it, so that the project's modules can open the files beside them.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from kindling_airflow.deployment.project_package import find_package, unpack
from kindling_airflow.errors import PackageError, PipeRunError
from kindling_airflow.protocol.contracts import RunRequest


def with_project_in_place(request: RunRequest) -> RunRequest:
    """Return the request with a project folder that is there; it is removed when the driver ends.

    Raises:
        PipeRunError: the package that it asks for is not on the import path.
    """
    if not request.package:
        return request
    folder = Path(tempfile.mkdtemp(prefix="kindling-project-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        unpack(find_package(request.package), folder)
    except PackageError as error:
        raise PipeRunError(str(error)) from error
    return replace(request, project_root=str(folder))
