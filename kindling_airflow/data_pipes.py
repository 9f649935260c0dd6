"""WHAT: the declarations of pipes, the functions that turn input entities into one output entity.

    @DataPipes.pipe(
        pipeid="silver.orders",
        input_entity_ids=["bronze.orders", "ref-data.currencies"],
        output_entity_id="silver.orders",
    )
    def clean_orders(bronze_orders, ref_data_currencies): ...

A function takes its inputs by keyword: the entity id with every character that Python does not
allow in a name turned into ``_``. Only ``pipeid``, ``output_entity_id`` and the function are
indispensable.
"""

from __future__ import annotations

import inspect
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from kindling_airflow.data_entities import (
    id_problems,
    list_problems,
    tag_problems,
    text_problems,
)
from kindling_airflow.errors import DeclarationError
from kindling_airflow.frozen import EMPTY, freeze

__all__ = [
    "DataPipes",
    "DataPipesManager",
    "DataPipesRegistry",
    "PipeMetadata",
    "argument_name",
]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class PipeMetadata:
    """One pipe: what it reads, what it writes, and the function that does it.

    Attributes:
        pipeid: unique id; task ids, and so the task history, come from it alone.
        name: what people call it; the id when not given.
        execute: the function; None in declarations that were read from a manifest.
        tags: what the pipe knows of itself (``layer``, ``duration_hint`` in seconds, your own).
        input_entity_ids: the entities that it reads; the first one drives it.
        output_entity_id: the entity that it writes.
        output_type: format hint for the output; the entity's own declaration wins.
        use_watermark: whether it reads only what its driving input has gained.
        driving_entity_ids: inputs that decide whether there is work; the first input when empty.
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


def _argument_problems(input_entity_ids: Sequence[str]) -> list[str]:
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


def _signature_problems(function: object, input_entity_ids: Iterable[str]) -> list[str]:
    """Return why a function cannot be called with exactly its inputs by keyword."""
    if not callable(function):
        return [f"execute must be a function, not {type(function).__name__}"]
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature: the call itself will tell
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
        f"its function wants an argument {name!r}, which is none of its inputs\n"
        f"  Fix: name the entity in input_entity_ids, or give the argument a default."
        for name in sorted(required - set(expected) - {"run"})
    ]
    return problems


class DataPipesRegistry:
    """The pipes of one project, in the order of their declaration."""

    def __init__(self) -> None:
        self._pipes: dict[str, PipeMetadata] = {}

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
    ) -> PipeMetadata:
        """Declare a pipe.

        Registering the same function under the same declaration again (a module that is imported
        twice) changes nothing.

        Raises:
            DeclarationError: listing everything that is wrong, an id that is taken included.
        """
        inputs = list_problems("input_entity_ids", input_entity_ids)
        driving = list_problems("driving_entity_ids", driving_entity_ids)
        problems = [
            *text_problems("name", name),
            *text_problems("output_type", output_type),
            *id_problems("output_entity_id", output_entity_id),
            *inputs,
            *driving,
            *(tag_problems("tags", tags) if tags is not None else ()),
        ]
        if type(use_watermark) is not bool:
            problems.append(f"use_watermark must be True or False, not {use_watermark!r}")
        if not inputs:
            problems += _argument_problems(input_entity_ids)
            if execute is not None:
                problems += _signature_problems(execute, input_entity_ids)
            if not driving:
                problems += [
                    f"driving entity {entity_id!r} is not among its inputs"
                    for entity_id in driving_entity_ids
                    if entity_id not in input_entity_ids
                ]
        unnamed = id_problems("pipeid", pipeid)
        if problems or unnamed:
            raise DeclarationError([*unnamed, *(f"pipe {pipeid!r}: {p}" for p in problems)])
        pipe = PipeMetadata(
            pipeid=pipeid,
            name=name or pipeid,
            execute=execute,
            tags=freeze(tags) if tags else EMPTY,
            input_entity_ids=tuple(input_entity_ids),
            output_entity_id=output_entity_id,
            output_type=output_type,
            use_watermark=use_watermark,
            driving_entity_ids=tuple(driving_entity_ids),
        )
        known = self._pipes.get(pipeid)
        if known is not None and not _same_declaration(known, pipe):
            problem = (
                f"pipe {pipeid!r} is declared twice: by {_function_place(known)} and by "
                f"{_function_place(pipe)}\n  Fix: give one of them an id of its own."
            )
            raise DeclarationError([problem])
        self._pipes[pipeid] = pipe
        return pipe

    def unregister_pipe(self, pipeid: str) -> None:
        """Forget a pipe; unknown ids are ignored."""
        self._pipes.pop(pipeid, None)

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


DataPipesManager = DataPipesRegistry
"""The name under which the user's document hands the registry to a plan generator."""


def _function_place(pipe: PipeMetadata) -> str:
    """Return where a pipe's function stands; the line tells two functions of one name apart."""
    if pipe.execute is None:
        return "a manifest"
    function: Any = inspect.unwrap(pipe.execute)
    module = getattr(function, "__module__", "?")
    qualname = getattr(function, "__qualname__", type(function).__name__)
    code = getattr(function, "__code__", None)
    line = f" (line {code.co_firstlineno})" if code is not None else ""
    return f"{module}.{qualname}{line}"


def _same_declaration(old: PipeMetadata, new: PipeMetadata) -> bool:
    fields = [name for name in PipeMetadata.__dataclass_fields__ if name != "execute"]
    same = all(getattr(old, name) == getattr(new, name) for name in fields)
    return same and _function_place(old) == _function_place(new)


_active: ContextVar[DataPipesRegistry | None] = ContextVar("kindling_pipes", default=None)


class DataPipes:
    """The front door: declares into the active registry, by default the process's own."""

    _own: ClassVar[DataPipesRegistry] = DataPipesRegistry()

    @classmethod
    def registry(cls) -> DataPipesRegistry:
        """Return the registry that declarations go to now."""
        active = _active.get()
        return DataPipes._own if active is None else active

    @classmethod
    def pipe(
        cls,
        pipeid: str,
        *,
        output_entity_id: str,
        input_entity_ids: Sequence[str] = (),
        **declaration: Any,
    ) -> Callable[[F], F]:
        """Declare the decorated function as a pipe; it is returned unchanged.

        See :meth:`DataPipesRegistry.register_pipe` for the arguments and errors.
        """

        def declare(function: F) -> F:
            cls.registry().register_pipe(
                pipeid,
                execute=function,
                output_entity_id=output_entity_id,
                input_entity_ids=input_entity_ids,
                **declaration,
            )
            return function

        return declare

    @classmethod
    def reset(cls) -> None:
        """Forget every pipe that was declared in the process's own registry."""
        DataPipes._own = DataPipesRegistry()

    @classmethod
    @contextmanager
    def declaring_into(cls, registry: DataPipesRegistry) -> Iterator[DataPipesRegistry]:
        """Let every declaration in the ``with`` block go to ``registry``."""
        token = _active.set(registry)
        try:
            yield registry
        finally:
            _active.reset(token)
