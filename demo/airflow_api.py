"""The calls of Airflow's public REST API (v2) that the demo and the system tests need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from kindling_airflow.errors import LocalAirflowError

__all__ = ["FINISHED", "AirflowApi"]

FINISHED = frozenset({"success", "failed"})
_TRIES = 5
_PAGE = 100


class AirflowApi:
    """A client of one Airflow, which gets its token from the simple auth manager.

    Args:
        url: the web server's address, without a path.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60.0)
        self._token: str | None = None

    def is_healthy(self) -> bool:
        """Return whether metadata database, scheduler and DAG processor are healthy."""
        try:
            health = self._client.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all(health.get(part, {}).get("status") == "healthy" for part in parts)

    def answers(self) -> bool:
        """Return whether the API server answers, whatever it says of the others."""
        try:
            return self._client.get("/api/v2/version").is_success
        except httpx.HTTPError:
            return False

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return a DAG, or None if it does not exist yet."""
        return self._call("GET", f"/dags/{_part(dag_id)}", missing_is_none=True)

    def tasks(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the tasks of a DAG's latest version."""
        return list((self._call("GET", f"/dags/{_part(dag_id)}/tasks") or {})["tasks"])

    def versions(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the versions of a DAG."""
        return list((self._call("GET", f"/dags/{_part(dag_id)}/dagVersions") or {})["dag_versions"])

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the import errors that the UI shows."""
        return list((self._call("GET", "/importErrors") or {})["import_errors"])

    def pools(self) -> dict[str, dict[str, Any]]:
        """Return the pools by name."""
        found = self._call("GET", "/pools") or {}
        return {pool["name"]: pool for pool in found["pools"]}

    def create_pool(self, name: str, slots: int) -> None:
        """Create a pool."""
        self._call("POST", "/pools", {"name": name, "slots": slots})

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        self._call("PATCH", f"/dags/{_part(dag_id)}", {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Pause a DAG."""
        self._call("PATCH", f"/dags/{_part(dag_id)}", {"is_paused": True})

    def trigger(self, dag_id: str, run_id: str | None = None) -> str:
        """Start a run and return its id."""
        body: dict[str, Any] = {"logical_date": None}
        if run_id is not None:
            body["dag_run_id"] = run_id
        run = self._call("POST", f"/dags/{_part(dag_id)}/dagRuns", body) or {}
        return str(run["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return a run."""
        return self._call("GET", f"/dags/{_part(dag_id)}/dagRuns/{_part(run_id)}") or {}

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return a DAG's first hundred runs, oldest first."""
        path = f"/dags/{_part(dag_id)}/dagRuns?limit={_PAGE}&order_by=run_after"
        return list((self._call("GET", path) or {})["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run."""
        path = f"/dags/{_part(dag_id)}/dagRuns/{_part(run_id)}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            query = f"?limit={_PAGE}&offset={len(found)}"
            page = self._call("GET", path + query) or {}
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Return an XCom's value, or None where there is none."""
        path = (
            f"/dags/{_part(dag_id)}/dagRuns/{_part(run_id)}/taskInstances/{_part(task_id)}"
            f"/xcomEntries/{_part(key)}?deserialize=false&stringify=false"
        )
        found = self._call("GET", path, missing_is_none=True)
        return None if found is None else found["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return the log of one attempt of a task as text."""
        path = (
            f"/dags/{_part(dag_id)}/dagRuns/{_part(run_id)}/taskInstances/{_part(task_id)}"
            f"/logs/{attempt}?full_content=true"
        )
        entries = (self._call("GET", path, missing_is_none=True) or {}).get("content", [])
        return "\n".join(line for entry in entries for line in _log_lines(entry))

    def wait_for_dag(self, dag_id: str, seconds: float = 120.0) -> dict[str, Any]:
        """Return a DAG as soon as it exists.

        Raises:
            LocalAirflowError: it did not appear; lists the import errors.
        """
        deadline = time.monotonic() + seconds
        while (found := self.dag(dag_id)) is None:
            if time.monotonic() > deadline:
                errors = [f"{e['filename']}: {e['stack_trace']}" for e in self.import_errors()]
                why = "\n".join(errors) or "no import errors"
                raise LocalAirflowError(
                    f"DAG {dag_id!r} did not appear within {seconds:.0f} s: {why}"
                )
            time.sleep(1)
        return found

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        seconds: float = 1800.0,
        on_look: Callable[[list[dict[str, Any]]], None] | None = None,
    ) -> str:
        """Return a run's final state.

        Args:
            dag_id: the DAG.
            run_id: the run.
            seconds: how long to wait.
            on_look: called with the task instances at each look.

        Raises:
            LocalAirflowError: the run did not end in time; lists the states of its tasks.
        """
        deadline = time.monotonic() + seconds
        while True:
            state = str(self.run(dag_id, run_id)["state"])
            instances = self.task_instances(dag_id, run_id)
            if on_look is not None:
                on_look(instances)
            if state in FINISHED:
                return state
            if time.monotonic() > deadline:
                states = {i["task_id"]: i["state"] for i in instances}
                raise LocalAirflowError(
                    f"run {run_id!r} did not end within {seconds:.0f} s: {states}"
                )
            time.sleep(1)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        missing_is_none: bool = False,
    ) -> dict[str, Any] | None:
        for attempt in range(1, _TRIES + 1):
            try:
                response = self._send(method, path, body)
            except httpx.HTTPError as error:
                if attempt == _TRIES or method != "GET":
                    raise LocalAirflowError(f"{method} {path}: {error}") from error
                time.sleep(attempt)
                continue
            if response.status_code == httpx.codes.NOT_FOUND and missing_is_none:
                return None
            if response.is_success:
                found: dict[str, Any] = response.json() if response.content else {}
                return found
            if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR and attempt < _TRIES:
                time.sleep(attempt)  # SQLite: the database is locked now and then
                continue
            raise LocalAirflowError(f"{method} {path}: {response.status_code} {response.text}")
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        if self._token is None:
            answer = self._client.get("/auth/token")
            answer.raise_for_status()
            self._token = str(answer.json()["access_token"])
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        response = self._client.request(method, f"/api/v2{path}", json=body, headers=headers)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._token = None
        return response


def _part(text: str) -> str:
    return quote(text, safe="")


def _log_lines(entry: Any) -> list[str]:
    """Return what the UI shows of a log entry: its text, and the errors that came with it."""
    if not isinstance(entry, dict):
        return [str(entry)]
    errors = entry.get("error_detail") or []
    return [
        str(entry.get("event", "")),
        *(f"{error['exc_type']}: {error['exc_value']}" for error in errors),
    ]
