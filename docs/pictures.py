"""What pictures of the real Airflow UI have in common: where they go, and what the UI remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from browser import Browser, BrowserError

from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition

__all__ = ["DETAIL", "PROFILES", "ROOT", "groups_of", "save_picture", "show_graph", "ui_settings"]

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / ".demo" / "profile"  # the demo's, so that it is made once
DETAIL = 1.15  # pixels for one CSS pixel: text stays sharp where a page scales the picture

_IMAGES = ROOT / "docs" / "images"
_LARGEST_BYTES = 400_000


def groups_of(dag_id: str) -> list[str]:
    """Return the ids of a sample's TaskGroups, which the UI is to draw open."""
    definition = Definition.from_file(ROOT / "dags" / f"{dag_id}.kindling.yaml")
    return [group.group_id for group in compile_definition(definition).spec.groups]


def ui_settings(
    dag_id: str, view: str, groups: Sequence[str], *, left: int, direction: str = "RIGHT"
) -> Mapping[str, str]:
    """Return what the UI remembers in the browser: theme, view, open groups, panel sizes.

    Args:
        dag_id: the DAG.
        view: ``grid``, ``gantt`` or ``graph``.
        groups: the groups that are open.
        left: how much of the width the view takes, in per cent.
        direction: of the graph.
    """
    panels = "graph" if view == "graph" else "grid"
    layout = {"expandToSizes": {}, "layout": [left, 100 - left]}
    return {
        "theme": "light",
        "default_dag_view": json.dumps(view),
        f"{dag_id}/open-groups": json.dumps(groups),
        f"direction-{dag_id}": json.dumps(direction),
        f"react-resizable-panels:{panels}-ltr": json.dumps({"details-panel,main-panel": layout}),
    }


def show_graph(page: Browser) -> None:
    """Give the graph the whole width, and fit it in."""
    transform = "document.querySelector('.react-flow__viewport')?.style.transform"
    page.click("Collapse Details Panel")
    page.wait_until_still(transform)
    page.click("Fit View")
    page.wait_until_still(transform)


def save_picture(page: Browser, name: str) -> Path:
    """Save the page once its text is still; raises where the picture is too large for a page."""
    page.wait_until_still("document.body.innerText")
    path = _IMAGES / name
    page.save(path)
    if path.stat().st_size > _LARGEST_BYTES:
        raise BrowserError(f"{name} is larger than {_LARGEST_BYTES:,} bytes")
    return path
