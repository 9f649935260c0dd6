"""Ids and words that rooms of both sides of the translator use."""

from __future__ import annotations

from enum import Enum

DEFAULT_POOL = "default_pool"
"""Airflow's own pool, whose slots no definition sets."""

SELECT_PARAM = "select"
"""The entry of a run's conf, and the param of a DAG, that selects the pipes of a run."""

STOP_ID = "stop_streams"
"""The task whose end asks the streams of its run or group to stop."""


class ErrorStrategy(str, Enum):
    """What a failed pipe means for the others.

    A pipe that was skipped because it had nothing to do stops no other under any of them.
    """

    FAIL_FAST = "fail_fast"
    """Nothing more is started; what runs may end."""
    CONTINUE = "continue"
    """Everything runs, whatever failed."""
    SKIP_DEPENDENTS = "skip_dependents"
    """What depends on it, directly or not, is not run; everything else is."""
