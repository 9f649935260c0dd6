"""Templates are tried when a definition is compiled; at run time a broken one is not retried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG
from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS
from jinja2 import UndefinedError

from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory.task_group import kindling_task_group
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.templates import NAMES_OF_A_RUN, template_problems
from kindling_airflow.errors import DefinitionError
from kindling_airflow.operators.pipe import KindlingPipeOperator

PIPE = """\
from kindling_airflow import DataPipes

@DataPipes.pipe("a", input_entity_ids=[], output_entity_id="a")
def a(): ...
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "pipes.py").write_text(PIPE)
    return tmp_path


def problems(base: Path, **keys: Any) -> list[str]:
    document = {"dag_id": "d", "project": "p", **keys}
    definition = Definition.from_document(document, base=base, source="d")
    try:
        compile_definition(definition)
    except DefinitionError as error:
        return list(error.problems)
    return []


def test_all_that_airflow_renders_with_is_known() -> None:
    assert set(KNOWN_CONTEXT_KEYS) <= NAMES_OF_A_RUN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ ds", "is not a valid template: unexpected end of template"),
        ("{% if x %}", "is not a valid template: Unexpected end of template"),
        ("{{ ds }", "is not a valid template: unexpected '}'"),
        ("{# open", "is not a valid template: Missing end of comment tag"),
        ("{{ 1 + }}", "is not a valid template"),
        ("{{ ds | nodash }}", "No filter named 'nodash'"),
        ("{{ dss }}", "uses 'dss', which is not defined in any run. Did you mean 'ds'?"),
        ("{{ region }}", "a parameter of the run is {{ params.NAME }}"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"warehouse": text},
        lambda text: {"spark": {"conf": {"a": text}}},
        lambda text: {"spark": {"env_vars": {"A": text}}},
        lambda text: {"spark": {"jars": text}},
        lambda text: {"overrides": {"a": {"spark": {"conf": {"a": text}}}}},
    ],
)
def test_what_no_run_could_render_is_refused(base: Path, place: Any, text: str, said: str) -> None:
    (problem,) = problems(base, **place(text))
    assert said in problem
    assert "Fix: " in problem


@pytest.mark.parametrize(
    "text",
    [
        *("{{ ds }}", "{{ data_interval_start | ds }}", "{{ params.x }}", "{{ var.value.y }}"),
        *("{% set x = 1 %}{{ x }}", "{% for i in range(3) %}{{ i }}{% endfor %}", "{ {x} }"),
        *("{{ conn.lake.password }}", "{{ macros.ds_add(ds, 1) }}", "{% do [].append(1) %}"),
    ],
)
def test_what_a_run_can_render_is_taken(base: Path, text: str) -> None:
    assert problems(base, spark={"conf": {"a": text}}) == []


def test_a_secret_beside_a_broken_template_is_not_shown(base: Path) -> None:
    (problem,) = problems(base, spark={"conf": {"a": "x://u:hunter2hunter2@h/{{ ds"}})
    assert "hunter2" not in problem


def test_a_group_may_have_macros_and_filters_of_its_dag(base: Path) -> None:
    document = {
        "dag_id": "d",
        "project": "p",
        "spark": {"conf": {"a": "{{ own(1) | mine }}", "b": "{{ own(1) }}", "c": "{{"}},
    }
    definition = Definition.from_document(document, base=base, source="d")
    found = list(template_problems(definition, is_group=True))
    assert [where for where, _ in found] == [("spark", "conf", "c")]
    keys: dict[str, Any] = {"project": "p", "spark": document["spark"]}
    (base / "g.kindling.yaml").write_text("dag_id: d\nproject: p\n")
    with DAG("g", schedule=None), pytest.raises(DefinitionError, match="not a valid template"):
        kindling_task_group("g.kindling.yaml", group_id="g", base=base, **keys)


def test_a_date_in_a_dag_that_assets_start_is_noted(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = base / "d.kindling.yaml"
    text = "dag_id: d\nproject: p\nspark: {conf: {a: 'x {{ ds }}'}}\n"
    path.write_text(f"{text}schedule: {{any: [x]}}\n")
    assert main(["validate", str(path)]) == 0
    assert "spark.conf.a uses 'ds', which a run started by assets does not have" in (
        capsys.readouterr().out.replace("\n", " ")
    )
    path.write_text(f"{text}schedule: '@daily'\nstart_date: 2026-01-01\n")
    assert main(["validate", str(path)]) == 0
    assert "uses 'ds'" not in capsys.readouterr().out


def _rendered(text: str) -> None:
    operator = KindlingPipeOperator(
        task_id="t",
        pipe_id="p",
        project_root=".",
        modules=[],
        conf={"a": text},
        dag=DAG("d", schedule=None),
    )
    operator.render_template_fields({"params": {}, "ti": None})  # type: ignore[typeddict-item]


@pytest.mark.parametrize("text", ["{{ ds", "{{ ds }}", "{{ nowhere }}", "x://u:{{ ts }}@h:s3cret1"])
def test_a_broken_template_fails_its_task_for_good(text: str) -> None:
    with pytest.raises(AirflowFailException, match="Fix: ") as caught:
        _rendered(text)
    if "ds }}" in text:
        assert str(caught.value) == (
            "A template of this task uses 'ds', which this run does not have\n"
            "  Fix: this run has no logical date (it was started by assets, or by hand without "
            "one); use {{ run_id }} or {{ dag_run.run_after }}, or give 'ds' a default: {{ ds | "
            "default('none') }}."
        )


def test_what_may_be_there_at_the_next_try_is_tried_again() -> None:
    with pytest.raises(UndefinedError):
        _rendered("{{ params.later.value }}")
