"""The declarations of pipes, the functions that turn input entities into one output entity.

    @DataPipes.pipe(
        pipeid="silver.orders",
        input_entity_ids=["bronze.orders", "ref-data.currencies"],
        output_entity_id="silver.orders",
    )
    def clean_orders(bronze_orders, ref_data_currencies): ...

A function takes its inputs by keyword: the entity id with every character that Python does not
allow in a name turned into ``_``. Only ``pipeid``, ``output_entity_id`` and the function are
indispensable. A query in place of the function has its inputs as tables of the same names:

    DataPipes.view("gold.late", sql="SELECT * FROM silver_orders WHERE days > :days")
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_pipes.checks import argument_name
from kindling_airflow.data_pipes.registry import (
    BOTH,
    FROM_QUERY,
    DataPipesManager,
    DataPipesRegistry,
    PipeMetadata,
    read_query,
)
from kindling_airflow.errors import DeclarationError

__all__ = [
    "FROM_QUERY",
    "DataPipes",
    "DataPipesManager",
    "DataPipesRegistry",
    "PipeIds",
    "PipeMetadata",
    "argument_name",
]


F = TypeVar("F", bound=Callable[..., Any])

_active: ContextVar[DataPipesRegistry | None] = ContextVar("kindling_pipes", default=None)


class PipeIds:
    """The ids of the pipes that are declared, as attributes: ``ids.bronze_orders``.

    A name is that of the argument under which an entity of this id would come.
    """

    def __getattr__(self, name: str) -> str:
        """Return the id of this name.

        Raises:
            AttributeError: no pipe has one, or several have.
        """
        known = DataPipes.registry().get_pipe_ids()
        found = [pipe_id for pipe_id in known if argument_name(pipe_id) == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise AttributeError(
                f"{name!r} is the name of several pipes: {', '.join(map(repr, found))}"
            )
        hint = did_you_mean(name, [argument_name(pipe_id) for pipe_id in known])
        raise AttributeError(f"no pipe is declared with the id {name!r}.{hint}")

    def __dir__(self) -> list[str]:
        """Return the names of all ids."""
        return sorted(map(argument_name, DataPipes.registry().get_pipe_ids()))


class DataPipes:
    """The front door: declares into the active registry, by default the process's own.

    Attributes:
        ids: the ids of the pipes that are declared, as attributes.
    """

    ids: ClassVar[PipeIds] = PipeIds()
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
        input_entity_ids: Sequence[str] | None = None,
        sql: str | None = None,
        sql_file: str | None = None,
        **declaration: Any,
    ) -> Callable[[F], F]:
        """Declare the decorated function as a pipe; it is returned unchanged.

        With a query there is nothing to decorate: the call alone declares the pipe.

        Args:
            pipeid: the pipe.
            output_entity_id: what it writes.
            input_entity_ids: what it reads; a function without reads nothing, and the inputs of a
                query without are derived from its text.
            sql: a query in place of the function.
            sql_file: a file with the query; see
                :func:`~kindling_airflow.data_pipes.sql_file.read_sql_file`.
            **declaration: as :meth:`DataPipesRegistry.register_pipe` takes it, errors included.
        """
        if sql is not None or sql_file is not None:
            return cls._declare_query(
                pipeid,
                sys._getframe(1).f_globals,
                sql=sql,
                sql_file=sql_file,
                input_entity_ids=input_entity_ids,
                output_entity_id=output_entity_id,
                **declaration,
            )

        def declare(function: F) -> F:
            cls.registry().register_pipe(
                pipeid,
                execute=function,
                output_entity_id=output_entity_id,
                input_entity_ids=() if input_entity_ids is None else input_entity_ids,
                **declaration,
            )
            return function

        return declare

    @classmethod
    def view(
        cls,
        pipeid: str,
        *,
        sql: str | None = None,
        sql_file: str | None = None,
        input_entity_ids: Sequence[str] | None = None,
        output_entity_id: str | None = None,
        **declaration: Any,
    ) -> Callable[[F], F]:
        """Declare a query as a pipe, by default one that writes an entity with its id.

        As a decorator, it lets the function make the output of the query's rows:

            @DataPipes.view("gold.late", sql="SELECT * FROM silver_orders")
            def late(rows): return rows.where("days > 3")

        Args:
            pipeid: the pipe.
            sql: the query.
            sql_file: a file with the query, in place of ``sql``.
            input_entity_ids: what it reads; by default derived from the query.
            output_entity_id: what it writes; default: ``pipeid``.
            **declaration: as :meth:`DataPipesRegistry.register_pipe` takes it, errors included.
        """
        declare = partial(
            cls._declare_query,
            pipeid,
            sys._getframe(1).f_globals,
            sql=sql,
            sql_file=sql_file,
            input_entity_ids=input_entity_ids,
            output_entity_id=pipeid if output_entity_id is None else output_entity_id,
            **declaration,
        )
        declare()
        registry = cls.registry()

        def finish(function: F) -> F:
            registry.unregister_pipe(pipeid)
            declare(finish=function)
            return function

        return finish

    @classmethod
    def _declare_query(
        cls,
        pipeid: str,
        module: Mapping[str, Any],
        *,
        sql: str | None,
        sql_file: str | None,
        input_entity_ids: Sequence[str] | None,
        **declaration: Any,
    ) -> Callable[[F], F]:
        registry = cls.registry()
        query, path = read_query(pipeid, module, sql, sql_file)
        registry.register_pipe(
            pipeid,
            sql=query,
            sql_file=sql_file,
            input_entity_ids=FROM_QUERY if input_entity_ids is None else input_entity_ids,
            **declaration,
        )
        if path is not None:
            registry.sql_files[pipeid] = path

        def refuse(_function: F) -> NoReturn:
            registry.unregister_pipe(pipeid)
            raise DeclarationError([f"pipe {pipeid!r} {BOTH}"])

        return refuse

    @classmethod
    def reset(cls) -> None:
        """Forget every pipe that was declared in the process's own registry."""
        DataPipes._own = DataPipesRegistry()

    @classmethod
    @contextmanager
    def declaring_into(cls, registry: DataPipesRegistry) -> Iterator[DataPipesRegistry]:
        """Register every declaration in the ``with`` block in ``registry``."""
        token = _active.set(registry)
        try:
            yield registry
        finally:
            _active.reset(token)
