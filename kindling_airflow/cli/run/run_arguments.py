"""The name, parameters and data interval of a ``run``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Any

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.errors import WrongCallError


def run_parameters(source: Source, args: argparse.Namespace) -> dict[str, Any]:
    """Return the run's parameters: the defaults of the definition, overridden by the command's.

    Raises:
        WrongCallError: ``--param`` without a name, or parameters that Airflow would reject; lists
            all of them.
    """
    found: dict[str, Any] = {}
    for param in args.params or ():
        name, equals, text = param.partition("=")
        if not equals or not name:
            raise WrongCallError(f"--param {param!r}: must be KEY=VALUE")
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
                f"the definition's parameter {name!r} has no default: set --param {name}=VALUE"
            )
    if problems:
        raise WrongCallError("\n".join(problems))
    return {**defaults, **found}


def _declared(params: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the parameters of a definition: name, default and description, schema."""
    from kindling_airflow.common.immutable import thaw
    from kindling_airflow.definitions.params import param_parts
    from kindling_airflow.definitions.python_objects import OBJECTS

    for name, param in params.items():
        if not (isinstance(param, str) and param.startswith(f"{OBJECTS}:")):  # Airflow's own Param
            yield name, *param_parts(thaw(param))


def _param_problems(name: str, value: Any, schema: Mapping[str, Any]) -> list[str]:
    from jsonschema import Draft202012Validator, FormatChecker

    checker = Draft202012Validator(schema, format_checker=FormatChecker())
    return [
        f"--param {name}={value}: violates the parameter's schema: {flaw.message}"
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
    source: Source, args: argparse.Namespace, interval: tuple[str, str] | None, now: datetime
) -> str:
    """Return the id of a run: only a run of the same id replaces what its pipes have appended.

    The default is one id for each interval, as in Airflow, and a new one without an interval.
    """
    if args.run_id is not None:
        run_id: str = args.run_id
        if not run_id.strip():
            raise WrongCallError("--run-id: must not be empty")
        return run_id
    if interval is None:
        return f"run of {source.path.name} at {now.isoformat()}"
    return f"run of {source.path.name} for {interval[0]} to {interval[1]}"


def chosen_place(key: str, source: Source, args: argparse.Namespace, default: str = "") -> str:
    """Return the ``warehouse`` or ``checkpoints`` of the command, else that of the definition.

    Raises:
        WrongCallError: that of the definition is a template.
    """
    given = getattr(args, key)
    root: str = given or getattr(source.definition, key, None) or default
    if given is None and "{{" in root:
        raise WrongCallError(
            f"the definition's {key} {root!r} is a template, which only Airflow can render: "
            f"set --{key}"
        )
    return root if not root or "://" in root else str(Path(root).resolve())


def check_has_interval(source: Source, interval: tuple[str, str] | None) -> None:
    """Check that the run has an interval if the definition requires one.

    Raises:
        WrongCallError: it has none.
    """
    definition = source.definition
    if interval is not None or definition is None or definition.on_missing_interval == "full":
        return
    raise WrongCallError(
        f"{str(source.path)!r} sets on_missing_interval: {definition.on_missing_interval}, and "
        "this run has no data interval, so its pipes would process all data: set --interval"
    )


def checked_interval(
    args: argparse.Namespace, zone: tzinfo = timezone.utc
) -> tuple[str, str] | None:
    """Return the interval of ``--interval`` in UTC, or None.

    Args:
        args: the command's arguments.
        zone: the time zone of timestamps without an offset.

    Raises:
        WrongCallError: these are not two timestamps in order.
    """
    if not args.interval:
        return None
    start, end = (_timestamp(text, zone).astimezone(timezone.utc) for text in args.interval)
    if start >= end:
        shown = " ".join(args.interval)
        raise WrongCallError(f"--interval {shown}: the start must be before the end")
    return start.isoformat(), end.isoformat()


def _timestamp(text: str, zone: tzinfo) -> datetime:
    try:
        found = iso_datetime(text)
    except ValueError as error:
        raise WrongCallError(f"--interval: {text!r} is not an ISO 8601 timestamp") from error
    return found.replace(tzinfo=zone) if found.tzinfo is None else found
