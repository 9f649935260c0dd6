"""``make demo-streams``: the sample of streams through a real scheduler, watched from the terminal.

    compile -> start Airflow -> unpause -> all ready -> drop clicks -> stop -> is every click there?

The streams run until Ctrl-C; ``DEMO_ONCE=1`` stops them after the clicks. The exit status is 0 only
if the run succeeded and every click has arrived exactly once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.airflow_api import FINISHED
from demo.local_airflow import LocalAirflow
from demo.running import run_demo
from kindling_airflow.cli.main import main as kindling_airflow
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.errors import KindlingAirflowError, LocalAirflowError, StartProfileError

__all__ = ["DAG_ID", "Watch", "drop_clicks", "main", "prepare"]

DAG_ID = "streams"
STREAMS = ("clicks.clean", "clicks.alerts", "clicks.per_minute")
FILES, CLICKS, EVERY_SECONDS = 30, 200, 0.5
_PATIENCE_SECONDS = 600.0


def main() -> int:
    """Run the demo from the repository's root folder; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    root = Path.cwd()
    place = root / ".demo" / "streams"
    return run_demo(
        console, lambda: _demo(console, root / "dags", place, root / ".demo" / "profile")
    )


def prepare(console: Console, dags: Path, place: Path, profile: Path) -> LocalAirflow:
    """Compile the sample and return an Airflow for it, with an empty warehouse, not yet started.

    Args:
        console: shows the progress.
        dags: the dags folder.
        place: a folder for the Airflow and, in ``warehouse``, for the tables.
        profile: folder of the start-up profile.

    Raises:
        KindlingAirflowError: the project does not compile.
    """
    warehouse = place / "warehouse"
    shutil.rmtree(warehouse, ignore_errors=True)
    if kindling_airflow(["compile", str(dags / f"{DAG_ID}.kindling.yaml")]) != 0:
        raise KindlingAirflowError("the project does not compile; see the errors above.")
    try:
        warm_archive(profile, console.print)
    except StartProfileError as error:  # the demo works without it, only slower
        console.print(str(error), markup=False)
    airflow = LocalAirflow(
        place / "airflow", dags_folder=dags, warehouse=warehouse, profile=profile, parallelism=8
    )
    airflow.reset()
    console.print(
        "Starting Airflow (database, scheduler, DAG processor, triggerer, web server) ..."
    )
    return airflow


def _demo(console: Console, dags: Path, place: Path, profile: Path) -> int:
    warehouse = place / "warehouse"
    airflow = prepare(console, dags, place, profile)
    with airflow:
        console.print(f"Airflow is up: [bold]{airflow.url}[/bold]")
        watch = Watch(console, airflow)
        watch.until_ready()
        dropping = drop_clicks(dags / DAG_ID, warehouse)
        try:
            watch.show(lambda: dropping.poll() is not None)
        finally:
            dropping.kill()
            dropping.wait()
        if os.environ.get("DEMO_ONCE") != "1":
            address = f"{airflow.url}/dags/{DAG_ID}"
            console.print(f"The streams run until Ctrl-C: [bold]{address}[/bold]", soft_wrap=True)
            with suppress(KeyboardInterrupt):
                watch.show(lambda: False)
        state = watch.stop()
    return 0 if _all_there(console, warehouse) and state == "success" else 1


class Watch:
    """The one run of the DAG, from its start to its end.

    Attributes:
        run_id: of the run, once there is one.
    """

    def __init__(self, console: Console, airflow: LocalAirflow) -> None:
        self.run_id = ""
        self._console = console
        self._airflow = airflow

    def until_ready(self) -> None:
        """Unpause the DAG, and wait until the last gate has succeeded."""
        api = self._airflow.api
        api.wait_for_dag(DAG_ID)
        api.unpause(DAG_ID)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        seen: dict[str, str] = {}
        while seen.get("ready_1") != "success":
            runs = api.runs(DAG_ID)
            if runs:
                self.run_id = str(runs[0]["dag_run_id"])
                self._show_changes(seen)
            failed = [task for task, state in seen.items() if state == "failed"]
            if failed or time.monotonic() > deadline:
                raise LocalAirflowError(f"the streams did not become ready: {seen}")
            time.sleep(1)

    def show(self, is_over: Callable[[], bool]) -> None:
        """Show the state of the streams until it is over, or the run has ended."""
        with ExitStack() as stack:
            live = Live(console=self._console, auto_refresh=False, transient=True)
            if self._console.is_terminal:
                stack.enter_context(live)
            stack.callback(lambda: self._console.print(self._progress()))
            while not is_over():
                if self._console.is_terminal:
                    live.update(self._progress(), refresh=True)
                if self._state() in FINISHED:
                    raise LocalAirflowError("the run has ended by itself")
                time.sleep(2)

    def stop(self) -> str:
        """Stop the streams, and return the final state of the run."""
        command = ("kindling", "stop", DAG_ID)
        self._console.print(f"$ airflow {' '.join(command)}")
        done = self._airflow.run(*command)
        self._console.print(done.stdout.rstrip(), markup=False)
        if done.returncode != 0:
            raise LocalAirflowError(f"the streams could not be stopped:\n{done.stderr.rstrip()}")
        return self._state()

    def _state(self) -> str:
        return str(self._airflow.api.run(DAG_ID, self.run_id)["state"])

    def _show_changes(self, seen: dict[str, str]) -> None:
        instances = self._airflow.api.task_instances(DAG_ID, self.run_id)
        for instance in sorted(instances, key=lambda i: str(i["start_date"])):
            task, state = instance["task_id"], str(instance["state"] or "")
            if state in ("running", "success", "failed") and seen.get(task) != state:
                self._console.print(f"  {state:<8} {task}")
                seen[task] = state

    def _progress(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("stream", "state"):
            table.add_column(column)
        for column in ("batch", "rows in", "rows/s", "rows of state"):
            table.add_column(column, justify="right")
        for task in STREAMS:
            found = self._airflow.api.xcom(DAG_ID, self.run_id, task, "kindling_progress")
            progress: dict[str, Any] = found or {}
            numbers = ("batch_id", "rows_in", "rows_per_second", "state_rows")
            table.add_row(
                task, str(progress.get("state", "-")), *(_number(progress.get(n)) for n in numbers)
            )
        return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"


def drop_clicks(project: Path, warehouse: Path) -> subprocess.Popen[bytes]:
    """Start a process that writes clicks, file by file."""
    sizes = ("--files", str(FILES), "--size", str(CLICKS), "--every", str(EVERY_SECONDS))
    return subprocess.Popen(
        [sys.executable, "-m", "clicks.events", str(warehouse), *sizes],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _all_there(console: Console, warehouse: Path) -> bool:
    """Show the counts of each minute; return whether every click is counted exactly once."""
    import duckdb

    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    clean = _committed(warehouse / "clicks.clean")
    per_minute = [f"{warehouse}/clicks.per_minute/*.parquet"]

    def numbers(query: str, files: list[str]) -> tuple[Any, ...]:
        found: tuple[Any, ...] = database.execute(query, [files]).fetchall()[0]
        return found

    landing = [f"{warehouse}/landing/clicks/*.json"]
    (dropped,) = numbers("SELECT count(DISTINCT id) FROM read_json($1)", landing)
    rows, different = numbers("SELECT count(*), count(DISTINCT id) FROM read_parquet($1)", clean)
    (counted,) = numbers("SELECT sum(clicks)::BIGINT FROM read_parquet($1)", per_minute)
    found = database.execute(
        "SELECT * FROM read_parquet($1) ORDER BY minute DESC, page LIMIT 5", [per_minute]
    )
    table = Table(title="clicks.per_minute, the last minute", title_justify="left")
    for column in found.description or ():
        table.add_column(str(column[0]))
    for row in found.fetchall():
        table.add_row(*(str(value) for value in row))
    console.print(table)
    console.print(
        f"{dropped:,} clicks were sent, some of them twice. {rows:,} are clean, {different:,} of "
        f"them distinct; {counted:,} are counted."
    )
    return bool(dropped == rows == different == counted)


def _committed(table: Path) -> list[str]:
    """Return the committed files of a table that a stream appends to, from Spark's log."""
    lines = [
        json.loads(line)
        for log in (table / "_spark_metadata").iterdir()
        if not log.name.startswith(".")
        for line in log.read_text("utf-8").splitlines()[1:]  # the first one is a version
    ]
    return sorted({line["path"].removeprefix("file://") for line in lines})


if __name__ == "__main__":
    sys.exit(main())
