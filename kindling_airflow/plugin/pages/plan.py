"""The page of a DAG's plan, with the state of a run on it."""

from __future__ import annotations

import html

from fastapi import APIRouter, Response

from kindling_airflow.plugin.pages.access import DagAccessEntity, may_read
from kindling_airflow.plugin.pages.answers import html_answer

__all__ = ["router"]

router = APIRouter(prefix="/dags/{dag_id}")


@router.get("/plan", dependencies=[may_read(DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE)])
def plan(dag_id: str) -> Response:
    """Return the page."""
    title = html.escape(dag_id)
    page = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1></html>'
    return html_answer(page, style="", script="")
