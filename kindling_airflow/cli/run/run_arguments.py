"""What ``run`` tells the pipes of their run: its name, the parameters, and the data interval."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone, tzinfo
from typing import Any

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.errors import WrongCallError

__all__ = ["check_has_interval", "checked_interval", "run_name", "run_parameters"]


def run_parameters(source: Source, called: argparse.Namespace) -> dict[str, Any]:
    """Return the run's parameters: the defaults of the definition, then what the command says.

    Raises:
        WrongCallError: ``--param`` without a name, or parameters that Airflow would refuse; lists
            them all.
    """
    found: dict[str, Any] = {}
    for said in called.params or ():
        name, equals, text = said.partition("=")
        if not equals or not name:
            raise WrongCallError(f"--param {said!r}: write KEY=VALUE")
        found[name] = _value(text)
    if source.definition is None:
        return found
    defaults, problems = {}, []
    for name, itself, schema in _declared(source.definition.params):
        if "default" in itself:
            defaults[name] = itself["default"]
        if name in found:
            problems += _param_problems(name, found[name], schema)
        elif "default" not in itself:
            problems.append(
                f"the definition's parameter {name!r} has no default: give it with "
                f"--param {name}=VALUE"
            )
    if problems:
        raise WrongCallError("\n".join(problems))
    return {**defaults, **found}


def _declared(params: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the parameters of a definition: name, default and description, schema."""
    from kindling_airflow.common.frozen import thaw
    from kindling_airflow.definitions.params import param_parts
    from kindling_airflow.definitions.python_objects import OBJECTS

    for name, said in params.items():
        if not (isinstance(said, str) and said.startswith(f"{OBJECTS}:")):  # Airflow's own Param
            yield name, *param_parts(thaw(said))


def _param_problems(name: str, value: Any, schema: Mapping[str, Any]) -> list[str]:
    from jsonschema import Draft202012Validator, FormatChecker

    checker = Draft202012Validator(schema, format_checker=FormatChecker())
    return [
        f"--param {name}={value}: breaks the parameter's schema: {flaw.message}"
        for flaw in checker.iter_errors(value)
    ]


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return text


def _not_json(name: str) -> Any:
    raise ValueError(name)


def run_name(
    source: Source, called: argparse.Namespace, interval: tuple[str, str] | None, now: datetime
) -> str:
    """Return the id of a run. What a pipe appends is replaced by a run of the same id alone.

    It is what the command says; else there is one for each interval, as Airflow has it; and a run
    without an interval is a new one each time.
    """
    if called.run_id is not None:
        said: str = called.run_id
        if not said.strip():
            raise WrongCallError("--run-id: write a name")
        return said
    if interval is None:
        return f"run of {source.path.name} at {now.isoformat()}"
    return f"run of {source.path.name} for {interval[0]} to {interval[1]}"


def check_has_interval(source: Source, interval: tuple[str, str] | None) -> None:
    """Refuse a run without an interval where the definition wants one.

    Raises:
        WrongCallError: it does.
    """
    definition = source.definition
    if interval is not None or definition is None or definition.on_missing_interval == "full":
        return
    raise WrongCallError(
        f"{str(source.path)!r} says on_missing_interval: {definition.on_missing_interval}, and "
        "this run has no data interval, so its pipes would work on all data: name one with "
        "--interval START END"
    )


def checked_interval(
    called: argparse.Namespace, zone: tzinfo = timezone.utc
) -> tuple[str, str] | None:
    """Return the interval that the command was told of, in UTC as a task gets it from Airflow.

    Args:
        called: the command's arguments.
        zone: the time zone of what has no offset.

    Raises:
        WrongCallError: these are no two moments, or the first does not come first.
    """
    if not called.interval:
        return None
    start, end = (_moment(text, zone).astimezone(timezone.utc) for text in called.interval)
    if start >= end:
        shown = " ".join(called.interval)
        raise WrongCallError(f"--interval {shown}: it must start before it ends")
    return start.isoformat(), end.isoformat()


def _moment(text: str, zone: tzinfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise WrongCallError(f"--interval: {text!r} is no ISO 8601 moment") from error
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
