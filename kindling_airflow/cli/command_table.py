"""The commands as data, for two command lines.

``kindling-airflow COMMAND`` (:mod:`kindling_airflow.cli.main`) needs neither Airflow nor Spark;
``airflow kindling COMMAND`` (:mod:`kindling_airflow.cli.airflow_commands`) runs inside Airflow.
Nothing heavy is imported here: Airflow reads it at every call.

To add a command, add an entry here and a module with its function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COMMANDS", "Argument", "Command"]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument, as :meth:`argparse.ArgumentParser.add_argument` takes it."""

    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """One command; its function is ``kindling_airflow.cli.<function>``."""

    name: str
    help: str
    description: str
    function: str
    arguments: tuple[Argument, ...]


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


_SOURCE_HELP = (
    "a definition (*.kindling.yaml), a project folder, a manifest or plan (*.json), or a JSON list "
    "of records"
)
_SOURCE = _argument("source", metavar="SOURCE", help=_SOURCE_HELP)
_MODULE = _argument(
    *("-m", "--module"),
    action="append",
    metavar="NAME",
    dest="modules",
    help="a module of the project folder to import; may be repeated; default: all",
)
_SETTINGS = _argument(
    *("-s", "--settings"),
    action="append",
    metavar="FILE",
    help="a YAML file of settings over the declarations; may be repeated, the last one wins",
)
_SELECT = _argument(
    "--select",
    action="append",
    metavar="WHICH",
    help="pipes by id, glob, tag:, entity:, +x, x+; of a definition, among those that it selects",
)
_EXCLUDE = _argument(
    "--exclude", action="append", metavar="WHICH", help="pipes to exclude, in the same grammar"
)
_STRATEGY = _argument(
    "--strategy", metavar="NAME", help="execution strategy; default: the definition's, or batch"
)
_JSON = _argument("--json", action="store_true", help="print a JSON document instead of text")
_OUTPUT = _argument(
    "-o", "--output", metavar="FILE", help="write to this file instead of standard output"
)
_DURATIONS = _argument(
    "--durations",
    metavar="FILE",
    help="a JSON object of pipe ids and seconds; default: the duration_hint tags, else 1",
)
_MEMORY_BUDGET = _argument(
    "--memory-budget",
    metavar="AMOUNT",
    help="memory for entities that several pipes read, such as 8g; default: no limit",
)
_PLANNED = (_SOURCE, _MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _JSON)

COMMANDS: tuple[Command, ...] = (
    Command(
        "compile",
        "import a project's declarations and write its manifest",
        "Checks everything (declarations, graph, plan) and writes the manifest, so that Airflow "
        "need not import the project to parse its DAG. By default, a definition's manifest is "
        "written beside it.",
        "validate.compiling.compile_source",
        (
            _SOURCE,
            _MODULE,
            _argument("-o", "--output", metavar="FILE", help="where to write the manifest"),
            _JSON,
        ),
    ),
    Command(
        "plan",
        "show the execution plan",
        "Shows which pipes run in parallel, generation by generation; with --json the whole plan, "
        "which every command accepts as a source.",
        "reading.show_plan",
        (*_PLANNED, _MEMORY_BUDGET, _OUTPUT),
    ),
    Command(
        "explain",
        "explain the position of a pipe in the plan",
        "Shows the longest chain that determines the generation of a pipe, its upstream pipes and "
        "its downstream pipes.",
        "reading.explain_pipe",
        (*_PLANNED, _DURATIONS, _argument("pipe", metavar="PIPE", help="the id of the pipe")),
    ),
    Command(
        "settings",
        "show the settings of a pipe's task, and the source of each",
        "Shows the effective settings of a pipe's task: each with its value, its source (a tag of "
        "the pipe, the definition, or a pattern of its overrides) and the sources that it "
        "overrides. Secrets are hidden.",
        "settings_command.show_settings",
        (
            _argument("source", metavar="DEFINITION", help="a definition (*.kindling.yaml)"),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _JSON),
            _argument("pipe", metavar="PIPE", help="the id of the pipe"),
        ),
    ),
    Command(
        "diff",
        "show the difference of two plans",
        "Shows what changes: pipes, edges, generations, width, critical path. Exits with status 0 "
        "whether or not the plans differ, unless --exit-code is given.",
        "reading.show_difference",
        (
            _argument("old", metavar="OLD", help=_SOURCE_HELP),
            _argument("new", metavar="NEW", help=_SOURCE_HELP),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _DURATIONS, _JSON),
            _argument("--exit-code", action="store_true", help="exit with status 1 if they differ"),
        ),
    ),
    Command(
        "graph",
        "draw the plan",
        "Draws the plan as Mermaid or DOT text, or as a self-contained HTML page with search and "
        "zoom.",
        "reading.draw_plan",
        (
            *_PLANNED,
            _argument(
                *("-f", "--format"),
                choices=("mermaid", "dot", "html"),
                default="mermaid",
                help="default: mermaid",
            ),
            _argument(
                "--durations",
                metavar="FILE",
                help="for html: a JSON object of pipe ids and seconds; default: the duration_hint "
                "tags, else 1",
            ),
            _OUTPUT,
        ),
    ),
    Command(
        "validate",
        "check sources and report every problem",
        "Checks definitions, projects, manifests, records or plans in full, as compile does, and "
        "definitions against each other. Shows notes on valid sources, and which DAG waits for "
        "which asset. Exits with status 1 if any source is invalid.",
        "validate.compiling.validate_sources",
        (
            _argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE_HELP),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _JSON),
        ),
    ),
    Command(
        "forecast",
        "estimate how long a run takes at several widths",
        "Shows the critical path, the total work, the lower bound, and the result of list "
        "scheduling by critical path at several widths.",
        "reading.show_forecast",
        (
            *_PLANNED,
            _argument("-w", "--width", type=int, metavar="N", help="number of slots of the pool"),
            _DURATIONS,
        ),
    ),
    Command(
        "run",
        "run the plan on one local Spark session",
        "Runs the pipes in one Spark session on this machine, generation by generation, with a "
        "progress bar. Streams are started sinks first and run until Ctrl-C, which drains them, "
        "sources first. Needs pyspark. Exits with status 1 if a pipe failed or did not run.",
        "run.running.run_plan",
        (
            *_PLANNED,
            _MEMORY_BUDGET,
            _argument(
                "--project",
                metavar="FOLDER",
                help="folder of the modules of a manifest; default: that of the same name beside "
                "it, or its own",
            ),
            _argument(
                "--warehouse", metavar="PATH", help="root of the tables; default: ./warehouse"
            ),
            _argument(
                *("-j", "--workers"),
                type=int,
                default=1,
                metavar="N",
                help="number of concurrent pipes",
            ),
            _argument(
                "--on-error",
                choices=("skip_dependents", "continue", "fail_fast"),
                help="what happens to other pipes when one fails; default: the definition's, or "
                "skip_dependents",
            ),
            _argument(
                "--retries",
                type=int,
                metavar="N",
                help="how often a failed pipe is retried; default: the definition's, or 0",
            ),
            _argument(
                "--timeout",
                type=float,
                metavar="SECONDS",
                help="time limit of one try of a pipe; default: the definition's, or none",
            ),
            _argument(
                "--param",
                action="append",
                metavar="KEY=VALUE",
                dest="params",
                help="a parameter of the run, as JSON or text; may be repeated; default: those of "
                "the definition",
            ),
            _argument(
                "--interval",
                nargs=2,
                metavar=("START", "END"),
                help="the run's data interval: two ISO 8601 timestamps, by default in the time "
                "zone of the definition, or UTC; default: none",
            ),
            _argument(
                "--run-id",
                metavar="ID",
                help="the name of the run: a second run of the same name replaces what the first "
                "has appended; default: one name for each interval, or a new one without interval",
            ),
            _argument(
                "--for",
                dest="run_for",
                metavar="DURATION",
                help="run streams for this long (90s, 10m), then drain them; default: the "
                "definition's, else until Ctrl-C",
            ),
            _argument(
                "--available-now",
                action="store_true",
                help="let each stream process the available data and end, producers first",
            ),
            _argument(
                "--checkpoints",
                metavar="PATH",
                help="root of the streams' checkpoints; default: the definition's, else "
                "_kindling/checkpoints in the warehouse",
            ),
            _argument(
                "--conf",
                action="append",
                metavar="KEY=VALUE",
                help="a Spark property; may be repeated",
            ),
        ),
    ),
    Command(
        "package",
        "package a project for a cluster",
        "Writes one zip of a project's files and the runner, without Airflow, and tests it. The "
        "same project gives the same bytes. By default it is written to the path in the "
        "definition's key 'package', else beside the source.",
        "packaging.package_project",
        (
            _argument("source", metavar="SOURCE", help="a definition or a project folder"),
            _MODULE,
            _argument("-o", "--output", metavar="FILE", help="where to write the zip"),
            _argument(
                "--to",
                metavar="URI",
                help="put the zip into this folder or object store (s3://[conn_id@]bucket/path) "
                "under a name that contains its digest, unless it is there; prints the name",
            ),
            _argument(
                "--check",
                action="store_true",
                help="write nothing; exit with status 1 if the zip does not match the project",
            ),
            _JSON,
        ),
    ),
    Command(
        "pools",
        "list the pools that DAGs need, and create missing ones",
        "Compares the pools that the deployment's DAGs need (definitions in its DAG folders, and "
        "other stored DAGs) with those in Airflow's database. Exits with status 1 if tasks would "
        "wait forever because a pool is missing or too small.",
        "pool_commands.show_pools",
        (
            _argument(
                "folders",
                nargs="*",
                metavar="FOLDER",
                help="folders of definitions; default: the deployment's DAG folders",
            ),
            _argument(
                "--apply",
                action="store_true",
                help="create missing pools; existing ones are never changed",
            ),
            _JSON,
        ),
    ),
    Command(
        "stop",
        "stop the streams of a DAG, sources first",
        "Drains the streams of a DAG's active runs, and waits until the runs have ended: each "
        "stream processes the available data before it ends. The DAG is paused afterwards, because "
        "a continuous one would start again. Exits with status 1 if nothing is running, if the "
        "runs do not end in time, or if a stream ended before it had processed all available "
        "data; the next run continues from there.",
        "stop.stopping.stop_streams",
        (
            _argument("dag_id", metavar="DAG_ID", help="the DAG"),
            _argument("--run-id", metavar="ID", help="one run; default: all active runs"),
            _argument(
                "--restart",
                action="store_true",
                help="do not pause the DAG: a continuous one starts again",
            ),
            _argument(
                "--wait",
                type=float,
                metavar="SECONDS",
                help="time limit of waiting for the end; default: none",
            ),
            _JSON,
        ),
    ),
    Command(
        "jars",
        "fetch the jars of Delta, Iceberg and Kafka",
        "Fetches the jars that entities of the types delta, iceberg and kafka need, with Maven if "
        "it is installed, else with the resolver of spark-submit, and verifies their checksums. "
        "Prints the Spark setting that uses them. Jars that exist are not fetched again.",
        "jars.fetch",
        (
            _argument(
                "formats", nargs="*", metavar="FORMAT", help="delta, iceberg, kafka; default: all"
            ),
            _argument(
                "--folder", metavar="FOLDER", default="jars", help="target folder; default: jars"
            ),
            _argument(
                "--spark", metavar="X.Y", default="4.1", help="release of Spark; default: 4.1"
            ),
            _JSON,
        ),
    ),
    Command(
        "backfill-plan",
        "show what a backfill would run and write",
        "Shows the runs of a date range by the schedule of a definition's DAG, the pipes that run "
        "in each and what they write, what Airflow would reject or ignore, and the matching "
        "'airflow backfill create' command. Changes nothing. Exits with status 1 if Airflow would "
        "reject it.",
        "backfill.backfill_commands.show_backfill",
        (
            _argument("source", metavar="DEFINITION", help="a definition (*.kindling.yaml)"),
            _argument("--from-date", required=True, metavar="DATE", help="first date or timestamp"),
            _argument("--to-date", required=True, metavar="DATE", help="last date or timestamp"),
            _SELECT,
            _argument(
                "--max-active-runs",
                type=int,
                metavar="N",
                help="concurrent runs; default: Airflow's",
            ),
            _argument(
                "--reprocess-behavior",
                choices=("none", "failed", "completed"),
                default="none",
                help="which existing runs are re-run; default: none",
            ),
            _argument("--run-backwards", action="store_true", help="latest run first"),
            _argument("--dag-run-conf", metavar="JSON", help="parameters of the runs"),
            _JSON,
        ),
    ),
    Command(
        "warm",
        "create the start-up profile for Spark drivers",
        "Creates the class-data archive of this machine's Java and Spark, once, and tests it. "
        "Tasks in local and client mode use it if it matches their Java and Spark. Exits with "
        "status 1 if it could not be created.",
        "warming.warm",
        (
            _argument(
                "--folder",
                metavar="FOLDER",
                help="folder of the archives; default: [kindling] start_profile_folder",
            ),
            _argument("--force", action="store_true", help="create it even if one exists"),
            _JSON,
        ),
    ),
    Command(
        "version",
        "show the installed releases",
        "Shows the releases of this package, of Python and of its main dependencies. "
        "'kindling-airflow --version' shows the first alone.",
        "version_command.show_version",
        (_JSON,),
    ),
)
