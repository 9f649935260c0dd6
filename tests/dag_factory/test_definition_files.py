"""Which files are definitions of a DAG file: as Airflow finds DAG files, or it is said why not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag

from kindling_airflow.dag_factory.definition_files import definition_files, is_ignored
from kindling_airflow.dag_factory.factory import load_dags
from kindling_airflow.definitions.definition import Definition, manifest_beside
from kindling_airflow.errors import DefinitionError
from kindling_airflow.manifest.harvest import harvest
from tests.dag_factory.projects import imports_of, write_definition, write_project
from tests.dag_factory.test_load_dags import DROP_IN, parse, tasks

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern")  # Airflow's own


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "kindling_dags.py").write_text(DROP_IN.read_text())
    write_project(folder / "shop")
    return folder


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in definition_files(folder)]


def test_the_short_ending_is_as_good(dags: Path) -> None:
    path = write_definition(dags / "shop.kindling.yml", "dag_id: shop\n")
    assert tasks(parse(dags)) == {"shop": ["a", "b"]}
    assert manifest_beside(path) == dags / "shop.manifest.json"
    harvest(dags / "shop").write(manifest_beside(path))
    imported = len(imports_of(dags / "shop"))
    assert tasks(parse(dags)) == {"shop": ["a", "b"]}
    assert len(imports_of(dags / "shop")) == imported
    assert Definition.from_file(path).manifest == manifest_beside(path)


def test_links_to_folders_are_followed_and_circles_end(dags: Path, tmp_path: Path) -> None:
    team = tmp_path / "team"
    write_project(team / "shop")
    write_definition(team / "one.kindling.yaml", "dag_id: one\n")
    (dags / "team").symlink_to(team)
    (team / "back").symlink_to(dags)
    (dags / "twice").symlink_to(team)
    assert names(dags) == ["team/one.kindling.yaml"]
    assert tasks(parse(dags)) == {"one": ["a", "b"]}


def test_a_folder_counts_once_by_its_own_name(dags: Path) -> None:
    write_definition(dags / "team" / "one.kindling.yaml", "dag_id: one\n")
    (dags / "a_link").symlink_to(dags / "team")
    assert names(dags) == ["team/one.kindling.yaml"]


class TestWhatAirflowIgnores:
    @pytest.mark.parametrize(
        "pattern",
        [
            "draft.kindling.yaml",
            "draft*",
            "*.yaml\n!good*",
            "# no\n/draft.*",
            "dra?t.kindling.yaml",
        ],
    )
    def test_is_no_definition(self, dags: Path, pattern: str) -> None:
        write_definition(dags / "draft.kindling.yaml", "dag_id: draft\n")
        write_definition(dags / "good.kindling.yaml", "dag_id: good\n")
        (dags / ".airflowignore").write_text(f"{pattern}\n")
        assert tasks(parse(dags)) == {"good": ["a", "b"]}
        assert is_ignored(dags / "draft.kindling.yaml")
        assert not is_ignored(dags / "good.kindling.yaml")

    def test_may_be_a_folder_or_be_said_beneath(self, dags: Path) -> None:
        for name in ("drafts/a", "team/b", "team/c"):
            write_definition(dags / f"{name}.kindling.yaml", "dag_id: x\nproject: ../shop\n")
        (dags / ".airflowignore").write_text("drafts/\n")
        (dags / "team" / ".airflowignore").write_text("b.*\n")
        assert names(dags) == ["team/c.kindling.yaml"]

    def test_may_be_said_above_as_far_as_the_bundle_goes(
        self, dags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_definition(dags / "a.kindling.yaml", "dag_id: a\n")
        (tmp_path / ".airflowignore").write_text("dags/a.*\n")
        assert names(dags) == ["a.kindling.yaml"]  # of no bundle
        monkeypatch.syspath_prepend(tmp_path)
        assert names(dags) == []

    def test_is_said_in_airflows_own_syntax(
        self, dags: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX", "regexp")
        write_definition(dags / "a1.kindling.yaml", "dag_id: a\n")
        write_definition(dags / "ab.kindling.yaml", "dag_id: b\n")
        (dags / ".airflowignore").write_text("a[0-9]\\.\n")
        assert names(dags) == ["ab.kindling.yaml"]

    def test_cannot_be_told_where_airflow_itself_gives_up(
        self, dags: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_definition(dags / "a.kindling.yaml", "dag_id: a\n")
        (dags / ".airflowignore").write_text("nothing\n")
        (dags / "circle").symlink_to(dags)
        assert names(dags) == ["a.kindling.yaml"]
        assert ".airflowignore beneath" in caplog.text


def test_a_dag_file_in_a_zip_says_that_it_finds_nothing(dags: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(dags / "bundle.zip", "w") as bundle:
        bundle.write(DROP_IN, "kindling_dags.py")
        bundle.writestr("shop.kindling.yaml", "dag_id: shop\nproject: shop\n")
    bag = BundleDagBag(
        dags / "bundle.zip", bundle_path=dags, bundle_name="dags-folder", safe_mode=True
    )
    (text,) = bag.import_errors.values()
    assert "from which definitions cannot be read" in text
    with pytest.raises(DefinitionError) as refused:
        load_dags(dags / "bundle.zip" / "kindling_dags.py")
    assert str(refused.value) == (
        f"the DAG file is in the zip '{dags / 'bundle.zip'}', from which definitions cannot be "
        "read\n  Fix: unpack the zip into the DAGs folder, or put the DAG file and its "
        "definitions there."
    )


class TestAProjectThatHoldsTheDagFile:
    def test_is_harvested_without_it(self, dags: Path) -> None:
        write_project(dags, "p -> q")
        write_definition(dags / "here.kindling.yaml", "dag_id: here\nproject: .\n")
        result = parse(dags)
        assert tasks(result) == {"here": ["p", "q"]}
        assert not result.import_errors
        assert imports_of(dags) == ["pipes_drawn"]

    @pytest.mark.parametrize(
        ("source", "found"),
        [
            (
                (
                    "from kindling_airflow import kindling_dag\n"
                    "dag = kindling_dag(__file__, dag_id='here', project='.', schedule=None)\n"
                ),
                ["p", "q"],
            ),
            (
                (
                    "from airflow.sdk import DAG\n"
                    "from kindling_airflow import kindling_task_group\n"
                    "with DAG('here', schedule=None):\n"
                    "    kindling_task_group('here.yaml', group_id='g', base=__file__)\n"
                ),
                ["g.p", "g.q"],
            ),
        ],
        ids=["kindling_dag", "kindling_task_group"],
    )
    def test_may_hold_one_of_python(self, dags: Path, source: str, found: list[str]) -> None:
        (dags / "kindling_dags.py").unlink()
        write_project(dags, "p -> q")
        (dags / "here.yaml").write_text("dag_id: here\nproject: .\n")
        (dags / "own.py").write_text(source)
        result = parse(dags, "own.py")
        assert not result.import_errors
        (dag,) = tasks(result).values()
        assert set(found) <= set(dag)

    def test_may_be_the_folder_above(self, dags: Path) -> None:
        write_project(dags, "p -> q")
        (dags / "sub").mkdir()
        (dags / "sub" / "__init__.py").touch()
        (dags / "kindling_dags.py").rename(dags / "sub" / "kindling_dags.py")
        write_definition(dags / "sub" / "up.kindling.yaml", "dag_id: up\nproject: ..\n")
        assert tasks(parse(dags, "sub/kindling_dags.py")) == {"up": ["p", "q"]}

    def test_is_refused_where_the_dag_file_is_not_recognised(self, dags: Path) -> None:
        write_project(dags, "p -> q")
        (dags / "kindling_dags.py").write_text(
            "# airflow dag\nimport kindling_airflow\n"
            "make = getattr(kindling_airflow, 'load_' + 'dags')\n"
            "globals().update(make(__file__))\n"
        )
        write_definition(dags / "here.kindling.yaml", "dag_id: here\nproject: .\n")
        errors = parse(dags).import_errors
        assert errors is not None
        (text,) = errors.values()
        assert "load_dags was called while the modules of project" in text
