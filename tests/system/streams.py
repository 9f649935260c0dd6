"""A real Airflow for streams, and what tests look at in it: records, tables, drivers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from kindling_airflow.cli.local_airflow import LocalAirflow

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
    schedulers: list[subprocess.Popen[bytes]] = field(default_factory=list)
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
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
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
        for process in self.drivers(pipe_id):
            with suppress(psutil.NoSuchProcess):
                if "java" in process.name():
                    process.kill()

    def restart_scheduler(self) -> None:
        """Kill the scheduler and start another; the tasks that ran under it are on their own."""
        leader = psutil.Process(self.airflow._process.pid)  # type: ignore[union-attr]
        for process in leader.children():
            if process.cmdline()[-1:] == ["scheduler"]:
                process.kill()
        with self.airflow.log_path.open("ab") as log:
            scheduler = subprocess.Popen(
                [sys.executable, "-m", "airflow", "scheduler"],
                env=self.airflow.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.schedulers.append(scheduler)

    def end_schedulers(self) -> None:
        """End the schedulers that were started here, and what they have started."""
        for scheduler in self.schedulers:
            family = [scheduler.pid]
            with suppress(psutil.NoSuchProcess):
                family += [c.pid for c in psutil.Process(scheduler.pid).children(recursive=True)]
            for pid in family:
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
            scheduler.wait()


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
