"""The buttons themselves.

Airflow reads a button's address from an XCom of the task, which it writes when the task ends. The
operator writes it as soon as it has the address, so that the button to Spark's own pages works
while they exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["EntityLocationLink", "SparkPagesLink"]


class _Button(BaseOperatorLink):
    """A button whose address the operator holds, by the button's name."""

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address, or ""."""
        return str(getattr(operator, "link_urls", {}).get(self.name, ""))


class SparkPagesLink(_Button):
    """To the driver's own pages while it runs, then to the history server."""

    name = "Spark"


class EntityLocationLink(_Button):
    """To where the table lies, if there is a page for it."""

    name = "Table"
