"""``kindling-airflow run`` of streams: up in order, drained in order, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.system

COMMAND = (sys.executable, "-m", "kindling_airflow.cli.main", "run", "shop")
PATIENCE = 240.0  # only what hangs for good runs into it
PIPES = """\
import os

from kindling_airflow import DataEntities, DataPipes

SCHEMA = "id BIGINT, kind STRING"
STREAM = {"processing_mode": "streaming", "stream.trigger": "200ms"}
DataEntities.entity(
    entityid="raw", tags={"provider_type": "json", "provider.path": "raw"}, schema=SCHEMA
)
DataEntities.entity(entityid="clean", schema=SCHEMA)


def pipe(name, *inputs, **tags):
    return DataPipes.pipe(name, input_entity_ids=list(inputs), output_entity_id=name, tags=tags)


@pipe("clean", "raw", **STREAM)
def clean(raw):
    return raw.where("id > 0")


@pipe("sink", "clean", **STREAM)
def sink(clean):
    if os.environ.get("TRIAL") == "fail":
        return clean.selectExpr("assert_true(id < 3, 'an id too far')", "id")
    return clean


@pipe("daily", "clean")
def daily(clean):
    return clean.groupBy("kind").count()
"""


class Shop:
    """A project whose files come in ``raw``, run by the command."""

    def __init__(self, folder: Path, profile: str) -> None:
        self.folder = folder
        self.arguments = ("--conf", f"spark.driver.extraJavaOptions={profile}")
        self.arguments += ("--conf", "spark.sql.shuffle.partitions=2")
        self._files = 0

    def drop(self, *ids: int) -> None:
        """Put a file of rows where they come from, as a whole."""
        raw = self.folder / "warehouse" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        draft = raw / ".draft"
        draft.write_text("".join(json.dumps({"id": n, "kind": "a"}) + "\n" for n in ids))
        draft.rename(raw / f"{self._files}.json")
        self._files += 1

    def ids(self, table: str) -> list[int]:
        """Return the ids in a table that a stream writes, as any other tool reads them."""
        import duckdb

        files = f"{self.folder}/warehouse/{table}/*.parquet"
        return [n for (n,) in duckdb.sql(f"SELECT id FROM '{files}' ORDER BY id").fetchall()]

    def run(self, *arguments: str, **more: str) -> dict[str, Any]:
        """Run the command to its end, and return what it says in JSON, and its status."""
        with self.running("--json", *arguments, **more) as process:
            return self.ended(process)

    def ended(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """Wait for a command's end; return what it says in JSON, and its status."""
        status = process.wait(PATIENCE)
        assert self.said(), self.errors()
        return {**json.loads(self.said()), "status": status}

    def has_batch(self, table: str) -> bool:
        """Tell whether a first batch is in a table: files alone may be half of one."""
        return (self.folder / "warehouse" / table / "_spark_metadata" / "0").exists()

    def said(self) -> str:
        """Return what the last command has said so far."""
        return (self.folder / "said").read_text()

    def errors(self) -> str:
        """Return what the last command has said so far elsewhere."""
        return (self.folder / "errors").read_text()

    @contextmanager
    def running(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """Run the command; whatever it has started is gone when this is left."""
        with (self.folder / "said").open("w") as out, (self.folder / "errors").open("w") as errors:
            process = subprocess.Popen(
                [*COMMAND, *self.arguments, *arguments],
                cwd=self.folder,
                env={**os.environ, **more},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                text=True,
            )
        family: list[psutil.Process] = []
        try:
            yield process
        finally:
            if process.poll() is None:
                family = psutil.Process(process.pid).children(recursive=True)
                process.kill()
            process.wait(PATIENCE)
            for member in family:
                if member.is_running():
                    member.kill()


@pytest.fixture
def shop(tmp_path: Path, spark_profile: str) -> Shop:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipes.py").write_text(PIPES)
    return Shop(tmp_path, spark_profile)


def until(holds: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    """Wait until something holds while a process runs."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}")
        assert time.monotonic() < deadline
        time.sleep(0.2)


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {p["pipe_id"]: p["status"] for g in result["generations"] for p in g["pipes"]}


def test_streams_run_beside_the_batch_until_an_interrupt_drains_them(shop: Shop) -> None:
    """What is dropped at the last moment arrives too, and no process is left."""
    shop.drop(0, 1, 2)
    with shop.running("--strategy", "config_based") as process:
        until(lambda: shop.has_batch("sink"), process)
        until(lambda: "All streams are ready and run until Ctrl-C." in shop.said(), process)
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("java" in member.name() for member in family)
        shop.drop(3)
        shop.drop(0, 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, shop.errors()
    lines = shop.said().splitlines()
    said = [line.split()[:2] for line in lines if line.startswith("  ") and "(" in line]
    assert said[:2] == [["ready", "sink"], ["ready", "clean"]]
    assert [entry for entry in said[2:] if entry[1] != "daily"] == [
        ["success", "clean"],
        ["success", "sink"],
    ]
    assert "Draining the streams, sources first (Ctrl-C ends at once)." in lines
    assert [entry[1] for entry in said].index("daily") == 2  # it found what was there, or nothing
    assert "0 failed, 0 not run in" in lines[-1]
    assert shop.ids("clean") == shop.ids("sink") == [1, 2, 3, 4]
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


def test_streams_catch_up_in_forward_order_each_time_from_where_they_were(shop: Shop) -> None:
    shop.drop(1, 2)
    result = shop.run("--strategy", "hybrid", "--available-now", "--checkpoints", "far")
    assert (result["status"], statuses(result)) == (
        0,
        {"clean": "success", "sink": "success", "daily": "success"},
    )
    assert shop.ids("sink") == [1, 2]
    assert {path.name for path in (shop.folder / "far").iterdir()} == {"clean", "sink"}
    shop.drop(3)
    chosen = ("--select", "clean", "--select", "sink")
    # For a second as streams that live on: they take up what they left, and end by themselves.
    again = shop.run("--strategy", "streaming", *chosen, "--for", "1s", "--checkpoints", "far")
    assert (again["status"], statuses(again)) == (0, {"sink": "success", "clean": "success"})
    assert shop.ids("sink") == [1, 2, 3]
    reports = {p["pipe_id"]: p["report"] for g in again["generations"] for p in g["pipes"]}
    assert {p: report["inputs"][0]["rows"] for p, report in reports.items()} == {
        "sink": 1,
        "clean": 1,
    }
    assert reports["sink"]["extra"]["stream"]["batches"] >= 1


def test_a_stream_that_fails_drains_the_others_and_is_status_1(shop: Shop) -> None:
    with shop.running(
        "--json", "--strategy", "streaming", "--select", "+sink", TRIAL="fail"
    ) as process:
        shop.drop(1)
        until(lambda: shop.has_batch("clean"), process)
        shop.drop(5)
        result = shop.ended(process)
    assert result["status"] == 1
    assert statuses(result) == {"sink": "failed", "clean": "success"}
    pipes = {p["pipe_id"]: p for g in result["generations"] for p in g["pipes"]}
    assert "an id too far" in pipes["sink"]["error"]
    assert pipes["clean"]["reason"] == "stopped: stream 'sink' failed"
    assert shop.ids("clean") == [1, 5]


@pytest.mark.parametrize("how", ["a second interrupt", "a killed command"])
def test_nothing_is_left_of_streams_that_are_not_drained(shop: Shop, how: str) -> None:
    shop.drop(1)
    with shop.running("--strategy", "streaming", "--select", "+sink") as process:
        until(lambda: shop.has_batch("sink"), process)
        family = psutil.Process(process.pid).children(recursive=True)
        if how == "a killed command":
            process.kill()
        else:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)  # as good as Ctrl-C, and never merged with it
        status = process.wait(PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    assert status == (-signal.SIGKILL if how == "a killed command" else 130)
    assert ("Interrupted." in shop.said()) == (how == "a second interrupt")
