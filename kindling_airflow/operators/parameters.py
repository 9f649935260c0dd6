"""What a run was started with, for the pipe: the DAG's params, and what else its conf holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling_airflow.common.immutable import canonical_json
from kindling_airflow.errors import PipeRunError
from kindling_airflow.operators.chosen_pipes import CHOICE

__all__ = ["run_parameters"]


def run_parameters(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a task's run by name.

    A param wins over an entry of the run's conf; that the conf replaces params where Airflow is
    configured so is Airflow's own doing, and has happened before.

    Args:
        context: the task's context.

    Raises:
        PipeRunError: values that JSON cannot express; names them all.
    """
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    found = {**conf, **(context.get("params") or {})}
    if found.get(CHOICE, "") is None:  # a run for all pipes
        del found[CHOICE]
    foreign = [name for name, value in found.items() if not _is_json(value)]
    if foreign:
        raise PipeRunError(
            f"JSON cannot express these parameters of the run: {', '.join(map(repr, foreign))}\n"
            "  Fix: use text, numbers, true, false, null, lists and objects."
        )
    return found


def _is_json(value: Any) -> bool:
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
