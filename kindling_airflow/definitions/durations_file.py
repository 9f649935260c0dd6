"""The file of pipes' durations that ``airflow kindling durations`` writes: pipe ids and seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kindling_airflow.common.durations import positive_seconds
from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.errors import SourceError

__all__ = ["read_durations"]

_FIX = "write it with 'airflow kindling durations DAG_ID -o FILE'."


def read_durations(path: Path) -> Mapping[str, float]:
    """Return the seconds of pipes by their ids; of a whole project, for each of its definitions.

    Raises:
        SourceError: the file cannot be read or is not of this form; lists every problem.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "file not found" if isinstance(error, FileNotFoundError) else error.strerror
        raise SourceError([f"durations: {reason}: {str(path)!r}\n  Fix: {_FIX}"]) from error
    except (ValueError, RecursionError) as error:
        raise SourceError([f"durations: {path}: invalid JSON: {error}\n  Fix: {_FIX}"]) from error
    if not isinstance(found, dict):
        text = f"durations: {path}: must be a JSON object of pipe ids and seconds\n  Fix: {_FIX}"
        raise SourceError([text])
    problems = [
        f"durations: {path}: pipe {pipe_id!r}: must be a positive number of seconds, not {value!r}"
        f"\n  Fix: {_FIX}"
        for pipe_id, value in found.items()
        if not _is_duration(value)
    ]
    if problems:
        raise SourceError(problems)
    return FrozenDict(found)


def _is_duration(value: object) -> bool:
    return type(value) in (int, float) and positive_seconds(value) is not None
