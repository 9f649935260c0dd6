"""The page of a DAG's tables: published versions, missing and stale slices, how to fill them."""

from __future__ import annotations

import html
import json
import re
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.errors import KindlingAirflowError
from kindling_airflow.plugin.pages.access import DagAccessEntity, may_read
from kindling_airflow.plugin.pages.answers import html_answer, json_answer
from kindling_airflow.plugin.pages.tables_data import tables_document

__all__ = ["router"]

router = APIRouter(prefix="/dags/{dag_id}")
_SHOWS = may_read(DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
_SLOT = re.compile(r"\{\{(\w+)\}\}")
_DAYS = 14


@router.get("/tables", dependencies=[_SHOWS])
def tables(dag_id: str) -> Response:
    """Return the page."""
    style, script = _asset("page.css"), f'(() => {{\n"use strict";\n\n{_asset("page.js")}\n}})();'
    title = html.escape(f"Tables of {dag_id}").encode("ascii", "xmlcharrefreplace").decode()
    parts = {"title": title, "style": style, "script": script}
    page = _SLOT.sub(lambda slot: parts[slot[1]], _asset("page.html"))
    return html_answer(page, style=style, script=script)


@router.get("/tables/data", dependencies=[_SHOWS])
def data(dag_id: str, from_date: str = "", to_date: str = "") -> Response:
    """Return what the page shows, as JSON; by default of the last two weeks."""
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        last = _date(to_date) if to_date else today
        first = _date(from_date) if from_date else last - timedelta(days=_DAYS - 1)
    except ValueError as error:
        return json_answer(json.dumps({"detail": str(error)}), 400)
    try:
        document = tables_document(dag_id, first, last)
    except KindlingAirflowError as error:
        return json_answer(json.dumps({"detail": str(error)}), 404)
    return json_answer(json.dumps(document))


def _date(text: str) -> datetime:
    date = iso_datetime(text)
    return date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "tables_assets" / name).read_text("utf-8").strip()
