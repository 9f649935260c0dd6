"""How ``run`` runs the pipes of a definition: as its DAG does, but for what the command says."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.run.run_options import run_options
from kindling_airflow.cli.run.run_session import session_environment, session_properties
from kindling_airflow.cli.sources.source import Source
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import TranslationError
from kindling_airflow.generation_executor.options import BatchOptions, pipe_options
from kindling_airflow.manifest import Manifest
from tests.builders import pipes
from tests.dag_factory.projects import document

TAGS = {
    "a": {"retry.attempts": 5, "timeout_seconds": "90"},
    "b": {"retry.interval_seconds": 1.5},
}


def called(**said: Any) -> Namespace:
    usual = {"workers": 1, "on_error": None, "retries": None, "timeout": None, "conf": None}
    return Namespace(**{**usual, **said})


def compiled(folder: Path, **keys: Any) -> Compiled:
    (folder / "shop").mkdir(exist_ok=True)
    definition = Definition.from_document(document(**keys), base=folder, source="here")
    registry = pipes("a -> b -> c", TAGS)
    manifest = Manifest.from_registries(registry, DataEntityRegistry(), modules=["shop.pipes"])
    return compile_definition(definition, manifest)


def source(folder: Path, *, chosen: bool = False, **keys: Any) -> Source:
    found = compiled(folder, **keys)
    return Source(Path("x"), found.plan, None, found.definition, chosen)


def held(found: Source, said: Namespace | None = None) -> dict[str, tuple[Any, ...]]:
    """Return what the executor makes of it: attempts, first waits, time limit of each pipe."""
    options = run_options(found, said or called(), found.plan.pipe_ids)
    settings = pipe_options(found.plan, BatchOptions(**options))
    return {
        pipe_id: (
            own.retry.attempts,
            *(own.retry.wait_after(n) for n in (1, 2)),
            own.timeout_seconds,
        )
        for pipe_id, own in settings.items()
    }


CASES: list[dict[str, Any]] = [
    {},
    {"retries": 2, "retry_delay_seconds": 7},
    {"retries": 2, "retry_delay_seconds": 7, "retry_exponential_backoff": True},
    {"retries": 2, "retry_exponential_backoff": 3, "max_retry_delay_seconds": 50},
    {"execution_timeout_seconds": 60, "overrides": {"a": {"execution_timeout_seconds": None}}},
    {"overrides": {"*": {"retries": 1}, "a": {"retries": None}, "b": {"retries": 3}}},
    {"retries": 0},
    {"overrides": {"c": {"retry_delay_seconds": 0.25, "retries": 1}}},
]


@pytest.mark.parametrize("keys", CASES)
def test_pipes_are_run_as_their_tasks_would_be(keys: dict[str, Any], tmp_path: Path) -> None:
    """The oracle is what the translator gives: number of tries, first pause, limit of a try."""
    spec = compiled(tmp_path, **keys).spec
    expected = {}
    for task in (task for group in spec.groups for task in group.tasks):
        own = task.settings
        wait = 30.0 if own.retry_delay_seconds is None else own.retry_delay_seconds
        factor = {True: 2, None: 1, False: 1}.get(
            own.retry_exponential_backoff, own.retry_exponential_backoff
        )
        most = own.max_retry_delay_seconds or 86_400
        expected[task.pipe_id] = (
            own.retries or 0,
            min(wait, most),
            min(wait * factor, most),
            own.execution_timeout_seconds,
        )
    assert held(source(tmp_path, **keys)) == expected


def test_an_option_of_the_command_takes_the_place_of_the_key(tmp_path: Path) -> None:
    keys = {"retries": 2, "on_error": "continue", "overrides": {"b": {"retries": 1}}}
    found = source(tmp_path, **keys)
    said = called(retries=0, timeout=9.0, on_error="fail_fast", workers=3)
    options = run_options(found, said, found.plan.pipe_ids)
    assert (options["error_strategy"], options["max_workers"]) == ("fail_fast", 3)
    assert {p: own[0] for p, own in held(found, said).items()} == {"a": 0, "b": 1, "c": 0}
    assert {own[3] for own in held(found, said).values()} == {9.0}
    assert run_options(found, called(), ())["error_strategy"] == "continue"


def test_without_a_definition_options_are_those_of_the_command(tmp_path: Path) -> None:
    plan = source(tmp_path).plan
    assert run_options(Source(Path("x"), plan), called(retries=4), plan.pipe_ids) == {
        "parallel": False,
        "max_workers": 1,
        "error_strategy": "skip_dependents",
        "pipe_timeout": None,
        "retry_attempts": 4,
    }


def test_an_override_that_matches_no_pipe_is_a_problem_unless_the_command_chooses(
    tmp_path: Path,
) -> None:
    found = source(tmp_path, overrides={"a": {"retries": 1}})
    part = Source(found.path, found.plan, None, found.definition, chosen=True)
    definition = found.definition
    assert definition is not None
    wrong = Definition.from_document(
        document(overrides={"z": {"retries": 1}}), base=tmp_path, source="here"
    )
    assert run_options(part, called(), ["a"])["overrides"].keys() == {"a"}
    assert run_options(Source(found.path, found.plan, None, wrong, chosen=True), called(), ["a"])
    with pytest.raises(TranslationError) as refused:
        run_options(Source(found.path, found.plan, None, wrong), called(), ["a"])
    assert "x: overrides: 'z' matches no pipe." in str(refused.value)


class TestSession:
    def test_keys_under_spark_are_properties_and_environment(self, tmp_path: Path) -> None:
        spark = {
            "conf": {"spark.a": 1, "spark.b": True, "spark.master": "local[1]"},
            "driver_memory": "2g",
            "packages": "g:a:1",
            "py_files": "x.py, y.zip",
            "properties_file": "my file.conf",
            "env_vars": {"A": "b", "DAY": "{{ ds }}"},
            "files": "{{ run_id }}.txt",
            "executor_memory": "9g",
        }
        found = source(tmp_path, spark=spark)
        properties = session_properties(found, called(conf=["spark.a=2", "spark.c=d=e"]))
        assert properties == {
            "spark.master": "local[1]",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "WARN",
            "spark.driver.memory": "2g",
            "spark.jars.packages": "g:a:1",
            "spark.submit.pyFiles": "x.py, y.zip",
            "spark.a": "2",
            "spark.b": "true",
            "spark.c": "d=e",
        }
        environment = session_environment(found)
        assert environment["A"] == "b"
        assert "DAY" not in environment
        assert environment["PYTHONPATH"].startswith(f"{Path('x.py').resolve()}:")
        assert (
            environment["PYSPARK_SUBMIT_ARGS"] == "--properties-file 'my file.conf' pyspark-shell"
        )

    def test_a_key_comes_before_a_property_as_it_does_for_spark_submit(
        self, tmp_path: Path
    ) -> None:
        spark = {"conf": {"spark.driver.memory": "1g"}, "driver_memory": "2g"}
        found = session_properties(source(tmp_path, spark=spark), called())
        assert found["spark.driver.memory"] == "2g"

    def test_a_project_brings_nothing(self, tmp_path: Path) -> None:
        found = Source(Path("x"), source(tmp_path).plan)
        assert session_environment(found) == {}
        assert session_properties(found, called())["spark.master"] == "local[*]"
