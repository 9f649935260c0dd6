"""A real Airflow for streams, and what tests look at in it: records, tables, drivers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from demo.local_airflow import LocalAirflow

__all__ = ["StreamsAirflow", "until"]

DAGS = Path(__file__).parent / "stream_dags"


def until(condition: Callable[[], Any], what: str, seconds: float = 600.0) -> Any:
    """Return the first true thing that a condition says."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.3)
    return found


@dataclass
class StreamsAirflow:
    """A running Airflow whose DAGs are those of ``stream_dags``."""

    airflow: LocalAirflow
    warehouse: Path
    dropped: int = 0
    replacements: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _files: int = 0

    def drop(self, count: int, warehouse: Path | None = None) -> None:
        """Put a file with the next so many numbered records into the landing folder, at once."""
        folder = (warehouse or self.warehouse) / "landing"
        folder.mkdir(parents=True, exist_ok=True)
        self._files += 1
        part = folder / f"_part-{self._files}"
        numbers = range(self.dropped, self.dropped + count)
        part.write_text("".join(f'{{"number":{n},"text":"record {n}"}}\n' for n in numbers))
        part.rename(folder / f"records-{self._files:05d}.json")
        self.dropped += count

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a run."""
        api = self.airflow.api
        api.wait_for_dag(dag_id)
        api.unpause(dag_id)
        api.trigger(dag_id, run_id)

    def begun(self, dag_id: str, before: int) -> str:
        """Return the run that a continuous DAG begins by itself after so many others."""

        def runs() -> list[dict[str, Any]]:
            return self.airflow.api.runs(dag_id)[before:]

        return str(until(runs, f"run {before + 1} of {dag_id}")[0]["dag_run_id"])

    def wait_until_ready(self, dag_id: str, run_id: str, names: Iterable[str]) -> dict[str, str]:
        """Return when each stream of a run got ready."""
        xcom = self.airflow.api.xcom
        return {
            name: until(lambda n=name: xcom(dag_id, run_id, n, "kindling_ready"), f"{name} ready")
            for name in names
        }

    def instances(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run by task id."""
        return {i["task_id"]: i for i in self.airflow.api.task_instances(dag_id, run_id)}

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the states of the tasks of a run."""
        return {name: i["state"] for name, i in self.instances(dag_id, run_id).items()}

    def wait_for(self, dag_id: str, run_id: str, **states: str) -> None:
        """Wait until tasks are in these states."""

        def there() -> bool:
            found = self.states(dag_id, run_id)
            return all(found[name] == state for name, state in states.items())

        until(there, f"{states} of {dag_id} {run_id}")

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Do what the UI's buttons do."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}"
        self.airflow.api._call("PATCH", path, {"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear one task."""
        body = {"dry_run": False, "task_ids": [task_id], "dag_run_id": run_id}
        body |= {"only_failed": False, "include_downstream": False}
        self.airflow.api._call("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def numbers(self, entity: str, warehouse: Path | None = None) -> Counter[int]:
        """Return how often each number is in a table that a stream writes, by the stream's log."""
        import duckdb

        table = (warehouse or self.warehouse) / entity
        files = [str(path) for path in committed_files(table)]
        if not files:
            return Counter()
        with duckdb.connect() as database:
            rows = database.execute("SELECT number FROM read_parquet(?)", [files]).fetchall()
        return Counter(number for (number,) in rows)

    def rows(self, table: Path) -> list[tuple[Any, ...]]:
        """Return the rows of a table that a batch pipe has written."""
        import duckdb

        with duckdb.connect() as database:
            return database.execute(
                "SELECT * FROM read_parquet(?)", [f"{table}/*.parquet"]
            ).fetchall()

    def drivers(self, pipe_id: str = "") -> list[psutil.Process]:
        """Return the Java processes of drivers, of one pipe or of all, and their Pythons."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if str(self.airflow.home.parent) not in " ".join(line):
                continue
            if any(f'"pipe_id":"{pipe_id}' in word for word in line):
                found.append(process)
        return found

    def kill_driver(self, pipe_id: str) -> None:
        """Kill the Java of a pipe's driver, wherever it is just now."""
        killed = 0
        for process in self.drivers(pipe_id):
            with suppress(psutil.NoSuchProcess):
                if "java" in process.name():
                    process.kill()
                    killed += 1
        assert killed, f"{pipe_id} had a driver"

    def replace(self, component: str) -> None:
        """Kill a component of Airflow and start another one like it.

        The tasks that ran under a scheduler are on their own.
        """
        leader = psutil.Process(self.airflow._process.pid)  # type: ignore[union-attr]
        living = [p for p in leader.children() if p.status() != psutil.STATUS_ZOMBIE]
        killed = [p for p in living if p.cmdline()[-1:] == [component]]
        assert len(killed) == 1, f"there was one {component}"
        family = [*killed, *killed[0].children(recursive=True)]
        # What a scheduler has begun has to notice by itself that it is gone.
        for process in killed if component == "scheduler" else family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with self.airflow.log_path.open("ab") as log:
            other = subprocess.Popen(
                [sys.executable, "-m", "airflow", component],
                env=self.airflow.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.replacements.append(other)

    def end_replacements(self) -> None:
        """End the components that were started here, and what they have started."""
        for other in self.replacements:
            family = [other.pid]
            with suppress(psutil.NoSuchProcess):
                family += [c.pid for c in psutil.Process(other.pid).children(recursive=True)]
            for pid in family:
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
            other.wait()


def committed_files(table: Path) -> list[Path]:
    """Return the files that Spark's log of a table names."""
    log = table / "_spark_metadata"
    names: dict[str, None] = {}
    for path in log.glob("*") if log.exists() else ():
        if path.name.startswith("."):
            continue
        for line in path.read_text().splitlines()[1:]:
            names[json.loads(line)["path"].removeprefix("file://")] = None
    return [Path(name) for name in names]
