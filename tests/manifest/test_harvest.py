"""Harvests: what a project's modules declare, in a process that stays as it was."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.errors import DeclarationError, HarvestError
from kindling_airflow.manifest import FunctionRef, Manifest
from kindling_airflow.manifest.harvest import (
    harvest,
    harvest_document,
    harvest_here,
    import_declarations,
    is_current,
    project_modules,
    refuse_in_harvest,
)

Project = Callable[..., Path]

IMPORT = "from kindling_airflow import DataEntities, DataPipes\n"


def pipe(pipe_id: str, name: str = "run") -> str:
    """Return the source of a pipe without inputs."""
    return (
        f"{IMPORT}\n"
        f'@DataPipes.pipe("{pipe_id}", output_entity_id="{pipe_id}.out")\n'
        f"def {name}(): ...\n"
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make the files of a project, named by path; ``__init__.py`` comes by itself."""

    def make(files: dict[str, str], folder: str = "shop") -> Path:
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for name, source in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for package in path.relative_to(root).parents:
                if package != Path() and not (root / package / "__init__.py").exists():
                    (root / package / "__init__.py").write_text("")
            path.write_text(textwrap.dedent(source))
        return root

    return make


@pytest.fixture(params=[harvest, harvest_here], ids=["in a child", "here"], autouse=True)
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both give the same manifest of one project, and the same errors."""
    monkeypatch.setattr(sys.modules[__name__], "harvest", request.param)


@contextmanager
def untouched() -> Iterator[None]:
    """Fail if the import path or the imported modules are not as they were before."""
    path, modules = list(sys.path), dict(sys.modules)
    yield
    assert sys.path == path
    assert {name: id(module) for name, module in sys.modules.items()} == {
        name: id(module) for name, module in modules.items()
    }


def refusal(root: Path, *modules: str) -> HarvestError:
    with untouched(), pytest.raises(HarvestError) as refused:
        harvest(root, modules)
    return refused.value


def without_marks(error: HarvestError) -> str:
    """Return the error's text without the lines that underline; each Python has its own."""
    return "\n".join(line for line in str(error).splitlines() if line.strip(" ^~"))


class TestModules:
    def test_are_imported_in_the_order_declared(self, project: Project) -> None:
        root = project({"a.py": pipe("a"), "b.py": pipe("b"), "c.py": pipe("c")})
        made = harvest(root, ["c", "a", "b"])
        assert made.get_pipe_ids() == ["c", "a", "b"]
        assert made.modules == ("c", "a", "b")

    def test_module_that_is_imported_by_an_earlier_one_declares_first(
        self, project: Project
    ) -> None:
        root = project({"a.py": "import b\n" + pipe("a"), "b.py": pipe("b")})
        assert harvest(root, ["a", "b"]).get_pipe_ids() == ["b", "a"]

    def test_only_what_is_asked_for_and_what_that_imports_is_in_the_manifest(
        self, project: Project
    ) -> None:
        root = project({"a.py": "import helper\n" + pipe("a"), "b.py": pipe("b"), "helper.py": ""})
        made = harvest(root, ["a"])
        assert made.get_pipe_ids() == ["a"]
        assert list(made.sources) == ["a.py", "helper.py"]

    def test_are_all_beneath_the_folder_by_default(self, project: Project) -> None:
        root = project(
            {
                "z.py": pipe("z"),
                "shop/silver.py": pipe("silver"),
                "shop/deep/gold.py": pipe("gold"),
                "shop/__main__.py": "raise SystemExit('a program')",
                "a.py": pipe("a"),
                "not-a-name.py": "raise SystemExit('a script')",
                "no_package.txt": "",
            }
        )
        (root / "data").mkdir()
        (root / "data" / "dump.py").write_text("raise SystemExit('in no package')")
        assert project_modules(root) == (
            "a",
            "shop",
            "shop.deep",
            "shop.deep.gold",
            "shop.silver",
            "z",
        )
        made = harvest(root)
        assert made.modules == project_modules(root)
        assert made.get_pipe_ids() == ["a", "gold", "silver", "z"]

    def test_file_with_declarations_that_cannot_be_imported_is_refused(
        self, project: Project
    ) -> None:
        root = project({"pipes.py": pipe("p"), "gold-pipes.py": pipe("q")})
        (root / "silver").mkdir()
        (root / "silver" / "pipes.py").write_text(pipe("r"))
        fix = "\n  Fix: correct that, or list the modules to import in project.modules."
        declares = "declares pipes or entities, but"
        name = "the file name 'gold-pipes' is not a name that Python can import"
        assert refusal(root).problems == (
            f"file 'gold-pipes.py' {declares} {name}{fix}",
            f"file 'silver/pipes.py' {declares} folder 'silver' has no __init__.py{fix}",
        )
        assert harvest(root, ["pipes", "silver.pipes"]).get_pipe_ids() == ["p", "r"]

    def test_folder_that_does_not_exist_has_none(self, tmp_path: Path) -> None:
        assert project_modules(tmp_path / "nowhere") == ()

    def test_package_without_init_file_can_be_named(self, project: Project) -> None:
        root = project({})
        (root / "plain").mkdir()
        (root / "plain" / "pipes.py").write_text(pipe("p"))
        with untouched():
            assert harvest(root, ["plain.pipes"]).get_pipe_ids() == ["p"]

    def test_installed_module_can_be_named(self, project: Project) -> None:
        root = project({"pipes.py": pipe("p")})
        made = harvest(root, ["pipes", "kindling_airflow.errors"])
        assert made.modules == ("pipes", "kindling_airflow.errors")
        assert list(made.sources) == ["pipes.py"]

    def test_empty_project_gives_an_empty_manifest(self, project: Project) -> None:
        assert harvest(project({})) == Manifest.from_registries(
            DataPipes.registry(), DataEntities.registry()
        )


class TestManifest:
    def test_says_where_each_function_is(self, project: Project) -> None:
        root = project({"shop/pipes.py": pipe("p", "clean") + "\n" + pipe("q", "join")})
        assert harvest(root).functions == {
            "p": FunctionRef("shop.pipes", "clean"),
            "q": FunctionRef("shop.pipes", "join"),
        }

    def test_has_the_digest_of_each_file_that_was_imported(self, project: Project) -> None:
        root = project({"shop/pipes.py": "x = 1\n"})
        assert harvest(root, ["shop.pipes"]).sources == {
            "shop/__init__.py": hashlib.sha256(b"").hexdigest(),
            "shop/pipes.py": hashlib.sha256(b"x = 1\n").hexdigest(),
        }

    def test_is_the_same_wherever_the_project_lies(self, project: Project) -> None:
        files = {"shop/pipes.py": pipe("p"), "a.py": pipe("a")}
        here, there = project(files, "here"), project(files, "over there")
        link = here.parent / "link"
        link.symlink_to(here)
        texts = {harvest(root).dumps() for root in (here, there, link)}
        assert len(texts) == 1
        assert str(here.parent) not in texts.pop()

    def test_does_not_depend_on_the_working_directory(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = project({"pipes.py": pipe("p")})
        monkeypatch.chdir(root.parent)
        assert harvest(Path("shop")) == harvest(root)
        monkeypatch.chdir(root)
        assert harvest(Path()) == harvest(root)

    @pytest.mark.parametrize(
        ("function", "shown"), [("lambda: 1", "<lambda>"), ("make()", "make.<locals>.local")]
    )
    def test_function_without_an_importable_name_is_known_by_its_pipe(
        self, project: Project, function: str, shown: str
    ) -> None:
        """A driver takes it from what the import of the modules declares."""
        make = "def make():\n    def local(): ...\n    return local\n"
        declare = f"DataPipes.pipe('p', output_entity_id='o')({function})\n"
        root = project({"pipes.py": IMPORT + make + declare})
        with untouched():
            found = harvest(root).functions["p"]
        assert (found.module, found.qualname, found.by_name) == ("pipes", shown, False)


class TestIsolation:
    def test_process_is_as_it_was(self, project: Project) -> None:
        root = project(
            {"shop/pipes.py": "from shop import other\n" + pipe("p"), "shop/other.py": ""}
        )
        with untouched():
            harvest(root)

    def test_process_is_as_it_was_after_an_error(self, project: Project) -> None:
        broken = "import sys\nsys.path.append('/else')\nimport good\n1 / 0\n"
        root = project({"broken.py": broken, "good.py": pipe("p")})
        with untouched(), pytest.raises(HarvestError):
            harvest(root)
        with untouched(), pytest.raises(HarvestError):
            harvest(root / "nowhere", ["good"])

    def test_process_is_as_it_was_after_a_module_has_raised_an_interrupt(
        self, project: Project
    ) -> None:
        root = project({"pipes.py": "raise KeyboardInterrupt\n"})
        with untouched(), pytest.raises(HarvestError) as refused:
            harvest(root)
        assert "module 'pipes' failed to import: KeyboardInterrupt" in str(refused.value)

    def test_an_interrupt_by_the_user_goes_through(self, project: Project) -> None:
        root = project({"pipes.py": "import signal\nsignal.raise_signal(signal.SIGINT)\n"})
        with untouched(), pytest.raises(KeyboardInterrupt):
            harvest_here(root)

    def test_declarations_go_nowhere_else(self, project: Project) -> None:
        root = project({"pipes.py": pipe("p") + "DataEntities.entity('e')\n"})
        made = harvest(root)
        assert (len(made.pipes), len(made.entities)) == (1, 1)
        assert len(DataPipes.registry()) == 0
        assert len(DataEntities.registry()) == 0

    def test_declarations_of_the_process_are_not_harvested(self, project: Project) -> None:
        DataPipes.pipe("mine", output_entity_id="mine.out")(lambda: None)
        DataEntities.entity("mine.out")
        made = harvest(project({"pipes.py": pipe("p")}))
        assert made.get_pipe_ids() == ["p"]
        assert len(made.entities) == 0

    def test_two_projects_may_have_modules_of_the_same_name(self, project: Project) -> None:
        first = project({"pipes.py": "import common\n" + pipe("a"), "common.py": ""}, "first")
        second = project({"pipes.py": "import common\n" + pipe("b"), "common.py": "x=2"}, "second")
        for _ in range(2):
            assert harvest(first).get_pipe_ids() == ["a"]
            assert harvest(second).get_pipe_ids() == ["b"]
        assert harvest(first).sources["common.py"] != harvest(second).sources["common.py"]

    def test_module_of_another_project_is_out_of_reach(self, project: Project) -> None:
        harvest(project({"helper.py": "", "pipes.py": "import helper"}, "first"))
        second = project({"pipes.py": "import helper\n"}, "second")
        assert "ModuleNotFoundError: No module named 'helper'" in str(refusal(second))

    def test_module_that_is_imported_from_elsewhere_makes_way_and_comes_back(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = project({"shop/pipes.py": "where = 'elsewhere'"}, "elsewhere")
        monkeypatch.syspath_prepend(other)
        import shop.pipes  # type: ignore[import-not-found]

        try:
            root = project({"shop/pipes.py": pipe("p")})
            with untouched():
                assert harvest(root).get_pipe_ids() == ["p"]
            assert sys.modules["shop.pipes"].where == "elsewhere"
            assert shop.pipes is sys.modules["shop.pipes"]
        finally:
            for name in ("shop", "shop.pipes"):
                sys.modules.pop(name, None)

    def test_changed_file_is_seen_at_the_next_harvest(self, project: Project) -> None:
        root = project({"pipes.py": pipe("a")})
        before = harvest(root)
        project({"pipes.py": pipe("a") + pipe("bb", "other")})
        after = harvest(root)
        assert before.get_pipe_ids() == ["a"]
        assert after.get_pipe_ids() == ["a", "bb"]
        assert before.sources != after.sources

    def test_new_file_is_seen_at_the_next_harvest(self, project: Project) -> None:
        root = project({"a.py": pipe("a")})
        assert harvest(root).get_pipe_ids() == ["a"]
        project({"b.py": pipe("b")})
        assert harvest(root).get_pipe_ids() == ["a", "b"]
        assert harvest(root, ["b"]).get_pipe_ids() == ["b"]

    def test_import_of_declarations_lets_the_functions_live_on(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "path", list(sys.path))
        root = project({"kept_pipes.py": pipe("p")})
        try:
            found = import_declarations(root, ["kept_pipes"])
            assert sys.path[0] == str(root.resolve())
            declared = found.pipes.get_pipe_definition("p")
            assert declared is not None
            assert declared.execute is sys.modules["kept_pipes"].run
        finally:
            sys.modules.pop("kept_pipes", None)


def test_harvest_needs_no_pyspark(project: Project) -> None:
    root = project(
        {
            "pipes.py": f"""
            from __future__ import annotations
            from typing import TYPE_CHECKING
            {IMPORT}
            if TYPE_CHECKING:
                from pyspark.sql import DataFrame

            @DataPipes.pipe("p", input_entity_ids=["raw"], output_entity_id="p.out")
            def run(raw: DataFrame) -> DataFrame:
                from pyspark.sql import functions as F
                return raw.select(F.lit(1))
            """
        }
    )
    program = """
import json, sys
from pathlib import Path
from kindling_airflow.manifest.harvest import harvest
made = harvest(Path(sys.argv[1]))
heavy = sorted({"pyspark", "airflow", "networkx", "py4j"}.intersection(sys.modules))
print(json.dumps([made.get_pipe_ids(), heavy]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, root],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": ""},  # not even a java to start
    )
    assert json.loads(ran.stdout) == [["p"], []]


class TestErrors:
    def test_module_that_fails_to_import_is_named_with_the_lines_that_led_there(
        self, project: Project
    ) -> None:
        root = project(
            {
                "shop/pipes.py": "from shop.helper import rate\n\nprice = rate(0)\n",
                "shop/helper.py": "def rate(n):\n    return 1 / n\n",
            }
        )
        error = refusal(root, "shop.pipes")
        assert without_marks(error) == (
            "module 'shop.pipes' failed to import: ZeroDivisionError: division by zero\n"
            f'      File "{root}/shop/pipes.py", line 3, in <module>\n'
            "        price = rate(0)\n"
            f'      File "{root}/shop/helper.py", line 2, in rate\n'
            "        return 1 / n\n"
            "    ZeroDivisionError: division by zero\n"
            "  Fix: correct the module; declarations must import without a Spark session."
        )

    def test_several_failing_modules_are_reported_at_once(self, project: Project) -> None:
        root = project(
            {
                "a.py": "raise ValueError('first')\n",
                "b.py": pipe("b"),
                "c.py": "raise SystemExit(3)\n",
                "d.py": "raise NotImplementedError\n",
            }
        )
        fix = "\n  Fix: correct the module; declarations must import without a Spark session."
        assert without_marks(refusal(root)) == (
            "3 modules could not be imported:\n"
            "1. module 'a' failed to import: ValueError: first\n"
            f'      File "{root}/a.py", line 1, in <module>\n'
            "        raise ValueError('first')\n"
            f"    ValueError: first{fix}\n"
            "2. module 'c' failed to import: SystemExit: 3\n"
            f'      File "{root}/c.py", line 1, in <module>\n'
            "        raise SystemExit(3)\n"
            f"    SystemExit: 3{fix}\n"
            "3. module 'd' failed to import: NotImplementedError\n"
            f'      File "{root}/d.py", line 1, in <module>\n'
            "        raise NotImplementedError\n"
            f"    NotImplementedError{fix}"
        )

    def test_syntax_error_shows_its_line(self, project: Project) -> None:
        root = project({"pipes.py": "x = 1\ndef broken(:\n"})
        error = refusal(root, "pipes")
        assert without_marks(error) == (
            "module 'pipes' failed to import: SyntaxError: invalid syntax (pipes.py, line 2)\n"
            f'      File "{root}/pipes.py", line 2\n'
            "        def broken(:\n"
            "    SyntaxError: invalid syntax\n"
            "  Fix: correct the module; declarations must import without a Spark session."
        )

    def test_module_that_is_not_there(self, project: Project) -> None:
        root = project({"shop/pipes.py": pipe("p"), "single.py": ""})
        remedy = "\n  Fix: correct project.modules, or project.path to the folder that contains it."
        for missing in ("nowhere", "shop.nothing", "nowhere.at.all", "single.part"):
            assert str(refusal(root, missing)) == (
                f"module {missing!r} was not found in the project folder{remedy}"
            )

    def test_module_whose_own_import_is_missing(self, project: Project) -> None:
        root = project({"pipes.py": "import not_installed_anywhere\n"})
        assert str(refusal(root, "pipes")) == (
            "module 'pipes' failed to import: ModuleNotFoundError: "
            "No module named 'not_installed_anywhere'\n"
            f'      File "{root}/pipes.py", line 1, in <module>\n'
            "        import not_installed_anywhere\n"
            "    ModuleNotFoundError: No module named 'not_installed_anywhere'\n"
            "  Fix: correct the module; declarations must import without a Spark session."
        )

    def test_folder_that_is_not_there(self, tmp_path: Path) -> None:
        for modules in ((), ("pipes",)):
            assert str(refusal(tmp_path / "nowhere", *modules)) == (
                f"the project folder {str(tmp_path / 'nowhere')!r} does not exist\n"
                "  Fix: correct project.path."
            )

    def test_string_where_the_list_of_modules_belongs(self, project: Project) -> None:
        with untouched(), pytest.raises(HarvestError) as refused:
            harvest(project({"pipes.py": ""}), "pipes")
        assert str(refused.value) == (
            "modules is the string 'pipes' where a list is expected\n  Fix: write ['pipes']"
        )

    @pytest.mark.parametrize("files", [{"json.py": ""}, {"json/pipes.py": ""}])
    def test_module_that_an_installed_one_hides(
        self, project: Project, files: dict[str, str]
    ) -> None:
        assert str(refusal(project(files), "json")) == (
            "module 'json' of the project is shadowed by the installed module 'json'\n"
            "  Fix: give the project's module another name."
        )

    def test_wrong_declarations_stay_what_they_are_and_name_their_module(
        self, project: Project
    ) -> None:
        root = project(
            {
                "a.py": f"{IMPORT}DataEntities.entity('')\n",
                "b.py": f"{IMPORT}DataEntities.entity('e', merge_columns='id', tags=[])\n",
            }
        )
        with untouched(), pytest.raises(DeclarationError) as refused:
            harvest(root)
        assert str(refused.value) == (
            "3 problems in the declarations:\n"
            "1. module 'a': entityid must be a non-empty string without surrounding spaces: ''\n"
            "2. module 'b': entity 'e': merge_columns is the string 'id' where a list is expected\n"
            "  Fix: write ['id']\n"
            "3. module 'b': entity 'e': tags must be a mapping, not list: []"
        )

    def test_wrong_declarations_and_broken_modules_come_together(self, project: Project) -> None:
        root = project({"a.py": f"{IMPORT}DataEntities.entity('')\n", "b.py": "1 / 0\n"})
        error = refusal(root)
        first, second = error.problems
        assert first.startswith(
            "module 'a' failed to import: DeclarationError: entityid must be a non-empty string "
            f"without surrounding spaces: ''\n      File \"{root}/a.py\", line 2, in <module>\n"
        )
        assert second.startswith("module 'b' failed to import: ZeroDivisionError: division by zero")

    def test_id_that_two_modules_declare_is_an_error_of_the_second(self, project: Project) -> None:
        root = project({"a.py": pipe("p", "first"), "b.py": pipe("p", "second")})
        with untouched(), pytest.raises(DeclarationError) as refused:
            harvest(root)
        assert str(refused.value) == (
            "module 'b': pipe 'p' is declared twice: by a.first (line 3) and by b.second (line 3)\n"
            "  Fix: give one of them its own id."
        )

    def test_error_whose_text_cannot_be_made(self, project: Project) -> None:
        source = "class Mute(Exception):\n    def __str__(self): return 1 / 0\nraise Mute\n"
        assert str(refusal(project({"pipes.py": source}))).startswith(
            "module 'pipes' failed to import: Mute: <its text cannot be made: ZeroDivisionError>\n"
        )


class TestDagFiles:
    @pytest.fixture(autouse=True)
    def _factory_is_imported(self) -> None:
        from kindling_airflow.dag_factory import factory, task_group  # noqa: F401

    def test_that_lie_in_the_project_are_not_imported(self, project: Project) -> None:
        root = project(
            {
                "pipes.py": pipe("p"),
                "kindling_dags.py": "from kindling_airflow.dag_factory import load_dags\n"
                "globals().update(load_dags(__file__))\n",
            }
        )
        assert harvest(root).modules == ("pipes",)

    def test_that_declare_as_well_are_refused(self, project: Project) -> None:
        root = project(
            {
                "all_in_one.py": pipe("p")
                + "from kindling_airflow import kindling_dag\n"
                + "dag = kindling_dag(__file__, dag_id='d', project='.', schedule=None)\n"
            }
        )
        assert str(refusal(root)) == (
            "kindling_dag was called while the modules of project "
            f"{str(root)!r} were imported: a DAG file is not a module of a project\n"
            "  Fix: keep declarations out of the DAG file, and list the project's modules in "
            "project.modules, or move the DAG file out of the project's folder."
        )

    def test_may_make_dags_while_nothing_is_imported(self) -> None:
        refuse_in_harvest("load_dags")

    @pytest.mark.parametrize("factory", ["load_dags", "kindling_dag", "kindling_task_group"])
    def test_that_are_named_as_modules_are_refused(self, project: Project, factory: str) -> None:
        arguments = "'d', group_id='g'" if factory == "kindling_task_group" else "'d'"
        source = f"import kindling_airflow\nkindling_airflow.{factory}({arguments})\n"
        root = project({"d.py": source})
        assert str(refusal(root, "d")).startswith(f"{factory} was called while the modules of")


class TestInAChild:
    def test_answers_with_a_manifest_or_with_the_problems(self, project: Project) -> None:
        good, bad = project({"pipes.py": pipe("p")}), project({"pipes.py": "1 / 0\n"}, "bad")
        assert harvest_document(str(good), []) == {"manifest": harvest(good).to_json()}
        answer = harvest_document(str(bad), [])
        assert answer["error"] == "HarvestError"
        assert "ZeroDivisionError" in answer["problems"][0]


class TestIsCurrent:
    @pytest.fixture
    def root(self, project: Project) -> Path:
        return project({"shop/a.py": pipe("a"), "shop/b.py": pipe("b")})

    def test_manifest_of_unchanged_files_is(self, root: Path, tmp_path: Path) -> None:
        made = harvest(root)
        made.write(tmp_path / "manifest.json")
        read = Manifest.read(tmp_path / "manifest.json")
        for manifest in (made, read):
            assert is_current(manifest, root)
            assert is_current(manifest, root, ())
            assert is_current(manifest, root, ["shop", "shop.a", "shop.b"])

    def test_manifest_is_not_after_a_file_changed(self, root: Path) -> None:
        made = harvest(root, ["shop.a"])
        (root / "shop/b.py").write_text("# none of the manifest's files\n")
        assert is_current(made, root, ["shop.a"])
        (root / "shop/a.py").write_text("# changed\n")
        assert not is_current(made, root, ["shop.a"])
        assert not is_current(made, root)

    def test_manifest_is_again_when_the_file_is_as_before(self, root: Path) -> None:
        made = harvest(root)
        source = (root / "shop/a.py").read_text()
        (root / "shop/a.py").write_text("")
        (root / "shop/a.py").write_text(source)
        assert is_current(made, root)

    def test_manifest_is_not_after_a_file_was_removed(self, root: Path) -> None:
        made = harvest(root)
        (root / "shop/b.py").unlink()
        assert not is_current(made, root, ())
        assert not is_current(made, root)

    def test_manifest_of_all_modules_is_not_after_a_file_was_added(self, root: Path) -> None:
        everything, one = harvest(root), harvest(root, ["shop.a"])
        (root / "shop/c.py").write_text(pipe("c"))
        assert not is_current(everything, root, ())
        assert is_current(everything, root)  # nobody asked about the modules
        assert is_current(one, root, ["shop.a"])

    def test_manifest_is_not_when_other_modules_are_asked_for(self, root: Path) -> None:
        made = harvest(root, ["shop.a"])
        assert is_current(made, root, ["shop.a"])
        assert not is_current(made, root, ["shop.a", "shop.b"])
        assert not is_current(made, root, ())
        assert not is_current(harvest(root, ["shop.b", "shop.a"]), root, ["shop.a", "shop.b"])

    def test_manifest_that_does_not_know_its_sources_never_is(self, root: Path) -> None:
        made = harvest(root)
        assert not is_current(Manifest(made.pipes, made.entities, made.functions), root)
