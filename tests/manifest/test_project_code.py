"""The digest of a project's code: what it depends on, and what it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kindling_airflow.manifest import project_code as module
from kindling_airflow.manifest.harvest import harvest
from kindling_airflow.manifest.project_code import (
    ProjectCode,
    changed_files,
    code_roots,
    project_code,
)

FILES = {
    "orders/__init__.py": "",
    "orders/pipes.py": "A = 1\n",
    "orders/late.py": "B = 2\n",
    "orders/sql/day.sql": "SELECT 1\n",
    "rates.py": "C = 3\n",
}
# None of these is code that a driver imports.
OTHERS = {
    "orders/rates.csv": "1\n",
    "orders/README.md": "text\n",
    "orders/__pycache__/pipes.cpython-311.pyc": "compiled",
    "orders/__pycache__/odd.py": "",
    "orders/.hidden/a.py": "",
    "orders/.b.py": "",
    "orders/tests/test_pipes.py": "",
    "orders/tests/helpers.py": "",
    "orders/test_pipes.py": "",
    "orders/pipes_test.py": "",
    "orders/conftest.py": "",
    "orders/node_modules/a.py": "",
    "orders/env/pyvenv.cfg": "",
    "orders/env/lib/a.py": "",
    "billing/pipes.py": "another project\n",
    "dags.py": "",
}
ROOTS = ("orders", "rates.py")


def write(root: Path, *groups: dict[str, str]) -> Path:
    for files in groups:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def digest(root: Path, roots: tuple[str, ...] = ROOTS) -> str:
    return project_code(root, roots).digest


def test_the_files_are_python_and_sql_of_what_is_imported(tmp_path: Path) -> None:
    code = project_code(write(tmp_path, FILES, OTHERS), ROOTS)
    assert sorted(code.files) == sorted(FILES)
    assert list(code.files) == sorted(code.files)
    assert code.digest.startswith("sha256:")
    assert code.problem == ""


def test_data_tests_environments_and_other_projects_do_not_count(tmp_path: Path) -> None:
    plain, full = write(tmp_path / "a", FILES), write(tmp_path / "b", FILES, OTHERS)
    assert digest(plain) == digest(full)
    for name in OTHERS:
        (full / name).write_text("changed")
        assert digest(plain) == digest(full), name


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_code_counts_by_its_content_and_its_name(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, FILES)
    before = digest(root)
    (root / name).write_text(FILES[name] + "# changed\n")
    changed = digest(root)
    (root / name).write_text(FILES[name])
    same = digest(root)
    (root / name).rename(root / f"{name.rpartition('.')[0]}_renamed.{name.rpartition('.')[2]}")
    assert before == same
    assert len({before, changed, digest(root, ("orders", "rates.py", "rates_renamed.py"))}) == 3


def test_place_times_and_order_of_creation_do_not_count(tmp_path: Path) -> None:
    here = write(tmp_path / "here", FILES)
    there = write(tmp_path / "far" / "away", dict(reversed(FILES.items())))
    for n, name in enumerate(FILES):
        os.utime(there / name, (n * 1000, n * 1000))
    (tmp_path / "link").symlink_to(here)
    assert digest(here) == digest(there) == digest(tmp_path / "link")
    assert digest(here) == digest(here, (*reversed(ROOTS), "missing.py"))


def test_every_hash_seed_gives_the_same_digest(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    script = (
        "import sys; from pathlib import Path\n"
        "from kindling_airflow.manifest.project_code import project_code\n"
        "print(project_code(Path(sys.argv[1]), ('orders', 'rates.py')).digest)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script, str(root)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {digest(root)}


def test_two_names_with_swapped_contents_are_other_code(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"p/a.py": "1", "p/b.py": "2"})
    two = write(tmp_path / "two", {"p/a.py": "2", "p/b.py": "1"})
    assert digest(one, ("p",)) != digest(two, ("p",))


def test_links_count_by_what_they_lead_to(tmp_path: Path) -> None:
    root = write(tmp_path / "root", FILES)
    plain = digest(root)
    shared = write(tmp_path / "shared", {"common/money.py": "D = 4\n"})
    shutil.move(root / "orders" / "late.py", tmp_path / "late.py")
    (root / "orders" / "late.py").symlink_to(tmp_path / "late.py")
    assert digest(root) == plain
    (root / "orders" / "common").symlink_to(shared / "common")
    linked = digest(root)
    (shared / "common" / "money.py").write_text("D = 5\n")
    assert len({plain, linked, digest(root)}) == 3


def test_links_in_circles_and_to_nowhere_end(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    plain = digest(root)
    (root / "orders" / "again").symlink_to(root)
    (root / "orders" / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (root / "orders" / "itself").symlink_to(root / "orders" / "itself")
    found = project_code(root, ROOTS)
    # What lies beside the package is reached through the link, once.
    assert {name for name in found.files if not name.startswith("orders/again/")} == set(FILES)
    assert set(found.files) - set(FILES) == {"orders/again/rates.py"}
    assert found.digest != plain


def test_a_file_that_cannot_be_read_counts_by_name(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    missing = module._digest(str(root / "nothing.py"))
    assert missing == ""


def test_a_folder_that_cannot_be_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path, FILES)
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("sql"):
            raise PermissionError(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "orders/sql/day.sql" not in project_code(root, ROOTS).files


def test_a_change_shows_whatever_its_times_say(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    path = root / "rates.py"
    os.utime(path, (1_000_000_000, 1_000_000_000))
    status = path.stat()
    before = digest(root)
    path.write_text("C = 4\n")  # of the same length
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(root) != before


def test_a_file_that_has_settled_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path, FILES)
    read = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    later = time.time_ns() + 10_000_000_000
    digests = {digest(root), digest(root)}
    assert read.count("rates.py") == 2  # it has just been written
    monkeypatch.setattr(time, "time_ns", lambda: later)
    digests |= {digest(root), digest(root)}
    assert read.count("rates.py") == 3
    assert len(digests) == 1


def test_a_file_that_is_written_to_meanwhile_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, {"a.py": "old"}) / "a.py"
    real, reads = Path.read_bytes, []

    def read_bytes(self: Path) -> bytes:
        found = real(self)
        reads.append(found)
        if len(reads) == 1:
            path.write_text("newer")
        return found

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    found = project_code(tmp_path, ("a.py",))
    assert reads == [b"old", b"newer"]
    path.write_text("newer")
    assert project_code(tmp_path, ("a.py",)).digest == found.digest


def test_a_file_that_never_stops_changing_has_a_digest_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, {"a.py": "x"}) / "a.py"
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        path.write_text(path.read_text() + "x")
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert project_code(tmp_path, ("a.py",)).digest


def test_too_many_files_are_a_problem_and_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 4)
    root = write(tmp_path, FILES)
    code = project_code(root, ROOTS)
    assert (code.digest, dict(code.files)) == ("", {})
    assert code.problem == (
        f"the code of project {str(root)!r} cannot be identified: more than 4 files and folders "
        "are beneath 'orders', 'rates.py'\n"
        "  Fix: move data and environments out of the project's packages."
    )


def test_no_files_are_no_digest(tmp_path: Path) -> None:
    assert digest(tmp_path) == digest(tmp_path / "nowhere") == ""
    assert ProjectCode(()).digest == ""


@pytest.mark.parametrize(
    ("sources", "modules", "roots"),
    [
        (["orders/__init__.py", "orders/a.py"], ["orders.a"], ("orders",)),
        (["a.py", "sql/b.sql"], [], ("a.py", "sql")),
        (["tests/made.py", "test_a.py"], [], ("test_a.py", "tests/made.py")),
        (["a.py", ".venv/lib/x.py", "v/site-packages/y.py"], [], ("a.py",)),
        (["fast.so", "p/faster.so", "p/a.py"], [], ("fast.so", "p", "p/faster.so")),
        ([], ["orders.a", "orders.b", "flat"], ("flat", "flat.py", "orders", "orders.py")),
        ([], [], ()),
    ],
)
def test_roots_cover_every_file_that_was_imported(
    sources: list[str], modules: list[str], roots: tuple[str, ...]
) -> None:
    assert code_roots(sources, modules) == roots


def test_roots_of_a_harvest_hold_what_is_imported_late(tmp_path: Path) -> None:
    declares = (
        "from kindling_airflow import DataPipes\n"
        "@DataPipes.pipe(pipeid='a', input_entity_ids=['x'], output_entity_id='y')\n"
        "def a(x):\n    from orders.late import B\n    return x\n"
    )
    write(tmp_path, {**FILES, "orders/pipes.py": declares}, OTHERS)
    manifest = harvest(tmp_path, ("orders.pipes",))
    roots = code_roots(manifest.sources, manifest.modules)
    assert roots == ("orders",)
    assert "orders/late.py" not in manifest.sources
    assert "orders/late.py" in project_code(tmp_path, roots).files


def test_changed_files_are_new_missing_and_other_ones() -> None:
    assert changed_files({"a": "1", "b": "1"}, {"b": "2", "c": "1"}) == ("a", "b", "c")
    assert changed_files({"a": "1"}, {"a": "1"}) == ()
