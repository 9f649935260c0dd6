"""docs/streaming.md and the sample that it shows."""

from __future__ import annotations

import re

from demo.streams import STREAMS
from kindling_airflow.cli.command_table import COMMANDS
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.operators.driver.stream_watch import PROGRESS_KEY
from kindling_airflow.runner.streaming.progress import ProgressCounts
from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "streaming.md").read_text("utf-8")
OPERATING = (DOCS / "how-to" / "operate-streams.md").read_text("utf-8")


def test_the_sample_is_the_dag_that_the_page_draws() -> None:
    spec = compile_definition(Definition.from_file(ROOT / "dags" / "streams.kindling.yaml")).spec
    rows = []
    for group in spec.groups:
        assert group.gate is not None
        rows.append([group.group_id, *(t.task_id for t in group.tasks), group.gate.task_id])
        rows[-1] += ["after", *group.gate.upstream] if group.gate.upstream else []
    assert spec.stop is not None
    assert spec.outcome is not None
    drawn = [
        line.split()
        for line in PAGE.splitlines()
        if re.match(r" {4}(generation_| {10,}\S+_)", line)
    ]
    assert drawn[: len(rows)] == rows
    assert [row[0] for row in drawn[len(rows) :]] == [spec.stop.task_id, spec.outcome.task_id]
    assert sorted(t.task_id for group in spec.groups for t in group.tasks) == sorted(STREAMS)
    assert spec.width == len(STREAMS)


def test_the_sample_stays_away_until_somebody_wants_it() -> None:
    definition = Definition.from_file(ROOT / "dags" / "streams.kindling.yaml")
    assert definition.dag_arguments["is_paused_upon_creation"] is True


def test_the_documented_progress_is_what_a_stream_says_of_itself() -> None:
    table = OPERATING.partition(f"`{PROGRESS_KEY}`")[2].partition("The log has")[0]
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)))
    said = {"state", "at", *ProgressCounts().progress("")}
    assert {name for name in documented if name in said} == said
    assert [name for name in documented if name not in said] == []


def test_the_documented_options_of_run_are_those_that_it_has() -> None:
    (run,) = (command for command in COMMANDS if command.name == "run")
    known = {flag for argument in run.arguments for flag in argument.flags}
    part = OPERATING.partition("## Without Airflow")[2]
    assert set(re.findall(r"`(--?[a-z][a-z-]*)", part)) <= known
