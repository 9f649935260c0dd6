"""A ``spark-submit`` and a cluster that do what a test says, and Airflow's side of a task."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import REPORT_MARKER, START_MARKER, STREAM_MARKER

# What each stand-in of spark-submit starts with: the request, and ways to answer it.
PROLOGUE = f"""#!{sys.executable}
import json, os, signal, sys, time
from pathlib import Path
request = json.loads(next(word for word in sys.argv if word.startswith('{{"attempt_key"')))
report = {{"version": 1, "attempt_key": request["attempt_key"], "pipe_id": request["pipe_id"],
           "status": "published", "output_entity_id": "out", "rows_written": 3,
           "inputs": [{{"entity_id": "in", "rows": 5}}], "duration_seconds": 1.5}}
def start(ui_url="http://worker:4040", **changes):
    said = {{"version": 1, "attempt_key": request["attempt_key"], "application_id": "app-1"}}
    print("{START_MARKER}" + json.dumps({{**said, "ui_url": ui_url, **changes}}), flush=True)
def send(**changes):
    print("{REPORT_MARKER}" + json.dumps({{**report, **changes}}), flush=True)
def news(state, pid=None, **progress):
    said = {{"version": 1, "attempt_key": request["attempt_key"], "state": state}}
    said.update(pid=pid or os.getpid(), progress=progress)
    print("{STREAM_MARKER}" + json.dumps(said), flush=True)
def write(**changes):
    path = Path(request["report_path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{REPORT_MARKER}" + json.dumps({{**report, **changes}}))
"""


def install_submit(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Let ``spark-submit`` be a program with this body."""
    binary = folder / "bin" / "spark-submit"
    binary.parent.mkdir(exist_ok=True)
    binary.write_text(PROLOGUE + body)
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    if str(binary.parent) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")


class Store(dict[str, Any]):
    """What Airflow remembers of a task instance, over all its tries."""

    set = dict.__setitem__

    def delete(self, key: str) -> None:
        """Forget a key, if it is there."""
        self.pop(key, None)


@dataclass
class Task:
    """One task instance: its memory survives its tries."""

    folder: Path
    arguments: dict[str, Any] = field(default_factory=dict)
    store: Store = field(default_factory=Store)
    pushed: dict[str, Any] = field(default_factory=dict)
    tries: int = 0
    outlet_events: dict[Any, Any] = field(default_factory=dict)
    operator: Any = None
    kind: Any = KindlingPipeOperator
    states: Any = None  # what Airflow says of the run's tasks: takes what is asked for

    def run(self) -> Any:
        """Run the next try; return what it returns or raises."""
        self.tries += 1
        self.operator = self.kind(
            task_id="task",
            pipe_id="pipe",
            project_root=str(self.folder),
            modules=["pipes"],
            warehouse=str(self.folder / "warehouse"),
            **self.arguments,
        )
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id="task",
            try_number=self.tries,
            max_tries=1,
            stats_tags={},
            xcom_push=self.pushed.__setitem__,
            get_task_states=self.states,
        )
        context: Any = {
            "ti": ti,
            "dag_run": SimpleNamespace(),
            "task_state_store": self.store,
            "outlet_events": self.outlet_events,
        }
        try:
            return self.operator.execute(context)
        except Exception as error:
            return error


@dataclass
class Master:
    """A Spark standalone master's REST interface.

    Attributes:
        states: the state of each driver; an unknown one is refused, as by a master that was
            started anew.
        killed: the drivers that it was told to kill.
    """

    port: int
    states: dict[str, str] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)


@contextmanager
def standalone_master() -> Iterator[Master]:
    """Serve a master on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            driver = self.path.rpartition("/")[2]
            self._answer(driver, driverState=master.states.get(driver))

        def do_POST(self) -> None:
            driver = self.path.rpartition("/")[2]
            master.killed.append(driver)
            master.states[driver] = "KILLED"
            self._answer(driver)

        def _answer(self, driver: str, **more: Any) -> None:
            known = driver in master.states
            answer = {"submissionId": driver, "success": known, **(more if known else {})}
            body = json.dumps(answer, indent=2, separators=(",", " : ")).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    master = Master(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield master
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
