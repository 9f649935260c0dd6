"""Renders plans as text, figures and drawings.

The public names are resolved when they are first used: Airflow plans at every parse, and reads no
report then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "Explanation",
    "Forecast",
    "PlanDiff",
    "diff",
    "durations_of",
    "explain",
    "forecast",
    "plan_dot",
    "plan_mermaid",
    "plan_page",
]

_HOMES = {
    "Explanation": "explanation",
    "Forecast": "forecasting",
    "PlanDiff": "difference",
    "diff": "difference",
    "durations_of": "durations",
    "explain": "explanation",
    "forecast": "forecasting",
    "plan_dot": "diagrams",
    "plan_mermaid": "diagrams",
    "plan_page": "page",
}

if TYPE_CHECKING:
    from kindling_airflow.plan_report.diagrams import plan_dot, plan_mermaid
    from kindling_airflow.plan_report.difference import PlanDiff, diff
    from kindling_airflow.plan_report.durations import durations_of
    from kindling_airflow.plan_report.explanation import Explanation, explain
    from kindling_airflow.plan_report.forecasting import Forecast, forecast
    from kindling_airflow.plan_report.page import plan_page


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
