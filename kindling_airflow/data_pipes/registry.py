"""The registry of pipes: their declarations, checked, immutable, and each id taken once.

Pipes get here from three sides: declared by a project's modules (:mod:`kindling_airflow.data_pipes`
is their front door), read from a manifest or a plan, or laid under a deployment's settings. All are
checked by the same rules.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MethodType
from typing import Any

from kindling_airflow.common.executions import Execution, current_execution
from kindling_airflow.common.immutable import EMPTY, FrozenDict, freeze, same_json
from kindling_airflow.data_entities import (
    freeze_declared,
    id_problems,
    is_storable,
    list_problems,
    tag_problems,
    text_problems,
)
from kindling_airflow.data_pipes.checks import (
    are_plain,
    argument_problems,
    finish_problems,
    signature_problems,
    table_problems,
)
from kindling_airflow.data_pipes.expectations import (
    ON_VIOLATION_TAG,
    Expectation,
    quality_tag_problems,
    read_expectations,
)
from kindling_airflow.data_pipes.sql_file import read_sql_file
from kindling_airflow.data_pipes.sql_query import bare_query
from kindling_airflow.errors import DeclarationError

__all__ = [
    "BOTH",
    "FROM_QUERY",
    "DataPipesManager",
    "DataPipesRegistry",
    "PipeMetadata",
    "innermost",
    "read_query",
]

_NONE: tuple[Any, ...] = ()  # there is but one empty tuple
_LISTS = ("input_entity_ids", "driving_entity_ids", "sql_parameters")
_USUAL = frozenset({"pipeid", "name", "tags", "input_entity_ids", "output_entity_id", "function"})


class _FromQuery(tuple[str, ...]):
    """No inputs yet: they follow from the query."""

    __slots__ = ()


FROM_QUERY: tuple[str, ...] = _FromQuery()
"""The ``input_entity_ids`` of a query whose inputs have not been derived from its text yet."""


@dataclass(frozen=True, slots=True)
class PipeMetadata:
    """One pipe: what it reads, what it writes, and the function or the query that does it.

    Attributes:
        pipeid: unique id; task ids, and so the task history, come from it alone.
        name: its display name; the id when not given.
        execute: the function; None for a query, and in declarations read from a manifest.
        tags: what the pipe knows of itself (``layer``, ``duration_hint`` in seconds, your own).
        input_entity_ids: the entities that it reads; the first one drives it.
        output_entity_id: the entity that it writes.
        output_type: format hint for the output; the entity's own declaration wins.
        use_watermark: whether it reads only what its driving input has gained.
        driving_entity_ids: inputs that decide whether there is work; when empty, the first input of
            a function, and all that a query reads.
        expectations: what it promises about its output, checked before that is published.
        sql: the query, in Spark's dialect; None for a function.
        sql_file: the file that contains the query, as the declaration names it.
        sql_parameters: the query's named parameters, as far as it has been read.
        finish: a function that makes the output of the query's rows; None where they are it.
    """

    pipeid: str
    name: str
    execute: Callable[..., Any] | None
    tags: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    input_entity_ids: tuple[str, ...] = ()
    output_entity_id: str = ""
    output_type: str | None = None
    use_watermark: bool = False
    driving_entity_ids: tuple[str, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    sql: str | None = None
    sql_file: str | None = None
    sql_parameters: tuple[str, ...] = ()
    finish: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if (
            type(self.tags) is FrozenDict
            and type(self.input_entity_ids) is tuple
            and self.driving_entity_ids is _NONE
            and self.expectations is _NONE
            and self.sql_parameters is _NONE
        ):
            return  # as nearly always, and there may be 100,000
        object.__setattr__(self, "expectations", tuple(self.expectations))
        freeze_declared(self, f"pipe {self.pipeid!r}", _LISTS)

    @property
    def awaits_inputs(self) -> bool:
        """Whether its inputs are to be derived from its query, which has not been done."""
        return self.input_entity_ids is FROM_QUERY

    def promises(self) -> tuple[str, ...]:
        """Return what is expected of its output, and what happens otherwise."""
        stern = self.tags.get(ON_VIOLATION_TAG)
        return tuple(expected.promise(stern) for expected in self.expectations)


class DataPipesRegistry:
    """The pipes of one project, in the order of their declaration.

    Args:
        logger_provider: anything with ``get_logger(name)``, which gets to know of each pipe;
            optional.

    Attributes:
        sql_files: by pipe, where the file of its query lies.
        awaiting: the pipes whose inputs are to be derived from their queries.
    """

    def __init__(self, logger_provider: Any = None) -> None:
        self._logger = logger_provider and logger_provider.get_logger("data_pipes_manager")
        self._pipes: dict[str, PipeMetadata] = {}
        self.sql_files: dict[str, Path] = {}
        self.awaiting: dict[str, None] = {}
        self._executions: dict[str, Execution] = {}

    def register_pipe(
        self,
        pipeid: str,
        *,
        execute: Callable[..., Any] | None = None,
        output_entity_id: str = "",
        input_entity_ids: Sequence[str] = (),
        name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        output_type: str | None = None,
        use_watermark: bool = False,
        driving_entity_ids: Sequence[str] = (),
        expectations: Sequence[Expectation | Mapping[str, Any]] = (),
        sql: str | None = None,
        sql_file: str | None = None,
        sql_parameters: Sequence[str] = (),
        finish: Callable[..., Any] | None = None,
    ) -> PipeMetadata:
        """Declare a pipe.

        Registering the same function under the same declaration again changes nothing. Nor does a
        query whose inputs were derived meanwhile. What is declared by a further execution of the
        same place (a notebook's cell that is run again, a module that is reloaded) takes the
        place of the declaration before.

        Raises:
            DeclarationError: listing everything that is wrong, an id that is taken included.
        """
        unknown_inputs = input_entity_ids is FROM_QUERY
        inputs = list_problems("input_entity_ids", input_entity_ids)
        driving = list_problems("driving_entity_ids", driving_entity_ids)
        problems = [
            *text_problems("name", name),
            *text_problems("output_type", output_type),
            *text_problems("sql_file", sql_file),
            *list_problems("sql_parameters", sql_parameters),
            *id_problems("output_entity_id", output_entity_id),
            *inputs,
            *driving,
            *(tag_problems("tags", tags) if tags is not None else ()),
        ]
        expected, broken = read_expectations(expectations) if expectations != () else ((), [])
        problems += broken
        if isinstance(tags, Mapping):
            problems += quality_tag_problems(tags)
        if type(use_watermark) is not bool:
            problems.append(f"use_watermark must be True or False, not {use_watermark!r}")
        if not inputs:
            problems += argument_problems(input_entity_ids)
            if execute is not None:
                problems += signature_problems(execute, input_entity_ids)
            if sql is not None:
                problems += table_problems(sql, input_entity_ids)
            if not driving and not unknown_inputs:
                problems += [
                    f"driving entity {entity_id!r} is not among its inputs"
                    for entity_id in driving_entity_ids
                    if entity_id not in input_entity_ids
                ]
        if sql is not None and execute is not None:
            problems.append(BOTH)
        if finish is not None:
            problems += finish_problems(finish, sql)
        unnamed = id_problems("pipeid", pipeid)
        if problems or unnamed:
            raise DeclarationError([*unnamed, *(f"pipe {pipeid!r}: {p}" for p in problems)])
        pipe = PipeMetadata(
            pipeid=pipeid,
            name=name or pipeid,
            execute=execute,
            tags=freeze(tags) if tags else EMPTY,
            input_entity_ids=FROM_QUERY if unknown_inputs else tuple(input_entity_ids),
            output_entity_id=output_entity_id,
            output_type=output_type,
            use_watermark=use_watermark,
            driving_entity_ids=tuple(driving_entity_ids),
            expectations=expected,
            sql=sql,
            sql_file=sql_file,
            sql_parameters=tuple(sql_parameters),
            finish=finish,
        )
        return self._kept(pipe)

    def _kept(self, pipe: PipeMetadata) -> PipeMetadata:
        """Keep a declaration, and return what is known of the pipe then.

        Raises:
            DeclarationError: its id is taken.
        """
        pipeid = pipe.pipeid
        known = self._pipes.get(pipeid)
        execution = None if pipe.execute is None and pipe.sql is None else current_execution()
        if known is not None and not self._supersedes(pipe, known, execution):
            if problem := _clash(known, pipe):
                raise DeclarationError([f"pipe {pipeid!r} is declared twice{problem}"])
            if _says_less(pipe, known):
                return known
        elif execution is not None:
            self._executions[pipeid] = execution
            self.sql_files.pop(pipeid, None)
        self._pipes[pipeid] = pipe
        if hasattr(self._logger, "debug"):  # loggers are of any make
            self._logger.debug(f"pipe {pipeid!r} is declared")
        if pipe.awaits_inputs:
            self.awaiting[pipeid] = None
        elif self.awaiting:
            self.awaiting.pop(pipeid, None)
        return pipe

    def _supersedes(
        self, pipe: PipeMetadata, known: PipeMetadata, execution: Execution | None
    ) -> bool:
        """Return whether a declaration is the known one, repeated by a further execution."""
        if execution is None or not execution.is_again(self._executions.get(pipe.pipeid)):
            return False
        places = [_function_place(one, with_line=False) for one in (known, pipe)]
        return places[0] == places[1]

    def register_usual(self, entry: Mapping[str, Any]) -> bool:
        """Declare a pipe of a manifest if nothing about it is out of the ordinary.

        The short way for what nearly every pipe is; a manifest may have 100,000 of them.

        Args:
            entry: the pipe as a JSON object.

        Returns:
            whether it is declared now; if not, :meth:`register_pipe` reports why.
        """
        pipe_id, name, tags = entry.get("pipeid"), entry.get("name"), entry.get("tags")
        output, inputs = entry.get("output_entity_id"), entry.get("input_entity_ids", ())
        if (
            entry.keys() <= _USUAL
            and type(pipe_id) is type(output) is str
            and pipe_id.strip() == pipe_id != ""
            and output.strip() == output != ""
            and is_storable(f"{pipe_id}{output}")
            and (name is None or type(name) is str)
            and (tags is None or not (tag_problems("", tags) or quality_tag_problems(tags)))
            and type(inputs) in (list, tuple)
            and are_plain(inputs)
            and pipe_id not in self._pipes
        ):
            frozen = freeze(tags) if tags else EMPTY
            inputs = tuple(inputs)
            self._pipes[pipe_id] = PipeMetadata(
                pipe_id, name or pipe_id, None, frozen, inputs, output
            )
            return True
        return False

    def unregister_pipe(self, pipeid: str) -> None:
        """Forget a pipe; unknown ids are ignored."""
        self._pipes.pop(pipeid, None)
        self.sql_files.pop(pipeid, None)
        self.awaiting.pop(pipeid, None)
        self._executions.pop(pipeid, None)

    def get_pipe_ids(self) -> list[str]:
        """Return the ids of all pipes, in the order of declaration."""
        return list(self._pipes)

    def get_pipe_definition(self, pipeid: str) -> PipeMetadata | None:
        """Return a pipe's declaration, or None where there is none."""
        return self._pipes.get(pipeid)

    def __iter__(self) -> Iterator[PipeMetadata]:
        return iter(self._pipes.values())

    def __len__(self) -> int:
        return len(self._pipes)


BOTH = "is a query and a function\n  Fix: keep one of them, or declare two pipes."

DataPipesManager = DataPipesRegistry
"""The name under which the user's document hands the registry to a plan generator."""


def innermost(function: Callable[..., Any]) -> Any:
    """Return the function behind wrappers and partial applications."""
    found: Any = inspect.unwrap(function)
    while isinstance(found, functools.partial):
        found = inspect.unwrap(found.func)
    return found


def _function_place(pipe: PipeMetadata, *, with_line: bool = True) -> str:
    """Return where a pipe's function is; the line distinguishes two functions of one name."""
    if pipe.sql is not None:
        return "a query" if pipe.sql_file is None else f"the query in {pipe.sql_file!r}"
    if pipe.execute is None:
        return "a declaration without a function"
    function = innermost(pipe.execute)
    module = getattr(function, "__module__", "?")
    qualname = getattr(function, "__qualname__", type(function).__name__)
    if isinstance(pipe.execute, functools.partial):
        module = f"functools.partial of {module}"
    code = getattr(function, "__code__", None)
    line = f" (line {code.co_firstlineno})" if code is not None and with_line else ""
    return f"{module}.{qualname}{line}"


def _are_one(old: Any, new: Any) -> bool:
    """Return whether two functions are the same; each access to a method makes a new object."""
    return old is new or (isinstance(new, MethodType) and bool(old == new))


def _clash(old: PipeMetadata, new: PipeMetadata) -> str:
    """Return how two declarations of one id differ; empty where they do not."""
    places = _function_place(old), _function_place(new)
    if places[0] != places[1]:
        return f": by {places[0]} and by {places[1]}\n  Fix: give one of them its own id."
    if not (_are_one(old.execute, new.execute) and _are_one(old.finish, new.finish)):
        return (
            f" by {places[0]}, which is declared more than once: in a loop, or made by a function "
            "that is called again\n  Fix: give each of them its own id."
        )
    skipped = {"execute", "finish", "sql_parameters"}
    if old.awaits_inputs or new.awaits_inputs:
        skipped.add("input_entity_ids")
    names = [name for name in PipeMetadata.__dataclass_fields__ if name not in skipped]
    other = [n for n in names if not same_json(_as_json(old, n), _as_json(new, n))]
    if not other:
        return ""
    where = "without a function" if old.sql is None and old.execute is None else f"by {places[0]}"
    return (
        f" {where}, differing in {', '.join(other)}\n"
        "  Fix: keep one of the declarations, or give one of them its own id."
    )


def _as_json(pipe: PipeMetadata, name: str) -> Any:
    value = getattr(pipe, name)
    return [expected.to_json() for expected in value] if name == "expectations" else value


def _says_less(pipe: PipeMetadata, known: PipeMetadata) -> bool:
    """Return whether a query has been read before, and this declaration of it has not."""
    unread = not known.awaits_inputs and not pipe.sql_parameters
    return pipe.sql is not None and (pipe.awaits_inputs or unread)


def read_query(
    pipeid: object, module: Mapping[str, Any], sql: Any, sql_file: Any
) -> tuple[Any, Path | None]:
    """Return the query of a declaration, and the file that contains it.

    Args:
        pipeid: the pipe, for messages.
        module: the names of the module that declares it, among them ``__file__``.
        sql: the query itself, or None.
        sql_file: the file that it names, or None.

    Raises:
        DeclarationError: it has both or neither, or the file cannot be read.
    """
    if (sql is None) == (sql_file is None):
        what = "neither sql nor sql_file" if sql is None else "sql and sql_file"
        problem = f"pipe {pipeid!r} has {what}\n  Fix: give it one of the two."
        raise DeclarationError([problem])
    path = None
    if sql_file is not None:
        try:
            sql, path = read_sql_file(sql_file, module)
        except DeclarationError as error:
            problems = [f"pipe {pipeid!r}: {problem}" for problem in error.problems]
            raise DeclarationError(problems) from error
    return bare_query(sql), path
