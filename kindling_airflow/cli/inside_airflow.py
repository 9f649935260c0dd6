"""Commands that ask Airflow itself: without its log on standard output, and in their own words."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from kindling_airflow.errors import KindlingAirflowError, WrongCallError

__all__ = ["asked_of_database", "asked_quietly"]

T = TypeVar("T")


def asked_quietly(
    called: argparse.Namespace, what: str, answer: Callable[[argparse.Namespace], T]
) -> T:
    """Return an answer that takes Airflow to give.

    Args:
        called: the command's arguments.
        what: what the command does with Airflow, for where there is none.
        answer: gives the answer.

    Raises:
        WrongCallError: Airflow is not installed.
    """
    try:
        from airflow.utils.cli import suppress_logs_and_warning
    except ImportError as error:
        raise WrongCallError(f"{what}: {error}") from error
    found: list[T] = []
    called.verbose = False
    suppress_logs_and_warning(lambda said: found.append(answer(said)))(called)
    return found[0]


def asked_of_database(
    called: argparse.Namespace, command: str, answer: Callable[[argparse.Namespace], T]
) -> T:
    """Return an answer that takes Airflow's database to give.

    Raises:
        WrongCallError: Airflow is not installed.
        KindlingAirflowError: the database gives no answer.
    """
    what = f"'{command}' looks into Airflow's database"
    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise WrongCallError(f"{what}: {error}") from error
    try:
        return asked_quietly(called, what, answer)
    except SQLAlchemyError as error:
        said = str(error).partition("\n")[0]
        raise KindlingAirflowError(
            f"Airflow's database gives no answer: {said}\n"
            "  Fix: 'airflow db check' and 'airflow db migrate' say and mend what is wrong with it."
        ) from error
