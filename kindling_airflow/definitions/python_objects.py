"""Objects in a definition from Python: functions, notifiers, pods, parameters.

A definition is checked as a JSON document, whatever it comes from. Objects that JSON does not have
are set aside first, each replaced by a reference that the schema lets pass, and put back when the
DAG is built:

    on_failure_callback=page_somebody   ->   "kindling_objects:_0", and (page_somebody,)

Only where an object makes sense; everywhere else it stays where it is and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import PurePath
from typing import Any

from kindling_airflow.definitions.yaml_file import DEEPEST, MOST_VALUES
from kindling_airflow.translator import CALLBACKS

OBJECTS = "kindling_objects"

_PLACES = frozenset((*CALLBACKS, "overrides", "params", "dag_run", "executor_config", "arguments"))
_IN_SPARK = "yarn_rm_auth"
_OF_JSON = (str, int, float, bool, type(None), date, PurePath)


def set_aside(document: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Return a document with references in place of objects, and the objects."""
    objects: list[Any] = []
    left = [MOST_VALUES]  # what is wider or deeper is refused later, as it stands

    def replaced(value: Any, depth: int) -> Any:
        left[0] -= 1
        if left[0] <= 0 or depth >= DEEPEST or isinstance(value, _OF_JSON):
            return value
        if isinstance(value, Mapping):
            return {key: inner(key, item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [replaced(item, depth + 1) for item in value]
        objects.append(value)
        return f"{OBJECTS}:_{len(objects) - 1}"

    def inner(key: Any, value: Any, depth: int) -> Any:
        if key != "spark":
            return replaced(value, depth)
        if not isinstance(value, Mapping) or _IN_SPARK not in value:
            return value
        return {**value, _IN_SPARK: replaced(value[_IN_SPARK], depth + 1)}

    found = {
        key: inner(key, value, 1) if key in _PLACES or key == "spark" else value
        for key, value in document.items()
    }
    return found, tuple(objects)


def put_back(value: Any, objects: Sequence[Any]) -> Any:
    """Return a value with the objects in place of their references; dicts and lists are plain."""
    if isinstance(value, Mapping):
        return {key: put_back(item, objects) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [put_back(item, objects) for item in value]
    if objects and isinstance(value, str) and value.startswith(f"{OBJECTS}:_"):
        number = value.rpartition("_")[2]
        return objects[int(number)] if number.isdecimal() and int(number) < len(objects) else value
    return value
