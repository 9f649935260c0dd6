"""Checks what a schema cannot: the meaning of the keys of a definition, and of combinations."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.common.variables import variable_problem
from kindling_airflow.definitions.params import param_problems
from kindling_airflow.definitions.python_objects import OBJECTS
from kindling_airflow.definitions.yaml_file import Problem, Where
from kindling_airflow.translator.task_settings import argument_problems

_PLACES = ("warehouse", "checkpoints", "assets")
_NAMES = ("pool", "queue", "executor", "owner")
_HANDED_ON = ("conf", "env_vars", "name")
_NAMED_REFERENCES = ("queued_at", "logical_date", "average_runtime")


def meaning_problems(
    valid: Mapping[str, Any], given: Collection[str], pool: str
) -> Iterator[Problem]:
    """Yield what is wrong with the valid keys of a definition.

    Args:
        valid: the keys that fit the schema.
        given: all keys.
        pool: the pool of the definition.
    """
    if pool in valid.get("pools", {}):
        text = f"{pool!r} is the definition's own pool\n  Fix: set its slots with 'width: ...'."
        yield ("pools", pool), text
    yield from param_problems(valid.get("params", {}), valid.get("schedule") is not None)
    yield from _argument_problems(valid)
    yield from _variable_problems(valid)
    yield from _lifetime_problems(valid, given)
    yield from _deadline_problems(valid.get("dag_run", {}).get("deadline", ()))


def _layers(keys: Mapping[str, Any]) -> Iterator[tuple[Where, Mapping[str, Any]]]:
    yield (), keys
    for pattern, layer in keys.get("overrides", {}).items():
        yield ("overrides", pattern), layer


def _variable_problems(valid: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield where a variable of a shell is named and nothing replaces it.

    Spark replaces some in its own properties (``${env:HOME}``), so that ``conf`` and what else is
    handed on as it is may hold any.
    """
    for where, layer in _layers(valid):
        spark = layer.get("spark") or {}
        texts: dict[Where, Any] = {(key,): layer.get(key) for key in (*_PLACES, *_NAMES)}
        texts |= {("spark", key): spark[key] for key in spark if key not in _HANDED_ON}
        for way, value in texts.items():
            text = variable_problem(value, is_path=way[-1] not in _NAMES)
            if text is not None:
                template = ", or a template such as '{{ var.value.warehouse }}'"
                more = template if way == ("warehouse",) else ""
                yield (*where, *way), f"{text}\n  Fix: write the value{more}."


def _argument_problems(valid: Mapping[str, Any]) -> Iterator[Problem]:
    for where, layer in _layers(valid):
        for name, text in argument_problems(layer.get("arguments") or {}):
            yield (*where, "arguments", name), text


def _lifetime_problems(valid: Mapping[str, Any], given: Collection[str]) -> Iterator[Problem]:
    if "lifetime" in given and "lifetime" not in valid:
        return
    bounded = valid.get("lifetime") == "bounded"
    if bounded and "duration" not in given:
        yield ("lifetime",), "'bounded' needs a duration\n  Fix: add 'duration: 1h'."
    elif not bounded and "duration" in valid:
        text = "'duration' requires lifetime: bounded"
        yield ("duration",), f"{text}\n  Fix: add 'lifetime: bounded', or remove the key."


def _deadline_problems(alerts: Any) -> Iterator[Problem]:
    is_list = isinstance(alerts, (list, tuple))
    for n, alert in enumerate(alerts if is_list else [alerts]):
        where = ("dag_run", "deadline", *((n,) if is_list else ()))
        if isinstance(alert, str):
            if not alert.startswith(f"{OBJECTS}:"):
                text = f"must be a mapping, not {alert!r}"
                yield where, f"{text}\n  Fix: write reference, interval_seconds and callback."
        elif alert["reference"] not in _NAMED_REFERENCES:
            try:
                iso_datetime(alert["reference"])
            except ValueError as error:
                yield (*where, "reference"), f"{alert['reference']!r} is not a timestamp: {error}"
