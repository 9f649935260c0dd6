"""A driver states which code it imported, and what it does if that is not what it was to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.errors import CodeDriftError
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.failures.retryable import is_permanent
from kindling_airflow.runner.imported_code import ImportedCode


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipes.py").write_text("A = 1\n")
    (tmp_path / "shop" / "late.py").write_text("B = 1\n")
    return tmp_path


def request(root: Path, **changes: object) -> RunRequest:
    found = {"code_roots": ("shop",), **changes}
    return RunRequest("k", "a", str(root), ("shop.pipes",), "/tables", **found)  # type: ignore[arg-type]


def noted(code: ImportedCode, note: str = "") -> str:
    extra = {"note": note} if note else {}
    report = code.noted_in(RunReport("k", "a", "published", extra=extra))
    return str(report.extra.get("note", ""))


def test_the_request_has_the_digest_of_what_the_driver_has(root: Path) -> None:
    code = ImportedCode.of(request(root))
    again = ImportedCode.of(request(root, code_digest=code.request.code_digest))
    assert code.request.code_digest.startswith("sha256:")
    assert again.request == code.request
    again.check_unchanged()
    assert noted(again, "kept") == "kept"
    assert noted(again) == ""


def test_a_task_that_names_no_roots_has_those_of_its_modules(root: Path) -> None:
    code = ImportedCode.of(request(root, code_roots=()))
    assert code.request.code_digest == ImportedCode.of(request(root)).request.code_digest


def test_other_code_than_the_task_was_compiled_for_is_noted(root: Path) -> None:
    expected = ImportedCode.of(request(root)).request.code_digest
    (root / "shop" / "late.py").write_text("B = 2\n")
    code = ImportedCode.of(request(root, code_digest=expected))
    found = code.request.code_digest
    text = (
        f"the driver has other code of the project ({found}) than the task was compiled for "
        f"({expected})\n"
        "  Fix: deploy the same copy of the project to every machine, compile the manifest and the "
        "package again."
    )
    assert found != expected
    assert noted(code) == text
    assert noted(code, "first") == f"first; {text}"
    with pytest.raises(CodeDriftError) as failed:
        ImportedCode.of(request(root, code_digest=expected, code_drift="fail"))
    assert str(failed.value) == text
    assert noted(ImportedCode.of(request(root, code_digest=expected, code_drift="ignore"))) == ""


def test_a_project_that_is_not_there_is_other_code(tmp_path: Path) -> None:
    code = ImportedCode.of(request(tmp_path / "nowhere", code_digest="sha256:1"))
    assert noted(code).startswith("the driver has other code of the project (none) than")


def test_files_that_change_while_it_runs_are_noted(root: Path) -> None:
    code = ImportedCode.of(request(root))
    strict = ImportedCode.of(request(root, code_drift="fail"))
    (root / "shop" / "late.py").write_text("B = 2\n")
    (root / "shop" / "new.py").write_text("")
    code.check_unchanged()
    text = (
        "the project's code changed while the driver ran: 'shop/late.py', 'shop/new.py'\n"
        "  Fix: deploy to a new folder for each version, or use a package; then run the pipe again."
    )
    assert noted(code) == text
    with pytest.raises(CodeDriftError) as failed:
        strict.check_unchanged()
    assert str(failed.value) == text


def test_code_that_is_too_large_is_noted_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kindling_airflow.manifest.project_code.MOST_ENTRIES", 1)
    code = ImportedCode.of(request(root, code_digest="sha256:1"))
    code.check_unchanged()
    assert code.request.code_digest == ""
    assert noted(code).count("Fix:") == 1
    assert "cannot be identified" in noted(code)


def test_another_worker_may_have_the_right_code_so_it_is_retried() -> None:
    assert not is_permanent(CodeDriftError("other code"))
