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


def _value(
    flags: str, metavar: str | tuple[str, str] | None, help_text: str, **options: Any
) -> Argument:
    """Return an argument with a value; several flags of one are separated by spaces."""
    named = {} if metavar is None else {"metavar": metavar}
    return Argument(tuple(flags.split()), {**named, "help": help_text, **options})


def _flag(flag: str, help_text: str) -> Argument:
    return Argument((flag,), {"action": "store_true", "help": help_text})


_SOURCE_HELP = (
    "a definition (*.kindling.yaml), a project folder, a manifest or plan (*.json), or a JSON list "
    "of records"
)
_SOURCE = _value("source", "SOURCE", _SOURCE_HELP)
_MODULE = _value(
    "-m --module",
    "NAME",
    "a module of the project folder to import; may be repeated; default: all",
    action="append",
    dest="modules",
)
_SETTINGS = _value(
    "-s --settings",
    "FILE",
    "a YAML file of settings over the declarations; may be repeated, the last one wins",
    action="append",
)
_SELECT = _value(
    "--select",
    "WHICH",
    "pipes by id, glob, tag:, entity:, +x, x+; of a definition, among those that it selects",
    action="append",
)
_EXCLUDE = _value("--exclude", "WHICH", "pipes to exclude, in the same grammar", action="append")
_STRATEGY = _value("--strategy", "NAME", "execution strategy; default: the definition's, or batch")
_JSON = _flag("--json", "print a JSON document instead of text")
_OUTPUT = _value("-o --output", "FILE", "write to this file instead of standard output")
_DURATIONS = _value(
    "--durations",
    "FILE",
    "a JSON object of pipe ids and seconds; default: the duration_hint tags, else 1",
)
_MEMORY_BUDGET = _value(
    "--memory-budget",
    "AMOUNT",
    "memory for entities that several pipes read, such as 8g; default: no limit",
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
            _value("-o --output", "FILE", "where to write the manifest"),
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
        (*_PLANNED, _DURATIONS, _value("pipe", "PIPE", "the id of the pipe")),
    ),
    Command(
        "settings",
        "show the settings of a pipe's task, and the source of each",
        "Shows the effective settings of a pipe's task: each with its value, its source (a tag of "
        "the pipe, the definition, or a pattern of its overrides) and the sources that it "
        "overrides. Secrets are hidden.",
        "settings_command.show_settings",
        (
            _value("source", "DEFINITION", "a definition (*.kindling.yaml)"),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _JSON),
            _value("pipe", "PIPE", "the id of the pipe"),
        ),
    ),
    Command(
        "diff",
        "show the difference of two plans",
        "Shows what changes: pipes, edges, generations, width, critical path. Exits with status 0 "
        "whether or not the plans differ, unless --exit-code is given.",
        "reading.show_difference",
        (
            _value("old", "OLD", _SOURCE_HELP),
            _value("new", "NEW", _SOURCE_HELP),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _DURATIONS, _JSON),
            _flag("--exit-code", "exit with status 1 if they differ"),
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
            _value(
                "-f --format",
                None,
                "default: mermaid",
                choices=("mermaid", "dot", "html"),
                default="mermaid",
            ),
            _value(
                "--durations",
                "FILE",
                "for html: a JSON object of pipe ids and seconds; default: the duration_hint "
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
            _value("sources", "SOURCE", _SOURCE_HELP, nargs="+"),
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
            _value("-w --width", "N", "number of slots of the pool", type=int),
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
            _value(
                "--project",
                "FOLDER",
                "folder of the modules of a manifest; default: that of the same name beside it, "
                "or its own",
            ),
            _value("--warehouse", "PATH", "root of the tables; default: ./warehouse"),
            _value("-j --workers", "N", "number of concurrent pipes", type=int, default=1),
            _value(
                "--on-error",
                None,
                "what happens to other pipes when one fails; default: the definition's, or "
                "skip_dependents",
                choices=("skip_dependents", "continue", "fail_fast"),
            ),
            _value(
                "--retries",
                "N",
                "how often a failed pipe is retried; default: the definition's, or 0",
                type=int,
            ),
            _value(
                "--timeout",
                "SECONDS",
                "time limit of one try of a pipe; default: the definition's, or none",
                type=float,
            ),
            _value(
                "--param",
                "KEY=VALUE",
                "a parameter of the run, as JSON or text; may be repeated; default: those of "
                "the definition",
                action="append",
                dest="params",
            ),
            _value(
                "--interval",
                ("START", "END"),
                "the run's data interval: two ISO 8601 timestamps, by default in the time zone "
                "of the definition, or UTC; default: none",
                nargs=2,
            ),
            _value(
                "--run-id",
                "ID",
                "the name of the run: a second run of the same name replaces what the first has "
                "appended; default: one name for each interval, or a new one without interval",
            ),
            _value(
                "--for",
                "DURATION",
                "run streams for this long (90s, 10m), then drain them; default: the "
                "definition's, else until Ctrl-C",
                dest="run_for",
            ),
            _flag(
                "--available-now",
                "let each stream process the available data and end, producers first",
            ),
            _value(
                "--checkpoints",
                "PATH",
                "root of the streams' checkpoints; default: the definition's, else "
                "_kindling/checkpoints in the warehouse",
            ),
            _value("--conf", "KEY=VALUE", "a Spark property; may be repeated", action="append"),
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
            _value("source", "SOURCE", "a definition or a project folder"),
            _MODULE,
            _value("-o --output", "FILE", "where to write the zip"),
            _value(
                "--to",
                "URI",
                "put the zip into this folder or object store (s3://[conn_id@]bucket/path) "
                "under a name that contains its digest, unless it is there; prints the name",
            ),
            _flag(
                "--check", "write nothing; exit with status 1 if the zip does not match the project"
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
            _value(
                "folders",
                "FOLDER",
                "folders of definitions; default: the deployment's DAG folders",
                nargs="*",
            ),
            _flag("--apply", "create missing pools; existing ones are never changed"),
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
            _value("dag_id", "DAG_ID", "the DAG"),
            _value("--run-id", "ID", "one run; default: all active runs"),
            _flag("--restart", "do not pause the DAG: a continuous one starts again"),
            _value(
                "--wait", "SECONDS", "time limit of waiting for the end; default: none", type=float
            ),
            _JSON,
        ),
    ),
    Command(
        "jars",
        "fetch the jars of Delta, Iceberg, Kafka and PostgreSQL",
        "Fetches the jars that entities of the types delta, iceberg and kafka need, and those of a "
        "catalog in PostgreSQL, with Maven if it is installed, else with the resolver of "
        "spark-submit, and verifies their checksums. "
        "Prints the Spark setting that uses them. Jars that exist are not fetched again.",
        "jars.fetch",
        (
            _value(
                "formats", "FORMAT", "delta, iceberg, kafka, postgresql; default: all", nargs="*"
            ),
            _value("--folder", "FOLDER", "target folder; default: jars", default="jars"),
            _value("--spark", "X.Y", "release of Spark; default: 4.1", default="4.1"),
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
            _value("source", "DEFINITION", "a definition (*.kindling.yaml)"),
            _value("--from-date", "DATE", "first date or timestamp", required=True),
            _value("--to-date", "DATE", "last date or timestamp", required=True),
            _SELECT,
            _value("--max-active-runs", "N", "concurrent runs; default: Airflow's", type=int),
            _value(
                "--reprocess-behavior",
                None,
                "which existing runs are re-run; default: none",
                choices=("none", "failed", "completed"),
                default="none",
            ),
            _flag("--run-backwards", "latest run first"),
            _value("--dag-run-conf", "JSON", "parameters of the runs"),
            _JSON,
        ),
    ),
    Command(
        "durations",
        "write how long the pipes of a DAG usually take",
        "Writes a JSON object of pipe ids and seconds: the median of each pipe's last successful "
        "runs, as their tasks took a slot. It is what --durations of 'forecast' and the key "
        "'durations' of a definition read. Exits with status 1 if no pipe has run yet.",
        "history_commands.write_durations",
        (_value("dag_id", "DAG_ID", "the DAG"), _OUTPUT),
    ),
    Command(
        "gaps",
        "list missing and stale slices, and the backfill that fills them",
        "Shows for each entity of a DAG which slices of a date range are missing, or stale "
        "because an input was published after them, and the 'airflow backfill create' commands "
        "that fill exactly those. Exits with status 1 if there are any.",
        "history_commands.show_gaps",
        (
            _value("dag_id", "DAG_ID", "the DAG"),
            _value("--from", "DATE", "first date or timestamp", required=True, dest="from_date"),
            _value("--to", "DATE", "last date or timestamp", required=True, dest="to_date"),
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
            _value(
                "--folder",
                "FOLDER",
                "folder of the archives; default: [kindling] start_profile_folder",
            ),
            _flag("--force", "create it even if one exists"),
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
