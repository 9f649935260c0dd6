"""Finds what Spark refuses in a query and the parser accepts: templates, and stray commas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

PIECES = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<end>;)
    |(?P<code>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|.)""",
    re.VERBOSE | re.DOTALL,
)
"""A text of SQL, piece by piece: what means nothing, what ends a query, and everything else."""

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\{\{|\{%", re.DOTALL)
_AIRFLOWS = re.compile(
    r"\{\{-?\s*(ds|ts|ds_nodash|ts_nodash|data_interval_\w+|logical_date|execution_date|run_id"
    r"|dag_run|dag|task|ti|task_instance|params|var|conn|conf|macros|prev_\w+|next_\w+)\b"
)


def template_problems(sql: str) -> list[str]:
    """Return the templates in a text; in quotes, those that could be nothing but Airflow's."""
    if "{" not in sql:
        return []
    problems: list[str] = []
    for found in PIECES.finditer(sql):
        piece = found.group()
        quoted = found["code"] and len(piece) > 1
        if found["space"]:
            continue
        template = _AIRFLOWS.search(piece) if quoted else None
        if template is not None or (piece == "{" and _TEMPLATE.match(sql, found.start())):
            start = found.start() + (template.start() if template is not None else 0)
            shown = _TEMPLATE.match(sql, start)
            what = shown.group() if shown is not None else sql[start : start + 2]
            problems.append(
                f"its query has a template, line {sql.count(chr(10), 0, start) + 1}: {what!r}. "
                "Queries are not templated\n"
                "  Fix: use a parameter: :interval_start, :interval_end, :run_id, or one of the "
                "run's params."
            )
    return list(dict.fromkeys(problems))


def comma_problems(sql: str) -> list[str]:
    """Return where a text has a comma with nothing before or after it. Needs the parser."""
    import sqlglot

    tokens = sqlglot.tokenize(sql, read="spark")
    return [
        f"its query has an extra comma, line {sql.count(chr(10), 0, start) + 1},"
        f"{f' before {behind}' if behind else ' at its end'}\n  Fix: remove it."
        for start, behind in _stray_commas(tokens)
    ]


def _stray_commas(tokens: Sequence[Any]) -> Iterator[tuple[int, str]]:
    """Yield the commas with nothing before or after them: their places, and what follows.

    The parser passes over them, Spark does not. Words that begin a clause may be names of columns
    in Spark (``SELECT id, order FROM t``), so that more than the next word is looked at.
    """
    quoted = ("IDENTIFIER", "STRING", "RAW_STRING")
    texts = ["a" if t.token_type.name in quoted else t.text.upper() for t in tokens]
    for n, token in enumerate(tokens):
        if token.token_type.name != "COMMA":
            continue
        before = texts[n - 1] if n else ""
        behind = texts[n + 1] if n + 1 < len(texts) else ""
        if (
            before in ("(", "SELECT", "")
            or behind in ("", ")", ",", ";", "GROUP BY", "ORDER BY")
            or (
                behind in ("FROM", "WHERE", "UNION", "EXCEPT", "INTERSECT")
                and _begins_clause(tokens, n + 1)
            )
        ):
            yield int(token.start), behind


def _begins_clause(tokens: Sequence[Any], at: int) -> bool:
    """Return whether a word is the beginning of a clause for certain, and not a column's name."""
    kinds = [token.token_type.name for token in tokens[at + 1 : at + 3]]
    is_query = kinds[:1] == ["SELECT"] or kinds == ["L_PAREN", "SELECT"]
    if not is_query and kinds[:1] not in (["VAR"], ["IDENTIFIER"]):
        return False
    depth = 0
    for token in tokens[at + 1 :]:
        kind = token.token_type.name
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        if depth < 0:
            break
        if depth == 0 and kind == "FROM":
            return is_query
    return True
