"""Decides whether a run of a pipe is unusual, by the figures of its last runs.

    rows       |rows - median|      >  max(deviations * 1.4826 * MAD, share * median)
    duration    seconds - median    >  max(the same, 10 seconds)

A run is compared with those of about the same data interval: a backfill by months says nothing
about days, and a run over everything nothing about either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.spread import MAD_TO_SIGMA, Spread
from kindling_airflow.common.wording import counted
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags import names as n
from kindling_airflow.tags.registry import tag_row

__all__ = [
    "Finding",
    "PastRun",
    "UnusualRules",
    "is_unusually_long",
    "past_runs",
    "unusual_duration",
    "unusual_problems",
    "unusual_rows",
]

_DEFAULTS: Mapping[str, Any] = {
    n.UNUSUAL_ROWS_TAG: "warn",
    n.UNUSUAL_DURATION_TAG: "warn",
    n.UNUSUAL_DEVIATIONS_TAG: 6.0,
    n.UNUSUAL_SHARE_TAG: 0.5,
    n.UNUSUAL_RUNS_TAG: 20,
    n.UNUSUAL_LEAST_TAG: 5,
}
_LEAST_SECONDS = 10.0
_SAME_INTERVAL = 1.25  # months have 28 to 31 days, days 23 to 25 hours


@dataclass(frozen=True, slots=True)
class PastRun:
    """An earlier run: how long it took, what it wrote, and the length of its data interval."""

    seconds: float
    rows: int | None
    interval_seconds: float


@dataclass(frozen=True, slots=True)
class UnusualRules:
    """What a pipe's tags say about unusual runs; see the tags ``unusual.*``."""

    rows: str
    duration: str
    deviations: float
    share: float
    runs: int
    least: int

    @classmethod
    def of(cls, tags: Mapping[str, Any]) -> UnusualRules:
        """Return the rules of valid tags."""
        found = _read(tags)
        return cls(*(found[name] for name in _DEFAULTS))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unusual in a run.

    Attributes:
        action: ``warn`` or ``fail``.
        text: what it is, human-readable.
    """

    action: str
    text: str


def past_runs(document: Mapping[str, Any]) -> tuple[PastRun, ...]:
    """Return the earlier runs in a run request's ``usual``, oldest first."""
    return tuple(PastRun(*run) for run in document.get("runs") or ())


def unusual_rows(
    rules: UnusualRules, past: Sequence[PastRun], rows: int, interval_seconds: float
) -> Finding | None:
    """Return what is unusual in the number of rows of a run; None if nothing is."""
    usual = _usual(rules, past, interval_seconds, (run.rows for run in past))
    if rules.rows == "off" or usual is None or abs(rows - usual.median) <= _range(rules, usual):
        return None
    word = "many" if rows > usual.median else "few"
    text = f"unusually {word} rows: {rows:,}; usual are {usual.median:,.0f} {_basis(usual)}"
    return Finding(rules.rows, text)


def unusual_duration(
    rules: UnusualRules, past: Sequence[PastRun], seconds: float, interval_seconds: float
) -> Finding | None:
    """Return whether a run took unusually long; None if it did not."""
    usual = _usual(rules, past, interval_seconds, (run.seconds for run in past))
    if rules.duration == "off" or usual is None or not is_unusually_long(usual, seconds, rules):
        return None
    text = f"unusually long: {seconds:,.1f} s; usual are {usual.median:,.1f} s {_basis(usual)}"
    return Finding(rules.duration, text)


def is_unusually_long(usual: Spread, seconds: float, rules: UnusualRules | None = None) -> bool:
    """Return whether a task takes unusually long, also one that still runs.

    Args:
        usual: the seconds of earlier runs.
        seconds: of this one so far.
        rules: by which rules; default: those of a pipe without tags.
    """
    rules = rules or UnusualRules.of({})
    if usual.count < rules.least:
        return False
    return seconds - usual.median > max(_range(rules, usual), _LEAST_SECONDS)


def unusual_problems(pipe: PipeMetadata) -> Iterator[str]:
    """Yield what is wrong with the tags of a pipe about unusual runs."""
    if not any(name in pipe.tags for name in _DEFAULTS):
        return
    found = _read(pipe.tags)
    wrong = False
    for name in _DEFAULTS:
        if name in pipe.tags:
            for text in tag_row("pipe", name).value.problems(f"tag {name}", found[name]):
                wrong = True
                yield f"pipe {pipe.pipeid!r}: {text}"
    if not wrong and found[n.UNUSUAL_LEAST_TAG] > found[n.UNUSUAL_RUNS_TAG]:
        yield (
            f"pipe {pipe.pipeid!r}: tag {n.UNUSUAL_LEAST_TAG} is {found[n.UNUSUAL_LEAST_TAG]}, but "
            f"only {found[n.UNUSUAL_RUNS_TAG]} runs are looked at, so no run could be unusual\n"
            f"  Fix: set {n.UNUSUAL_RUNS_TAG} to at least as many."
        )


def _read(tags: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tag_row("pipe", name).value.read(tags[name])
        if tags.get(name) is not None
        else default
        for name, default in _DEFAULTS.items()
    }


def _usual(
    rules: UnusualRules,
    past: Sequence[PastRun],
    interval_seconds: float,
    values: Iterable[float | None],
) -> Spread | None:
    fitting = [
        value
        for run, value in zip(past, values, strict=True)
        if value is not None and _same_interval(run.interval_seconds, interval_seconds)
    ]
    found = Spread.of(fitting[-rules.runs :])
    return None if found is None or found.count < rules.least else found


def _same_interval(one: float, other: float) -> bool:
    if not one or not other:
        return one == other
    return max(one, other) <= _SAME_INTERVAL * min(one, other)


def _range(rules: UnusualRules, usual: Spread) -> float:
    return max(rules.deviations * MAD_TO_SIGMA * usual.mad, rules.share * usual.median)


def _basis(usual: Spread) -> str:
    return f"(median of {counted(usual.count, 'run')}, median deviation {usual.mad:,.1f})"
