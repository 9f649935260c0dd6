"""What the Airflow UI says of a task, before and after it ran: reads, writes, and the query."""

from __future__ import annotations

import re
from textwrap import dedent

from kindling_airflow.data_pipes import PipeMetadata

__all__ = ["task_doc"]

_BACKTICKS = re.compile("`+")


def task_doc(pipe: PipeMetadata) -> dict[str, str]:
    """Return the documentation arguments of a pipe's operator.

    A query is shown as it is: neither Jinja nor Markdown touches what stands in the fence.
    """
    reads = ", ".join(pipe.input_entity_ids) or "nothing"
    summary = f"Pipe {pipe.pipeid}: reads {reads}; writes {pipe.output_entity_id}."
    if pipe.sql is None:
        return {"doc": summary}
    longest = max((len(run) for run in _BACKTICKS.findall(pipe.sql)), default=0)
    fence = "`" * max(3, longest + 1)
    source = "" if pipe.sql_file is None else f" From {_as_code(pipe.sql_file)}."
    text = dedent(pipe.sql).strip("\n")
    what = (
        f"Pipe {_as_code(pipe.pipeid)}: reads "
        f"{', '.join(map(_as_code, pipe.input_entity_ids)) or 'nothing'}; "
        f"writes {_as_code(pipe.output_entity_id)}.{source}"
    )
    return {"doc_md": f"{what}\n\n{fence}sql\n{text}\n{fence}"}


def _as_code(text: str) -> str:
    """Return a text as Markdown shows it letter by letter."""
    line = " ".join(text.split())
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    marks = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{marks}{space}{line}{space}{marks}"
