"""Hostile ids from the declaration to the command line: nothing is injected, nothing collides."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions._internal.templater import SandboxedEnvironment
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DeclarationError
from kindling_airflow.manifest import Manifest
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.providers.storage import location_of
from kindling_airflow.translator import task_id
from tests.safety.hostile import IDS, UNSTORABLE, hostile_ids, write_project

LEGAL_TASK_ID = re.compile(r"[A-Za-z0-9_.\-]{1,250}")
PARAMETERS = {text: text for text in IDS if len(text) < 100}
# What spark-submit takes a value behind, of what a task of ours may be started with.
WITH_VALUE = {"--master", "--name", "--conf", "--deploy-mode", "--py-files"}


@pytest.mark.parametrize("id_", UNSTORABLE)
def test_an_id_that_nothing_can_store_is_refused_wherever_it_is_declared(id_: str) -> None:
    told = f"holds a NUL or half a surrogate pair, which cannot be stored: {id_!r}"
    usual = {"pipeid": "p", "input_entity_ids": ["in"], "output_entity_id": "out"}
    for key, value in (("pipeid", id_), ("input_entity_ids", [id_]), ("output_entity_id", id_)):
        registry = DataPipesRegistry()
        assert not registry.register_usual({**usual, key: value})
        with pytest.raises(DeclarationError, match=re.escape(told)):
            registry.register_pipe(**{**usual, key: value})
    with pytest.raises(DeclarationError, match=re.escape(f"entityid {told}")):
        DataEntityRegistry().register_entity(id_)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("hostile")
    write_project(folder / "project", IDS)
    document = {"dag_id": "hostile", "project": "project", "width": 2}
    return compile_definition(Definition.from_document(document, base=folder, source="test"))


@pytest.fixture(scope="module")
def dag(compiled: Compiled) -> DAG:
    return build_dag(compiled)


def _operators(dag: DAG) -> list[KindlingPipeOperator]:
    return [task for task in dag.tasks if isinstance(task, KindlingPipeOperator)]


def test_every_id_is_one_pipe_of_manifest_plan_and_dag(compiled: Compiled, dag: DAG) -> None:
    assert set(compiled.manifest.get_pipe_ids()) == set(IDS)
    assert compiled.plan.pipe_ids == IDS
    assert Manifest.from_json(json.loads(compiled.base.dumps())) == compiled.base
    assert [operator.pipe_id for operator in _operators(dag)] == list(IDS)
    assert len({operator.task_id for operator in _operators(dag)}) == len(IDS)


def test_every_task_id_is_legal(dag: DAG) -> None:
    wrong = [task.task_id for task in dag.tasks if not LEGAL_TASK_ID.fullmatch(task.task_id)]
    assert not wrong


def test_the_dag_can_be_stored_and_read(dag: DAG) -> None:
    stored = json.dumps(DagSerialization.to_dict(dag))
    stored.encode("utf-8")  # databases take nothing else
    read = DagSerialization.from_dict(json.loads(stored))
    assert set(read.task_ids) == set(dag.task_ids)


def test_no_id_is_taken_for_a_template(dag: DAG) -> None:
    environment = SandboxedEnvironment()
    for operator in _operators(dag):
        assert environment.from_string(operator.name).render() == operator.name
        operator.render_template_fields({}, environment)


def _command(operator: KindlingPipeOperator) -> list[str]:
    """Return the command line that a task would start its driver with."""
    operator.request = RunRequest(
        attempt_key="key",
        pipe_id=operator.pipe_id,
        project_root=operator._project_root,
        modules=operator._modules,
        warehouse="/warehouse",
        parameters=PARAMETERS,
    )
    hook: Any = operator._get_hook()
    command: list[str] = hook._build_spark_submit_command("/package/main.py")
    return command


def _understood(command: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return options and the rest, as spark-submit tells them apart."""
    options: dict[str, str] = {}
    rest = command[1:]
    while rest and rest[0].startswith("-"):
        assert rest[0] in WITH_VALUE, rest[0]
        options[rest[0]] = rest[1]
        rest = rest[2:]
    return options, rest


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')


def test_the_command_line_has_the_application_and_one_request(dag: DAG) -> None:
    for operator in _operators(dag):
        options, (application, *arguments) = _understood(_command(operator))
        assert options["--master"] == "local[1]"
        assert application == "/package/main.py"
        assert len(arguments) == 1
        request = RunRequest.loads(arguments[0])
        assert request.pipe_id == operator.pipe_id
        assert dict(request.parameters) == PARAMETERS


def test_the_command_line_is_plain_text_of_one_line(dag: DAG) -> None:
    """Shells, log readers and process tables get nothing to take for the end of an argument."""
    for operator in _operators(dag):
        for argument in _command(operator):
            assert argument.isascii()
            assert argument.isprintable()


def test_a_process_gets_the_arguments_as_they_are(dag: DAG) -> None:
    for operator in _operators(dag):
        command = _command(operator)
        said = subprocess.run(
            ["printf", "%s\\0", *command[1:]], capture_output=True, check=True
        ).stdout
        assert said.decode().split("\0")[:-1] == command[1:]


def test_what_people_write_stays_the_name_of_the_application(tmp_path: Path) -> None:
    for pipe_id in ("silver.orders", "Daily sales", "a-b_c", "2026.x"):
        operator = KindlingPipeOperator(
            task_id="t", pipe_id=pipe_id, project_root=str(tmp_path), modules=[]
        )
        assert operator.name == pipe_id


@given(st.lists(hostile_ids(), min_size=2, max_size=2, unique=True))
def test_two_ids_never_share_a_task_or_a_table(ids: list[str]) -> None:
    one, other = ids
    assert task_id(one) != task_id(other)
    assert escape_component(one) != escape_component(other)


@given(hostile_ids(), st.sampled_from(["/lake", "/", "s3a://lake", "relative/lake", "/lake/"]))
def test_a_table_is_a_visible_folder_directly_beneath_the_warehouse(id_: str, root: str) -> None:
    assert LEGAL_TASK_ID.fullmatch(task_id(id_))
    location = location_of(EntityMetadata(id_), root)
    parent, _, name = location.rpartition("/")
    assert parent == root.rstrip("/")
    assert re.fullmatch(r"[A-Za-z0-9%\-][A-Za-z0-9_.%\-]*", name)
    assert len(name) <= 150
