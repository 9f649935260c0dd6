"""Writes the documentation of a task in the Airflow UI: inputs, output, expectations, query."""

from __future__ import annotations

import re

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.data_pipes.sql_query import query_text
from kindling_airflow.tags.storage_types import provider_type_of
from kindling_airflow.tags.stream_settings import StreamSettings

_BACKTICKS = re.compile("`+")


def stream_text(pipe: PipeMetadata, checkpoints: str | None, output: EntityMetadata) -> str:
    """Return the documentation of a stream's query, with a note where rows may be duplicated.

    Args:
        pipe: the pipe.
        checkpoints: the root of checkpoints, as far as the deployment says.
        output: what it writes.
    """
    root = checkpoints or "<warehouse>/_kindling/checkpoints"
    text = f"Stream: {StreamSettings.of(pipe).text(root)}."
    if provider_type_of(output) != "kafka":
        return text
    again = "after a crash, or a stop within a batch, those of the batch come again"
    return f"{text} Rows are sent at least once: {again}."


def task_doc(pipe: PipeMetadata, stream: str = "") -> dict[str, str]:
    """Return the documentation arguments of a pipe's operator.

    A query is shown as it is: neither Jinja nor Markdown changes the fenced text.

    Args:
        pipe: the pipe.
        stream: its documentation as a stream.
    """
    reads = ", ".join(pipe.input_entity_ids) or "nothing"
    promises = pipe.promises()
    if pipe.sql is None:
        summary = f"Pipe {pipe.pipeid}: reads {reads}; writes {pipe.output_entity_id}."
        lines = [summary, stream, *(f"Expects: {promise}" for promise in promises)]
        return {"doc": "\n".join(filter(None, lines))}
    longest = max((len(run) for run in _BACKTICKS.findall(pipe.sql)), default=0)
    fence = "`" * max(3, longest + 1)
    source = "" if pipe.sql_file is None else f" From {_as_code(pipe.sql_file)}."
    what = (
        f"Pipe {_as_code(pipe.pipeid)}: reads "
        f"{', '.join(map(_as_code, pipe.input_entity_ids)) or 'nothing'}; "
        f"writes {_as_code(pipe.output_entity_id)}.{source}"
    )
    listed = "\n".join(f"- Expects: {_as_code(promise)}" for promise in promises)
    told = _as_code(stream) if stream else ""
    query = f"{fence}sql\n{query_text(pipe.sql)}\n{fence}"
    return {"doc_md": "\n\n".join(filter(None, (what, told, listed, query)))}


def _as_code(text: str) -> str:
    """Return a text as Markdown shows it letter by letter."""
    line = " ".join(text.split())
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    marks = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{marks}{space}{line}{space}{marks}"
