"""``kindling-airflow``: the command line that needs neither Airflow nor Spark.

Exit status: 0 done, 1 problems were found, 2 wrong call. With ``--json`` what is printed is one
JSON document, problems included: ``{"error": ..., "problems": [...]}``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from kindling_airflow import __version__
from kindling_airflow.cli.command_table import COMMANDS, Command
from kindling_airflow.errors import KindlingAirflowError, WrongCallError, problems_of

__all__ = ["main", "run_command"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments`` (default: the process's own); return its exit status."""
    called = _parser().parse_args(arguments)
    return run_command(called.command, called)


def run_command(command: Command, called: argparse.Namespace) -> int:
    """Run a command with its parsed arguments; return the exit status."""
    place, _, name = command.place.rpartition(".")
    function: Callable[[Any], int] = getattr(import_module(f"kindling_airflow.cli.{place}"), name)
    try:
        status = function(called)
        print(end="", flush=True)  # there need not be a standard output
    except WrongCallError as error:
        print(f"kindling-airflow {command.name}: {error}", file=sys.stderr)
        return 2
    except KindlingAirflowError as error:
        if called.json:
            problems = list(problems_of(error))
            print(json.dumps({"error": type(error).__name__, "problems": problems}, indent=2))
        else:
            print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough, as in '... | head'
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kindling-airflow",
        description="Compiles Spark pipeline plans into Airflow DAGs, and reads them.",
        epilog="Exit status: 0 done, 1 problems were found, 2 wrong call.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.help, description=command.description)
        for argument in command.arguments:
            own.add_argument(*argument.flags, **argument.options)
        own.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
