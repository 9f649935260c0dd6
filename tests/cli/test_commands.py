"""The commands that read plans: what they take, what they print, and their exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kindling_airflow.cli.command_table import COMMANDS
from kindling_airflow.cli.main import main
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.text import visualize_plan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.execution_strategy.batch import BatchExecutionStrategy
from kindling_airflow.manifest import Manifest
from kindling_airflow.plan_report import diff, explain, forecast, plan_page
from tests.cli.conftest import Shell
from tests.dag_factory.projects import write_definition, write_project

FIX_PRIORITY = "  Fix: correct the tag, or leave it out for 0; larger is more urgent."
SIZES = {"small": 10, "large": 5_000}
GRAPHS = Path(__file__).resolve().parents[1] / "graphs"


class TestSources:
    def test_every_kind_of_source_gives_the_same_plan(self, shell: Shell) -> None:
        wanted = shell.json("plan", "shop.kindling.yaml")
        assert ExecutionPlan.from_json(wanted).pipe_ids == ("a", "b", "d", "c")
        shell("compile", "shop", "-o", "manifest.json")
        Path("plan.json").write_text(json.dumps(wanted))
        records = [
            {key: pipe[key] for key in ("pipeid", "input_entity_ids", "output_entity_id")}
            for pipe in Manifest.read(Path("manifest.json")).to_json()["pipes"]
        ]
        Path("records.json").write_text(json.dumps(records))
        for source in ("shop", "manifest.json", "plan.json", "records.json"):
            assert shell.json("plan", source) == wanted, source

    def test_modules_of_a_project_can_be_named(self, shell: Shell) -> None:
        Path("shop/broken.py").write_text("1 / 0\n")
        assert "ZeroDivisionError" in shell("plan", "shop", status=1)
        assert shell.json("plan", "shop", "-m", "pipes_drawn")["pipe_ids"] == ["a", "b", "d", "c"]
        text = shell("plan", "shop.kindling.yaml", "-m", "pipes_drawn", status=2)
        assert "a definition lists its own modules: omit --module" in text

    def test_choice_strategy_and_settings_apply(self, shell: Shell) -> None:
        Path("s.yaml").write_text("pipes: {a: {tags: {layer: bronze}}}\n")
        found = shell.json(
            *("plan", "shop", "-s", "s.yaml", "--strategy", "streaming"),
            *("--select", "tag:layer+1", "--exclude", "c"),
        )
        assert found["strategy"] == "streaming"
        assert found["pipe_ids"] == ["a", "b"]
        assert found["pipes"][0]["tags"] == {"layer": "bronze"}

    def test_command_beats_the_definition(self, shell: Shell) -> None:
        write_definition(
            shell.folder / "shop.kindling.yaml",
            "dag_id: shop\nselect: +b\nstrategy: streaming\n",
        )
        assert shell.json("plan", "shop.kindling.yaml")["generations"][0]["pipe_ids"] == ["b"]
        found = shell.json("plan", "shop.kindling.yaml", "--select", "b", "--strategy", "batch")
        assert (found["pipe_ids"], found["strategy"]) == (["b"], "batch")

    @pytest.mark.parametrize("command", ["plan", "graph", "forecast", "diff", "validate"])
    def test_command_chooses_among_what_the_definition_has_chosen(
        self, shell: Shell, command: str
    ) -> None:
        """[raw] -> a -> b -> d, a -> c -> d: the definition leaves out c, and so does each call."""
        name = "shop.kindling.yaml"
        write_definition(shell.folder / name, "dag_id: shop\nselect: +d\nexclude: c\n")
        sources = [name, name] if command == "diff" else [name]
        plan = shell.json("plan", name)["pipe_ids"]
        assert plan == ["a", "b", "d"]
        for choice, chosen in (
            (["--exclude", "b"], ["a", "d"]),
            (["--select", "+b"], ["a", "b"]),
            (["--select", "a+", "--exclude", "d"], ["a", "b"]),
        ):
            assert shell.json("plan", name, *choice)["pipe_ids"] == chosen
            shell(command, *sources, *choice)
        for choice in (["--select", "c"], ["--select", "a", "--exclude", "a"]):
            shell(command, *sources, *choice, status=1)

    def test_override_for_a_pipe_that_the_command_leaves_out_is_no_problem(
        self, shell: Shell
    ) -> None:
        name = "shop.kindling.yaml"
        write_definition(shell.folder / name, "dag_id: shop\noverrides: {b: {retries: 1}}\n")
        assert ": OK: " in shell("validate", name, "--select", "a")

    def test_what_is_not_there_is_a_wrong_call(self, shell: Shell) -> None:
        assert shell("plan", "nowhere.json", status=2) == (
            "kindling-airflow plan: file or folder not found: 'nowhere.json'\n"
        )

    def test_plan_takes_no_further_decisions(self, shell: Shell) -> None:
        Path("plan.json").write_text(json.dumps(shell.json("plan", "shop")))
        text = shell("plan", "plan.json", "--select", "a", "--strategy", "batch", status=2)
        assert text == (
            "kindling-airflow plan: 'plan.json' is a plan, which --select, --strategy cannot "
            "change\n"
        )
        assert "is a plan: nothing to compile" in shell("compile", "plan.json", "-o", "x", status=2)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "x.json: invalid JSON: "),
            ("[" * 100_000, "x.json: invalid JSON: "),
            ("7", "x.json: this JSON is not a manifest, a plan or a list of records\n"),
            ("{}", "x.json: this JSON is not a manifest, a plan or a list of records\n"),
            ('{"pipeid": "a"}', ("\n  Fix: put the record into a list: [{...}].\n")),
            ('{"pipes": []}', "x.json: manifest schema version None is unknown"),
            ('[{"pipeid": "a"}, 1]', "1. x.json: record 0: pipe 'a': output_entity_id must be"),
            ('{"generations": []}', "x.json: plan schema version None is unknown"),
        ],
    )
    def test_documents_that_are_none_of_ours(self, shell: Shell, text: str, said: str) -> None:
        Path("x.json").write_text(text)
        assert said in shell("plan", "x.json", status=1)

    def test_broken_plan_is_refused(self, shell: Shell) -> None:
        document = shell.json("plan", "shop")
        del document["digest"]
        document["generations"].reverse()
        Path("plan.json").write_text(json.dumps(document))
        assert "plan.json: generation number 2 is at position 0" in shell(
            "validate", "plan.json", status=1
        ).replace("\n", " ")


class TestReading:
    def test_plan_is_printed_in_the_documents_layout(self, shell: Shell) -> None:
        plan = ExecutionPlan.from_json(shell.json("plan", "shop"))
        assert shell("plan", "shop") == visualize_plan(plan) + "\n"

    def test_plan_goes_into_a_file(self, shell: Shell) -> None:
        assert shell("plan", "shop", "--json", "-o", "plan.json") == "plan.json\n"
        assert json.loads(Path("plan.json").read_text()) == shell.json("plan", "shop")
        text = shell("plan", "shop", "-o", "no/such/folder.txt", status=2)
        assert "cannot write 'no/such/folder.txt': No such file or directory" in text

    @pytest.mark.parametrize("command", ["plan", "graph"])
    def test_folder_in_place_of_the_file_is_refused_and_nothing_is_left(
        self, shell: Shell, command: str
    ) -> None:
        Path("taken").mkdir()
        before = sorted(shell.folder.iterdir())
        assert shell(command, "shop", "-o", "taken", status=2) == (
            f"kindling-airflow {command}: cannot write 'taken': Is a directory\n"
        )
        assert sorted({*shell.folder.iterdir()} - {Path("shop.imports").resolve()}) == before

    def test_explanation(self, shell: Shell) -> None:
        plan = ExecutionPlan.from_json(shell.json("plan", "shop"))
        assert shell.json("explain", "shop", "d") == explain(plan, "d").to_json()
        assert shell("explain", "shop", "d") == explain(plan, "d").text() + "\n"
        assert "'dd'" in shell("explain", "shop", "dd", status=1)

    def test_explanation_takes_durations(self, shell: Shell) -> None:
        plan = ExecutionPlan.from_json(shell.json("plan", "shop"))
        Path("d.json").write_text('{"c": 50}')
        wanted = explain(plan, "c", {"c": 50.0})
        assert wanted != explain(plan, "c")
        assert shell.json("explain", "shop", "c", "--durations", "d.json") == wanted.to_json()
        assert shell("explain", "shop", "c", "--durations", "e.json", status=2) == (
            "kindling-airflow explain: file not found: 'e.json'\n"
        )

    def test_difference(self, shell: Shell) -> None:
        old = ExecutionPlan.from_json(shell.json("plan", "shop"))
        Path("old.json").write_text(json.dumps(old.to_json()))
        write_project(shell.folder / "shop", "[raw] -> a -> b -> d, a -> c -> d, c -> e")
        new = ExecutionPlan.from_json(shell.json("plan", "shop"))
        assert shell("diff", "old.json", "shop") == diff(old, new).text() + "\n"
        assert shell.json("diff", "old.json", "shop", "--exit-code", status=1) == (
            diff(old, new).to_json()
        )
        shell("diff", "old.json", "old.json", "--exit-code")

    def test_forecast_takes_its_width_from_the_definition(self, shell: Shell) -> None:
        plan = ExecutionPlan.from_json(shell.json("plan", "shop"))
        assert shell.json("forecast", "shop.kindling.yaml") == forecast(plan, 2).to_json()
        assert shell("forecast", "shop", "-w", "1") == forecast(plan, 1).text() + "\n"
        Path("d.json").write_text('{"a": 5}')
        found = shell.json("forecast", "shop", "-w", "2", "--durations", "d.json")
        assert found == forecast(plan, 2, {"a": 5.0}).to_json()
        assert "--width must be at least 1, not 0" in shell("forecast", "shop", "-w0", status=2)
        assert "file not found: 'e.json'" in shell(
            "forecast", "shop", "--durations=e.json", status=2
        )
        Path("d.json").write_text("[]")
        text = shell("forecast", "shop", "--durations", "d.json", status=1)
        assert text == "d.json: durations must be a JSON object of pipe ids and seconds\n"

    @pytest.mark.parametrize(
        ("kind", "start"), [("mermaid", "flowchart"), ("dot", "digraph"), ("html", "<!doctype")]
    )
    def test_drawings(self, shell: Shell, kind: str, start: str) -> None:
        text = shell("graph", "shop.kindling.yaml", "-f", kind)
        assert text.lower().startswith(start)
        assert shell.json("graph", "shop.kindling.yaml", "-f", kind)["text"] in (text, text[:-1])
        shell("graph", "shop.kindling.yaml", "-f", kind, "-o", "drawing")
        assert Path("drawing").read_text() == text

    def test_page_takes_durations_and_other_drawings_do_not(self, shell: Shell) -> None:
        plan = ExecutionPlan.from_json(shell.json("plan", "shop"))
        Path("d.json").write_text('{"c": 50}')
        wanted = plan_page(plan, "shop", {"c": 50.0})
        assert wanted != plan_page(plan, "shop")
        page = shell("graph", "shop.kindling.yaml", "-f", "html", "--durations", "d.json")
        assert page.rstrip("\n") == wanted.rstrip("\n")
        assert shell("graph", "shop", "-f", "dot", "--durations", "d.json", status=2) == (
            "kindling-airflow graph: --durations: format dot shows no durations; use html\n"
        )

    def test_memory_budget_decides_what_is_kept(self, shell: Shell) -> None:
        records = [
            *({"entityid": e, "tags": {"size_bytes": size}} for e, size in SIZES.items()),
            *(
                {"pipeid": p, "input_entity_ids": [*SIZES], "output_entity_id": p}
                for p in ("a", "b", "c")
            ),
        ]
        Path("records.json").write_text(json.dumps(records))
        shell("compile", "records.json", "-o", "manifest.json")
        generator = ExecutionPlanGenerator(Manifest.read(Path("manifest.json")))
        wanted = generator.generate_plan(None, BatchExecutionStrategy(memory_budget_bytes=2048))
        for amount in ("2k", "2 KB", "2048"):
            found = shell.json("plan", "records.json", "--memory-budget", amount)
            assert found == wanted.to_json()
        assert found != shell.json("plan", "records.json")
        assert shell("plan", "records.json", "--memory-budget", "2k") == (
            f"{visualize_plan(wanted)}\n\nEntities that several pipes read:\n"
            "  'large': DISK_ONLY: 3 pipes read it; its 5,000 bytes exceed the memory budget\n"
            "  'small': MEMORY_ONLY: 3 pipes read it; its 10 bytes fit into the memory budget\n"
        )

    def test_memory_budget_where_nothing_is_read_twice(self, shell: Shell) -> None:
        records = [{"pipeid": "a", "output_entity_id": "a"}]
        Path("records.json").write_text(json.dumps(records))
        text = shell("plan", "records.json", "--memory-budget", "1t")
        assert text.endswith("\n\nEntities that several pipes read: none\n")

    def test_memory_budget_that_makes_no_sense(self, shell: Shell) -> None:
        Path("plan.json").write_text(json.dumps(shell.json("plan", "shop")))
        for source, amount, said in (
            ("shop", "8x", "--memory-budget '8x': write an amount such as 512m or 8g"),
            ("shop", "-1", "--memory-budget '-1': write an amount such as 512m or 8g"),
            (
                "plan.json",
                "1g",
                "'plan.json' is a plan, which --memory-budget cannot change",
            ),
        ):
            assert shell("plan", source, f"--memory-budget={amount}", status=2) == (
                f"kindling-airflow plan: {said}\n"
            )
        assert shell(
            *("plan", "shop", "--strategy", "streaming", "--memory-budget", "1g"), status=2
        ) == (
            "kindling-airflow plan: --memory-budget: strategy 'streaming' does not recommend "
            "what to cache\n"
        )


class TestValidate:
    def test_each_source_is_said_to_be_sound_or_not(self, shell: Shell) -> None:
        write_definition(shell.folder / "bad.kindling.yaml", "dag_id: bad\nwidht: 1\n")
        text = shell("validate", "shop", "shop.kindling.yaml")
        shape = "OK: 4 pipes in 3 generations, at most 2 in parallel"
        assert text == f"shop: {shape}\nshop.kindling.yaml: {shape}\n"
        text = shell("validate", "shop", "bad.kindling.yaml", status=1)
        assert text.startswith(f"shop: {shape}\nbad.kindling.yaml:3: widht: unknown key")
        found = shell.json("validate", "shop", "bad.kindling.yaml", status=1)
        assert found == {
            "shop": [],
            "bad.kindling.yaml": [
                "bad.kindling.yaml:3: widht: unknown key 'widht'. Did you mean 'width'?"
            ],
        }

    def test_definition_is_checked_up_to_its_dag(self, shell: Shell) -> None:
        write_definition(shell.folder / "shop.kindling.yaml", "dag_id: shop\nstrategy: streaming\n")
        assert "is read as a stream" in shell("validate", "shop.kindling.yaml", status=1)
        assert shell.json("plan", "shop.kindling.yaml")["strategy"] == "streaming"

    def test_every_source_is_checked_though_some_are_not_there(self, shell: Shell) -> None:
        write_definition(shell.folder / "bad.kindling.yaml", "dag_id: bad\nwidht: 1\n")
        names = ("no.json", "shop", "bad.kindling.yaml", "nor.yaml", "shop.kindling.yaml")
        shape = "OK: 4 pipes in 3 generations, at most 2 in parallel"
        bad = "bad.kindling.yaml:3: widht: unknown key 'widht'. Did you mean 'width'?"
        assert shell.both("validate", *names, status=2) == (
            f"shop: {shape}\n{bad}\nshop.kindling.yaml: {shape}\n",
            "kindling-airflow validate: "
            + "; ".join(f"file or folder not found: {name!r}" for name in ("no.json", "nor.yaml"))
            + "\n",
        )
        assert json.loads(shell.both("validate", *names, "--json", status=2)[0]) == {
            "no.json": ["file or folder not found: 'no.json'"],
            "shop": [],
            "bad.kindling.yaml": [bad],
            "nor.yaml": ["file or folder not found: 'nor.yaml'"],
            "shop.kindling.yaml": [],
        }

    @pytest.mark.parametrize("command", ["validate", "compile"])
    @pytest.mark.parametrize("source", ["shop", "manifest.json", "records.json", "shop.yaml"])
    def test_tags_are_checked_in_every_kind_of_source(
        self, shell: Shell, command: str, source: str
    ) -> None:
        tags = {
            "duration_hint": "soon",
            "priority": "high",
            "retry.attempts": "x",
            "timeout_seconds": -1,
        }
        pipe = {"pipeid": "a", "output_entity_id": "a", "tags": tags}
        Path("records.json").write_text(json.dumps([pipe]))
        Path("manifest.json").write_text(json.dumps({"schema_version": 1, "pipes": [pipe]}))
        Path("shop/pipes_drawn.py").write_text(
            "from kindling_airflow import DataPipes\n"
            f"@DataPipes.pipe('a', output_entity_id='a', tags={tags})\n"
            "def a(): ...\n"
        )
        write_definition(shell.folder / "shop.yaml", "dag_id: shop\n")
        output = ("-o", "out.json") if command == "compile" else ()
        problems = [
            "duration_hint must be a positive number of seconds, not 'soon'",
            f"priority must be a finite number, not 'high'\n{FIX_PRIORITY}",
            "retry.attempts must be a whole number of at least 0, not 'x'",
            "timeout_seconds must be a number of seconds above 0, at most a year, not -1",
        ]
        lead = "shop.yaml: DAG 'shop': " if source == "shop.yaml" else ""
        kind = "definition" if source == "shop.yaml" else "declarations"
        listed = "".join(
            f"{n}. {lead}pipe 'a': tag {problem}\n" for n, problem in enumerate(problems, 1)
        )
        name = f"{source}: " if command == "validate" else ""
        assert shell(command, source, *output, status=1) == (
            f"{name}4 problems in the {kind}:\n{listed}"
        )
        assert not Path("out.json").exists()

    def test_tags_are_checked_in_a_plan(self, shell: Shell) -> None:
        Path("s.yaml").write_text("pipes: {a: {tags: {duration_hint: 0}}}\n")
        shell("plan", "shop", "-s", "s.yaml", "--json", "-o", "plan.json")
        assert shell("validate", "plan.json", status=1) == (
            "plan.json: pipe 'a': tag duration_hint must be a positive number of seconds, not 0\n"
        )

    @pytest.mark.parametrize("command", ["validate", "compile", "plan"])
    @pytest.mark.parametrize(
        "source", ["shop", "manifest.json", "records.json", "shop.yaml", "settings"]
    )
    def test_words_that_nothing_reads_are_refused_in_every_kind_of_source(
        self, shell: Shell, command: str, source: str
    ) -> None:
        pipe = {"pipeid": "a", "output_entity_id": "a", "tags": {"duration_hnt": 3}}
        Path("records.json").write_text(json.dumps([pipe]))
        Path("manifest.json").write_text(json.dumps({"schema_version": 1, "pipes": [pipe]}))
        free = "from kindling_airflow import DataPipes\n@DataPipes.pipe('a', output_entity_id='a'"
        Path("shop/pipes_drawn.py").write_text(f"{free}, tags={{'x.hnt': 3}})\ndef a(): ...\n")
        Path("s.yaml").write_text("pipes: {a: {tags: {duration_hnt: 3}}}\n")
        arguments = [source]
        if source == "settings":
            arguments = ["shop", "-s", "s.yaml"]
        else:
            tagged = f"{free}, tags={{'duration_hnt': 3}})\ndef a(): ...\n"
            Path("shop/pipes_drawn.py").write_text(tagged)
        write_definition(shell.folder / "shop.yaml", "dag_id: shop\n")
        if (command, source) == ("compile", "settings"):
            return  # a manifest is written without them
        output = ("-o", "out.json") if command == "compile" else ()
        text = shell(command, *arguments, *output, status=1)
        assert "pipe 'a': unknown tag 'duration_hnt'. Did you mean 'duration_hint'?" in text

    def test_streams_of_a_folder_are_checked(self, shell: Shell) -> None:
        text = shell("validate", "shop", "--strategy", "streaming", status=1)
        assert "pipe 'a': its driving input 'raw' is read as a stream of parquet files" in text


class TestErrors:
    def test_problems_are_a_document_with_json(self, shell: Shell) -> None:
        found = shell.json("plan", "shop", "--select", "zz", status=1)
        assert found["error"] == "SelectionError"
        assert len(found["problems"]) == 1
        assert "'zz'" in found["problems"][0]

    @pytest.mark.parametrize("command", [command.name for command in COMMANDS])
    def test_every_command_explains_itself(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert f"usage: kindling-airflow {command}" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--workers", "0"], "--workers must be at least 1, not 0"),
            (["--retries", "-1"], "--retries must be at least 0, not -1"),
            (["--timeout", "0"], "--timeout must be more than 0 seconds and at most a year, not 0"),
            (["--timeout", "-1"], "more than 0 seconds and at most a year, not -1"),
            (["--timeout", "inf"], "more than 0 seconds and at most a year, not inf"),
            (["--timeout", "nan"], "more than 0 seconds and at most a year, not nan"),
            (["--conf", "x"], "--conf 'x': must be KEY=VALUE"),
        ],
    )
    def test_run_refuses_what_makes_no_sense(
        self, shell: Shell, arguments: list[str], said: str
    ) -> None:
        assert said in shell("run", "shop", *arguments, status=2)

    def test_run_needs_the_code(self, shell: Shell) -> None:
        shell("compile", "shop", "-o", "manifest.json")
        assert "does not contain the path of the project's modules" in shell(
            "run", "manifest.json", status=2
        )
        write_definition(shell.folder / "shop.kindling.yaml", "dag_id: shop\nwarehouse: '{{ ds }}'")
        assert "is a template" in shell("run", "shop.kindling.yaml", status=2)


def test_reader_that_has_seen_enough_is_no_error(shell: Shell) -> None:
    command = [sys.executable, "-m", "kindling_airflow.cli.main", "plan"]
    with subprocess.Popen(
        [*command, str(GRAPHS / "healthcare_1211.json"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_real_graph_becomes_a_manifest_and_a_plan(shell: Shell) -> None:
    records = str(GRAPHS / "healthcare_1211.json")
    assert shell("compile", records, "-o", "h.manifest.json") == (
        "h.manifest.json: 1,211 pipes, no entities\n"
        "Plan: 1,211 pipes in 36 generations, at most 319 in parallel\n"
    )
    assert "Total Generations: 36" in shell("plan", "h.manifest.json")
    assert shell.json("validate", "h.manifest.json") == {"h.manifest.json": []}


@pytest.mark.parametrize(
    "arguments", [["plan", "shop"], ["forecast", "shop"], ["explain", "shop", "a"]]
)
def test_neither_airflow_nor_spark_is_imported(shell: Shell, arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "for name in ('airflow', 'pyspark'): sys.modules[name] = None\n"
        "from kindling_airflow.cli.main import main\n"
        f"sys.exit(main({arguments!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
