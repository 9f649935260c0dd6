"""Checks how a pipe gets its inputs: under which names, and whether it can take them.

A function takes them by keyword, a query as tables; both under the entity's id, made a legal name.
"""

from __future__ import annotations

import inspect
import keyword
import re
import unicodedata
from collections.abc import Iterable, Sequence

from kindling_airflow.data_pipes.sql_query import query_problems


def argument_name(entity_id: str) -> str:
    """Return the keyword under which a pipe's function receives an entity.

    >>> argument_name("bronze.orders"), argument_name("ref-data.2024"), argument_name("class")
    ('bronze_orders', 'ref_data_2024', 'class_')
    """
    if entity_id.isascii():
        name = entity_id.replace(".", "_")
        if not name.isidentifier():
            name = re.sub(r"\W", "_", entity_id)
    else:  # Python reads names in the normal form NFKC, and knows best what it allows in them
        letters = unicodedata.normalize("NFKC", entity_id)
        name = "".join(c if f"_{c}".isidentifier() else "_" for c in letters)
    if not name.isidentifier():  # it starts with what may not stand first, such as a digit
        name = "_" + name
    return name + "_" if keyword.iskeyword(name) else name


def are_plain(entity_ids: Sequence[object]) -> bool:
    """Return whether these are ids of letters, digits, dots and underscores, arguments all.

    Underscores at the ends do not count: arguments get some for keywords and leading digits.
    """
    names = {e.replace(".", "_").strip("_") if type(e) is str else "" for e in entity_ids}
    joined = "_".join(names)
    return (
        len(names) == len(entity_ids)
        and "" not in names
        and joined.isascii()
        and f"_{joined}".isidentifier()
    )


def argument_problems(input_entity_ids: Sequence[str]) -> list[str]:
    """Return which inputs would come under the name of another."""
    count = len(input_entity_ids)
    if count < 2 or len(set(map(argument_name, input_entity_ids))) == count:
        return []
    taken: dict[str, str] = {}
    problems = []
    for entity_id in input_entity_ids:
        name = argument_name(entity_id)
        if name in taken:
            what = (
                f"reads {entity_id!r} twice"
                if taken[name] == entity_id
                else f"reads {taken[name]!r} and {entity_id!r}, both passed as argument {name!r}"
            )
            problems.append(f"{what}\n  Fix: remove or rename one of the two inputs.")
        taken.setdefault(name, entity_id)
    return problems


def signature_problems(function: object, input_entity_ids: Iterable[str]) -> list[str]:
    """Return why a function cannot be called with exactly its inputs by keyword."""
    if not callable(function):
        return [f"execute must be a function, not {type(function).__name__}"]
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature: the call itself will fail
        return []
    expected = {argument_name(entity_id): entity_id for entity_id in input_entity_ids}
    accepted = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    required = {
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    problems = [
        f"reads {entity_id!r}, but its function has no argument {name!r}\n"
        f"  Fix: add {name!r} to the function's arguments."
        for name, entity_id in expected.items()
        if name not in accepted and not anything
    ]
    problems += [
        f"its function requires an argument {name!r}, which is not one of its inputs\n"
        f"  Fix: name the entity in input_entity_ids, or give the argument a default."
        for name in sorted(required - set(expected) - {"run"})
    ]
    return problems


def finish_problems(function: object, sql: object) -> list[str]:
    """Return why a function cannot be called with the rows of a query, and the run if it asks."""
    if sql is None:
        return ["has a function that finishes a query, and no query\n  Fix: give it a query."]
    if not callable(function):
        return [f"finish must be a function, not {type(function).__name__}"]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # as above
        return []
    run = {"run": None} if "run" in signature.parameters else {}
    try:
        signature.bind(None, **run)
    except TypeError as error:
        what = "cannot be called with the rows of its query"
        return [f"its function {what}: {error}\n  Fix: let it take one DataFrame."]
    return []


def table_problems(sql: object, input_entity_ids: Iterable[str]) -> list[str]:
    """Return why a text is not a query, or why its inputs cannot be its tables."""
    problems = query_problems(sql)
    taken: dict[str, str] = {}
    for entity_id in input_entity_ids:
        table = argument_name(entity_id).casefold()
        first = taken.setdefault(table, entity_id)
        if argument_name(first) != argument_name(entity_id):
            problems.append(
                f"reads {first!r} and {entity_id!r}, whose tables have the same name in SQL, "
                "which ignores upper and lower case\n  Fix: remove or rename one of the two inputs."
            )
    return problems
