"""Pipes of one driver: apart from each other, each with its output, and none can end the others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import SessionError
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.shared.attempt import Attempt
from tests.runner.shared_driver import MODULE, SECRET, Driver

pytestmark = pytest.mark.system

PIPES = '''
"""Pipes that meet in one process."""

import json, logging, os, subprocess, sys, threading, time
from pathlib import Path

from kindling_airflow import DataEntities, DataPipes

NOTES = Path(__file__).resolve().parent.parent
MEETING = threading.Barrier(2)
HELD, GO_ON = threading.Event(), threading.Event()
READS = []

DataEntities.entity("lines", tags={"provider_type": "csv", "provider.path": "lines.csv"},
                    schema="id BIGINT, text STRING")


def pipe(name, *inputs):
    return DataPipes.pipe(name, input_entity_ids=list(inputs), output_entity_id=name)


def note(name, **said):
    (NOTES / f"{name}.json").write_text(json.dumps(said))


@pipe("numbers")
def numbers(run):
    return run.spark.range(3)


def speak(name, run):
    MEETING.wait(120)
    for n in range(200):
        print(f"{name} prints {n}")
        if n % 50 == 0:
            time.sleep(0.01)
    print(f"{name} errs", file=sys.stderr)
    run.logger.info("%s logs", name)
    logging.getLogger("other").warning("%s warns", name)
    own = threading.Thread(target=lambda: print(f"{name} has a thread"))
    own.start()
    own.join()
    return run.spark.range(1)


@pipe("one")
def one(run):
    return speak("one", run)


@pipe("two")
def two(run):
    return speak("two", run)


def state(spark):
    from pyspark.sql import SparkSession
    return {
        "partitions": spark.conf.get("spark.sql.shuffle.partitions"),
        "zone": spark.conf.get("spark.sql.session.timeZone"),
        "database": spark.catalog.currentDatabase(),
        "view": spark.catalog.tableExists("mine"),
        "functions": spark.catalog.functionExists("mine_f"),
        "created": SparkSession.builder.getOrCreate() is spark,
        "active": SparkSession.getActiveSession() is spark,
    }


@pipe("loud")
def loud(run):
    """Change everything that a session has, and stay while the other looks."""
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.config("spark.sql.shuffle.partitions", "77").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    spark.sql("CREATE DATABASE IF NOT EXISTS side")
    spark.catalog.setCurrentDatabase("side")
    spark.range(5).createOrReplaceTempView("mine")
    spark.udf.register("mine_f", lambda: 1)
    found = {}
    thread = threading.Thread(target=lambda: found.update(state(run.spark)))
    thread.start()
    thread.join()
    note("loud", **state(run.spark))
    note("loud_thread", **found)
    HELD.set()
    GO_ON.wait(120)
    return run.spark.range(1)


@pipe("quiet")
def quiet(run):
    HELD.wait(120)
    note("quiet", **state(run.spark))
    GO_ON.set()
    return run.spark.range(1)


@pipe("stops")
def stops(run):
    run.spark.stop()


@pipe("stops_context")
def stops_context(run):
    run.spark.sparkContext.stop()


@pipe("exits")
def exits(run):
    os._exit(3)


@pipe("leaves")
def leaves(run):
    sys.exit(4)


@pipe("forks")
def forks(run):
    """A child process of a pipe may end as it likes."""
    child = os.fork()
    if child == 0:
        os._exit(7)
    note("forks", status=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return run.spark.range(1)


@pipe("fails")
def fails(run):
    raise ValueError("no luck")


@pipe("works_for_ever")
def works_for_ever(run):
    print("at work", flush=True)
    run.spark.range(10**13).selectExpr("sum(id * 3 % 7)").collect()
    return run.spark.range(1)


@pipe("turns_for_ever")
def turns_for_ever(run):
    print("at work", flush=True)
    try:
        while True:
            time.sleep(0.001)  # gives way to the threads that serve, also on a busy machine
    except Exception:
        print("not caught")
    return run.spark.range(1)


@pipe("sleeps")
def sleeps(run):
    """Cannot be interrupted while it sleeps, and must not publish afterwards."""
    print("at work", flush=True)
    time.sleep(3)
    print("awake", flush=True)
    return run.spark.range(1)


@pipe("again")
def again(run):
    print("at work", flush=True)
    flag = NOTES / "again.flag"
    if flag.exists():
        return run.spark.range(2)
    flag.write_text("")
    while True:
        time.sleep(0.05)


@pipe("first", "lines")
def first(lines):
    return lines.where("id > 0")


@pipe("second", "lines")
def second(lines):
    return lines.selectExpr("count(*) AS n")


@pipe("third", "first")
def third(first):
    return first.selectExpr("count(*) AS n")


@pipe("fourth", "first")
def fourth(first):
    return first.selectExpr("sum(id) AS total")
'''
ALL = ("numbers", "one", "two", "loud", "quiet", "first", "second", "third", "fourth")
LEVEL = "MEMORY_AND_DISK"
SHARED = (
    {"entity_id": "lines", "level": LEVEL, "readers": ["first", "second"], "writer": ""},
    {"entity_id": "first", "level": LEVEL, "readers": ["third", "fourth"], "writer": "first"},
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    folder = tmp_path_factory.mktemp("shared")
    with Driver.start(folder, PIPES, ALL, SHARED) as started:
        (started.warehouse / "lines.csv").write_text("id,text\n1,a\n2,b\n0,c\n")
        yield started


def at_work(driver: Driver, key: str) -> None:
    answer: dict[str, Any] = {}
    while "at work" not in answer.get("text", ""):
        answer = driver.ask(do="watch", attempt=key, offset=0, seconds=20)
        assert answer.get("report", "unknown") is None, answer


def rows(driver: Driver, name: str) -> int:
    return int(table(driver, name, "count(*)"))


def table(driver: Driver, name: str, what: str) -> Any:
    """Return one value of a table, as any other tool would read it."""
    import duckdb

    sql = f"SELECT {what} FROM read_parquet($1)"
    [[value]] = duckdb.connect().execute(sql, [f"{driver.warehouse}/{name}/*.parquet"]).fetchall()
    return value


def is_alive(driver: Driver) -> bool:
    report, _ = driver.run("numbers", run_id="alive")
    return report.status == "published" and driver.process.poll() is None


def test_a_pipe_is_published_and_reported_as_by_its_own_driver(driver: Driver) -> None:
    report, text = driver.run("numbers")
    assert (report.status, report.rows_written, report.output_entity_id) == (
        *("published", 3),
        "numbers",
    )
    assert report.application_id.startswith("local-")
    assert report.extra["session"] == "run"
    assert text == ""
    assert rows(driver, "numbers") == 3


def test_a_pipe_is_named_before_its_code_begins(driver: Driver) -> None:
    """However short it is: it may end the driver."""
    request = driver.begin("numbers", run_id="named")
    driver.until(
        lambda: any(request.attempt_key in news.running for news in driver.news), "it is named"
    )
    assert driver.end_of(request)[0].status == "published"


def test_a_request_that_comes_twice_runs_once(driver: Driver) -> None:
    request = driver.begin("numbers")
    assert driver.ask(do="run", request=request.dumps()) == {}
    first = driver.end_of(request)
    assert driver.end_of(request) == first


class TestOutput:
    def test_each_pipe_has_its_own_lines_and_all_of_them(self, driver: Driver) -> None:
        requests = [driver.begin(name) for name in ("one", "two")]
        for request in requests:
            name, (report, text) = request.pipe_id, driver.end_of(request)
            assert report.status == "published"
            assert text.splitlines() == [
                *(f"{name} prints {n}" for n in range(200)),
                f"{name} errs",
                f"INFO kindling.{name}: {name} logs",
                f"{name} warns",
                f"{name} has a thread",
            ]
        assert not any("prints" in line for line in driver.output)

    def test_output_is_read_from_any_place_on(self, driver: Driver) -> None:
        request = driver.begin("leaves")
        driver.end_of(request)
        end = driver.ask(do="watch", attempt=request.attempt_key, offset=0, seconds=0)
        behind = driver.ask(
            do="watch", attempt=request.attempt_key, offset=end["offset"] + 9, seconds=0
        )
        assert (behind["text"], behind["offset"]) == ("", end["offset"])
        assert behind["report"] == end["report"] is not None


@pytest.fixture(scope="module")
def met(driver: Driver) -> Driver:
    """The driver after two pipes have met, of which one has changed all that a session has."""
    requests = [driver.begin(name) for name in ("loud", "quiet")]
    for request in requests:
        report, text = driver.end_of(request)
        assert report.status == "published", (report, text)
    return driver


class TestIsolation:
    def test_a_pipe_does_not_see_what_another_has_set(self, met: Driver) -> None:
        assert met.told("quiet") == {
            "partitions": "2",
            "zone": "UTC",
            "database": "default",
            "view": False,
            "functions": False,
            "created": True,
            "active": True,
        }

    def test_a_pipe_has_what_it_has_set_also_in_its_threads(self, met: Driver) -> None:
        own = {
            "partitions": "77",
            "zone": "Asia/Tokyo",
            "database": "side",
            "view": True,
            "functions": True,
            "created": True,
            "active": True,
        }
        assert met.told("loud") == own
        assert met.told("loud_thread") == own


class TestEnds:
    @pytest.mark.parametrize(
        ("name", "call"),
        [
            ("stops", "spark.stop()"),
            ("stops_context", "SparkContext.stop()"),
            ("exits", "os._exit()"),
        ],
    )
    def test_a_pipe_that_would_end_the_session_fails_alone(
        self, driver: Driver, name: str, call: str
    ) -> None:
        report, _ = driver.run(name)
        assert report.status == "failed"
        assert report.error is not None
        assert report.error.message == (
            f"pipe {name!r} called {call}, which would end the session that it shares with other "
            "pipes; they go on\n"
            "  Fix: remove the call: the driver stops its session itself. Return the DataFrame, or "
            "raise an error."
        )
        assert report.error.place.startswith(str(driver.project / f"{MODULE}.py"))
        assert is_alive(driver)

    def test_a_pipe_that_leaves_python_fails_alone(self, driver: Driver) -> None:
        report, _ = driver.run("leaves")
        assert report.error is not None
        assert "sys.exit(4)" in report.error.message
        assert is_alive(driver)

    def test_a_child_process_of_a_pipe_may_end_itself(self, driver: Driver) -> None:
        report, _ = driver.run("forks")
        assert report.status == "published"
        assert driver.told("forks") == {"status": 7}

    def test_an_error_is_the_pipes_own(self, driver: Driver) -> None:
        report, _ = driver.run("fails")
        assert report.error is not None
        assert (report.error.type, report.error.message) == ("ValueError", "no luck")


class TestCancelling:
    def cancelled(self, driver: Driver, name: str) -> tuple[RunReport, str]:
        request = driver.begin(name)
        at_work(driver, request.attempt_key)
        assert request.attempt_key in driver.news[-1].running or is_alive(driver)
        answer = driver.ask(do="cancel", attempt=request.attempt_key, why="its task was killed")
        assert answer == {"cancelled": True}
        assert driver.ask(do="cancel", attempt=request.attempt_key, why="x") == {"cancelled": False}
        return driver.end_of(request)

    def test_a_spark_job_is_ended(self, driver: Driver) -> None:
        assert self.cancelled(driver, "works_for_ever")[0].status == "failed"
        assert is_alive(driver)

    def test_python_code_is_ended_whatever_it_catches(self, driver: Driver) -> None:
        report, text = self.cancelled(driver, "turns_for_ever")
        assert report.status == "failed"
        assert "not caught" not in text

    def test_what_cannot_be_interrupted_does_not_publish(self, driver: Driver) -> None:
        report, _ = self.cancelled(driver, "sleeps")
        assert report.status == "failed"
        assert not (driver.warehouse / "sleeps").exists()
        assert is_alive(driver)

    def test_an_attempt_that_has_ended_is_left_alone(self, driver: Driver) -> None:
        request = driver.begin("numbers")
        before = driver.end_of(request)
        assert driver.ask(do="cancel", attempt=request.attempt_key, why="x") == {"cancelled": False}
        assert driver.ask(do="cancel", attempt="unknown", why="x") == {"cancelled": False}
        assert driver.end_of(request) == before

    def test_a_newer_attempt_takes_the_place_of_an_older_one(self, driver: Driver) -> None:
        older = driver.begin("again")
        at_work(driver, older.attempt_key)
        newer = driver.begin("again", attempt_order="2", try_number=2)
        assert driver.end_of(newer)[0].status == "published"
        assert driver.end_of(older)[0].status == "failed"
        assert rows(driver, "again") == 2


def test_a_job_that_java_starts_after_the_cancelling_is_ended(spark: Any) -> None:
    """A query is being planned when its pipe is cancelled, so there is no job to end yet."""
    ended: list[RunReport] = []

    def turns(attempt: Attempt) -> RunReport:
        while True:
            time.sleep(0.001)

    def failed(attempt: Attempt, error: BaseException) -> RunReport:
        ended.append(RunReport(attempt.request.attempt_key, "late", "failed"))
        return ended[0]

    attempt = Attempt(RunRequest("late", "late", "", (), "/w"), spark, turns, failed)
    attempt.start()
    while not attempt._connections:  # its thread is not at work yet
        time.sleep(0.01)
    assert attempt.cancel("its task was killed")
    while attempt.is_running:
        time.sleep(0.01)
    errors: list[BaseException] = []

    def works() -> None:
        spark.sparkContext.setJobGroup("kindling-late", "late")
        try:
            spark.range(10**13).selectExpr("sum(id * 3 % 7)").collect()
        except Exception as error:
            errors.append(error)

    late = threading.Thread(target=works)
    late.start()
    while late.is_alive():
        attempt.end_late_jobs(spark.sparkContext.statusTracker().getActiveJobsIds())
        late.join(0.1)
    assert len(errors) == 1


class TestSharedReads:
    def test_an_entity_is_read_once_while_it_has_readers(self, driver: Driver) -> None:
        [first, second] = [driver.run(name)[0] for name in ("first", "second")]
        assert first.extra["shared_reads"] == {"lines": "miss"}
        assert second.extra["shared_reads"] == {"lines": "hit"}
        [third, fourth] = [driver.run(name)[0] for name in ("third", "fourth")]
        assert third.extra["shared_reads"] == {"first": "miss"}
        assert fourth.extra["shared_reads"] == {"first": "hit"}

    def test_what_has_no_more_readers_is_read_anew(self, driver: Driver) -> None:
        with (driver.warehouse / "lines.csv").open("a") as file:
            file.write("3,d\n")
        again = driver.run("second")[0]
        assert (again.status, table(driver, "second", "n")) == ("published", 4)


class TestChannel:
    def test_a_wrong_secret_gets_nothing(self, driver: Driver) -> None:
        with pytest.raises(SessionError):
            driver.connect(b"wrong" * 8)
        assert is_alive(driver)

    def test_noise_does_no_harm(self, driver: Driver) -> None:
        port = driver.news[-1].port
        for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10_000):
            with socket.create_connection(("127.0.0.1", port), 10.0) as peer:
                assert len(peer.recv(1000)) == 32
                peer.sendall(noise)
        assert is_alive(driver)

    def test_silent_peers_do_not_keep_others_out(self, driver: Driver) -> None:
        port = driver.news[-1].port
        peers = [socket.create_connection(("127.0.0.1", port), 10.0) for _ in range(20)]
        try:
            assert is_alive(driver)
        finally:
            for peer in peers:
                peer.close()

    def test_a_request_that_makes_no_sense_is_refused(self, driver: Driver) -> None:
        for message in ({"do": "x"}, {}, {"do": "run"}, {"do": "run", "request": "{"}):
            assert driver.ask(**message)["refused"].startswith(
                "the session does not understand the request: "
            )
        unknown = driver.ask(do="watch", attempt="x", offset=0, seconds=0)
        assert unknown == {"refused": "the session does not know the attempt"}

    def test_the_secret_is_not_in_the_drivers_environment(self, driver: Driver) -> None:
        environ = Path(f"/proc/{driver.process.pid}/cmdline").read_bytes()
        assert SECRET.hex().encode() not in environ
        assert not any(SECRET.hex() in line for line in driver.output)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"stream": {"lifetime": "available_now"}}, "a stream has its own driver"),
            ({"project_root": "/elsewhere"}, "its project is another one"),
            ({"modules": (MODULE, "more")}, "its project is another one"),
            ({"code_digest": "sha256:other"}, "the session has imported other code"),
            ({"code_digest": ""}, "the session has imported other code"),
        ],
    )
    def test_what_needs_another_driver_is_not_run(
        self, driver: Driver, changes: dict[str, Any], why: str
    ) -> None:
        request = driver.pipe_request("numbers", **changes)
        assert why in driver.ask(do="run", request=request.dumps())["refused"]


def test_the_driver_ends_when_it_is_asked_to(driver: Driver) -> None:
    """Also while a pipe runs that cannot be interrupted."""
    request = driver.begin("sleeps", run_id="last")
    at_work(driver, request.attempt_key)
    assert driver.ask(do="end") == {}
    driver.until(lambda: driver.process.poll() is not None, "the process ends")
    assert driver.process.returncode == 0
    assert driver.news[-1].state == "ended"
    with pytest.raises(SessionError):
        driver.connect()
