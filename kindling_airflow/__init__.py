"""Compiles Spark pipeline plans into Apache Airflow DAGs.

The public names are resolved when they are first used (PEP 562), so that importing this package
costs nothing: Airflow does it in every process it starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "BatchExecutionStrategy",
    "CacheLevel",
    "CacheRecommendation",
    "ConfigBasedExecutionStrategy",
    "DataEntities",
    "DataPipes",
    "ErrorStrategy",
    "ExecutionOrchestrator",
    "ExecutionPlan",
    "ExecutionPlanGenerator",
    "ExecutionResult",
    "ExecutionStrategy",
    "Generation",
    "GenerationExecutor",
    "HybridExecutionStrategy",
    "KindlingAirflowError",
    "Manifest",
    "PipeGraph",
    "PipeGraphBuilder",
    "PipeSkipped",
    "PriorityExecutionStrategy",
    "RetryPolicy",
    "StreamingExecutionStrategy",
    "__version__",
    "diff",
    "explain",
    "forecast",
    "kindling_dag",
    "kindling_task_group",
    "load_dags",
    "plan_page",
    "recommend_cache",
    "translate",
]

_HOMES = {
    "BatchExecutionStrategy": "execution_strategy",
    "CacheLevel": "cache_optimizer",
    "CacheRecommendation": "cache_optimizer",
    "ConfigBasedExecutionStrategy": "execution_strategy",
    "DataEntities": "data_entities",
    "DataPipes": "data_pipes",
    "ErrorStrategy": "generation_executor",
    "ExecutionOrchestrator": "execution_orchestrator",
    "ExecutionPlan": "execution_plan",
    "ExecutionPlanGenerator": "execution_strategy",
    "ExecutionResult": "generation_executor.results",
    "ExecutionStrategy": "execution_strategy",
    "Generation": "execution_plan",
    "GenerationExecutor": "generation_executor",
    "HybridExecutionStrategy": "execution_strategy",
    "KindlingAirflowError": "errors",
    "Manifest": "manifest",
    "PipeGraph": "pipe_graph",
    "PipeGraphBuilder": "pipe_graph",
    "PipeSkipped": "generation_executor",
    "PriorityExecutionStrategy": "execution_strategy",
    "RetryPolicy": "generation_executor",
    "StreamingExecutionStrategy": "execution_strategy",
    "diff": "plan_report",
    "explain": "plan_report",
    "forecast": "plan_report",
    "kindling_dag": "dag_factory",
    "kindling_task_group": "dag_factory",
    "load_dags": "dag_factory",
    "plan_page": "plan_report",
    "recommend_cache": "cache_optimizer",
    "translate": "translator",
}

if TYPE_CHECKING:
    from kindling_airflow.cache_optimizer import CacheLevel, CacheRecommendation, recommend_cache
    from kindling_airflow.dag_factory import kindling_dag, kindling_task_group, load_dags
    from kindling_airflow.data_entities import DataEntities
    from kindling_airflow.data_pipes import DataPipes
    from kindling_airflow.errors import KindlingAirflowError
    from kindling_airflow.execution_orchestrator import ExecutionOrchestrator
    from kindling_airflow.execution_plan import ExecutionPlan, Generation
    from kindling_airflow.execution_strategy import (
        BatchExecutionStrategy,
        ConfigBasedExecutionStrategy,
        ExecutionPlanGenerator,
        ExecutionStrategy,
        HybridExecutionStrategy,
        PriorityExecutionStrategy,
        StreamingExecutionStrategy,
    )
    from kindling_airflow.generation_executor import (
        ErrorStrategy,
        GenerationExecutor,
        PipeSkipped,
        RetryPolicy,
    )
    from kindling_airflow.generation_executor.results import ExecutionResult
    from kindling_airflow.manifest import Manifest
    from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder
    from kindling_airflow.plan_report import diff, explain, forecast, plan_page
    from kindling_airflow.translator import translate


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def _version() -> str:
    """Return the installed release; in a package on a cluster, the release that built the package.

    ``pyproject.toml`` states it; a package's zip has no metadata, but its info file repeats it.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("airflow-provider-kindling")
    except PackageNotFoundError:
        import json
        import zipfile
        from pathlib import Path

        with zipfile.ZipFile(Path(__file__).parents[1]) as package:
            return str(json.loads(package.read("kindling-package.json"))["release"])


def __dir__() -> list[str]:
    return sorted(__all__)
