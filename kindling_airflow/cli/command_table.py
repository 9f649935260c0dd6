"""What commands there are, as data: two command lines are made of it.

``kindling-airflow COMMAND`` (:mod:`kindling_airflow.cli.main`) needs neither Airflow nor Spark;
``airflow kindling COMMAND`` (:mod:`kindling_airflow.cli.airflow_commands`) is the same inside the
Airflow that it belongs to. Nothing heavy is imported here: Airflow reads it at every call.
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
    """One command; its function is ``kindling_airflow.cli.<place>``."""

    name: str
    help: str
    description: str
    place: str
    arguments: tuple[Argument, ...]


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


_SOURCE_HELP = (
    "a definition (*.kindling.yaml), a project folder, a manifest or a plan (*.json), or a JSON "
    "list of records"
)
_SOURCE = _argument("source", metavar="SOURCE", help=_SOURCE_HELP)
_MODULE = _argument(
    *("-m", "--module"),
    action="append",
    metavar="NAME",
    dest="modules",
    help="a module of the project folder to import; may be repeated; default: all of them",
)
_SETTINGS = _argument(
    *("-s", "--settings"),
    action="append",
    metavar="FILE",
    help="a YAML layer of settings over the declarations; may be repeated, later ones win",
)
_SELECT = _argument(
    "--select",
    action="append",
    metavar="WHICH",
    help="pipes by id, glob, tag:, entity:, +x, x+; of a definition, among those that it chooses",
)
_EXCLUDE = _argument(
    "--exclude", action="append", metavar="WHICH", help="pipes to leave out, in the same grammar"
)
_STRATEGY = _argument(
    "--strategy", metavar="NAME", help="execution strategy; default: the definition's, or batch"
)
_JSON = _argument("--json", action="store_true", help="a JSON document for programs, not text")
_OUTPUT = _argument("-o", "--output", metavar="FILE", help="write to this file, not to the screen")
_DURATIONS = _argument(
    "--durations",
    metavar="FILE",
    help="a JSON object from pipe id to seconds; default: the duration_hint tags, else 1",
)
_MEMORY_BUDGET = _argument(
    "--memory-budget",
    metavar="AMOUNT",
    help="the memory for entities that several pipes read, such as 8g; default: not limited",
)
_PLANNED = (_SOURCE, _MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _JSON)

COMMANDS: tuple[Command, ...] = (
    Command(
        "compile",
        "import a project's declarations and write its manifest",
        "Checks everything (declarations, graph, plan) and writes the manifest, so that Airflow "
        "need not import the project to parse its DAG. A definition's manifest is written beside "
        "it unless another place is named.",
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
        "Shows which pipes run side by side, generation by generation; with --json the whole plan, "
        "which every command reads back.",
        "reading.show_plan",
        (*_PLANNED, _MEMORY_BUDGET, _OUTPUT),
    ),
    Command(
        "explain",
        "say why a pipe is where it is in the plan",
        "Shows the longest chain that puts a pipe into its generation, what it waits for and what "
        "waits for it.",
        "reading.explain_pipe",
        (*_PLANNED, _DURATIONS, _argument("pipe", metavar="PIPE", help="the id of the pipe")),
    ),
    Command(
        "settings",
        "show the settings of a pipe's task, and where each comes from",
        "Shows what holds for the task of a pipe: each setting with its value and with what said "
        "it (a tag of the pipe, the definition, or which pattern of its overrides), and what that "
        "covers. Secrets are hidden.",
        "settings_command.show_settings",
        (
            _argument("source", metavar="DEFINITION", help="a definition (*.kindling.yaml)"),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _JSON),
            _argument("pipe", metavar="PIPE", help="the id of the pipe"),
        ),
    ),
    Command(
        "diff",
        "show what changes between two plans",
        "Shows what a change does: pipes, edges, generations, width, critical path. Ends with "
        "status 0 whether or not the plans differ, unless --exit-code is given.",
        "reading.show_difference",
        (
            _argument("old", metavar="OLD", help=_SOURCE_HELP),
            _argument("new", metavar="NEW", help=_SOURCE_HELP),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _DURATIONS, _JSON),
            _argument("--exit-code", action="store_true", help="end with status 1 if they differ"),
        ),
    ),
    Command(
        "graph",
        "draw the plan",
        "Draws the plan as Mermaid or DOT text, or as an HTML page that stands alone and can be "
        "searched and zoomed.",
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
                help="for html: a JSON object from pipe id to seconds; default: the duration_hint "
                "tags, else 1",
            ),
            _OUTPUT,
        ),
    ),
    Command(
        "validate",
        "check sources and report every problem",
        "Checks definitions, projects, manifests, records or plans in full, as compile does, and "
        "definitions against each other. Ends with status 1 if anything is wrong with any of them. "
        "Notes name what is worth knowing of valid ones; which DAG waits for which asset is shown.",
        "validate.compiling.validate_sources",
        (
            _argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE_HELP),
            *(_MODULE, _SETTINGS, _SELECT, _EXCLUDE, _STRATEGY, _JSON),
        ),
    ),
    Command(
        "forecast",
        "estimate how long a run takes at which width",
        "Shows the critical path, the total work, the lower bound and what list scheduling by "
        "critical path makes of it at several widths.",
        "reading.show_forecast",
        (
            *_PLANNED,
            _argument("-w", "--width", type=int, metavar="N", help="slots of the pool"),
            _DURATIONS,
        ),
    ),
    Command(
        "run",
        "run the plan on one local Spark session",
        "Runs the pipes in one Spark session of this machine, generation by generation, with a "
        "progress bar. The streams of a plan are started sinks first and run until Ctrl-C, which "
        "drains them, sources first. Needs pyspark. Ends with status 1 if a pipe failed or did not "
        "run.",
        "run.running.run_plan",
        (
            *_PLANNED,
            _MEMORY_BUDGET,
            _argument(
                "--project",
                metavar="FOLDER",
                help="where the modules of a manifest lie; default: the folder of its name beside "
                "it, or its own",
            ),
            _argument(
                "--warehouse", metavar="PATH", help="root of the tables; default: ./warehouse"
            ),
            _argument(*("-j", "--workers"), type=int, default=1, metavar="N", help="pipes at once"),
            _argument(
                "--on-error",
                choices=("skip_dependents", "continue", "fail_fast"),
                help="what happens to the others when a pipe fails; default: the definition's, or "
                "skip_dependents",
            ),
            _argument(
                "--retries",
                type=int,
                metavar="N",
                help="how often a failed pipe is tried again; default: the definition's, or 0",
            ),
            _argument(
                "--timeout",
                type=float,
                metavar="SECONDS",
                help="how long one try of a pipe may take; default: the definition's, or none",
            ),
            _argument(
                "--param",
                action="append",
                metavar="KEY=VALUE",
                dest="params",
                help="a parameter of the run: JSON, or else text; may be repeated; default: those "
                "of the definition",
            ),
            _argument(
                "--interval",
                nargs=2,
                metavar=("START", "END"),
                help="the run's data interval, two ISO 8601 moments, without an offset in the time "
                "zone of the definition, or UTC; default: none",
            ),
            _argument(
                "--run-id",
                metavar="ID",
                help="the name of the run: a second run of one name replaces what the first has "
                "appended; default: one for each interval, and without an interval a new one",
            ),
            _argument(
                "--for",
                dest="run_for",
                metavar="DURATION",
                help="let streams run so long (90s, 10m), then drain them; default: what the "
                "definition says, else until Ctrl-C",
            ),
            _argument(
                "--available-now",
                action="store_true",
                help="let each stream take what is there and end, producers first",
            ),
            _argument(
                "--checkpoints",
                metavar="PATH",
                help="root of the streams' checkpoints; default: those of the definition, else "
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
        "make the zip that a cluster needs",
        "Makes one zip of a project's files and of what the runner needs, without Airflow, and "
        "tries it. The same project gives the same bytes. Without --output it is written where the "
        "definition's key 'package' says, else beside the source.",
        "packaging.package_project",
        (
            _argument("source", metavar="SOURCE", help="a definition or a project folder"),
            _MODULE,
            _argument("-o", "--output", metavar="FILE", help="where to write the zip"),
            _argument(
                "--check",
                action="store_true",
                help="write nothing; end with status 1 if the zip is not that of the project",
            ),
            _JSON,
        ),
    ),
    Command(
        "pools",
        "list the pools that DAGs need, and create those that are missing",
        "Compares what the deployment's DAGs need of pools with what is in Airflow's database: "
        "definitions in its DAG folders, and whatever else it has stored. Ends with status 1 if "
        "tasks would wait for ever, because a pool is missing or too small for one.",
        "pool_commands.show_pools",
        (
            _argument(
                "folders",
                nargs="*",
                metavar="FOLDER",
                help="where definitions lie; default: the deployment's DAG folders",
            ),
            _argument(
                "--apply",
                action="store_true",
                help="create what is missing; what exists is never changed",
            ),
            _JSON,
        ),
    ),
    Command(
        "stop",
        "stop the streams of a DAG, sources first",
        "Tells the streams of a DAG's running runs to drain, and waits until the runs have ended: "
        "each stream takes what is there before it ends. The DAG is paused when they have ended, "
        "because one that runs continuously would start again. Ends with status 1 if nothing is "
        "running, if the runs do not end in time, or if a stream ended before it had taken all "
        "that was there; the next run goes on from there.",
        "stop.stopping.stop_streams",
        (
            _argument("dag_id", metavar="DAG_ID", help="the DAG"),
            _argument("--run-id", metavar="ID", help="one run; default: all that are running"),
            _argument(
                "--restart",
                action="store_true",
                help="do not pause the DAG: it starts again where it runs continuously",
            ),
            _argument(
                "--wait",
                type=float,
                metavar="SECONDS",
                help="how long to wait for the end; default: as long as it takes",
            ),
            _JSON,
        ),
    ),
    Command(
        "jars",
        "fetch the jars of Delta, Iceberg and Kafka",
        "Fetches the jars that entities of the types delta, iceberg and kafka need, by Maven where "
        "it is installed, else by the resolver of spark-submit, and checks what they hold. Prints "
        "the setting with which Spark finds them. What is there already is not fetched again.",
        "jar_commands.fetch",
        (
            _argument(
                "formats",
                nargs="*",
                metavar="FORMAT",
                help="delta, iceberg, kafka; default: all of them",
            ),
            _argument(
                "--folder",
                metavar="FOLDER",
                default="jars",
                help="where to put them; default: jars",
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
        "Shows the runs of a range of dates by the schedule of a definition's DAG, the pipes that "
        "run in each and what they write; says what Airflow would refuse or ignore; and prints the "
        "'airflow backfill create' that does it. Changes nothing. Ends with status 1 if Airflow "
        "would refuse it.",
        "backfill.backfill_commands.show_backfill",
        (
            _argument("source", metavar="DEFINITION", help="a definition (*.kindling.yaml)"),
            _argument(
                "--from-date", required=True, metavar="DATE", help="first date, or moment in it"
            ),
            _argument("--to-date", required=True, metavar="DATE", help="last date"),
            _SELECT,
            _argument(
                "--max-active-runs", type=int, metavar="N", help="runs at once; default: Airflow's"
            ),
            _argument(
                "--reprocess-behavior",
                choices=("none", "failed", "completed"),
                default="none",
                help="which runs that exist are run again; default: none",
            ),
            _argument("--run-backwards", action="store_true", help="latest run first"),
            _argument("--dag-run-conf", metavar="JSON", help="parameters that the runs get"),
            _JSON,
        ),
    ),
    Command(
        "warm",
        "make the start-up profile for Spark drivers",
        "Makes the class-data archive of this machine's Java and Spark, once, and tries it. Tasks "
        "in local and client mode start with it when it fits, and without it when not. Ends with "
        "status 1 if it could not be made.",
        "warming.warm",
        (
            _argument(
                "--folder",
                metavar="FOLDER",
                help="where archives are kept; default: [kindling] start_profile_folder",
            ),
            _argument("--force", action="store_true", help="make it anew even if there is one"),
            _JSON,
        ),
    ),
    Command(
        "version",
        "show which releases are installed",
        "Shows the release of this package, of Python, and of what the package stands on. "
        "'kindling-airflow --version' shows the first alone.",
        "version_command.show_version",
        (_JSON,),
    ),
)
