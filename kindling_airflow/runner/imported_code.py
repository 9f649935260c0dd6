"""Which code of the project a driver imported, and whether that is what its task was compiled for.

The files are read before the modules are imported and again before anything is published: files
that change while a driver runs reach the Python workers of its executors, which import on their
own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from kindling_airflow.common.immutable import freeze
from kindling_airflow.common.wording import first_of
from kindling_airflow.errors import CodeDriftError
from kindling_airflow.manifest.project_code import (
    ProjectCode,
    changed_files,
    code_roots,
    project_code,
)
from kindling_airflow.protocol.contracts import RunReport, RunRequest

__all__ = ["ImportedCode"]

_MOST_NAMED = 5


@dataclass(slots=True)
class ImportedCode:
    """The code of a driver's project.

    Attributes:
        request: the request, with the digest of this code.
        code: the code as it was before it was imported.
        notes: what differs from what was expected, for the report.
    """

    request: RunRequest
    code: ProjectCode
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, request: RunRequest) -> ImportedCode:
        """Return the code in a request's project folder.

        Raises:
            CodeDriftError: it is not the code that the task was compiled for, and the request says
                that this is an error.
        """
        roots = request.code_roots or code_roots((), request.modules)
        code = project_code(Path(request.project_root), roots)
        found = cls(replace(request, code_digest=code.digest), code)
        expected = request.code_digest
        if code.problem:
            found._differs(code.problem)
        elif expected and code.digest != expected:
            found._differs(
                f"the driver has other code of the project ({code.digest or 'none'}) than the task "
                f"was compiled for ({expected})\n"
                "  Fix: deploy the same copy of the project to every machine, compile the manifest "
                "and the package again."
            )
        return found

    def check_unchanged(self) -> None:
        """Note which files have changed since the driver began.

        Raises:
            CodeDriftError: some have, and the request says that this is an error.
        """
        now = project_code(Path(self.request.project_root), self.code.roots)
        changed = changed_files(self.code.files, now.files)
        if changed and not self.code.problem:
            named = first_of(list(map(repr, changed)), _MOST_NAMED)
            self._differs(
                f"the project's code changed while the driver ran: {named}\n"
                "  Fix: deploy to a new folder for each version, or use a package; then run the "
                "pipe again."
            )

    def noted_in(self, report: RunReport) -> RunReport:
        """Return a report with the notes."""
        if not self.notes:
            return report
        notes = [note for note in (report.extra.get("note"), *self.notes) if note]
        return replace(report, extra=freeze({**report.extra, "note": "; ".join(notes)}))

    def _differs(self, text: str) -> None:
        if self.request.code_drift == "fail":
            raise CodeDriftError(text)
        if self.request.code_drift == "warn":
            self.notes.append(text)
