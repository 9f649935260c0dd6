"""Which pages there are, and where Airflow's UI shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["PAGES", "PREFIX", "ROUTERS", "Page", "external_views"]

PREFIX = "/kindling"


@dataclass(frozen=True, slots=True)
class Page:
    """A tab of the UI, which shows a page in a frame.

    Attributes:
        name: the tab's label.
        tab: its name in the UI's addresses; unique among the plugins of a deployment.
        destination: on which pages of the UI the tab is.
        address: the page's address below ``PREFIX``; the UI fills in ``{DAG_ID}`` and ``{RUN_ID}``.
    """

    name: str
    tab: str
    destination: Literal["dag", "dag_run"]
    address: str


PAGES = (
    Page("Plan", "kindling-plan", "dag", "dags/{DAG_ID}/plan"),
    Page("Plan", "kindling-run-plan", "dag_run", "dags/{DAG_ID}/plan?run_id={RUN_ID}"),
    Page("Tables", "kindling-tables", "dag", "dags/{DAG_ID}/tables"),
)

ROUTERS = (
    "kindling_airflow.plugin.pages.plan",
    "kindling_airflow.plugin.pages.tables",
)
"""The modules whose ``router`` serves the pages; imported by the API server alone."""


def external_views() -> list[dict[str, Any]]:
    """Return the tabs as Airflow's plugins declare them.

    Addresses are relative: the UI resolves them against ``[api] base_url``, which may have a path.
    """
    return [
        {
            "name": page.name,
            "href": f"{PREFIX.removeprefix('/')}/{page.address}",
            "destination": page.destination,
            "url_route": page.tab,
        }
        for page in PAGES
    ]
