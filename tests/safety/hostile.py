"""Ids that are made to hurt, and a project that is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

__all__ = ["IDS", "UNSTORABLE", "hostile_ids", "write_project"]

IDS = (
    "plain",
    'it\'s "quoted" `twice`',
    "two words",
    "--conf",
    "--conf spark.driver.extraJavaOptions=-agentlib:jdwp",
    "--master=spark://elsewhere:7077",
    "-",
    "$(touch /tmp/injected) ${HOME} $HOME",
    "a; touch injected & b | c > d",
    "first line\nsecond line\r\n--deploy-mode cluster",
    "..",
    "../outside",
    "../../../../../../tmp/outside",
    "/tmp/outside",
    "a/../../outside",
    "..\\outside",
    "file:///tmp/outside",
    "%2E%2E%2Foutside",
    "~root",
    ".hidden",
    "_hidden",
    "_kindling",
    "*",
    "?[a-z]{x,y}",
    "Zoë.注文.🔥",
    "e\u0301.u\u202elaer",
    "{{ 1 / 0 }}",
    "{% for x in y %}",
    "{# hidden #}",
    "<script>alert(1)</script>",
    "x" * 500,
    "x" * 499 + "y",
    "../" * 166 + "ab",
    "💥" * 500,
)

# What no database, file name or JSON reader takes: not even legal.
UNSTORABLE = ("nul\0byte", "half \ud83d a pair", "the other \udd25 half", "\0")

# fmt: off
_PIECES = (
    "--", "-", "$(", ")", "`", "'", '"', " ", "\n", "\0", "../", "/", "\\", "..", ".", "_", "%",
    "2F", "{{", "}}", "{%", "é", "🔥", "\ud800", "~", "*", ";", "x", "conf", "=", ":", "A", "a",
)
# fmt: on


def hostile_ids() -> st.SearchStrategy[str]:
    """Return legal ids, put together from what shells, paths and templates take for their own."""
    pieces = st.sampled_from(_PIECES)
    made = st.lists(pieces, min_size=1, max_size=8).map("".join)
    long = st.builds(lambda piece, n: (piece * n)[:500], made, st.integers(100, 500))
    return st.one_of(made, long, st.text(min_size=1)).filter(lambda text: text == text.strip())


def write_project(folder: Path, ids: Iterable[str]) -> Path:
    """Write a project in which each id names an entity, and the pipe that writes it.

    The first one reads the CSV file ``rows.csv`` of the warehouse, each other one the one before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "from kindling_airflow import DataEntities, DataPipes",
        "DataEntities.entity(entityid='raw', schema='id BIGINT',",
        "    tags={'provider_type': 'csv', 'provider.path': 'rows.csv'})",
        "def passed_on(**inputs):",
        "    return next(iter(inputs.values()))",
    ]
    before = "raw"
    for entity_id in ids:
        lines.append(
            f"DataPipes.pipe({entity_id!r}, input_entity_ids=[{before!r}], "
            f"output_entity_id={entity_id!r})(passed_on)"
        )
        before = entity_id
    (folder / "pipes.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
