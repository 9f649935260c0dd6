"""Where the manifests of a DAG file's definitions come from when imports take too long."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from kindling_airflow.definitions import import_budget
from kindling_airflow.definitions.import_budget import seconds_for_all, seconds_for_one, time_limit
from kindling_airflow.definitions.last_manifests import last_harvested, last_manifest, remember
from kindling_airflow.errors import LateHarvestError
from kindling_airflow.manifest.harvest import harvest
from tests.dag_factory.projects import imports_of, write_definition, write_project
from tests.dag_factory.test_load_dags import DROP_IN, message, parse, tasks

HANG_IF = """
import os, threading
if os.path.exists({file!r}):
    threading.Event().wait()
"""


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "kindling_dags.py").write_text(DROP_IN.read_text())
    return folder


def hanging(dags: Path, name: str = "slow") -> Path:
    """Write a project that hangs as long as the returned file is there."""
    switch = dags.parent / f"{name}.hangs"
    project = write_project(dags / name, "x -> y")
    module = project / "pipes_drawn.py"
    module.write_text(HANG_IF.format(file=str(switch)) + module.read_text())
    write_definition(dags / f"{name}.kindling.yaml", f"dag_id: {name}\nproject: {name}\n")
    return switch


class TestAProjectThatIsLate:
    def test_is_named_and_costs_no_other_its_dag(
        self, dags: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", "3")
        hanging(dags).touch()
        write_project(dags / "shop")
        write_definition(dags / "shop.kindling.yaml", "dag_id: shop\n")
        result = parse(dags)
        assert tasks(result) == {"shop": ["a", "b"]}
        assert result.import_errors is not None
        text = message(result.import_errors["slow.kindling.yaml"])
        assert text.startswith(
            f"slow.kindling.yaml: the import of project '{dags / 'slow'}' did not end within 3 "
            f'seconds\n    File "{dags / "slow" / "pipes_drawn.py"}", line 4, in <module>\n'
        )

    def test_keeps_its_dag_while_its_files_are_unchanged(
        self, dags: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", "20")
        switch = hanging(dags)
        assert not parse(dags).import_errors
        switch.touch()
        monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", "2")
        result = parse(dags)
        assert tasks(result) == {"slow": ["x", "y"]}
        assert result.import_errors is not None
        text = message(result.import_errors["slow.kindling.yaml"])
        assert text.startswith("slow.kindling.yaml: the DAG is made from the import of 20")
        assert "the project's files are unchanged since, but the import of project" in text
        module = dags / "slow" / "pipes_drawn.py"
        module.write_text(module.read_text() + "# changed\n")
        result = parse(dags)
        assert tasks(result) == {}
        assert list(result.import_errors or {}) == ["slow.kindling.yaml"]

    def test_is_harvested_again_as_soon_as_it_is_not(
        self, dags: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", "2")
        switch = hanging(dags)
        switch.touch()
        assert parse(dags).import_errors
        switch.unlink()
        monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", "20")
        result = parse(dags)
        assert tasks(result) == {"slow": ["x", "y"]}
        assert not result.import_errors


def test_eight_projects_that_take_long_are_imported_side_by_side(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They meet: none could go on if the others were not being imported at the same time."""
    monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", "100")
    names = [f"p{n}" for n in range(8)]
    for name in names:
        project = write_project(dags / name, f"{name}.a")
        module = project / "pipes_drawn.py"
        meet = (
            "import os, time\n"
            f"open({str(dags.parent)!r} + '/{name}.here', 'w').close()\n"
            f"while sum(f.endswith('.here') for f in os.listdir({str(dags.parent)!r})) < 8:\n"
            "    time.sleep(0.01)\n"
        )
        module.write_text(meet + module.read_text())
        write_definition(dags / f"{name}.kindling.yaml", f"dag_id: {name}\nproject: {name}\n")
    result = parse(dags)
    assert sorted(tasks(result)) == names
    assert not result.import_errors


def test_a_project_of_two_definitions_is_imported_once(dags: Path) -> None:
    project = write_project(dags / "shop", "a -> b")
    for name in ("one", "two"):
        write_definition(dags / f"{name}.kindling.yaml", f"dag_id: {name}\n")
    assert sorted(tasks(parse(dags))) == ["one", "two"]
    assert imports_of(project) == ["pipes_drawn"]


class TestLastManifests:
    @pytest.fixture
    def project(self, dags: Path) -> Path:
        return write_project(dags / "shop")

    def test_are_there_while_nothing_has_changed(self, project: Path) -> None:
        assert (last_manifest(project, ()), last_harvested(project, ())) == (None, 0.0)
        manifest = harvest(project)
        remember(project, (), manifest)
        remember(project, (), manifest)
        assert last_manifest(project, ()) == manifest
        assert last_harvested(project, ()) > 0
        assert last_manifest(project, ("pipes_drawn",)) is None
        (project / "more.py").touch()
        assert last_manifest(project, ()) is None

    def test_lie_where_others_can_neither_read_nor_write(self, project: Path) -> None:
        remember(project, (), harvest(project))
        (folder,) = Path(os.environ["AIRFLOW_HOME"]).iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_of_others_are_not_trusted(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remember(project, (), harvest(project))
        (folder,) = Path(os.environ["AIRFLOW_HOME"]).iterdir()
        monkeypatch.setattr(tempfile, "tempdir", str(project / "nowhere"))
        folder.chmod(0o755)
        assert last_manifest(project, ()) is None
        folder.rename(folder.with_name("elsewhere"))
        folder.symlink_to("elsewhere")
        assert last_manifest(project, ()) is None
        remember(project, (), harvest(project))
        assert last_harvested(project, ()) == 0.0

    def test_that_are_damaged_are_none(self, project: Path) -> None:
        remember(project, (), harvest(project))
        (folder,) = Path(os.environ["AIRFLOW_HOME"]).iterdir()
        (path,) = folder.iterdir()
        path.write_text("{")
        assert last_manifest(project, ()) is None

    def test_of_projects_that_are_gone_are_forgotten(self, project: Path) -> None:
        manifest = harvest(project)
        remember(project, (), manifest)
        (folder,) = Path(os.environ["AIRFLOW_HOME"]).iterdir()
        (path,) = folder.iterdir()
        long_ago = time.time() - 40 * 86_400
        os.utime(path, (long_ago, long_ago))
        remember(project, ("pipes_drawn",), manifest)
        assert not path.exists()


class TestBudget:
    def test_is_a_part_of_what_airflow_leaves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", "10")
        assert seconds_for_all() == 8.0
        before = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 500)
        try:
            assert 300 < seconds_for_all() <= 400
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_for_one_project_is_configured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for said, meant in (("2.5", 2.5), ("0", None), ("", None), ("soon", None)):
            monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", said)
            assert seconds_for_one() == meant

    def test_needs_no_airflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(import_budget.sys.modules, "airflow.configuration")  # type: ignore[attr-defined]
        monkeypatch.delenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", raising=False)
        assert (seconds_for_one(), seconds_for_all()) == (None, 24.0)
        monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", "100")
        assert seconds_for_all() == 80.0

    def test_a_limit_ends_what_takes_too_long_and_gives_the_alarm_back(self) -> None:
        rung: list[int] = []
        before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
        signal.setitimer(signal.ITIMER_REAL, 1000)
        try:
            with pytest.raises(LateHarvestError) as late, time_limit(0.05, "this"):
                signal.pause()
            assert str(late.value) == "this did not end within 0.05 seconds"
            assert 900 < signal.getitimer(signal.ITIMER_REAL)[0] < 1000
            with time_limit(2000, "this"):  # the other one comes earlier
                assert signal.getitimer(signal.ITIMER_REAL)[0] < 1000
            assert rung == []
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
