"""What of a task is stored with its DAG: nothing that is empty, or that the DAG holds already.

Every scheduler loop and every page of the UI reads the stored DAG, so each field costs as often as
there are pipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from airflow.sdk.definitions.param import ParamsDict

__all__ = ["NOT_STORED", "TemplateFields", "own_params"]

NOT_STORED = frozenset({"_pre_execute_hook"})
"""Fields that Airflow would store as the text of a function, and does not read again."""


class TemplateFields:
    """Template fields: of a class all of them, of a task those that have a value now.

    Airflow stores the names and the values of a task's template fields, and renders them; one
    without a value has nothing to render. A field that a policy of the deployment sets later is
    among them from then on.
    """

    def __init__(self, *names: str) -> None:
        self._names = names

    @overload
    def __get__(self, task: None, owner: type) -> Sequence[str]: ...

    @overload
    def __get__(self, task: Any, owner: type) -> Sequence[str]: ...

    def __get__(self, task: Any, owner: type) -> Sequence[str]:
        if task is None:
            return self._names
        return tuple([name for name in self._names if getattr(task, name, None)])


def own_params(params: Any) -> ParamsDict:
    """Return a task's params without those of its DAG, for a DAG that is to be stored.

    Airflow copies the DAG's into every task, where a run would find them all the same: a run's
    params are those of the DAG, then those of the task. The one task of a worker keeps its copies,
    because a run's values are put into what it finds.
    """
    own = {name: params.get_param(name) for name in params}
    return ParamsDict({n: p for n, p in own.items() if getattr(p, "source", None) != "dag"})
