"""Checks the keys of a definition against ``definition.schema.json``.

The schema is published for editors; problems are reported in the package's own words, one text per
problem, each with its path from the root.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from jsonschema import Draft202012Validator, validators

from kindling_airflow.common.redaction import MASK, is_secret_key, secret_values, without_secrets
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.definitions.yaml_file import DEEPEST, MOST_VALUES, Problem, Where

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}
_LARGEST = 2**63
_LONGEST_SHOWN = 80


@lru_cache(maxsize=1)
def definition_schema() -> dict[str, Any]:
    """Return the published JSON Schema of definition files."""
    text = (
        files("kindling_airflow.definitions").joinpath("definition.schema.json").read_text("utf-8")
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


def keys_of_level(level: str) -> tuple[str, ...]:
    """Return the keys of a level: ``dag`` for the DAG as a whole, ``plan`` for the choice of pipes.

    >>> keys_of_level("plan")
    ('strategy', 'pipes', 'select', 'exclude')
    """
    properties = definition_schema()["properties"]
    return tuple([key for key, facts in properties.items() if facts.get("x-level") == level])


def dag_arguments() -> tuple[str, ...]:
    """Return the keys that are passed on to Airflow's DAG as they are."""
    properties = definition_schema()["properties"]
    return tuple([key for key, facts in properties.items() if facts.get("x-dag-argument")])


def resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of the schema with what it refers to in place of the reference.

    A part that may be null as well is the part; its own description comes before another's.
    """
    found = dict(schema)
    for inner in found.pop("anyOf", ()):
        if inner != {"type": "null"}:
            found = {**resolved(inner), **found}
    reference = found.pop("$ref", None)
    if reference is None:
        return found
    target: Any = definition_schema()
    for key in reference.removeprefix("#/").split("/"):
        target = target[key]
    return {**resolved(target), **found}


def schema_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield where a document (as :func:`as_json` returns it) breaks the schema."""
    for error in _validator().iter_errors(document):
        where: Where = tuple(error.absolute_path)
        for step, text in _TEXTS.get(str(error.validator), _other)(error):
            yield (*where, *step), _without_secrets(text, where, error.instance, document)


def _without_secrets(text: str, where: Where, value: Any, document: Mapping[str, Any]) -> str:
    """Return a text without the secrets of the document that it is about: it goes to logs."""
    if any(is_secret_key(step) for step in where):
        text = text.replace(_shown(value), MASK)
    return without_secrets(text, secret_values(document))


def as_json(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a document as JSON, and the problems with what JSON cannot represent.

    Dates become ISO text, paths text, tuples lists. What has no place in JSON is left out.
    """
    problems: list[Problem] = []
    left = [MOST_VALUES]

    def convert(value: Any, where: Where) -> Any:
        left[0] -= 1
        if left[0] == 0:
            problems.append(((), f"more than {MOST_VALUES} values\n  Fix: shorten the definition."))
        if left[0] <= 0:
            return None
        if isinstance(value, (Mapping, list, tuple)) and len(where) == DEEPEST:
            problems.append((where, f"nested deeper than {DEEPEST} levels\n  Fix: flatten it."))
            return None
        if isinstance(value, Mapping):
            keys = [key for key in value if isinstance(key, str) and not _flaw(key)]
            if len(keys) < len(value):
                problems.append((where, "a key must be text\n  Fix: put the key in quotes."))
            return {str(key): convert(value[key], (*where, str(key))) for key in keys}
        if isinstance(value, (list, tuple)):
            return [convert(item, (*where, n)) for n, item in enumerate(value)]
        if isinstance(value, (date, PurePath)):
            value = value.isoformat() if isinstance(value, date) else str(value)
        flaw = _flaw(value)
        if flaw:
            problems.append((where, flaw))
        return None if flaw else value

    return convert(document, ()), problems


def _flaw(value: Any) -> str | None:
    """Return why a value cannot be kept as JSON, or None."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "contains an unpaired surrogate\n  Fix: write it as UTF-8 text."
        return "contains a NUL character\n  Fix: remove it." if "\0" in value else None
    if isinstance(value, (int, float)):
        if abs(value) < _LARGEST:  # false for NaN
            return None
        return "is not a number that can be stored\n  Fix: use a finite number below 2**63."
    kind = type(value).__name__
    return f"a {kind} is not supported here\n  Fix: use text, numbers, lists or mappings."


@lru_cache(maxsize=1)
def _validator() -> Any:
    """Return the validator; like Airflow, it does not accept 2.0 as an integer."""
    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    extend: Any = validators.extend
    return extend(Draft202012Validator, type_checker=checker)(definition_schema())


Texts = Iterator[tuple[Where, str]]


def _additional(error: Any) -> Texts:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known:
            hint = did_you_mean(key, known) or f" Known keys: {', '.join(known)}."
            yield (key,), f"unknown key {_shown(key)}.{hint}"


def _required(error: Any) -> Texts:
    for key in error.validator_value:
        if key not in error.instance:
            yield (), f"key {key!r} is missing\n  Fix: add '{key}: ...'."


def _type(error: Any) -> Texts:
    wanted = error.validator_value
    wanted = [wanted] if isinstance(wanted, str) else wanted
    fix = ""
    if wanted == ["array"]:
        fix = "\n  Fix: write it as a list: [...]."
    elif "string" in wanted and isinstance(error.instance, (int, float)):
        fix = "\n  Fix: put it in quotes."
    yield (), f"must be {' or '.join(_TYPES[t] for t in wanted)}, not {_shown(error.instance)}{fix}"


def _unique(error: Any) -> Texts:
    for item, times in Counter(error.instance).items():
        if times > 1:
            yield (), f"{_shown(item)} is listed {times} times\n  Fix: keep one."


def _one_of_them(error: Any) -> Texts:
    """One alternative says that the value may be left empty; what counts is the other."""
    for inner in error.context:
        if inner.validator_value != "null":
            for step, text in _TEXTS.get(str(inner.validator), _other)(inner):
                yield (*inner.relative_path, *step), text


def _text_or_list(error: Any) -> Texts:
    """What is a list is to be a good one, and anything else a text."""
    is_list = isinstance(error.instance, list)
    for inner in error.context:
        alternative = error.validator_value[inner.schema_path[0]]
        if (alternative["type"] == "array") is is_list:
            for step, text in _TEXTS.get(str(inner.validator), _other)(inner):
                yield (*inner.relative_path, *step), text


def _says(text: str) -> Callable[[Any], Texts]:
    """Return the function of a text about the value itself: {wanted}, {value}, {shown}, ..."""

    def texts(error: Any) -> Texts:
        wanted, value, schema = error.validator_value, error.instance, error.schema
        listed = ", ".join(map(repr, wanted)) if isinstance(wanted, list) else ""
        yield (
            (),
            text.format(
                wanted=wanted,
                value=value,
                shown=_shown(value),
                listed=listed,
                keys=", ".join(map(repr, schema.get("properties", ()))),
                comment=schema.get("$comment"),
                length=len(value) if isinstance(value, str) else 0,
                message=error.message,
            ),
        )

    return texts


_other = _says("{message}")
_empty = _says("must not be empty\n  Fix: set a value, or remove the key.")
_exactly_one = _says("must have exactly one of the keys {keys}")
_TEXTS: Mapping[str, Callable[[Any], Texts]] = {
    "additionalProperties": _additional,
    "anyOf": _one_of_them,
    "enum": _says("must be one of {listed}, not {shown}"),
    "exclusiveMinimum": _says("must be above {wanted}, not {value}"),
    "maxLength": _says("must have at most {wanted} characters, not {length}"),
    "maxProperties": _exactly_one,
    "maximum": _says("must be at most {wanted}, not {value}"),
    "minItems": _empty,
    "minLength": _empty,
    "minProperties": _exactly_one,
    "minimum": _says("must be at least {wanted}, not {value}"),
    "oneOf": _text_or_list,
    "pattern": _says("must be {comment}, not {shown}"),
    "required": _required,
    "type": _type,
    "uniqueItems": _unique,
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
