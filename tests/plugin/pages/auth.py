"""Airflow's simple auth manager, with one user who may not see one DAG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

USERS = {"ada": "admin", "vic": "viewer", "otto": "viewer"}
DENIED_USER = "otto"
DENIED_DAG = "denied"


class OneDagDenied(SimpleAuthManager):
    def is_authorized_dag(self, *, user: Any, details: Any = None, **more: Any) -> bool:
        if user.username == DENIED_USER and details is not None and details.id == DENIED_DAG:
            return False
        return bool(super().is_authorized_dag(user=user, details=details, **more))


def environment(folder: Path) -> dict[str, str]:
    """Return what makes an Airflow have these users; the password of each is its name."""
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in USERS}))
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": f"{__name__}.OneDagDenied",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(map(":".join, USERS.items())),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
