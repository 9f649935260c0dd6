"""What is wrong with a call, from whatever looks at its parts: gathered, to be told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kindling_airflow.errors import ExecutionError

T = TypeVar("T")


class Problems(list[str]):
    """What is wrong with a call, gathered to be told at once."""

    def of(self, make: Callable[[], T], otherwise: T) -> T:
        """Return what is made, or, where its settings make no sense, something else."""
        try:
            return make()
        except ExecutionError as error:
            self.extend(error.problems)
            return otherwise

    def raise_if_any(self) -> None:
        """Raise an ``ExecutionError`` that lists them."""
        if self:
            raise ExecutionError(self)
