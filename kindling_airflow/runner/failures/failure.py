"""Describes a failure for the report: the pipe's own error first, without Spark's internals.

An error that crossed from the JVM carries hundreds of lines of its stack; what a person needs are
the messages along the chain of causes, the last of which is usually the reason.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kindling_airflow.protocol.contracts import RunFailure
from kindling_airflow.runner.failures.retryable import java_causes

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 8_000


def describe(error: BaseException, project_root: Path) -> RunFailure:
    """Return an error as it goes into the report.

    Args:
        error: what came out of the pipe, or of what runs it.
        project_root: the user's code; the traceback begins with its first line and ends with its
        last.
    """
    causes = java_causes(error)
    kind, message = type(error).__name__, _message(error, causes)
    if kind == "Py4JJavaError" and causes:  # it only means that the error crossed from the JVM
        kind = str(causes[0].getClass().getSimpleName())
    return RunFailure(
        type=kind,
        message=_cut(message, _LONGEST_MESSAGE),
        traceback=_cut(_own_traceback(error, project_root), _LONGEST_TRACEBACK),
    )


def _message(error: BaseException, causes: Sequence[Any]) -> str:
    if isinstance(error, SystemExit):
        return (
            f"the pipe's code called sys.exit({error.code!r})\n"
            "  Fix: return the DataFrame, or raise an error with a message."
        )
    if causes:
        first, *others = causes
        further = (f"{java.getClass().getSimpleName()}: {_java_text(java)}" for java in others)
        texts = dict.fromkeys((_java_text(first), *further))
        return "\nCaused by: ".join(texts)
    # Spark puts the JVM's stack behind the message if it is configured to.
    text = str(error).partition("\n\nJVM stacktrace:\n")[0].strip()
    return _of_python_worker(text) or text or type(error).__name__


def _java_text(java: Any) -> str:
    lines = str(java.getMessage()).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("\tat ", "\t... "))).strip()


def _of_python_worker(text: str) -> str:
    """Return what a UDF raised, without the traceback around it; "" where none raised."""
    before, found, worker = text.partition("Traceback (most recent call last):\n")
    if not found or "Python worker" not in before:
        return ""
    lines = worker.rstrip().splitlines()
    last_frame = max((n for n, line in enumerate(lines) if line.startswith("  ")), default=-1)
    message = "\n".join(lines[last_frame + 1 :]).strip()
    return (
        message and f"{message}\n(raised in a Spark Python worker, by a UDF or code that it calls)"
    )


def _own_traceback(error: BaseException, project_root: Path) -> str:
    """Return the traceback from the user's first own line on; "" without user code."""
    root = project_root.resolve()
    frames = traceback.extract_tb(error.__traceback__)
    own = [n for n, f in enumerate(frames) if Path(f.filename).resolve().is_relative_to(root)]
    if not own:
        return ""
    shown = frames[own[0] : own[-1] + 1]  # below it is pyspark
    return "Traceback of the pipe:\n" + "".join(traceback.format_list(shown))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}\n... ({len(text) - longest} more)"
