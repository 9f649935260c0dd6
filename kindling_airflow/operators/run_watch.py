"""What tasks share that watch their run while a driver works: its states, and lines in the log."""

from __future__ import annotations

from typing import Any

from kindling_airflow.triggers.polling import MOST_TASK_IDS
from kindling_airflow.triggers.run_states import States

__all__ = ["WatchesRun"]


class WatchesRun:
    """Of an operator that submits a driver, and looks at its run while the driver works."""

    log: Any
    _ti: Any
    _output: Any

    def _states_of_run(self, task_ids: list[str]) -> States:
        """Return the states of tasks of this run; of all where there are too many to ask for."""
        ti = self._ti
        wanted = task_ids if len(task_ids) <= MOST_TASK_IDS else None
        found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=wanted)
        states: States = found.get(ti.run_id, {})
        return states

    def _say(self, text: str) -> None:
        """Log a line outside of the folds of Spark's lines."""
        output = getattr(self, "_output", None)  # there is none before there is a hook
        if output is not None and output.is_folding:
            output.is_folding = False  # the next line of Spark begins a fold
            self.log.info("::endgroup::")
        self.log.info("%s", text)
