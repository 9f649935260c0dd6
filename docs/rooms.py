"""The plan of the package, drawn from its imports: ``docs/images/rooms.svg``, and a table."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape

import grimp
import networkx as nx

PACKAGE = "kindling_airflow"
_FOLDER = Path(__file__).resolve().parent.parent / PACKAGE
_WIDTH, _BOX, _ROW, _MARGIN = 980, 26, 68, 24
_LETTER, _PADDING, _GAP = 7.3, 18, 14
_COLOURS = {"airflow": "#d5e8f7", "pyspark": "#fde3c8", "": "#f1f1ec"}
_LEGEND = {"airflow": "knows Airflow", "pyspark": "knows Spark", "": "knows neither"}


def rooms_svg() -> str:
    """Return a drawing of the rooms: each imports only rooms below it.

    An arrow that follows from others is left out.
    """
    graph, rows = _imports(), _rows()
    places = _places(rows)
    height = len(rows) * _ROW + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">',
        "<title>The rooms of the package; each imports only rooms below it</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<g font-family="Helvetica, Arial, sans-serif" font-size="13">',
    ]
    for upper, lower in sorted(nx.transitive_reduction(graph).edges):
        (x1, top, _), (x2, y2, _) = places[upper], places[lower]
        y1 = top + _BOX
        half = (y1 + y2) / 2
        parts.append(
            f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {half:.0f} {x2:.0f} {half:.0f} '
            f'{x2:.0f} {y2:.0f}" fill="none" stroke="#9aa0a6"/>'
        )
    for room in sorted(graph):
        x, y, width = places[room]
        parts.append(
            f'<rect x="{x - width / 2:.0f}" y="{y:.0f}" width="{width:.0f}" height="{_BOX}" rx="4" '
            f'fill="{_COLOURS[_knows(room)]}" stroke="#5f6368"/>'
            f'<text x="{x:.0f}" y="{y + 17:.0f}" text-anchor="middle">{escape(room)}</text>'
        )
    for number, (known, text) in enumerate(_LEGEND.items()):
        x, y = _WIDTH - 160, height - _MARGIN - 80 + number * 24
        parts.append(
            f'<rect x="{x}" y="{y}" width="16" height="14" fill="{_COLOURS[known]}" '
            f'stroke="#5f6368"/><text x="{x + 24}" y="{y + 12}">{text}</text>'
        )
    return "\n".join((*parts, "</g>", "</svg>", ""))


def rooms_table() -> str:
    """Return a table of the rooms from the top down, each with the first line of its docstring."""
    rows = ["| room | what it is for | knows |", "|---|---|---|"]
    for row in _rows():
        rows += [f"| `{room}` | {_purpose(room)} | {_known(room)} |" for room in sorted(row)]
    return "\n".join(rows)


def _known(room: str) -> str:
    return {"airflow": "Airflow", "pyspark": "Spark", "": ""}[_knows(room)]


def _purpose(room: str) -> str:
    module = _FOLDER / f"{room}.py"
    module = module if module.is_file() else _FOLDER / room / "__init__.py"
    docstring = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


@lru_cache(maxsize=1)
def _modules() -> grimp.ImportGraph:
    return grimp.build_graph(
        PACKAGE, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


@lru_cache(maxsize=1)
def _imports() -> nx.DiGraph[str]:
    """Return the rooms and which room imports which."""
    modules = _modules()
    rooms = sorted(modules.find_children(PACKAGE))
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(room.removeprefix(f"{PACKAGE}.") for room in rooms)
    graph.add_edges_from(
        (upper.removeprefix(f"{PACKAGE}."), lower.removeprefix(f"{PACKAGE}."))
        for upper in rooms
        for lower in rooms
        if upper != lower
        and modules.direct_import_exists(importer=upper, imported=lower, as_packages=True)
    )
    return graph


def _knows(room: str) -> str:
    """Return which of Airflow and pyspark a room imports, or the empty text."""
    modules = _modules()
    inside = {f"{PACKAGE}.{room}", *modules.find_descendants(f"{PACKAGE}.{room}")}
    found = {name for one in inside for name in modules.find_modules_directly_imported_by(one)}
    return next((name for name in ("airflow", "pyspark") if name in found), "")


def _rows() -> list[list[str]]:
    """Return the rooms in rows from the top down: each below everything that imports it."""
    graph = _imports()
    rows = [sorted(row) for row in nx.topological_generations(graph)]
    at: dict[str, float] = {}
    for row in rows:  # each room below the middle of what imports it
        above = {room: [at[r] for r in graph.predecessors(room) if r in at] for room in row}
        middle = {room: sum(xs) / len(xs) if xs else 1.0 for room, xs in above.items()}
        row.sort(key=middle.__getitem__)
        at |= {room: (place + 1) / (len(row) + 1) for place, room in enumerate(row)}
    return rows


def _places(rows: list[list[str]]) -> dict[str, tuple[float, float, float]]:
    """Return the middle, the top edge and the width of each room's box."""
    places = {}
    for number, row in enumerate(rows):
        widths = [len(room) * _LETTER + _PADDING for room in row]
        free = (_WIDTH - 2 * _MARGIN - sum(widths)) / (len(row) + 1)
        x = _MARGIN + max(free, _GAP)
        for room, width in zip(row, widths, strict=True):
            places[room] = (x + width / 2, _MARGIN + number * _ROW, width)
            x += width + max(free, _GAP)
    return places
