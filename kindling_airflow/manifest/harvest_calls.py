"""Harvests in separate processes: each project is imported as if it were the only one.

So no project costs another its declarations: not by hanging, by leaving the process, by what it
changes of it, or by importing a module that another project imports too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindling_airflow import errors
from kindling_airflow.common.child.calls import in_children
from kindling_airflow.common.child.process import Call, Channel, Outcome
from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.errors import HarvestError, LateHarvestError, ManifestError, ProblemsError
from kindling_airflow.manifest import Manifest

_LONGEST = 20_000  # characters of a problem
_FIX_OF_LATE = (
    "\n  Fix: keep what waits or takes long (hosts, downloads, sleeps) out of the modules, allow "
    "more time\n       with [kindling] import_timeout, or compile the manifest ('kindling-airflow "
    "compile')."
)
_FIX_OF_GONE = "\n  Fix: correct the module that does this when it is imported."


@dataclass(frozen=True, slots=True)
class HarvestOrder:
    """A project to harvest.

    Attributes:
        root: the folder that goes on the import path.
        modules: what to import; empty for every module beneath ``root``.
        seconds: how long it may take at most.
    """

    root: Path
    modules: Sequence[str] = ()
    seconds: float | None = None


class _Process:
    """What is known of this process."""

    is_touched = False


def something_was_declared() -> None:
    """Note that an import in this process has declared something, and may stay imported.

    A fork would not import that module again, so its declarations would be missing.
    """
    _Process.is_touched = True


def _is_untouched() -> bool:
    declared = len(DataPipes._own) + len(DataEntities._own)
    return not (declared or _Process.is_touched)


def harvest_all(
    orders: Sequence[HarvestOrder],
    *,
    seconds: float | None = None,
    channel: Channel | None = None,
) -> list[Manifest | ProblemsError]:
    """Return the manifest of each project, or what is wrong with it, in order.

    What the projects print comes out on standard output, shortened.

    Args:
        orders: the projects.
        seconds: how long all of them may take; each gets its share.
        channel: what forked children share with this process.
    """
    calls = [
        Call("kindling_airflow.manifest.harvest:harvest_document", _arguments(order), order.seconds)
        for order in orders
    ]
    outcomes = in_children(calls, seconds=seconds, is_untouched=_is_untouched(), channel=channel)
    for outcome in outcomes:
        if outcome.output:
            sys.stdout.write(outcome.output)
    return [_found(order, outcome) for order, outcome in zip(orders, outcomes, strict=True)]


def _arguments(order: HarvestOrder) -> dict[str, Any]:
    modules = order.modules
    return {
        "root": str(order.root),
        "modules": modules if isinstance(modules, str) else list(modules),
    }


def _found(order: HarvestOrder, outcome: Outcome) -> Manifest | ProblemsError:
    where = f"the import of project {str(order.root)!r}"
    if outcome.is_late:
        return LateHarvestError([f"{where} {outcome.failure}{_FIX_OF_LATE}"])
    if outcome.failure:
        return HarvestError([f"{where} {_shortened(outcome.failure)}{_FIX_OF_GONE}"])
    if "problems" in outcome.answer:
        raised: type[ProblemsError] = getattr(errors, outcome.answer["error"])
        return raised(map(_shortened, outcome.answer["problems"]))
    try:
        return Manifest.from_json(outcome.answer["manifest"])
    except ManifestError as error:
        return error


def _shortened(problem: str) -> str:
    """Return a text that Airflow can keep: user code may raise with one of any length."""
    lost = len(problem) - _LONGEST
    half = _LONGEST // 2
    return (
        f"{problem[:half]}\n... {lost:,} characters more ...\n{problem[-half:]}"
        if lost > 0
        else problem
    )
