"""Every error that this package raises on purpose.

One root, so that a caller can catch everything with one name; data as attributes, so that a program
need not parse a message; and messages that say what is wrong, where, why, and how to fix it.
Checks that can find several problems collect them all, sort them, and raise once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial

from kindling_airflow.common.wording import shortened

__all__ = [
    "CodeDriftError",
    "DeclarationError",
    "DefinitionError",
    "EntityError",
    "ExecutionError",
    "ExpectationError",
    "ForecastError",
    "GraphCycleError",
    "GraphValidationError",
    "HarvestError",
    "KindlingAirflowError",
    "LateHarvestError",
    "LocalAirflowError",
    "ManifestError",
    "PackageError",
    "PipeRunError",
    "PipeTimeoutError",
    "PlanValidationError",
    "ProblemsError",
    "ReportError",
    "SelectionError",
    "SessionError",
    "SettingsError",
    "SourceError",
    "StartProfileError",
    "StreamError",
    "TranslationError",
    "UnusualRunError",
    "WrongCallError",
    "problems_of",
]


class KindlingAirflowError(Exception):
    """The root of all errors of this package."""


class ProblemsError(KindlingAirflowError):
    """One or more problems, found together.

    Attributes:
        problems: each problem's own text, sorted, numbers by their size; never empty.
    """

    headline = "problems were found"

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(sorted(set(problems), key=_natural_order))
        super().__init__(self._message())

    def _message(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        listed = "\n".join(f"{n}. {text}" for n, text in enumerate(self.problems, 1))
        return f"{len(self.problems)} {self.headline}:\n{listed}"

    def __reduce__(self) -> tuple[type[ProblemsError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class DeclarationError(ProblemsError):
    """An entity or a pipe is declared wrongly."""

    headline = "problems in the declarations"


class HarvestError(ProblemsError):
    """A module with declarations cannot be imported; the text has the user's traceback."""

    headline = "modules could not be imported"


class LateHarvestError(HarvestError):
    """The import of a project did not end in time."""


class ManifestError(ProblemsError):
    """A manifest cannot be read, or does not fit its schema."""

    headline = "problems in the manifest"


class GraphValidationError(ProblemsError, ValueError):
    """The pipes do not form a valid dependency graph."""

    headline = "problems in the pipe graph"


class GraphCycleError(GraphValidationError):
    """The pipes form a cycle, and that is all that is wrong.

    Attributes:
        cycle: the pipe ids along the cycle, the first one repeated at the end.
    """

    def __init__(self, cycle: Sequence[str], problems: Iterable[str] | None = None) -> None:
        self.cycle: tuple[str, ...] = tuple(cycle)
        arrows = " -> ".join(shortened([repr(pipe_id) for pipe_id in self.cycle]))
        super().__init__(problems or [f"Pipes form a cycle: {arrows}"])

    def __reduce__(self) -> tuple[type[GraphCycleError], tuple[object, ...]]:  # type: ignore[override]
        return type(self), (self.cycle, self.problems)


class PlanValidationError(ProblemsError, ValueError):
    """An execution plan breaks one of the rules of its strategy."""

    headline = "problems in the plan"


class TranslationError(ProblemsError):
    """A plan cannot be compiled to a DAG with these options."""

    headline = "problems in the translation of the plan"


class SourceError(ProblemsError):
    """A command was given a file that is nothing it can read, or in which there is nothing."""

    headline = "problems with the source"


class SettingsError(ProblemsError):
    """Settings of a deployment do not fit the declarations that they override."""

    headline = "problems in the settings"


class DefinitionError(ProblemsError):
    """A DAG definition (``*.kindling.yaml``) is wrong."""

    headline = "problems in the definition"


class SelectionError(ProblemsError):
    """A text does not select pipes: it breaks the grammar, or it matches nothing."""

    headline = "problems in the selection"


class ExecutionError(ProblemsError, ValueError):
    """A plan cannot be executed with these settings; nothing was run."""

    headline = "problems in the execution's settings"


class ForecastError(ProblemsError, ValueError):
    """A plan's duration cannot be forecast: pipes have invalid durations, or never end."""

    headline = "problems in the forecast"


class PackageError(ProblemsError):
    """A package for a cluster cannot be made, or is not of this state of the project."""

    headline = "problems with the package"


class EntityError(KindlingAirflowError):
    """An entity cannot be read, staged or published."""


class PipeRunError(KindlingAirflowError):
    """A pipe did not do its work."""


class CodeDriftError(KindlingAirflowError):
    """A driver has other code of the project than its task was compiled for; another may not."""


class PipeTimeoutError(PipeRunError):
    """A try of a pipe did not end within the time that it was given."""


class ExpectationError(PipeRunError):
    """The output of a pipe breaks what the pipe promises about it; nothing was published.

    Attributes:
        reports: the outcome of each expectation, ``ExpectationReport`` objects.
    """

    def __init__(self, message: str, reports: Iterable[object] = ()) -> None:
        self.reports: tuple[object, ...] = tuple(reports)
        super().__init__(message)

    def __reduce__(self) -> tuple[type[ExpectationError], tuple[str, tuple[object, ...]]]:
        return type(self), (str(self), self.reports)


class UnusualRunError(PipeRunError):
    """A run is unusual, and its pipe is to fail then; nothing was published.

    Attributes:
        is_permanent: a retry would be as unusual.
    """

    def __init__(self, message: str, *, is_permanent: bool) -> None:
        self.is_permanent = is_permanent
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), is_permanent=self.is_permanent), (str(self),)


class StreamError(KindlingAirflowError):
    """A stream failed, and the run with it; every other stream of the run was stopped.

    Attributes:
        pipe_id: the stream that failed first.
        result: the outcome of each pipe, an ``ExecutionResult``.
    """

    def __init__(self, message: str, pipe_id: str, result: object) -> None:
        self.pipe_id = pipe_id
        self.result = result
        super().__init__(message)

    def __reduce__(self) -> tuple[type[StreamError], tuple[str, str, object]]:
        return type(self), (str(self), self.pipe_id, self.result)


class ReportError(KindlingAirflowError):
    """A driver ended without a usable report of this attempt."""


class SessionError(KindlingAirflowError):
    """A shared session cannot be reached, or refuses what it is asked for."""


class StartProfileError(KindlingAirflowError):
    """A start-up profile cannot be made. Drivers start without it."""


class WrongCallError(KindlingAirflowError):
    """A command was called with arguments that make no sense together."""


class LocalAirflowError(KindlingAirflowError):
    """A throw-away Airflow of this machine did not start, or did not answer as expected."""


def problems_of(error: BaseException) -> tuple[str, ...]:
    """Return the problems that an error lists; the text of one that lists none.

    >>> problems_of(DeclarationError(["b", "a"])), problems_of(ReportError("no report"))
    (('a', 'b'), ('no report',))
    """
    return error.problems if isinstance(error, ProblemsError) else (str(error),)


def _natural_order(text: str) -> tuple[object, ...]:
    """Return a sort key under which line 2 comes before line 10."""
    parts: list[object] = list(_NUMBER.split(text))
    parts[1::2] = ((len(n), n) for n in (str(part).lstrip("0") for part in parts[1::2]))
    return (*parts, text)


_NUMBER = re.compile("([0-9]+)")
