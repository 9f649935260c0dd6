"""The buttons themselves. A task fills them while it runs; nothing is looked up by the API server.

Airflow reads a button's address from an XCom of the task, and writes that XCom when the task ends.
The operator writes it as soon as it knows the address, so that the button to Spark's own pages
works while they are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["EntityLocationLink", "SparkPagesLink"]


class _Button(BaseOperatorLink):
    """A button whose address the operator keeps, by the button's name."""

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address that the task has come to, or ""."""
        return str(getattr(operator, "link_urls", {}).get(self.name, ""))


class SparkPagesLink(_Button):
    """To the driver's own pages while it runs, then to the history server."""

    name = "Spark"


class EntityLocationLink(_Button):
    """To where the table lies, if there is a page for it."""

    name = "Table"
