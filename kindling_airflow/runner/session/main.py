"""The application behind ``kindling-airflow run``: one Spark session, and pipes on request.

    python main.py '<RunRequest>' FROM TO

FROM and TO are inherited file descriptors: one JSON object per line comes in and goes out, so
nothing that a pipe or Spark prints can get in between. The first line that comes in is the
session's Spark properties: on a command line other users of the machine could read a secret.

    <- {"call": 1, "do": "run", "pipe_id": "silver.orders"}     -> {"call": 1, "report": {...}}
    <- {"do": "share", "entity_id": "orders", "level": "MEMORY_AND_DISK"}
                                                 -> {"read": "orders", "pipe_id": ..., "hit": true}
    <- {"do": "release", "entity_id": "orders"}
    <- {"do": "cancel", "pipe_id": "silver.orders"}
    <- {"call": 2, "do": "catch_up", "pipe_id": "clean"}        -> {"call": 2, "report": {...}}
    <- {"call": 3, "do": "start", "pipe_id": "clean"}           -> {"call": 3, "failed": null}
    <- {"call": 4, "do": "drain", "pipe_id": "clean"}           -> {"call": 4, "failed": "..."}
    <- {"call": 5, "do": "stop", "pipe_id": "clean"}            -> {"call": 5, "failed": null}
                                   -> {"stream": "clean", "ready": true, "active": true, ...}

What goes out of a stream, several times a second and before the answer to each call, is how it is.
The first line that goes out is ``{"ready": <application id>}`` or ``{"failed": <RunFailure>}``. The
end of input ends the session, so it cannot outlive the command that started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kindling_airflow.protocol.contracts import RunReport
    from kindling_airflow.runner.session.runner import SessionPipeRunner
    from kindling_airflow.runner.session.streams import SessionStreams

_GRACE_SECONDS = 15.0


def main(arguments: list[str]) -> int:
    """Serve one session; return the exit status: 0 at the end of input, 1 if it did not start."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]
    sys.path.insert(0, str(here.parents[2]))
    from kindling_airflow.common.redaction import secret_values, without_secrets
    from kindling_airflow.protocol.contracts import RunRequest
    from kindling_airflow.runner.failures.failure import describe
    from kindling_airflow.runner.redaction import hides_secrets
    from kindling_airflow.runner.session.streams import SessionStreams

    request = RunRequest.loads(arguments[0])
    incoming = os.fdopen(int(arguments[1]), encoding="utf-8")
    answers = _Answers(os.fdopen(int(arguments[2]), "w", encoding="utf-8"))
    properties: dict[str, str] = json.loads(incoming.readline() or "{}")
    try:
        runner = _start(request, properties)
    except Exception as error:
        hide = hides_secrets()
        failure = asdict(describe(error, Path(request.project_root)))
        secrets = secret_values(properties)
        hidden = {k: without_secrets(hide(text), secrets) for k, text in failure.items()}
        answers.send({"failed": hidden})
        return 1
    answers.send({"ready": runner.spark.sparkContext.applicationId})
    streams = SessionStreams(runner, Path(request.project_root), answers.send)
    for line in incoming:
        _serve(json.loads(line), runner, answers, streams)
    # A pipe that still runs must not keep the session alive: nothing waits for it any more.
    sys.stdout.flush()
    threading.Timer(_GRACE_SECONDS, os._exit, (0,)).start()
    runner.spark.stop()
    os._exit(0)


def _start(request: Any, properties: Mapping[str, str]) -> SessionPipeRunner:
    from pyspark.sql import SparkSession

    from kindling_airflow.runner.imported_code import ImportedCode
    from kindling_airflow.runner.pipe.pipe_call import declarations_of
    from kindling_airflow.runner.pipe.run_pipe import WORKER_PATH, import_path_of_workers
    from kindling_airflow.runner.session.properties import session_settings, start_java
    from kindling_airflow.runner.session.runner import SessionPipeRunner

    code = ImportedCode.of(request)
    declared = declarations_of(request, None)
    builder = SparkSession.builder.appName(request.run_id or "kindling-airflow run")
    pipes = filter(None, map(declared.pipes.get_pipe_definition, declared.pipes.get_pipe_ids()))
    needed = session_settings(pipes, declared.entities, request.warehouse, properties.get)
    workers = {WORKER_PATH: import_path_of_workers(request, properties.get(WORKER_PATH))}
    properties = {**properties, **needed, **workers}
    start_java(properties)
    for key, value in properties.items():
        builder = builder.config(key, value)
    return SessionPipeRunner(
        builder.getOrCreate(),
        declared,
        request.warehouse,
        run_id=request.run_id,
        interval_start=request.interval_start,
        interval_end=request.interval_end,
        parameters=request.parameters,
        project_root=request.project_root,
        plan_digest=request.plan_digest,
        code_digest=code.request.code_digest,
        checkpoints=str(request.stream.get("checkpoints") or ""),
        on_missing_interval=request.on_missing_interval,
    )


class _Answers:
    """Lines that go out, one at a time."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, answer: Mapping[str, Any]) -> None:
        with self._lock:
            self._stream.write(json.dumps(answer) + "\n")
            self._stream.flush()


def _serve(
    message: Mapping[str, Any],
    runner: SessionPipeRunner,
    answers: _Answers,
    streams: SessionStreams,
) -> None:
    what = message["do"]
    # A thread per pipe: its jobs are its own, and so is its place in Spark's scheduler.
    if what in ("run", "catch_up"):
        run = runner if what == "run" else runner.catch_up
        _in_thread(_run, message, run, answers)
    elif what in ("start", "drain", "stop"):
        _in_thread(streams.serve, message)
    elif what == "cancel":
        runner.cancel(message["pipe_id"])
    elif what == "release":
        runner.release(message["entity_id"])
    elif what == "share":
        entity_id = message["entity_id"]

        def on_read(pipe_id: str, hit: bool) -> None:
            answers.send({"read": entity_id, "pipe_id": pipe_id, "hit": hit})

        runner.share(entity_id, message["level"], on_read)


def _run(message: Mapping[str, Any], run: Callable[[str], RunReport], answers: _Answers) -> None:
    report = run(message["pipe_id"])
    answers.send({"call": message["call"], "report": report.to_json()})


def _in_thread(call: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=call, args=arguments, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
