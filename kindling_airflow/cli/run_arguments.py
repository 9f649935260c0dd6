"""What ``run`` tells the pipes of their run: the parameters, and the data interval."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from kindling_airflow.cli.sources import Source
from kindling_airflow.errors import WrongCallError

__all__ = ["checked_interval", "run_parameters"]


def run_parameters(source: Source, called: argparse.Namespace) -> dict[str, Any]:
    """Return the run's parameters: the defaults of the definition, then what the command says.

    Raises:
        WrongCallError: ``--param`` without a name.
    """
    found: dict[str, Any] = {}
    if source.definition is not None:
        found = dict(_defaults(source.definition.params))
    for said in called.params or ():
        name, equals, text = said.partition("=")
        if not equals or not name:
            raise WrongCallError(f"--param {said!r}: write KEY=VALUE")
        found[name] = _value(text)
    return found


def _defaults(params: Mapping[str, Any]) -> Mapping[str, Any]:
    from kindling_airflow.dag_factory.definition_params import param_parts
    from kindling_airflow.dag_factory.python_objects import OBJECTS
    from kindling_airflow.frozen import thaw

    parts = {
        name: param_parts(thaw(said))[0]
        for name, said in params.items()
        if not (isinstance(said, str) and said.startswith(f"{OBJECTS}:"))  # Airflow's own Param
    }
    return {name: part["default"] for name, part in parts.items() if "default" in part}


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return text


def _not_json(name: str) -> Any:
    raise ValueError(name)


def checked_interval(called: argparse.Namespace) -> tuple[str, str] | None:
    """Return the interval that the command was told of; what has no offset is in UTC.

    Raises:
        WrongCallError: these are no two moments, or the first does not come first.
    """
    if not called.interval:
        return None
    start, end = map(_moment, called.interval)
    if start >= end:
        shown = " ".join(called.interval)
        raise WrongCallError(f"--interval {shown}: it must start before it ends")
    return start.isoformat(), end.isoformat()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise WrongCallError(f"--interval: {text!r} is no ISO 8601 moment") from error
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment
