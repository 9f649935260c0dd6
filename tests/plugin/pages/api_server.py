"""A real API server with a database of its own; nothing else of Airflow runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from demo.local_airflow import free_port
from tests.plugin.pages import auth


@contextmanager
def api_server(folder: Path) -> Iterator[str]:
    """Run an API server; gives its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW_")}
    environment = {
        **inherited,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__BASE_URL": url,
        **auth.environment(folder),
    }
    airflow = [sys.executable, "-m", "airflow"]
    log = (folder / "api-server.log").open("ab")
    with log:
        subprocess.run([*airflow, "db", "migrate"], env=environment, check=True, stdout=log)
        server = subprocess.Popen(
            [*airflow, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(url, server)
            yield url
        finally:
            server.terminate()
            server.wait()


def sign_in(url: str, user: str | None) -> httpx.Client:
    """Return a client that a user has signed in with; None: nobody has."""
    client = httpx.Client(base_url=url, timeout=60.0)
    if user is not None:
        answer = client.post("/auth/token", json={"username": user, "password": user})
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return client


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    while True:
        assert server.poll() is None, "the API server has ended"
        try:
            if httpx.get(f"{url}/api/v2/version").is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
