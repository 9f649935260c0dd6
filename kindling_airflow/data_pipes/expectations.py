"""The expectations of a pipe about its output: checked after staging, before it is published.

    expectations=[
        not_null("order_id"),
        unique("order_id"),
        accepted("status", ["open", "shipped"], on_violation="warn"),
        in_range("amount", 0, 1_000_000, on_violation="drop"),
        row_count(at_least=1),
        satisfies("shipped_at >= ordered_at OR shipped_at IS NULL", tolerate=0.001),
    ]

The functions only record their arguments; everything that is wrong is found together, when
the pipe is declared. What is null is judged by ``not_null`` alone: the other checks of columns pass
over it. A predicate has to be true: a row for which it is null violates it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import id_problems, list_problems

__all__ = [
    "EXAMPLES_TAG",
    "MOST_EXAMPLES",
    "ON_VIOLATION_TAG",
    "Expectation",
    "accepted",
    "in_range",
    "not_null",
    "quality_tag_problems",
    "read_expectations",
    "row_count",
    "satisfies",
    "unique",
]

ON_VIOLATION_TAG = "quality.on_violation"
EXAMPLES_TAG = "quality.examples"

OnViolation = Literal["fail", "warn", "drop"]
Tolerance = int | float | None

_ACTIONS = ("fail", "warn", "drop")
_CHECKS = ("not_null", "unique", "accepted", "in_range", "row_count", "satisfies")
_LONGEST_NAME = 60
MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Expectation:
    """One promise about a pipe's output.

    Attributes:
        check: ``not_null``, ``unique``, ``accepted``, ``in_range``, ``row_count`` or ``satisfies``.
        name: names it in reports; unique in its pipe.
        on_violation: ``fail`` (nothing is published), ``warn`` or ``drop`` (bad rows are left out).
        tolerate: violations that are put up with: a number of rows, or a share below 1. None: none
            for ``fail`` and ``warn``, any for ``drop``. More than that fails a ``drop``.
        columns: the columns it is about.
        values: what is accepted.
        minimum, maximum: the bounds, both inclusive; None where there is none.
        predicate: a SQL expression over the columns of a row.
    """

    check: str
    name: str
    on_violation: str = "fail"
    tolerate: Tolerance = None
    columns: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    minimum: Any = None
    maximum: Any = None
    predicate: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the expectation as a JSON document, without fields that are not set."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: list(value) if type(value) is tuple else value
            for name, value in given.items()
            if value is not None and value != ()
        }

    def text(self) -> str:
        """Return what is expected, human-readable.

        >>> in_range("amount", 0).text(), unique("day", "shop").text()
        ('amount is at least 0', 'day, shop is unique')
        """
        columns = ", ".join(self.columns)
        if self.check == "row_count":
            return f"the number of rows is {_bounds(self.minimum, self.maximum)}"
        if self.check == "in_range":
            return f"{columns} is {_bounds(self.minimum, self.maximum)}"
        if self.check == "accepted":
            return f"{columns} is one of {', '.join(map(repr, self.values))}"
        if self.check == "satisfies":
            return str(self.predicate)
        return f"{columns} is {'unique' if self.check == 'unique' else 'not null'}"

    def promise(self, stern: str | None = None) -> str:
        """Return what is expected, and what happens otherwise.

        Args:
            stern: what a deployment sets in place of ``fail`` and ``warn``.

        >>> not_null("id", tolerate=0.01).promise()
        'id is not null (else fail; up to 1 % are tolerated)'
        """
        action = self.on_violation if self.on_violation == "drop" else stern or self.on_violation
        if self.tolerate is None:
            return f"{self.text()} (else {action})"
        share = isinstance(self.tolerate, float)
        limit = f"{100 * self.tolerate:g} %" if share else f"{self.tolerate:,}"
        return f"{self.text()} (else {action}; up to {limit} are tolerated)"


def _bounds(minimum: Any, maximum: Any) -> str:
    if minimum is None:
        return f"at most {maximum}"
    return f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"


def not_null(
    *columns: str,
    on_violation: OnViolation = "fail",
    tolerate: Tolerance = None,
    name: str | None = None,
) -> Expectation:
    """Expect that none of these columns is null."""
    return _expectation("not_null", name, on_violation, tolerate, columns=columns)


def unique(
    *columns: str,
    on_violation: Literal["fail", "warn"] = "fail",
    tolerate: Tolerance = None,
    name: str | None = None,
) -> Expectation:
    """Expect that no two rows agree in all these columns.

    Rows with a null among them are not compared, as in SQL. A violation is a row beyond the first
    of its key. Duplicates cannot be dropped here: which of them is right, only the pipe can know.
    """
    return _expectation("unique", name, on_violation, tolerate, columns=columns)


def accepted(
    column: str,
    values: Iterable[Any],
    *,
    on_violation: OnViolation = "fail",
    tolerate: Tolerance = None,
    name: str | None = None,
) -> Expectation:
    """Expect that a column has one of these values, or is null."""
    if isinstance(values, (set, frozenset)):
        values = sorted(values, key=repr)
    if isinstance(values, Iterable) and not isinstance(values, (str, Mapping)):
        values = tuple(map(_plain, values))
    return _expectation("accepted", name, on_violation, tolerate, columns=(column,), values=values)


def in_range(
    column: str,
    minimum: Any = None,
    maximum: Any = None,
    *,
    on_violation: OnViolation = "fail",
    tolerate: Tolerance = None,
    name: str | None = None,
) -> Expectation:
    """Expect that a column lies between two bounds, both inclusive, or is null.

    Args:
        column: a number, a text, a date or a timestamp. NaN is in no range.
        minimum: a number, a text, a date or a datetime; None for no bound.
        maximum: likewise.
        on_violation: what happens otherwise.
        tolerate: violations that are put up with.
        name: names it in reports.
    """
    return _expectation(
        "in_range",
        name,
        on_violation,
        tolerate,
        columns=(column,),
        minimum=_plain(minimum),
        maximum=_plain(maximum),
    )


def row_count(
    at_least: int | None = None,
    at_most: int | None = None,
    *,
    on_violation: Literal["fail", "warn"] = "fail",
    name: str | None = None,
) -> Expectation:
    """Expect a number of rows, counted after rows were dropped."""
    return _expectation("row_count", name, on_violation, None, minimum=at_least, maximum=at_most)


def satisfies(
    predicate: str,
    *,
    on_violation: OnViolation = "fail",
    tolerate: Tolerance = None,
    name: str | None = None,
) -> Expectation:
    """Expect that a SQL expression is true for every row; null is not true."""
    return _expectation("satisfies", name, on_violation, tolerate, predicate=predicate)


def _expectation(
    check: str, name: Any, on_violation: Any, tolerate: Any, **given: Any
) -> Expectation:
    if name is None:
        name = _default_name(check, given.get("columns", ()), given.get("predicate"))
    return Expectation(check, name, on_violation, tolerate, **given)


def _default_name(check: str, columns: Any, predicate: Any) -> str:
    if check == "row_count":
        return check
    about = str(predicate) if check == "satisfies" else ", ".join(map(str, columns))
    name = " ".join(f"{check}({about})".split())
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 4]}...)"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what JSON cannot hold is refused later."""
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def read_expectations(value: Any) -> tuple[tuple[Expectation, ...], list[str]]:
    """Return the expectations in a list of them, or of their JSON documents, and what is wrong.

    Returns:
        The expectations, and the problems; the expectations mean something only without problems.
    """
    if not isinstance(value, (list, tuple)):
        shown = type(value).__name__
        return (), [f"expectations must be a list of expectations, not {shown}: {value!r}"]
    problems: list[str] = []
    found: list[Expectation] = []
    taken: dict[str, int] = {}
    for n, item in enumerate(value):
        where = f"expectations[{n}]"
        if isinstance(item, Mapping):
            item = _from_json(item)  # noqa: PLW2901 (the same thing, read)
        if not isinstance(item, Expectation):
            problems.append(
                f"{where} is {item!r} where an expectation is expected\n"
                "  Fix: write it like not_null('id')."
            )
            continue
        wrong = [f"{where}: {problem}" for problem in _problems(item)]
        problems += wrong
        if not wrong and item.name in taken:
            problems.append(
                f"{where}: the name {item.name!r} is taken by expectations[{taken[item.name]}]\n"
                "  Fix: give one of them its own name."
            )
        elif not wrong:
            taken[item.name] = n
            found.append(item)
    return tuple(found), problems


def _from_json(document: Mapping[str, Any]) -> Expectation:
    given = {
        item.name: document[item.name] for item in fields(Expectation) if item.name in document
    }
    for name in ("columns", "values"):
        if isinstance(given.get(name), list):
            given[name] = tuple(given[name])
    check = given.setdefault("check", None)
    if given.get("name") is None:
        columns = given.get("columns")
        known = columns if isinstance(columns, tuple) else ()
        given["name"] = _default_name(str(check), known, given.get("predicate"))
    return Expectation(**given)


def _problems(item: Expectation) -> list[str]:
    """Return what is wrong with one expectation by itself."""
    if item.check not in _CHECKS:
        hint = did_you_mean(str(item.check), _CHECKS)
        return [f"unknown check {item.check!r}.{hint}\n  Fix: use one of {', '.join(_CHECKS)}."]
    problems = id_problems("name", item.name)
    if item.on_violation not in _ACTIONS:
        problems.append(
            f"on_violation must be one of {', '.join(_ACTIONS)}, not {item.on_violation!r}"
        )
    elif item.on_violation == "drop" and item.check == "unique":
        problems.append(
            "unique cannot drop: which of two rows with one key is the right one, only the pipe "
            "can know\n  Fix: leave one row per key in the pipe, or use fail or warn."
        )
    elif item.on_violation == "drop" and item.check == "row_count":
        problems.append("row_count cannot drop: no single row is wrong\n  Fix: use fail or warn.")
    problems += _tolerance_problems(item)
    problems += _column_problems(item)
    if item.check in _PROBLEMS_OF:
        problems += _PROBLEMS_OF[item.check](item)
    elif item.check == "satisfies" and not (
        isinstance(item.predicate, str) and item.predicate.strip()
    ):
        problems.append(f"predicate must be a SQL expression, not {item.predicate!r}")
    return problems


def _tolerance_problems(item: Expectation) -> list[str]:
    tolerate = item.tolerate
    if tolerate is None:
        return []
    if item.check == "row_count":
        return ["row_count does not accept tolerate\n  Fix: widen its bounds."]
    rows = type(tolerate) is int and tolerate >= 0
    share = type(tolerate) is float and 0 < tolerate < 1
    if rows or share:
        return []
    return [f"tolerate must be a number of rows (0, 1, 2 ...) or a share below 1, not {tolerate!r}"]


def _column_problems(item: Expectation) -> list[str]:
    if item.check in ("row_count", "satisfies"):
        return [] if item.columns == () else [f"{item.check} takes no columns"]
    problems = list_problems("columns", item.columns)
    if not problems and not item.columns:
        problems.append(f"{item.check} needs a column")
    if not problems and len(set(item.columns)) < len(item.columns):
        problems.append(f"columns has a column twice: {', '.join(item.columns)}")
    if not problems and len(item.columns) > 1 and item.check in ("accepted", "in_range"):
        problems.append(f"{item.check} takes one column, not {len(item.columns)}")
    return problems


def _value_problems(item: Expectation) -> list[str]:
    if isinstance(item.values, str):
        shown = repr(item.values)
        return [f"values is the string {shown} where a list is expected\n  Fix: write [{shown}]"]
    if not isinstance(item.values, tuple) or not item.values:
        return [f"values must be a list of at least one value, not {item.values!r}"]
    problems = [f"values: {value!r} {why}" for value in item.values if (why := _unfit(value, bool))]
    if any(value is None for value in item.values):
        problems.append("values: null is accepted anyway\n  Fix: leave it out; see not_null.")
    return problems


def _bound_problems(item: Expectation) -> list[str]:
    bounds = (item.minimum, item.maximum)
    if bounds == (None, None):
        return ["in_range needs a minimum or a maximum"]
    problems = [
        f"{name} {bound!r} {why}"
        for name, bound in zip(("minimum", "maximum"), bounds, strict=True)
        if (why := _unfit(bound))
    ]
    numbers = [bound for bound in bounds if isinstance(bound, (int, float))]
    if not problems and len(numbers) == 2 and numbers[0] > numbers[1]:
        problems.append(f"minimum {item.minimum!r} is more than maximum {item.maximum!r}")
    return problems


def _unfit(value: Any, *further: type) -> str:
    """Return why a value cannot be compared with a column, or ""."""
    if value is None or type(value) in (str, int, *further):
        return ""
    if type(value) is float:
        return "" if math.isfinite(value) else "is not a finite number"
    return f"is not a number, text, date or datetime but {type(value).__name__}"


def _count_problems(item: Expectation) -> list[str]:
    bounds = {"at_least": item.minimum, "at_most": item.maximum}
    if all(bound is None for bound in bounds.values()):
        return ["row_count needs at_least or at_most"]
    problems = [
        f"{name} must be a number of rows, not {bound!r}"
        for name, bound in bounds.items()
        if bound is not None and (type(bound) is not int or bound < 0)
    ]
    if not problems and None not in bounds.values() and item.minimum > item.maximum:
        problems.append(f"at_least {item.minimum} is more than at_most {item.maximum}")
    return problems


_PROBLEMS_OF = {
    "accepted": _value_problems,
    "in_range": _bound_problems,
    "row_count": _count_problems,
}


def quality_tag_problems(tags: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the tags of a pipe that set how its expectations are treated."""
    problems = []
    action, examples = tags.get(ON_VIOLATION_TAG), tags.get(EXAMPLES_TAG)
    if action not in (None, "fail", "warn"):
        problems.append(f"tag {ON_VIOLATION_TAG} must be fail or warn, not {action!r}")
    if examples is not None and (type(examples) is not int or not 0 <= examples <= MOST_EXAMPLES):
        problems.append(
            f"tag {EXAMPLES_TAG} must be a number from 0 to {MOST_EXAMPLES}, not {examples!r}"
        )
    return problems
