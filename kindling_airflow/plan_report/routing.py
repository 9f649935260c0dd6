"""Routes edges that skip generations between the boxes, not behind them.

a ----.           c         d reads from a and c; where the edge from a passes the generation
       `--------------> d   of b and c, it takes the gap that is nearest to the straight line
b -----------> c ---^
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Lane = tuple[float, float]

_CLEARANCE = 6  # between an edge and the boxes that it passes


def lanes_of(tops: Iterable[int], height: int) -> list[Lane]:
    """Return the free spaces above, between and below the rows of a generation, top to bottom.

    Args:
        tops: where its boxes begin; those of one row begin at one place.
        height: of every box.

    >>> lanes_of([0, 40], 26)
    [(-inf, -6.0), (32.0, 34.0), (72.0, inf)]
    """
    rows = sorted(set(tops))
    lanes: list[Lane] = []
    free = float("-inf")
    for top in rows:
        upper, lower = free, float(top - _CLEARANCE)
        if upper > lower:  # too narrow for both clearances: keep to the middle
            upper = lower = (upper + lower) / 2
        lanes.append((upper, lower))
        free = float(top + height + _CLEARANCE)
    lanes.append((free, float("inf")))
    return lanes


def route(start: float, end: float, passed: Sequence[Sequence[Lane]]) -> tuple[int, ...]:
    """Return the heights at which an edge passes generations, as near to a straight line as can be.

    Args:
        start: the height at which it begins.
        end: the height at which it ends.
        passed: the lanes of each generation on its way.
    """
    heights = []
    here = start
    for n, lanes in enumerate(passed):
        wanted = here + (end - here) / (len(passed) - n + 1)
        here = _nearest(lanes, wanted)
        heights.append(round(here))
    return tuple(heights)


def _nearest(lanes: Sequence[Lane], wanted: float) -> float:
    # The lane that begins at or above the place, and the next one below it.
    n = max(0, bisect_right(lanes, (wanted, float("inf"))) - 1)
    near = (min(max(wanted, upper), lower) for upper, lower in lanes[n : n + 2])
    return min(near, key=lambda place: abs(place - wanted))
