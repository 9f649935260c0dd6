"""The page of a DAG's plan with the state of a run on it, and what the page asks for.

GET dags/{dag_id}/plan          the page; with run_id, of that run, else of the newest
GET dags/{dag_id}/runs          the newest runs
GET dags/{dag_id}/run           what of a run has changed
GET dags/{dag_id}/run/pipe      the report of one pipe
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import PoolDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Query, Response, status

from kindling_airflow.common.redaction import without_secrets
from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.history import usual
from kindling_airflow.operators.driver.stream_watch import PROGRESS_KEY
from kindling_airflow.operators.links.buttons import EntityLocationLink, SparkPagesLink
from kindling_airflow.operators.links.urls import safe_url
from kindling_airflow.operators.upstream_reports import REPORT_KEY
from kindling_airflow.plugin.pages import run_queries
from kindling_airflow.plugin.pages.access import DagAccessEntity, may_read
from kindling_airflow.plugin.pages.answers import html_answer, json_answer, text_answer
from kindling_airflow.run_view.changes import Cursor, changed_tasks, document_of
from kindling_airflow.run_view.details import details_of
from kindling_airflow.run_view.page import run_page, run_page_data, usual_figures
from kindling_airflow.run_view.stored_plan import stored_plan

__all__ = ["router"]

_LONGEST_ID = 250
_LATEST = 4 * 10**12  # milliseconds since 1970: the year 2096
_MOST_PLANS = 16
_PLANS: dict[tuple[str, str], dict[str, Any] | None] = {}
_LINKS = {link.xcom_key: link.name for link in (SparkPagesLink(), EntityLocationLink())}

router = APIRouter(
    prefix="/dags/{dag_id}",
    dependencies=[
        may_read(DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
    ],
)


def _cursor(
    since: int = Query(0, ge=0, le=_LATEST),
    after: str = Query("", max_length=_LONGEST_ID),
    began: int = Query(0, ge=0, le=_LATEST),
) -> Cursor:
    return Cursor(since, after, began)


@router.get("/plan")
def plan(dag_id: str, session: SessionDep, user: GetUserDep, run_id: str | None = None) -> Response:
    """Return the page."""
    runs = run_queries.newest_runs(session, dag_id)
    shown = run_id if run_id is not None else next((name for name, *_ in runs), None)
    version = run_queries.version(session, dag_id, shown)
    if version is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such DAG, run, or version of the DAG")
    data = _plan_of(version)
    if data is None:
        return text_answer(dag_id, "This DAG has no pipes, so there is no plan to show.")
    answer = None
    if shown is not None:
        answer = _answer(session, user, dag_id, shown, Cursor(), is_whole=True)
        if answer is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, "no such run")
    live = {
        "dag": dag_id,
        "run": shown,
        "follows": run_id is None,
        "version": version.number,
        "runs": runs,
        "usual": usual_figures(data, usual(dag_id, session=session)),
        "answer": answer,
    }
    page = run_page(f"{dag_id}: plan", data, live)
    return html_answer(page.text, style=page.style, script=page.script)


@router.get("/runs")
def runs(dag_id: str, session: SessionDep) -> Response:
    """Return the newest runs."""
    return _json(run_queries.newest_runs(session, dag_id))


@router.get("/run")
def run(
    dag_id: str,
    session: SessionDep,
    user: GetUserDep,
    run_id: str,
    cursor: Annotated[Cursor, Depends(_cursor)],
) -> Response:
    """Return what of a run has changed since the cursor."""
    answer = _answer(session, user, dag_id, run_id, cursor)
    if answer is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such run")
    return _json(answer)


@router.get("/run/pipe")
def pipe(dag_id: str, session: SessionDep, run_id: str, task_id: str) -> Response:
    """Return the report of one pipe, and its links."""
    keys = (REPORT_KEY, PROGRESS_KEY, *_LINKS)
    found = run_queries.task_xcoms(session, dag_id, run_id, task_id, keys)
    shown = details_of(document_of(found.get(REPORT_KEY)), document_of(found.get(PROGRESS_KEY)))
    links = {name: safe_url(_url(found.get(key))) for key, name in _LINKS.items()}
    return _json({**shown, "links": [[name, url] for name, url in links.items() if url]})


def _answer(
    session: Any, user: Any, dag_id: str, run_id: str, cursor: Cursor, *, is_whole: bool = False
) -> dict[str, Any] | None:
    now = round(time.time() * 1000)
    cursor = cursor.starting(now)
    found = run_queries.refresh(
        session, dag_id, run_id, since=cursor.since, after=cursor.after, is_whole=is_whole
    )
    if found is None:
        return None
    tasks, last = changed_tasks(
        found.rows,
        report_key=REPORT_KEY,
        progress_key=PROGRESS_KEY,
        is_cut=found.is_cut,
        **({"most_bytes": None} if is_whole else {}),
    )
    conf = found.run.pop("conf") or {}
    chosen = conf.get(SELECT_PARAM) if isinstance(conf, dict) else None
    selected = without_secrets(str(chosen)) if chosen else ""
    behind = cursor.behind(last)
    return {
        "now": now,
        "run": {**found.run, "select": selected[:_LONGEST_ID]},
        "pools": run_queries.pools(session, dag_id, run_id) if _may_see_pools(user) else [],
        "tasks": tasks,
        "cursor": [behind.since, behind.after, behind.began],
        "more": last is not None,
    }


def _may_see_pools(user: Any) -> bool:
    manager = get_auth_manager()
    return bool(manager.is_authorized_pool(method="GET", details=PoolDetails(), user=user))


def _plan_of(version: run_queries.StoredVersion) -> dict[str, Any] | None:
    """Return what a page knows of a version's plan; the last ones asked for are kept."""
    if version.key not in _PLANS:
        stored = stored_plan(version.read())
        while len(_PLANS) >= _MOST_PLANS:
            _PLANS.pop(next(iter(_PLANS)), None)
        _PLANS[version.key] = None if stored is None else run_page_data(stored)
    return _PLANS[version.key]


def _url(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    with suppress(ValueError):  # another backend stores something else
        value = json.loads(value)
    return value if isinstance(value, str) else ""


def _json(document: Any) -> Response:
    return json_answer(json.dumps(document, separators=(",", ":")))
