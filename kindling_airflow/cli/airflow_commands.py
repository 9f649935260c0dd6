"""``airflow kindling ...``: the command table in Airflow's form, registered by the provider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from kindling_airflow.cli.command_table import COMMANDS, Command

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


def get_kindling_cli_commands() -> list[CLICommand]:
    """Return the group ``kindling`` with its commands; they are imported when they run."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    return [
        GroupCommand(
            name="kindling",
            help="Compile, inspect and run Spark pipeline plans",
            subcommands=tuple(
                ActionCommand(
                    name=command.name,
                    help=command.help[0].upper() + command.help[1:],
                    description=command.description,
                    func=partial(_call, command),
                    args=tuple(
                        Arg(a.flags, **a.options)  # type: ignore[no-untyped-call]
                        for a in command.arguments
                    ),
                )
                for command in COMMANDS
            ),
        )
    ]


def _call(command: Command, args: Any) -> None:
    from kindling_airflow.cli.main import run_command

    args.in_airflow = True  # so that Airflow itself can check a DAG
    status = run_command(command, args)
    if status:
        raise SystemExit(status)
