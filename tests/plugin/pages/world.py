"""An Airflow API server over DAGs and runs of every kind; nothing runs, everything can be set.

``with world(folder) as found`` starts this file as a program, because Airflow binds a process to
one database. The program serves Airflow's real application and takes commands from its standard
input: a state can be set, and the statements that a request cost can be counted.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demo.local_airflow import free_port
from tests.plugin.pages import auth

GRAPH = Path(__file__).parents[2] / "graphs" / "healthcare_1211.json"
HOSTILE = "</script><img src=x onerror=alert(1)>"
FACTORY = """\
# An Airflow DAG file.
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""
PIPES = """\
import json
from pathlib import Path

from kindling_airflow import DataEntities, DataPipes

declared = set()
for record in json.loads((Path(__file__).parent / "graph.json").read_text()):
    if "processing_mode" in record.get("tags", {}):  # what streams read needs a schema
        for entity in {*record["input_entity_ids"], record["output_entity_id"]} - declared:
            declared.add(entity)
            DataEntities.entity(entityid=entity, schema="id BIGINT")

    @DataPipes.pipe(**record)
    def pipe(**inputs): ...
"""
WAITING = """\
from datetime import datetime

from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import DAG

from kindling_airflow import kindling_task_group

with DAG("waiting", schedule=None, start_date=datetime(2026, 1, 1)):
    sensor = PythonSensor(task_id="file_is_there", python_callable=bool)
    sensor >> kindling_task_group("shop.kindling.yaml", group_id="night")

with DAG("plain", schedule=None, start_date=datetime(2026, 1, 1)):
    PythonSensor(task_id="alone", python_callable=bool)
"""


def pipe(pipe_id: str, reads: list[str], **tags: Any) -> dict[str, Any]:
    """Return the declaration of a pipe that writes an entity of its own name."""
    return {"pipeid": pipe_id, "input_entity_ids": reads, "output_entity_id": pipe_id, "tags": tags}


SHOP = [
    pipe("orders", ["raw.orders"], duration_hint=10),
    pipe("customers", ["raw.customers"], duration_hint=4),
    pipe("joined", ["orders", "customers"], duration_hint=7),
    pipe("revenue", ["joined"], duration_hint=3),
    pipe("churn", ["customers", "joined"], duration_hint=5),
]
STREAM = {"processing_mode": "streaming"}
CLICKS = [
    pipe("clicks", ["raw.clicks"], **STREAM),
    pipe("sessions", ["clicks"], **STREAM),
    pipe("daily", ["sessions"]),
]
STRANGE = [pipe(HOSTILE, ["raw"]), pipe("after it", [HOSTILE])]


def write_project(dags: Path, name: str, pipes: list[dict[str, Any]], more: str = "") -> None:
    """Write a project and the definition of its DAG."""
    (dags / name).mkdir(parents=True, exist_ok=True)
    (dags / name / "graph.json").write_text(json.dumps(pipes))
    (dags / name / f"{name}_pipes.py").write_text(PIPES)
    text = f"dag_id: {name}\nproject: {{path: {name}, modules: [{name}_pipes]}}\nassets: false\n"
    (dags / f"{name}.kindling.yaml").write_text(f"{text}{more or 'width: 2'}\n")


@dataclass
class World:
    """A running API server.

    Attributes:
        url: its address.
        folder: its AIRFLOW_HOME.
    """

    url: str
    folder: Path
    _program: subprocess.Popen[str]

    def tell(self, command: str, **arguments: Any) -> Any:
        """Have the program do something, and return its answer."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps([command, arguments]) + "\n")
        self._program.stdin.flush()
        for line in self._program.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line.removeprefix("ANSWER "))
        raise AssertionError(f"the program has ended; see {self.folder}")

    def client(self, user: str | None = "vic") -> httpx.Client:
        """Return a client that a user has signed in with; None: nobody has."""
        client = httpx.Client(base_url=self.url, timeout=120.0)
        if user is not None:
            answer = client.post("/auth/token", json={"username": user, "password": user})
            answer.raise_for_status()
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client


@contextmanager
def world(folder: Path, database: str = "") -> Iterator[World]:
    """Run the program.

    Args:
        folder: its AIRFLOW_HOME.
        database: the address of an empty database; default: SQLite in the folder.
    """
    dags, port = folder / "dags", free_port()
    dags.mkdir()
    (dags / "factory.py").write_text(FACTORY)
    (dags / "waiting.py").write_text(WAITING)
    write_project(dags, "shop", SHOP)
    write_project(dags, auth.DENIED_DAG, SHOP[:1])
    write_project(dags, "clicks", CLICKS, "strategy: hybrid\nlifetime: continuous\nwidth: 3")
    write_project(dags, "idle", CLICKS, "strategy: hybrid\nlifetime: continuous\nwidth: 3")
    write_project(dags, "strange", STRANGE)
    write_project(dags, "changing", SHOP[:2])
    write_project(dags, "large", json.loads(GRAPH.read_text()), "width: 16")
    url = f"http://127.0.0.1:{port}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW_")}
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.plugin.pages.server", str(dags), str(port)],
        env={
            **inherited,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            **auth.environment(folder),
            **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database} if database else {}),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "server.log").open("ab"),
        text=True,
    )
    try:
        found = World(url, folder, program)
        found.tell("ping")
        yield found
    finally:
        assert program.stdin is not None
        program.stdin.close()
        try:
            program.wait(20)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
