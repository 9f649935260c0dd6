"""Medians and spreads: what is usual, whatever single runs were like.

Median and median absolute deviation (MAD) ignore outliers: up to half of the runs may be odd
without moving them much. A MAD of 1 corresponds to a standard deviation of 1.4826 in normally
distributed figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

__all__ = ["MAD_TO_SIGMA", "Spread"]

MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and how far they are spread.

    Attributes:
        median: the median.
        mad: the median of the absolute deviations from it.
        count: of how many figures.
    """

    median: float
    mad: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of the known ones of some values; None if there is none.

        >>> Spread.of([10, 11, None, 12, 500])
        Spread(median=11.5, mad=1.0, count=4)
        """
        known = [value for value in values if value is not None]
        if not known:
            return None
        middle = median(known)
        return cls(middle, median(abs(value - middle) for value in known), len(known))
