"""A strategy from its name: one of the built-in ones, or one that another distribution brings.

A distribution registers its strategies as entry points:

    [project.entry-points."kindling_airflow.strategies"]
    nightly = "shop_plans.orders:NightlyStrategy"

Entry points are looked up only for names that are not built in, so that other names cost nothing,
and no distribution can redefine a built-in name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_strategy.base import ExecutionStrategy
from kindling_airflow.execution_strategy.batch import BatchExecutionStrategy
from kindling_airflow.execution_strategy.config_based import ConfigBasedExecutionStrategy
from kindling_airflow.execution_strategy.hybrid import HybridExecutionStrategy
from kindling_airflow.execution_strategy.priority import PriorityExecutionStrategy
from kindling_airflow.execution_strategy.streaming import StreamingExecutionStrategy

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ENTRY_POINT_GROUP", "resolve_strategy", "strategy_by_name"]

ENTRY_POINT_GROUP = "kindling_airflow.strategies"

_BUILT_IN: Mapping[str, type[ExecutionStrategy]] = {
    "batch": BatchExecutionStrategy,
    "streaming": StreamingExecutionStrategy,
    "config_based": ConfigBasedExecutionStrategy,
    "hybrid": HybridExecutionStrategy,
    "priority": PriorityExecutionStrategy,
}


def resolve_strategy(
    strategy: ExecutionStrategy | type[ExecutionStrategy] | str, logger_provider: Any = None
) -> ExecutionStrategy:
    """Return a strategy that is given as an object, as a class, or by name.

    Classes are called without arguments, but for a ``logger_provider`` where they take one.

    Args:
        strategy: the object, the class or the name.
        logger_provider: what a class is made with; None leaves that out where it is optional.

    Raises:
        GraphValidationError: it is nothing of these, the name is unknown, or what is behind it
            cannot be imported or made; the original error is the ``__cause__``.
    """
    if isinstance(strategy, str):
        return strategy_by_name(strategy, logger_provider)
    return _made(strategy, "strategy", logger_provider)


def strategy_by_name(name: str, logger_provider: Any = None) -> ExecutionStrategy:
    """Return a strategy by its name: a built-in one, else that of an entry point.

    Hyphens in a name are as good as underscores.

    Args:
        name: the name.
        logger_provider: what it is made with.

    Raises:
        GraphValidationError: the name is unknown (the message lists the known ones), two
            distributions mean different ones by it, or it cannot be imported or made.
    """
    built_in = _BUILT_IN.get(_plain(name))
    if built_in is not None:
        return built_in(logger_provider)
    return _from_entry_point(name, logger_provider)


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _from_entry_point(name: str, logger_provider: Any) -> ExecutionStrategy:
    from importlib.metadata import entry_points  # costs more than most plans: only on demand

    registered = entry_points(group=ENTRY_POINT_GROUP)
    found = {entry.value: entry for entry in registered if _plain(entry.name) == _plain(name)}
    if not found:
        known = [*_BUILT_IN, *sorted({entry.name for entry in registered} - _BUILT_IN.keys())]
        problem = (
            f"unknown strategy {name!r}.{did_you_mean(_plain(name), known)}\n"
            f"  Fix: use one of {', '.join(map(repr, known))}."
        )
        raise GraphValidationError([problem])
    if len(found) > 1:
        problem = (
            f"strategy {name!r} is registered more than once: {', '.join(sorted(found))}\n"
            "  Fix: uninstall one of the distributions, or pass the strategy as an object."
        )
        raise GraphValidationError([problem])
    [entry] = found.values()
    return _made(_loaded(name, entry), f"strategy {name!r} ({entry.value})", logger_provider)


def _loaded(name: str, entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        problem = (
            f"strategy {name!r} ({entry.value}) cannot be imported: "
            f"{type(error).__name__}: {error}\n"
            "  Fix: repair or reinstall the distribution that registers it."
        )
        raise GraphValidationError([problem]) from error


def _made(strategy: object, what: str, logger_provider: Any) -> ExecutionStrategy:
    """Return the object of a strategy that is given as such, or as a class."""
    made = strategy
    if isinstance(strategy, type) and issubclass(strategy, ExecutionStrategy):
        try:
            takes = "logger_provider" in inspect.signature(strategy).parameters
            made = strategy(logger_provider) if takes else strategy()
        except (Exception, SystemExit) as error:  # as above
            problem = (
                f"{what}: {strategy.__name__}() failed: {type(error).__name__}: {error}\n"
                "  Fix: make it callable without arguments, or pass an object."
            )
            raise GraphValidationError([problem]) from error
    if isinstance(made, ExecutionStrategy):
        return made
    problem = (
        f"{what} must be an ExecutionStrategy or a subclass of it, not {made!r}\n"
        "  Fix: subclass kindling_airflow.ExecutionStrategy."
    )
    raise GraphValidationError([problem])
