"""A real driver of a session as a process, and a client that asks it to run pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.manifest.project_code import code_roots, project_code
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.protocol.session_channel import Channel, connect
from kindling_airflow.protocol.session_messages import (
    SECRET_VARIABLE,
    SessionNews,
    session_news_in_line,
)

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "kindling_airflow" / "runner" / "main.py"
MODULE = "shared_pipes"
SECRET = bytes(range(32))
_CONF = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.log.level": "ERROR",
}
_SUBMIT = " ".join(
    [
        "--master local[2]",
        *(f"--conf {key}={value}" for key, value in _CONF.items()),
        "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC'",
        "pyspark-shell",
    ]
)
_SECONDS = 600.0  # a busy machine is no error


@dataclass
class Driver:
    """A driver of a session; it is ended with the block that it is made for.

    Attributes:
        project: the folder of the pipes' module.
        warehouse: the root of the tables.
        request: of the session.
    """

    project: Path
    warehouse: Path
    request: RunRequest
    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)
    news: list[SessionNews] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def start(cls, folder: Path, text: str, pipes: tuple[str, ...], shared: Any = ()) -> Driver:
        """Start a driver, and wait until it listens."""
        project, warehouse = folder / "project", folder / "warehouse"
        project.mkdir()
        warehouse.mkdir()
        (project / f"{MODULE}.py").write_text(text)
        request = RunRequest(
            attempt_key=uuid.uuid4().hex,
            pipe_id="session run",
            project_root=str(project),
            modules=(MODULE,),
            warehouse=str(warehouse),
            dag_id="dag",
            run_id="run",
            task_id="kindling_session_run",
            session=FrozenDict(name="run", pipes=pipes, host="127.0.0.1", shared=shared),
        )
        process = subprocess.Popen(
            [sys.executable, str(MAIN), request.dumps()],
            env={**os.environ, "PYSPARK_SUBMIT_ARGS": _SUBMIT, SECRET_VARIABLE: SECRET.hex()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        driver = cls(project, warehouse, request, process)
        threading.Thread(target=driver._read, daemon=True).start()
        driver.until(lambda: bool(driver.news), "the session listens")
        return driver

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def until(self, condition: Any, what: str) -> None:
        """Wait until something holds; it is looked at whenever the driver has printed a line."""
        with self.changed:
            if not self.changed.wait_for(condition, _SECONDS):
                raise AssertionError(f"not: {what}\n{''.join(self.output[-50:])}")

    def connect(self, secret: bytes = SECRET) -> Channel:
        """Return a channel to the driver."""
        return connect("127.0.0.1", self.news[-1].port, secret)

    def ask(self, **message: Any) -> dict[str, Any]:
        """Ask the driver one thing."""
        with self.connect() as channel:
            return channel.ask(message, 60.0)

    def pipe_request(self, pipe_id: str, **changes: Any) -> RunRequest:
        """Return a fresh request to run a pipe."""
        code = project_code(self.project, code_roots((), (MODULE,)))
        request = RunRequest(
            attempt_key=uuid.uuid4().hex,
            pipe_id=pipe_id,
            project_root=str(self.project),
            modules=(MODULE,),
            warehouse=str(self.warehouse),
            dag_id="dag",
            run_id="run",
            task_id=pipe_id,
            attempt_order="1",
            code_digest=code.digest,
        )
        return replace(request, **changes)

    def begin(self, pipe_id: str, **changes: Any) -> RunRequest:
        """Begin to run a pipe."""
        request = self.pipe_request(pipe_id, **changes)
        assert self.ask(do="run", request=request.dumps()) == {}
        return request

    def end_of(self, request: RunRequest) -> tuple[RunReport, str]:
        """Wait for the end of an attempt; return its report and what it has printed."""
        text, offset, deadline = "", 0, time.monotonic() + _SECONDS
        with self.connect() as channel:
            while time.monotonic() < deadline:
                key = request.attempt_key
                message = {"do": "watch", "attempt": key, "offset": offset, "seconds": 10}
                answer = channel.ask(message, 60.0)
                text, offset = text + answer["text"], answer["offset"]
                if answer["report"] is not None:
                    return RunReport.loads(answer["report"]), text
        raise AssertionError(f"{request.pipe_id} has not ended; it has printed {text!r}")

    def run(self, pipe_id: str, **changes: Any) -> tuple[RunReport, str]:
        """Run a pipe to its end."""
        return self.end_of(self.begin(pipe_id, **changes))

    def told(self, name: str) -> dict[str, Any]:
        """Return what a pipe has noted down."""
        found: dict[str, Any] = json.loads((self.project.parent / f"{name}.json").read_text())
        return found

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            news = session_news_in_line(line)
            with self.changed:
                if news is not None:
                    self.news.append(SessionNews.loads(news))
                else:
                    self.output.append(line)
                self.changed.notify_all()
        with self.changed:
            self.process.wait()
            self.changed.notify_all()
