"""A ``spark-submit`` and a cluster that do what a test says, and Airflow's side of a task."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.claims import ClaimName
from kindling_airflow.protocol.contracts import (
    REPORT_MARKER,
    START_MARKER,
    STREAM_MARKER,
    RunRequest,
    TaskClaim,
)

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
def write(printed="", **changes):
    path = Path(request["report_path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(printed + "{REPORT_MARKER}" + json.dumps({{**report, **changes}}))
def on_yarn(id, *states, **more):
    import urllib.request
    tags = next(w for w in sys.argv if w.startswith("spark.yarn.tags=")).partition("=")[2]
    app = dict(id=id, tags=tags, states=list(states), **more)
    urllib.request.urlopen(os.environ["STAND_IN_YARN"] + "/submit", json.dumps(app).encode())
    print("INFO Client: Submitted application " + id, flush=True)
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

    def run_before(self, order: str, claim: TaskClaim) -> None:
        """Let an earlier try have claimed its driver, and its worker be lost since."""
        self.tries = max(self.tries, 1)
        request = RunRequest("", "pipe", "", (), "", dag_id="dag", run_id="run", task_id="task")
        name = ClaimName.of(
            dataclasses.replace(request, attempt_key=claim.attempt_key, attempt_order=order)
        ).text
        kindling = self.folder / "warehouse" / "_kindling"
        for kind, file, text in (
            ("claims", name, claim.dumps()),
            ("leases", f"{name}.{order}", "1"),
        ):
            (kindling / kind).mkdir(parents=True, exist_ok=True)
            (kindling / kind / file).write_text(text)

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
class Yarn:
    """YARN's resource manager, and the node manager that keeps the logs.

    Attributes:
        address: of both.
        apps: the applications by id; each has ``tags`` and ``states``, of which the first one is
            reported, and taken away unless it is the last.
        output: what the drivers have printed, by application.
        is_deaf: a kill is accepted, and nothing happens.
        is_down: nothing is answered.
        calls: the methods and paths of all requests.
    """

    address: str = ""
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)
    output: dict[str, str] = field(default_factory=dict)
    is_deaf: bool = False
    is_down: bool = False
    calls: list[str] = field(default_factory=list)

    def run(self, app_id: str, attempt_key: str, *states: str) -> None:
        """Let an application of an attempt be there."""
        self.apps[app_id] = {"id": app_id, "tags": f"kindling-{attempt_key}", "states": [*states]}

    def report(self, app_id: str) -> dict[str, Any]:
        """Return what is reported of an application."""
        app = self.apps[app_id]
        states = app["states"]
        state = states.pop(0) if len(states) > 1 else states[0]
        ended = {"FINISHED": "SUCCEEDED", "FAILED": "FAILED", "KILLED": "KILLED"}
        final = app.get("final") if state == "FINISHED" else None
        container = f"{self.address}/node/containerlogs/container_{app_id}/root"
        return {
            "id": app_id,
            "state": state,
            "finalStatus": final or ended.get(state, "UNDEFINED"),
            "diagnostics": app.get("diagnostics", ""),
            "trackingUrl": f"{self.address}/proxy/{app_id}/",
            "amContainerLogs": container,
        }


@contextmanager
def yarn_cluster() -> Iterator[Yarn]:
    """Serve a resource manager on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            _, _, rest = path.partition("/ws/v1/")
            if rest.startswith("node/containerlogs/"):
                app_id = rest.split("/")[2].removeprefix("container_")
                text = yarn.output.get(app_id, "")
                self._text(f"LogType:stdout\nLogContents:\n{text}\nEnd of LogType:stdout.\n")
            elif rest == "cluster/apps":
                tag = query.partition("applicationTags=")[2].partition("&")[0]
                found = [a for a, app in yarn.apps.items() if tag in app["tags"].split(",")]
                self._json({"apps": {"app": [yarn.report(a) for a in found]} if found else {}})
            elif rest.startswith("cluster/apps/"):
                app_id = rest.split("/")[2]
                if app_id in yarn.apps:
                    self._json({"app": yarn.report(app_id)})
                else:
                    self._text("app with id: not found", 404)
            else:
                self._json({"clusterInfo": {}})

        def do_PUT(self) -> None:
            app_id = self.path.partition("?")[0].split("/")[5]
            self.rfile.read(int(self.headers["Content-Length"]))
            if not yarn.is_deaf:
                yarn.apps[app_id]["states"] = ["KILLED"]
            self._json({"state": "ACCEPTED"}, 202)

        def do_POST(self) -> None:
            app = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            yarn.apps[app["id"]] = app
            self._json({})

        def _json(self, document: Any, status: int = 200) -> None:
            self._text(json.dumps(document), status)

        def _text(self, text: str, status: int = 200) -> None:
            yarn.calls.append(f"{self.command} {self.path.partition('?')[0]}")
            if yarn.is_down:
                text, status = "This is standby RM", 503
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    yarn = Yarn(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield yarn
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
