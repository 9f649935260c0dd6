"""What past runs have taught: usual durations and amounts, unusual runs, missing slices.

Each successful task leaves the figures of its pipe's last runs as an XCom, so the newest XCom of a
pipe is its whole history (ADR 0046). Everything but :mod:`~kindling_airflow.history.database` is
pure. Which run is unusual is decided by tags, in the driver:
:mod:`kindling_airflow.tags.unusual`.
"""

from __future__ import annotations

from kindling_airflow.common.spread import Spread
from kindling_airflow.history.database import usual
from kindling_airflow.history.usual_values import Usual

__all__ = ["Spread", "Usual", "usual"]
