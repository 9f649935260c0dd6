"""A definition that cannot become a DAG shows as a separate import error.

Airflow files an import error under the Python file that was parsed, and then counts every DAG of
that file as broken. But one that happens while a DAG is serialised is filed under that DAG's own
relative location. So a broken definition becomes a stand-in whose location is the definition file
and whose serialisation raises what is wrong with it; the other DAGs of the factory are left alone.

Airflow forgets errors of files that it does not take for DAG files each time it looks for new ones
(``[dag_processor] refresh_interval``, 300 s), so the error is gone from then until the factory is
parsed again (``min_file_process_interval``, 30 s).
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath
from typing import Any, NoReturn

from airflow.sdk import DAG

from kindling_airflow.errors import KindlingAirflowError


class BrokenDefinition(DAG):
    """Stands for a definition file with an error; never reaches the scheduler.

    Args:
        path: the definition file.
        factory: the DAG file that is being parsed.
        error: what is wrong.
    """

    _beside: PurePath
    _place: PurePath
    _error: KindlingAirflowError | None

    def __init__(self, path: Path, factory: Path, error: KindlingAirflowError) -> None:
        object.__setattr__(self, "_beside", PurePath(path.relative_to(factory.parent)))
        object.__setattr__(self, "_error", None)
        digest = hashlib.sha256(str(self._beside).encode()).hexdigest()[:16]
        super().__init__(dag_id=f"kindling_broken_definition_{digest}", schedule=None)
        object.__setattr__(self, "_error", error)

    @property
    def relative_fileloc(self) -> str | None:
        """The definition file, relative to the bundle."""
        return str(self._place)

    @relative_fileloc.setter
    def relative_fileloc(self, factory: str | None) -> None:
        """Airflow sets the place of the parsed file; the definition is in its folder or below."""
        object.__setattr__(self, "_place", PurePath(factory or "").parent / self._beside)

    @property
    def deadline(self) -> Any:
        """Read by Airflow when it serialises a DAG: here is where the error comes out."""
        if self._error is not None:
            _raise(self._error)
        return None

    @deadline.setter
    def deadline(self, value: Any) -> None:
        """Accept what the base class sets."""


def _raise(error: KindlingAirflowError) -> NoReturn:
    """Raise what Airflow passes on unwrapped, so that the text stands once in the UI."""
    from airflow.exceptions import SerializationError  # a worker need not have it

    cause = error.__cause__
    told = cause is None or isinstance(cause, KindlingAirflowError)  # the text has it already
    raise SerializationError(str(error)) from (None if told else cause)
