"""Parameters of a run, as a definition says them: a default, or a mapping with a JSON Schema.

    params:
      region: EU                                   a default of any type
      days: {default: 7, type: integer, minimum: 1, description: How far back.}
      day: {type: string, format: date}            no default: asked for when a run is started

A default that is itself a mapping is written out: ``{default: {...}, type: object}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kindling_airflow.common.immutable import thaw
from kindling_airflow.definitions.python_objects import OBJECTS
from kindling_airflow.definitions.yaml_file import Problem

_ITSELF = ("default", "description")


def param_parts(param: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a parameter's default and description, as far as they are given, and its schema.

    >>> param_parts({"default": 7, "type": "integer"}), param_parts("EU")
    (({'default': 7}, {'type': 'integer'}), ({'default': 'EU'}, {}))
    """
    if not isinstance(param, Mapping):
        return {"default": param}, {}
    itself = {key: value for key, value in param.items() if key in _ITSELF}
    return itself, {key: value for key, value in param.items() if key not in _ITSELF}


def param_problems(params: Mapping[str, Any], is_scheduled: bool) -> Iterator[Problem]:
    """Yield what is wrong with the parameters of a definition.

    Args:
        params: as the definition says them.
        is_scheduled: whether runs start without anybody who could be asked.
    """
    from jsonschema import Draft202012Validator, FormatChecker, SchemaError

    for name, param in params.items():
        if name == "select":
            text = "is reserved for selecting pipes\n  Fix: rename the parameter."
            yield ("params", name), text
        if isinstance(param, str) and param.startswith(f"{OBJECTS}:"):
            continue  # an object from Python checks itself
        itself, schema = param_parts(thaw(param))
        where = ("params", name)
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            key = ".".join(map(str, error.absolute_path))
            at = f"{key}: " if key else ""
            yield where, f"is not a JSON Schema: {at}{error.message}\n  Fix: correct the schema."
            continue
        if not isinstance(itself.get("description", ""), str):
            yield (*where, "description"), f"must be text, not {itself['description']!r}"
        if "default" not in itself:
            if is_scheduled:
                yield where, "has no default, which scheduled runs need\n  Fix: add one."
            continue
        checker = Draft202012Validator(schema, format_checker=FormatChecker())
        for flaw in checker.iter_errors(itself["default"]):
            fix = "change the default, or the schema"
            yield where, f"its default breaks its schema: {flaw.message}\n  Fix: {fix}."
