"""Places the pipes on the page: generations from left to right, few and short edges.

A generation is a band of one or more columns, so that one of 300 pipes does not make the drawing
endlessly tall. Inside a band pipes are sorted by the mean place of their neighbours (the barycentre
heuristic of K. Sugiyama, S. Tagawa and M. Toda, IEEE Transactions on Systems, Man, and Cybernetics
11, 1981), in sweeps to the right and back. Rows then go as near to that place as they can without
overlapping: isotonic regression, by pooling adjacent violators. Same plan, same drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import data_flow
from kindling_airflow.plan_report.routing import lanes_of, route

BOX_HEIGHT = 26
_ROW = 38  # from row to row
_COLUMN_GAP = 22  # between the columns of a band
BAND_GAP = 80  # between bands: room for edges
_CHARACTER, _PADDING = 6.7, 30
_NARROWEST, _WIDEST = 96, 236
_SHAPE = 1.7  # width to height
_MOST_STRETCHED = 1.9  # how much a drawing that is wide and low may be pulled apart
_FEWEST_ROWS = 6
_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A pipe's box: its left upper corner and its width."""

    x: int
    y: int
    width: int


@dataclass(frozen=True, slots=True)
class Band:
    """A generation's part of the drawing."""

    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawing, in pixels.

    Attributes:
        places: the box of each pipe.
        bands: one per generation.
        routes: for each edge that skips generations, (producer, consumer), the heights at which it
            passes them, from the producer on.
        width, height: of the whole drawing, which starts at (0, 0).
    """

    places: Mapping[str, Place]
    bands: tuple[Band, ...]
    routes: Mapping[tuple[str, str], tuple[int, ...]]
    width: int
    height: int


def layout_of(plan: ExecutionPlan) -> Layout:
    """Return the drawing of a valid plan."""
    counts = _columns_per_band([len(generation) for generation in plan.generations])
    bands = [list(generation) for generation in plan.generations]
    heights = _heights(plan, bands, counts)
    columns: list[tuple[int, int, list[str]]] = []
    frames = []
    x = 0
    for band, count in zip(bands, counts, strict=True):
        left = x
        for column in (band[n::count] for n in range(count)):
            width = _width_of(column)
            columns.append((x, width, column))
            x += width + _COLUMN_GAP
        frames.append(Band(left, x - _COLUMN_GAP - left))
        x += BAND_GAP - _COLUMN_GAP
    whole = max(0, x - BAND_GAP)
    top, bottom = min(heights.values(), default=0.0), max(heights.values(), default=0.0)
    stretch = min(_MOST_STRETCHED, max(1.0, whole / _SHAPE / (bottom - top + BOX_HEIGHT)))
    places = {
        pipe_id: Place(x, round(stretch * (heights[pipe_id] - top)), width)
        for x, width, column in columns
        for pipe_id in column
    }
    lowest = max((place.y for place in places.values()), default=0)
    return Layout(places, tuple(frames), _routes(plan, places), whole, lowest + BOX_HEIGHT)


def _routes(
    plan: ExecutionPlan, places: Mapping[str, Place]
) -> dict[tuple[str, str], tuple[int, ...]]:
    lanes = [lanes_of((places[p].y for p in band), BOX_HEIGHT) for band in plan.generations]
    number = {p: generation.number for generation in plan.generations for p in generation}
    routes = {}
    for producer, consumers in data_flow(plan).consumers.items():
        for consumer in consumers:
            first, last = number[producer], number[consumer]
            if abs(first - last) > 1:
                step = 1 if first < last else -1
                routes[producer, consumer] = route(
                    places[producer].y + BOX_HEIGHT / 2,
                    places[consumer].y + BOX_HEIGHT / 2,
                    [lanes[n] for n in range(first + step, last, step)],
                )
    return routes


def _columns_per_band(sizes: Sequence[int]) -> list[int]:
    """Return into how many columns each generation goes so that the drawing fits a screen."""
    rows = _FEWEST_ROWS
    while True:
        columns = [max(1, -(-size // rows)) for size in sizes]
        width = sum(columns) * (_WIDEST + _COLUMN_GAP) + len(sizes) * (BAND_GAP - _COLUMN_GAP)
        if width <= _SHAPE * rows * _ROW or max(columns, default=1) == 1:
            return columns
        rows += max(1, rows // 16)


def _width_of(column: Iterable[str]) -> int:
    longest = max(map(len, column), default=0)
    return min(_WIDEST, max(_NARROWEST, round(longest * _CHARACTER) + _PADDING))


def _heights(
    plan: ExecutionPlan, bands: list[list[str]], columns: Sequence[int]
) -> dict[str, float]:
    """Sort the pipes of each band in place; return the height of each."""
    neighbours = _weighted_neighbours(plan)
    heights: dict[str, float] = {}
    for band, count in zip(bands, columns, strict=True):
        middle = (len(band) - 1) / 2 / count * _ROW
        heights.update((p, n / count * _ROW - middle) for n, p in enumerate(band))
    there_and_back = [*range(len(bands)), *reversed(range(len(bands)))]
    for _ in range(_SWEEPS):
        for n in there_and_back:
            wanted = {p: _barycentre(neighbours[p], heights, heights[p]) for p in bands[n]}
            bands[n].sort(key=wanted.__getitem__)
            rows = [bands[n][k : k + columns[n]] for k in range(0, len(bands[n]), columns[n])]
            means = [sum(wanted[p] for p in row) / len(row) for row in rows]
            for row, height in zip(rows, spread(means, _ROW), strict=True):
                heights.update((p, height) for p in row)
    return heights


def _weighted_neighbours(plan: ExecutionPlan) -> dict[str, list[tuple[str, float]]]:
    """Return each pipe's neighbours; the farther away their generation, the less they weigh."""
    flow = data_flow(plan)
    number = {p: generation.number for generation in plan.generations for p in generation}
    return {
        p: [(q, 1 / abs(number[p] - number[q])) for q in (*flow.producers[p], *flow.consumers[p])]
        for p in plan.pipe_ids
    }


def _barycentre(
    neighbours: Sequence[tuple[str, float]], heights: Mapping[str, float], alone: float
) -> float:
    if not neighbours:
        return alone
    pull = sum(heights[p] * weight for p, weight in neighbours)
    return pull / sum(weight for _, weight in neighbours)


def spread(wanted: Sequence[float], distance: float) -> list[float]:
    """Return the places nearest to those wanted (least squares), at least a distance apart.

    Args:
        wanted: places in ascending order.
        distance: what there must be between one place and the next.

    >>> spread([0.0, 0.0, 10.0], 4)
    [-2.0, 2.0, 10.0]
    """
    pools: list[tuple[float, int]] = []  # mean, how many; without the distances, means ascend
    for n, place in enumerate(wanted):
        mean, size = place - n * distance, 1
        while pools and pools[-1][0] >= mean:
            other, others = pools.pop()
            mean = (mean * size + other * others) / (size + others)
            size += others
        pools.append((mean, size))
    flat = [mean for mean, size in pools for _ in range(size)]
    return [mean + n * distance for n, mean in enumerate(flat)]
