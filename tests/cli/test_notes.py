"""What is worth knowing of a sound source is said, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.cli.main import main

MANY = """\
from kindling_airflow import DataPipes

for number in range(301):
    DataPipes.pipe(f"pipe_{number}", output_entity_id=f"table_{number}", sql="SELECT 1 AS n")
"""
TOPIC = """\
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(entityid="clicks", tags={"provider_type": "json"}, schema="id BIGINT")
DataEntities.entity(
    entityid="seen",
    schema="id BIGINT",
    tags={"provider_type": "kafka", "provider.connection": "broker"},
)


@DataPipes.pipe(
    "clean",
    input_entity_ids=["clicks"],
    output_entity_id="seen",
    tags={"processing_mode": "streaming"},
)
def clean(clicks): ...
"""


def write(folder: Path, pipes: str, more: str = "") -> str:
    (folder / "shop").mkdir()
    (folder / "shop" / "noted_pipes.py").write_text(pipes)
    path = folder / "shop.kindling.yaml"
    path.write_text(f"dag_id: shop\nproject: shop\nstrategy: config_based\n{more}")
    return str(path)


def notes(capsys: pytest.CaptureFixture[str], command: str, source: str) -> list[str]:
    assert main([command, source]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if "note:" in line]


def test_steps_of_a_schedule_that_do_not_come_out_even(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipes = 'from kindling_airflow import DataPipes\nDataPipes.pipe("a", output_entity_id="b", '
    more = 'schedule: "*/45 */6 * * *"\nstart_date: 2026-01-01\n'
    [note] = notes(capsys, "validate", write(tmp_path, f'{pipes}sql="SELECT 1 AS n")\n', more))
    assert note == (
        "  note: the step '*/45' of its schedule restarts with each hour, whose last interval "
        "has 15 minutes, not 45: 'every: 45m' has intervals of equal length"
    )


@pytest.mark.parametrize("command", ["validate", "compile"])
def test_many_assets(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    [note] = notes(capsys, command, write(tmp_path, MANY))
    assert note == (
        "  note: its tasks write 301 assets; Airflow's Graph of the DAG will open slowly or not "
        "at all: set 'assets: false', or split the DAG"
    )


@pytest.mark.parametrize(
    ("pipes", "more"), [(MANY, "assets: false\n"), (MANY.replace("301", "300"), "")]
)
def test_not_so_many_assets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pipes: str, more: str
) -> None:
    assert notes(capsys, "validate", write(tmp_path, pipes, more)) == []


def test_rows_that_may_come_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [note] = notes(capsys, "validate", write(tmp_path, TOPIC))
    assert note == (
        "  note: pipe 'clean' sends rows to a topic at least once: after a crash, or a stop "
        "within a batch, the rows of the batch are repeated"
    )


def test_streams_that_run_as_batch_pipes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path, FILES)
    assert notes(capsys, "validate", source) == []
    text = Path(source).read_text()
    Path(source).write_text(text.replace("config_based", "batch"))
    [note] = notes(capsys, "compile", source)
    assert note == (
        "  note: pipe 'clean', tagged processing_mode: streaming, runs as a batch pipe, because "
        "the strategy is 'batch': use 'config_based' to run it as a stream"
    )
    Path(source).write_text(f"{text.replace('config_based', 'batch')}{NIGHTLY}")
    assert notes(capsys, "validate", source) == []


FILES = TOPIC.replace('"provider_type": "kafka", "provider.connection": "broker"', "")


def together(
    folder: Path, capsys: pytest.CaptureFixture[str], one: str, other: str, pipes: str = FILES
) -> list[str]:
    """Return what is noted of two definitions over the same pipes."""
    first = write(folder, pipes, one)
    second = folder / "other.kindling.yaml"
    second.write_text(f"dag_id: other\nproject: shop\nstrategy: config_based\n{other}")
    assert main(["validate", first, str(second)]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]


LAKE = "warehouse: /lake\n"
NIGHTLY = "lifetime: available_now\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", ""),
        ("", NIGHTLY),
        (LAKE, f"warehouse: /lake/\n{NIGHTLY}"),
        (LAKE, f"{LAKE}checkpoints: /lake/_kindling/checkpoints\n"),
    ],
)
def test_two_dags_that_run_a_stream_with_one_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one: str, other: str
) -> None:
    assert together(tmp_path, capsys, one, other) == [
        (
            "note: DAGs 'shop' and 'other' run pipe 'clean' as a stream with the same "
            "checkpoint, and continue each other: run only one of them at a time, or set another "
            "warehouse for one"
        )
    ]


def test_two_dags_that_write_the_same_rows_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert together(tmp_path, capsys, "", "checkpoints: /elsewhere\n") == [
        (
            "note: DAGs 'shop' and 'other' run pipe 'clean' as a stream into the same table, "
            "each with its own checkpoint: every row is duplicated; set the same checkpoints, or "
            "another warehouse for one"
        )
    ]


def test_dags_in_two_warehouses_have_nothing_in_common(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert together(tmp_path, capsys, "", LAKE) == []


def test_batch_pipes_have_no_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But each of them would replace the table of the other."""
    [note] = together(tmp_path, capsys, "", "", FILES.replace("streaming", "batch"))
    assert note == (
        "note: DAGs 'shop' and 'other' both write 'seen' (folder 'seen'): concurrent runs fail "
        "or overwrite each other; write it in one DAG, or set another warehouse for one"
    )


SLICES = """\
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity("raw", tags={"interval.column": "day"}, schema="day DATE")
DataEntities.entity(
    "days", tags={"write_mode": "overwrite_interval"}, partition_columns=["day"], schema="day DATE"
)
DataPipes.pipe(
    "asking", output_entity_id="asked", sql="SELECT * FROM raw WHERE day >= :interval_start"
)


@DataPipes.pipe(
    "days", input_entity_ids=["raw"], output_entity_id="days", tags={"interval.read": "slice"}
)
def days(raw): ...
"""
WHY = (
    "because no run of this schedule has a data interval; set a cron expression, 'every' or "
    "'partitions'"
)


class TestRunsWithoutAnInterval:
    @pytest.mark.parametrize("schedule", ["schedule: null\n", "", "schedule: assets\n"])
    def test_what_asks_for_one_is_noted(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], schedule: str
    ) -> None:
        assert notes(capsys, "validate", write(tmp_path, SLICES, schedule)) == [
            f"  note: pipe 'asking': the query uses the run's interval and fails, {WHY}",
            f"  note: pipe 'days': all data is read instead of a slice, {WHY}",
            f"  note: pipe 'days': the whole table is replaced instead of a slice, {WHY}",
        ]

    @pytest.mark.parametrize("schedule", ['"@daily"', "{every: 6h}", '{partitions: "@daily"}'])
    def test_runs_of_a_schedule_in_time_have_one(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], schedule: str
    ) -> None:
        more = f"schedule: {schedule}\nstart_date: 2026-01-01\n"
        assert notes(capsys, "validate", write(tmp_path, SLICES, more)) == []

    def test_a_dag_whose_runs_all_fail(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        [note] = notes(capsys, "validate", write(tmp_path, SLICES, "on_missing_interval: fail\n"))
        assert note == (
            "  note: no run of this schedule has a data interval, and on_missing_interval is "
            "'fail': every run fails; set a schedule in time, or remove on_missing_interval"
        )


def test_a_project_or_a_plan_has_no_assets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, MANY)
    assert notes(capsys, "validate", str(tmp_path / "shop")) == []
    plan = tmp_path / "plan.json"
    assert main(["plan", str(tmp_path / "shop"), "--json"]) == 0
    plan.write_text(capsys.readouterr().out)
    assert notes(capsys, "validate", str(plan)) == []
