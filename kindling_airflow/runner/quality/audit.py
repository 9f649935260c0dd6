"""One pipe's expectations through one run: fitted to its result, counted, judged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.data_pipes.expectations import EXAMPLES_TAG, ON_VIOLATION_TAG, Expectation
from kindling_airflow.errors import EntityError, ExpectationError, PipeRunError
from kindling_airflow.protocol.contracts import ExpectationReport, quality_lines
from kindling_airflow.runner.quality.outcomes import judged, refusal
from kindling_airflow.runner.quality.violations import (
    MisfitError,
    first_line,
    resolved,
    violated,
)

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.interface import Staged

_ROWS, _KEPT, _DROPPED, _TIMES = "rows", "kept", "dropped", "kindling_times"
_LONGEST_EXAMPLE = 300
_METRICS_SECONDS = 60.0


class Audit:
    """The expectations of a pipe in one run; without any, everything passes at no cost.

    Call :meth:`kept` with the result, stage what it returns, and ask for the :meth:`verdict`.
    """

    def __init__(self, pipe: PipeMetadata) -> None:
        self._pipe = pipe
        self._violated: dict[str, Column] = {}
        self._counts: dict[str, Column] = {}
        self._result: DataFrame | None = None
        self._observation: Observation | None = None

    def kept(self, frame: DataFrame) -> DataFrame:
        """Return a result without the rows that are to be dropped; they are counted as they go by.

        Raises:
            PipeRunError: an expectation does not fit the result; names every such one.
        """
        self._fit(frame)
        dropping = self._dropping()
        if not dropping:
            return frame
        self._result, self._observation = frame, Observation()
        keep = ~reduce(or_, (self._violated[name] for name in dropping))
        return frame.observe(
            self._observation,
            F.count(F.lit(1)).alias(_ROWS),
            F.count_if(keep).alias(_KEPT),
            *(self._counts[name].alias(f"{_DROPPED}{n}") for n, name in enumerate(dropping)),
        ).where(keep)

    def verdict(self, staged: Staged) -> tuple[ExpectationReport, ...]:
        """Return the outcome of each expectation of an output that is not published yet.

        Raises:
            ExpectationError: the output must not be published.
            EntityError: the counts do not add up; another attempt may help.
        """
        found = {**self._left_out(staged), **self._counted(staged)}
        stern = str(self._pipe.tags.get(ON_VIOLATION_TAG) or "")
        reports = []
        for expected in self._pipe.expectations:
            default = "fail" if expected.on_violation == "drop" else expected.on_violation
            rows, violations = found.get(expected.name, (staged.rows, None))
            reports.append(judged(expected, stern or default, rows, violations))
        if any(report.outcome == "failed" for report in reports):
            raise ExpectationError(self._refusal(reports, staged), reports)
        logger = logging.getLogger(f"kindling.{self._pipe.pipeid}")
        for line in quality_lines({"expectations": map(asdict, reports)}):
            logger.warning("pipe %r: %s", self._pipe.pipeid, line)
        return tuple(reports)

    def _fit(self, frame: DataFrame) -> None:
        """Make the columns of every expectation, and let Spark look at them before it works."""
        problems = []
        for expected in self._pipe.expectations:
            if expected.check == "row_count":
                continue
            try:
                self._counts[expected.name] = self._count(expected, frame)
                frame.agg(self._counts[expected.name])
            except MisfitError as error:
                problems.append(f"  - {expected.name!r}: {error}")
            except PySparkException as error:
                problems.append(f"  - {expected.name!r}: {first_line(error)}")
        if problems:
            listed = "\n".join(problems)
            raise PipeRunError(
                f"pipe {self._pipe.pipeid!r}: expectations do not fit its result\n{listed}\n"
                "  Fix: change the expectations, or the pipe's result."
            )

    def _count(self, expected: Expectation, frame: DataFrame) -> Column:
        """Return the aggregate that counts the violations of an expectation."""
        if expected.check != "unique":
            wrong = violated(expected, frame)
            self._violated[expected.name] = wrong
            return F.count_if(wrong)
        key = [resolved(name, frame)[0] for name in expected.columns]
        # A key with a null does not count as a key.
        complete = reduce(and_, (column.isNotNull() for column in key))
        return F.count_if(complete) - F.count_distinct(*key)

    def _left_out(self, staged: Staged) -> dict[str, tuple[int, int | None]]:
        """Return the rows looked at and the violations of each expectation that drops."""
        if self._observation is None:
            return {}
        metrics = _observed(self._observation)
        if not metrics and staged.rows == 0:
            metrics = self._recounted()
        if metrics.get(_KEPT) != staged.rows:
            raise EntityError(
                f"pipe {self._pipe.pipeid!r}: {metrics.get(_KEPT)} rows were counted while they "
                f"were written, but storage has {staged.rows}: the number of dropped rows is "
                "unknown\n"
                "  Fix: retry; if the error persists, drop the rows in the pipe itself."
            )
        return {
            name: (metrics[_ROWS], metrics[f"{_DROPPED}{n}"])
            for n, name in enumerate(self._dropping())
        }

    def _recounted(self) -> dict[str, int]:
        """Count a result of which nothing was kept.

        Spark leaves an observation out where it knows beforehand that no row is kept. Nothing is
        published of it, so it does not matter that this computes the result once more.
        """
        assert self._result is not None  # noqa: S101 (set together with the observation)
        counts = [
            self._counts[name].alias(f"{_DROPPED}{n}") for n, name in enumerate(self._dropping())
        ]
        row = self._result.agg(F.count(F.lit(1)).alias(_ROWS), *counts).collect()[0]
        return {**row.asDict(), _KEPT: 0}

    def _dropping(self) -> list[str]:
        return [e.name for e in self._pipe.expectations if e.on_violation == "drop"]

    def _counted(self, staged: Staged) -> dict[str, tuple[int, int | None]]:
        """Return the rows looked at and the violations of each expectation of what is staged."""
        names = [
            e.name
            for e in self._pipe.expectations
            if e.on_violation != "drop" and e.name in self._counts
        ]
        if not names:
            return {}
        row = staged.frame.agg(*(self._counts[name] for name in names)).collect()[0]
        return {name: (staged.rows, int(row[n])) for n, name in enumerate(names)}

    def _refusal(self, reports: list[ExpectationReport], staged: Staged) -> str:
        wanted = int(self._pipe.tags.get(EXAMPLES_TAG) or 0)
        failed = {r.name for r in reports if r.outcome == "failed" and r.on_violation != "drop"}
        examples = {
            expected.name: self._examples(expected, staged.frame, wanted)
            for expected in self._pipe.expectations
            if wanted and expected.name in failed and expected.check != "row_count"
        }
        kept_at = "" if staged.path.startswith("memory:") else staged.path
        return refusal(self._pipe.pipeid, reports, kept_at, examples)

    def _examples(self, expected: Expectation, frame: DataFrame, wanted: int) -> list[str]:
        if expected.check == "unique":
            key = [resolved(name, frame)[0].alias(name) for name in expected.columns]
            groups = frame.groupBy(*key).agg(F.count(F.lit(1)).alias(_TIMES))
            complete = reduce(and_, (groups[n].isNotNull() for n in range(len(key))))
            rows = groups.where(complete & (F.col(_TIMES) > 1)).limit(wanted).collect()
            return [_shown(row.asDict(), row[_TIMES]) for row in rows]
        rows = frame.where(self._violated[expected.name]).limit(wanted).collect()
        return [_shown(row.asDict(recursive=True)) for row in rows]


def _shown(row: Mapping[str, Any], times: int | None = None) -> str:
    values = {name: value for name, value in row.items() if name != _TIMES}
    text = ", ".join(f"{name}={value!r}" for name, value in values.items())
    cut = text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]}..."
    return cut if times is None else f"{cut} ({times} rows)"


def _observed(observation: Observation) -> dict[str, int]:
    """Return what was observed; {} where Spark did not observe.

    Raises:
        EntityError: the metrics do not come. Spark brings them behind all its other events, and
            may lose events when there are too many.
    """
    found: list[dict[str, int]] = []

    def read() -> None:
        metrics: dict[str, int] = {}
        with suppress(Py4JError):  # no row to read where the plan was optimized away
            metrics = observation.get
        found.append(metrics)

    reader = threading.Thread(target=read, name="dropped-rows", daemon=True)
    reader.start()
    reader.join(_METRICS_SECONDS)
    if not found:
        raise EntityError(
            "Spark did not report how many rows were dropped\n"
            "  Fix: retry; increase spark.scheduler.listenerbus.eventqueue.capacity."
        )
    return dict(found[0])
