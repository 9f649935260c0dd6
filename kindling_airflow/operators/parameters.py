"""The parameters of a run: the DAG's params, and the other entries of the run's conf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling_airflow.common.immutable import canonical_json
from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.errors import PipeRunError

__all__ = ["run_parameters"]


def run_parameters(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a task's run by name.

    A param wins over an entry of the run's conf; where Airflow is configured so, it has already
    replaced params by the conf.

    Args:
        context: the task's context.

    Raises:
        PipeRunError: values that JSON cannot express; names all of them.
    """
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    found = {**conf, **(context.get("params") or {})}
    if found.get(SELECT_PARAM, "") is None:  # a run for all pipes
        del found[SELECT_PARAM]
    foreign = [name for name, value in found.items() if not _is_json(value)]
    if foreign:
        raise PipeRunError(
            f"Parameters of the run cannot be expressed in JSON: {', '.join(map(repr, foreign))}\n"
            "  Fix: use text, numbers, true, false, null, lists and objects."
        )
    return found


def _is_json(value: Any) -> bool:
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
