"""``kindling-airflow``: the command line that needs neither Airflow nor Spark.

Exit status: 0 success, 1 problems were found, 2 wrong usage. With ``--json`` the output is one JSON
document, problems included: ``{"error": ..., "problems": [...]}``.
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments`` (default: the process's own); return its exit status."""
    args = _parser().parse_args(arguments)
    return run_command(args.command, args)


def run_command(command: Command, args: argparse.Namespace) -> int:
    """Run a command with its parsed arguments; return the exit status."""
    module, _, name = command.function.rpartition(".")
    function: Callable[[Any], int] = getattr(import_module(f"kindling_airflow.cli.{module}"), name)
    try:
        status = function(args)
        print(end="", flush=True)  # unlike sys.stdout.flush, works without a standard output
    except WrongCallError as error:
        print(f"kindling-airflow {command.name}: {error}", file=sys.stderr)
        return 2
    except KindlingAirflowError as error:
        if args.json:
            problems = list(problems_of(error))
            print(json.dumps({"error": type(error).__name__, "problems": problems}, indent=2))
        else:
            print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # as in '... | head'
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kindling-airflow",
        description="Compiles Spark pipeline plans into Airflow DAGs, and inspects them.",
        epilog="Exit status: 0 success, 1 problems were found, 2 wrong usage.",
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
