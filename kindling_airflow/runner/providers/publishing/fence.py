"""Which attempt of a task instance has published last: kept in the entries of a table's log.

An entry carries the fences of the one before, and its own. A driver makes the next entry from the
newest one that it has read, and only if there is none after it. So an attempt that was held up, and
of whose task a later attempt has published meanwhile, finds that attempt here, however it was held.

The fences of the last thousand task instances are kept: before that many others have published, a
driver that stalls has been superseded in other ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kindling_airflow.errors import EntityError

__all__ = ["NO_FENCES", "Fences"]

_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Fences:
    """The last attempt of each task instance that has published, oldest publish first.

    Attributes:
        orders: task instances with the order of their attempt.
    """

    orders: tuple[tuple[str, int], ...] = ()

    def passed(self, where: str, instance: str, order: int) -> Fences:
        """Return the fences with one more attempt behind them.

        Args:
            where: what errors begin with.
            instance: the task instance.
            order: of the attempt; 0 where it is not known, which passes and leaves no mark.

        Raises:
            EntityError: a later attempt of the task instance has published.

        >>> Fences().passed("table 't'", "a", 2).passed("table 't'", "b", 1).orders
        (('a', 2), ('b', 1))
        """
        if not order:
            return self
        if dict(self.orders).get(instance, 0) > order:
            raise EntityError(
                f"{where}: a later attempt of this task has published it; the result of this "
                "attempt was dropped\n"
                "  Fix: none needed: the later attempt's result stands."
            )
        others = tuple(pair for pair in self.orders if pair[0] != instance)
        return Fences((*others, (instance, order))[-_KEPT:])

    def to_json(self) -> list[list[Any]]:
        """Return the fences as an entry holds them."""
        return [list(pair) for pair in self.orders]

    @classmethod
    def from_json(cls, document: list[list[Any]]) -> Fences:
        """Read the fences of an entry."""
        return cls(tuple((str(instance), int(order)) for instance, order in document))


NO_FENCES = Fences()
