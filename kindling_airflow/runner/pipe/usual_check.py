"""Compares a run with the pipe's last ones: before it publishes, and for its report."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import UnusualRunError
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.pipe.run_context import interval_of
from kindling_airflow.tags.names import UNUSUAL_DURATION_TAG, UNUSUAL_ROWS_TAG
from kindling_airflow.tags.unusual import (
    Finding,
    PastRun,
    UnusualRules,
    past_runs,
    unusual_duration,
    unusual_rows,
)

__all__ = ["UsualCheck"]


@dataclass(frozen=True, slots=True)
class UsualCheck:
    """What a run of a pipe is compared with."""

    pipe_id: str
    rules: UnusualRules
    past: tuple[PastRun, ...]
    interval_seconds: float

    @classmethod
    def of(cls, request: RunRequest, pipe: PipeMetadata) -> UsualCheck:
        """Return the check of a request; without earlier runs nothing is unusual."""
        interval = interval_of(request)
        seconds = 0.0 if interval is None else (interval[1] - interval[0]).total_seconds()
        rules = UnusualRules.of(pipe.tags)
        return cls(pipe.pipeid, rules, past_runs(request.usual), seconds)

    def judge(self, rows: int, seconds: float) -> None:
        """Refuse to publish what is unusual, if the pipe is to fail then.

        Args:
            rows: that are staged.
            seconds: that it took until here.

        Raises:
            UnusualRunError: it is not to be published.
        """
        found = unusual_rows(self.rules, self.past, rows, self.interval_seconds)
        self._refuse(found, UNUSUAL_ROWS_TAG, is_permanent=True)
        found = unusual_duration(self.rules, self.past, seconds, self.interval_seconds)
        self._refuse(found, UNUSUAL_DURATION_TAG, is_permanent=False)

    def noted_in(self, report: RunReport, figures: Mapping[str, int]) -> RunReport:
        """Return a report with Spark's figures, and with what is unusual about the run."""
        extra = dict(report.extra)
        if figures:
            extra["spark"] = dict(figures)
        rows = 0 if report.rows_written is None else report.rows_written
        found = (
            None
            if report.rows_written is None
            else unusual_rows(self.rules, self.past, rows, self.interval_seconds),
            unusual_duration(self.rules, self.past, report.duration_seconds, self.interval_seconds),
        )
        if texts := [finding.text for finding in found if finding is not None]:
            extra["unusual"] = texts
            logger = logging.getLogger(f"kindling.{self.pipe_id}")
            for text in texts:
                logger.warning("pipe %r: %s", self.pipe_id, text)
        return replace(report, extra=freeze(extra))

    def _refuse(self, found: Finding | None, tag: str, *, is_permanent: bool) -> None:
        if found is None or found.action != "fail":
            return
        raise UnusualRunError(
            f"pipe {self.pipe_id!r}: {found.text}; nothing was published\n"
            "  Fix: look at what the run has read. If it is right, run the task again with the "
            f"tag {tag} set to 'warn'.",
            is_permanent=is_permanent,
        )
