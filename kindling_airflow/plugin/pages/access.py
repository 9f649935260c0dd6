"""Asks Airflow's auth manager whether a user may see the DAG of a route.

A route without such a dependency would be open to anyone: Airflow does not protect the
applications of plugins by itself.

    router = APIRouter(prefix="/dags/{dag_id}")

    @router.get("/plan", dependencies=[may_read(DagAccessEntity.RUN)])
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request, status

__all__ = ["DagAccessEntity", "may_read"]


def may_read(*entities: DagAccessEntity) -> Any:
    """Return the dependency of a route with the path parameter ``dag_id``.

    The route answers 401 without a sign-in, and 403 to a user who may not read the DAG, or
    one of these entities of it.

    Args:
        *entities: what the route shows of the DAG beside its definition.
    """

    def check(request: Request, user: GetUserDep) -> None:
        dag_id = request.path_params["dag_id"]
        team = DagModel.get_team_name(dag_id) if conf.getboolean("core", "multi_team") else None
        details = DagDetails(id=dag_id, team_name=team)
        manager = get_auth_manager()
        for entity in (None, *entities):
            if not manager.is_authorized_dag(
                method="GET", access_entity=entity, details=details, user=user
            ):
                raise HTTPException(status.HTTP_403_FORBIDDEN, "Forbidden")

    return Depends(check)
