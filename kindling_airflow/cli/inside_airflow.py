"""Calls Airflow without its log on standard output, and with this package's errors."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from kindling_airflow.errors import KindlingAirflowError, WrongCallError

T = TypeVar("T")


def asked_quietly(
    args: argparse.Namespace, what: str, answer: Callable[[argparse.Namespace], T]
) -> T:
    """Return the answer of a function that needs Airflow.

    Args:
        args: the command's arguments.
        what: what the command needs Airflow for, for the error.
        answer: the function.

    Raises:
        WrongCallError: Airflow is not installed.
    """
    try:
        from airflow.utils.cli import suppress_logs_and_warning
    except ImportError as error:
        raise WrongCallError(f"{what}: {error}") from error
    found: list[T] = []
    args.verbose = False
    suppress_logs_and_warning(lambda quiet: found.append(answer(quiet)))(args)
    return found[0]


def asked_of_database(
    args: argparse.Namespace, command: str, answer: Callable[[argparse.Namespace], T]
) -> T:
    """Return the answer of a function that needs Airflow's database.

    Raises:
        WrongCallError: Airflow is not installed.
        KindlingAirflowError: the database is not available.
    """
    what = f"'{command}' reads Airflow's database"
    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise WrongCallError(f"{what}: {error}") from error
    try:
        return asked_quietly(args, what, answer)
    except SQLAlchemyError as error:
        reason = str(error).partition("\n")[0]
        raise KindlingAirflowError(
            f"Airflow's database is not available: {reason}\n"
            "  Fix: diagnose and repair it with 'airflow db check' and 'airflow db migrate'."
        ) from error
