"""Queries against the rest of a project: which entities they read, and whether these exist.

    SELECT * FROM bronze_orders o JOIN `ref-data.currencies` c ON o.currency = c.code

names two tables. A table is an entity under the name that a function would get it by
(``bronze_orders``), or under its id in backquotes. Which entity it is follows from the inputs that
the pipe declares; where it declares none, from all that the project declares, and these are its
inputs from then on, in the order in which the query names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields

from kindling_airflow.common.wording import did_you_mean, some_pipes
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata, argument_name
from kindling_airflow.data_pipes.sql_columns import unknown_columns
from kindling_airflow.data_pipes.sql_query import (
    Query,
    read_query,
    sql_parser_is_installed,
)
from kindling_airflow.errors import DeclarationError

CHECK_TAG = "sql.check"


def derive_inputs(pipes: DataPipesRegistry, entity_ids: Iterable[str] = ()) -> None:
    """Derive the inputs of all queries that do not have any yet; others are left alone.

    Raises:
        DeclarationError: as :func:`check_queries`.
    """
    if pipes.awaiting:
        _check(pipes, [pipe for pipe in pipes if pipe.awaits_inputs], entity_ids)


def check_queries(
    pipes: DataPipesRegistry,
    entity_ids: Iterable[str] = (),
    columns_of: Callable[[str], Iterable[str] | None] | None = None,
) -> None:
    """Check every query, note its parameters, and derive its inputs where it declares none.

    Without the parser, queries that declare their inputs pass unread; so do those with the tag
    ``sql.check`` set to False.

    Args:
        pipes: the pipes; those whose inputs are derived are replaced.
        entity_ids: the declared entities. What pipes read and write is known besides.
        columns_of: returns which columns an entity has, or None where that is not certain.

    Raises:
        DeclarationError: a text is not a query or breaks the grammar, names a table that is not
            an input or an entity, or several entities at once, or a column that its tables do not
            have, or cannot be read without the parser; lists every problem.
    """
    _check(pipes, [pipe for pipe in pipes if pipe.sql is not None], entity_ids)
    if columns_of is None or not sql_parser_is_installed():
        return
    problems = [
        text
        for pipe in pipes
        if pipe.sql is not None and pipe.tags.get(CHECK_TAG) is not False
        for text in _column_problems(pipe, columns_of)
    ]
    if problems:
        raise DeclarationError(problems)


def _column_problems(
    pipe: PipeMetadata, columns_of: Callable[[str], Iterable[str] | None]
) -> Iterator[str]:
    columns = {entity_id: columns_of(entity_id) for entity_id in pipe.input_entity_ids}
    if not any(columns.values()):
        return
    tables = {
        name: columns[found[0]] if len(found) == 1 else None
        for name, found in _by_table(columns).items()
    }
    where = f"pipe {pipe.pipeid!r}: its query" + (f" ({pipe.sql_file})" if pipe.sql_file else "")
    for name, hint in unknown_columns(pipe.sql or "", tables):
        yield (
            f"{where} names column {name!r}, which the declared schemas of its tables do not have."
            f"{hint}\n"
            "  Fix: correct the name, or the schema of the entity; if Spark accepts the query, "
            f"set the tag {CHECK_TAG!r} to False."
        )


def _check(
    pipes: DataPipesRegistry, queries: Sequence[PipeMetadata], entity_ids: Iterable[str]
) -> None:
    known = _by_table(
        dict.fromkeys(
            (*entity_ids, *(e for p in pipes for e in (*p.input_entity_ids, p.output_entity_id)))
        )
    )
    readable = sql_parser_is_installed()
    problems = []
    without_parser = []
    for pipe in queries:
        checked = pipe.tags.get(CHECK_TAG) is not False
        if pipe.awaits_inputs and not checked:
            problems.append(
                f"pipe {pipe.pipeid!r}: its inputs cannot be derived from a query that is not read "
                f"(tag {CHECK_TAG!r})\n  Fix: name the inputs in input_entity_ids."
            )
        elif pipe.awaits_inputs and not readable:
            without_parser.append(pipe.pipeid)
        elif readable and checked:
            problems += _settle(pipes, pipe, known)
    if without_parser:
        problems.append(  # one text for all: one package is missing
            f"{some_pipes(without_parser)}: deriving inputs from queries requires the package "
            "'sqlglot', which is not installed here\n"
            "  Fix: install 'sqlglot>=27' where projects are compiled and DAG files are parsed, or "
            "name the inputs in input_entity_ids."
        )
    if problems:
        raise DeclarationError(problems)


def _settle(
    pipes: DataPipesRegistry, pipe: PipeMetadata, known: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Give a pipe what follows from its query; return what is wrong with that."""
    query = read_query(pipe.sql or "")
    inputs, problems = _inputs(pipe, query, known)
    if not problems:
        declared = {item.name: getattr(pipe, item.name) for item in fields(pipe)}
        declared |= {"input_entity_ids": inputs, "sql_parameters": query.parameters}
        try:
            pipes.register_pipe(**declared)
        except DeclarationError as error:
            return list(error.problems)
    return problems


def _inputs(
    pipe: PipeMetadata, query: Query, known: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, ...], list[str]]:
    problems = [f"pipe {pipe.pipeid!r}: {problem}" for problem in query.problems]
    own = None if pipe.awaits_inputs else _by_table(pipe.input_entity_ids)
    found: dict[str, None] = {}
    place = "" if pipe.sql_file is None else f"{pipe.sql_file}, "
    for table in query.tables:
        name = ".".join(table.parts)
        where = f"pipe {pipe.pipeid!r}: its query reads {name!r} ({place}line {table.line})"
        candidates = (known if own is None else own).get(table.parts[-1].casefold(), ())
        if len(table.parts) > 1:
            problems.append(
                f"{where}, a name of {len(table.parts)} parts\n"
                f"  Fix: write {argument_name(name)}, or `{name}` in backquotes."
            )
        elif not candidates:
            problems.append(f"{where}, {_unknown_text(name, known, own)}")
        elif len(candidates) > 1:
            problems.append(
                f"{where}, which may be {' or '.join(map(repr, candidates))}\n"
                "  Fix: write its id in backquotes, or name the inputs in input_entity_ids."
            )
        else:
            found[candidates[0]] = None
    return (pipe.input_entity_ids if own is not None else tuple(found)), problems


def _by_table(entity_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the entities by the names that a query may use, in lower case."""
    found: dict[str, tuple[str, ...]] = {}
    for entity_id in entity_ids:
        for name in dict.fromkeys((argument_name(entity_id).casefold(), entity_id.casefold())):
            found[name] = (*found.get(name, ()), entity_id)
    return found


def _unknown_text(
    name: str, known: Mapping[str, Iterable[str]], own: Mapping[str, Iterable[str]] | None
) -> str:
    if own is not None:
        hint = did_you_mean(name.casefold(), own)
        return (
            f"which is not one of its inputs.{hint}\n"
            "  Fix: correct the name, or add the entity to input_entity_ids."
        )
    return (
        f"which is not an entity of the project.{did_you_mean(name.casefold(), known)}\n"
        "  Fix: correct the name, declare the entity, or name the inputs in input_entity_ids."
    )
