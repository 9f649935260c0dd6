"""What went wrong, for the report: the pipe's own error first, and none of Spark's plumbing.

An error that crossed from the JVM carries hundreds of lines of its stack; what a person needs are
the messages along the chain of causes, the last of which is usually the reason.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kindling_airflow.contracts import RunFailure
from kindling_airflow.errors import DeclarationError, HarvestError, PipeRunError

__all__ = ["describe", "is_permanent"]

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 8_000
_LONGEST_CHAIN = 20


def describe(error: BaseException, project_root: Path) -> RunFailure:
    """Return an error as it goes into the report.

    Args:
        error: what came out of the pipe, or of what runs it.
        project_root: the user's code; the traceback begins with its first line and ends with its
        last.
    """
    return RunFailure(
        type=type(error).__name__,
        message=_cut(_message(error), _LONGEST_MESSAGE),
        traceback=_cut(_own_traceback(error, project_root), _LONGEST_TRACEBACK),
    )


def is_permanent(error: BaseException) -> bool:
    """Tell whether trying again cannot help: wrong declarations, wrong columns, wrong results."""
    from pyspark.errors import AnalysisException

    permanent = (AnalysisException, DeclarationError, HarvestError, PipeRunError, SystemExit)
    return isinstance(error, permanent)


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return (
            f"the pipe's code called sys.exit({error.code!r})\n"
            "  Fix: return the DataFrame, or raise an error that says what is wrong."
        )
    java = getattr(error, "java_exception", None)
    if java is not None:
        return "\nCaused by: ".join(dict.fromkeys(_java_chain(java)))
    return str(error)


def _java_chain(java: Any) -> Iterator[str]:
    for _ in range(_LONGEST_CHAIN):
        if java is None:
            return
        lines = str(java.getMessage()).splitlines()
        text = "\n".join(line for line in lines if not line.startswith(("\tat ", "\t... ")))
        yield f"{java.getClass().getSimpleName()}: {text.strip()}"
        java = java.getCause()


def _own_traceback(error: BaseException, project_root: Path) -> str:
    """Return the traceback from the user's first own line on; "" without user code."""
    root = project_root.resolve()
    frames = traceback.extract_tb(error.__traceback__)
    own = [n for n, f in enumerate(frames) if Path(f.filename).resolve().is_relative_to(root)]
    if not own:
        return ""
    shown = frames[own[0] : own[-1] + 1]  # below it is pyspark, which says nothing about the pipe
    return "Traceback of the pipe:\n" + "".join(traceback.format_list(shown))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}\n... ({len(text) - longest} more)"
