"""The application that spark-submit starts: one pipe, one run request, one report.

    spark-submit [...] main.py '<RunRequest as JSON>'

Exit status 0 if the output was published or there was nothing to do, 1 if the pipe failed, 2 if the
request cannot be read. The task relies on the report; the status is for logs.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
import time
from pathlib import Path

_PARENT_DIED = 70


def main(arguments: list[str]) -> int:
    """Run the request in ``arguments[0]`` and print the report as the last line."""
    started = time.monotonic()
    _import_as_package()
    from kindling_airflow.errors import ReportError
    from kindling_airflow.protocol.contracts import RunRequest
    from kindling_airflow.runner.lean_start import import_compiled_pyspark, import_pandas_on_demand

    try:
        request = RunRequest.loads(arguments[0] if arguments else "")
    except ReportError as error:
        print(f"This application is started by a Kindling task: {error}", file=sys.stderr)  # noqa: T201
        return 2
    import_compiled_pyspark()
    from kindling_airflow.runner.driver import run_driver  # imports pyspark

    _end_with_parent()
    _log_to_output()
    import_pandas_on_demand()
    if request.session:
        from kindling_airflow.runner.shared.driver import run_session

        return run_session(request)
    report = run_driver(request, started)
    # A line of its own, after Spark has stopped logging: nothing can be mixed into it.
    sys.stdout.write(f"\n{report.line()}\n")
    sys.stdout.flush()
    return 1 if report.status == "failed" else 0


def _import_as_package() -> None:
    """Put the package on the import path in place of this folder, whose names would shadow."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]
    root = str(here.parent.parent)
    alone = here.parent.name != "kindling_airflow"  # a copy on a cluster: the package is in a zip
    if not alone and root not in sys.path:
        sys.path.insert(0, root)


def _log_to_output() -> None:
    """Show what a pipe logs (``run.logger``) once, however the project configures logging."""
    logger = logging.getLogger("kindling")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _end_with_parent() -> None:
    """End this process when the JVM that started it dies, so that no half of a driver goes on.

    The JVM holds the other end of standard input and never writes to it; its death closes the pipe.
    """
    started_by_jvm = "PYSPARK_GATEWAY_PORT" in os.environ
    if started_by_jvm and sys.stdin is not None and stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_exit_at_end_of_input, name="parent-watch", daemon=True).start()


def _exit_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(_PARENT_DIED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
