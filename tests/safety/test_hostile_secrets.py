"""A definition with a secret in every form; whatever is made of it is searched for them."""

from __future__ import annotations

import base64
import inspect
import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from airflow.serialization.serialized_objects import DagSerialization

from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError, problems_of
from kindling_airflow.protocol.contracts import REPORT_MARKER

CANARIES: list[str] = []


def canary() -> str:
    """Return a secret like no other."""
    CANARIES.append(f"canary-{len(CANARIES):03d}-Zx9q")
    return CANARIES[-1]


def _basic(user: str) -> str:
    secret = canary()
    encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
    CANARIES.append(encoded)
    return encoded


CONF = {
    "spark.hadoop.fs.s3a.secret.key": canary(),
    "spark.es.net.http.auth.pass": canary(),
    "spark.shop.db.pwd": canary(),
    "spark.shop.url": f"jdbc:postgresql://u:{canary()}@h/db",
    "spark.shop.oracle": f"jdbc:oracle:thin:scott/{canary()}@h:1521:shop",
    "spark.shop.mssql": f"jdbc:sqlserver://h;user=me;password={{{canary()}}};x=1",
    "spark.shop.query": f"https://h/x?user=me&password={canary()}",
    "spark.shop.sas": f"https://lake/c?sv=1&sig={canary()}&se=2",
    "spark.shop.signed": f"https://b/k?X-Amz-Credential=a&X-Amz-Signature={canary()}",
    "spark.shop.azure": f"AccountName=a;AccountKey={canary()};EndpointSuffix=x",
    "spark.shop.json": json.dumps({"user": "me", "password": canary()}),
    "spark.shop.header": f"Authorization: Basic {_basic('elastic')}",
    "spark.shop.bearer": f"Bearer {canary()}",
    "spark.shop.jaas": f'PlainLoginModule required username="u" password="{canary()}";',
    "spark.driver.extraJavaOptions": f"-Da=b -Djavax.net.ssl.keyStorePassword={canary()} -Dc=d",
    "spark.executor.extraJavaOptions": f"-Dhttp.proxyPassword={canary()}",
    "spark.shop.mixed": f"x://u:{canary()}@h/{{{{ params.region }}}}",
    "spark.hadoop.fs.azure.sas.raw.lake": f"sig={canary()}{{{{ params.region }}}}",
    "spark.executor.memory": "2g",
}
ENV = {
    "LAKE_TOKEN": canary(),
    "AIRFLOW_CONN_LAKE": f"postgres://me:{canary()}@h/db",
    "SHOP_JSON": json.dumps({"nested": {"api_key": canary()}}),
    "AWS_SECRET_ACCESS_KEY": canary(),
    "SHOP": "north",
}
_OF_NEWER_PROVIDERS = {
    "post_submit_commands": [f"curl -u me:{canary()} https://h", f"x --password {canary()}"],
}
_ARGUMENTS = inspect.signature(SparkSubmitOperator.__init__).parameters
SPARK = {
    "conf": CONF,
    "env_vars": ENV,
    "repositories": f"https://ci:{canary()}@repo.example/maven2",
    "jars": f"https://b.example/a.jar?X-Amz-Signature={canary()}",
    "files": f"https://me:{canary()}@h/f",
    "properties_file": f"https://h/p?token={canary()}",
    **{key: value for key, value in _OF_NEWER_PROVIDERS.items() if key in _ARGUMENTS},
}
OVERRIDDEN = f"x://u:{canary()}@h"
DOCUMENT = {
    "dag_id": "shop",
    "project": "project",
    "description": f"See https://me:{canary()}@wiki",
    "warehouse": "warehouse",
    "params": {"region": "EU"},
    "spark": SPARK,
    "overrides": {"b": {"spark": {"conf": {"spark.shop.url": OVERRIDDEN}}}},
}
PIPES = """\
from kindling_airflow import DataPipes

@DataPipes.pipe("a", input_entity_ids=[], output_entity_id="a")
def a(): ...

@DataPipes.pipe("b", input_entity_ids=["a"], output_entity_id="b")
def b(a): ...
"""
DRIVER = f"""#!{sys.executable}
import json, os, sys
request = json.loads(sys.argv[-1])
variables = [f"{{{{k}}}}={{{{v}}}}" for k, v in os.environ.items()]
everything = " ".join([*sys.argv[1:], *variables])
with open({{path!r}}, "w") as file:
    file.write(everything)
print(everything)
print("26/11/24 11:27:36 WARN Thing: " + everything)
print("{REPORT_MARKER}" + json.dumps({{{{"version": 1, "attempt_key": request["attempt_key"],
    "pipe_id": request["pipe_id"], "status": "failed", "output_entity_id": "b",
    "extra": {{{{"note": everything, "permanent": True}}}},
    "error": {{{{"type": "E", "message": everything, "traceback": everything}}}}}}}}), flush=True)
sys.exit(1)
"""


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pipes.py").write_text(PIPES)
    found = tmp_path / "shop.kindling.yaml"
    found.write_text(yaml.safe_dump(DOCUMENT))
    return found


@pytest.fixture
def dag(path: Path) -> DAG:
    return build_dag(compile_definition(Definition.from_file(path)))


def found_in(text: str) -> list[str]:
    return [secret for secret in CANARIES if secret in text]


def test_the_stored_dag_has_no_secret(dag: DAG) -> None:
    text = json.dumps(DagSerialization.to_dict(dag))
    assert found_in(text) == []
    assert "jdbc:postgresql://u:***@h/db" in text
    assert "-Da=b -Djavax.net.ssl.keyStorePassword=*** -Dc=d" in text
    assert all(kept in text for kept in ("2g", "north"))
    for task in dag.tasks:
        shown = [str(getattr(task, name, "")) for name in task.template_fields]
        assert found_in(repr(task) + " ".join(shown)) == []


def test_the_run_of_a_task_shows_no_secret_and_the_driver_has_all(
    dag: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    binary = tmp_path / "bin" / "spark-submit"
    binary.parent.mkdir()
    binary.write_text(DRIVER.format(path=str(tmp_path / "got")))
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
    task: Any = dag.get_task("b")
    context: Any = {"params": {"region": "EU"}}
    task.render_template_fields(context, dag.get_template_env())
    assert found_in(json.dumps(_serialize_rendered_fields(task))) == []
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="shop", run_id="r", task_id="b", try_number=1, xcom_push=pushed.__setitem__
    )
    events: Any = defaultdict(lambda: SimpleNamespace(extra={}))
    with pytest.raises(Exception, match="failed") as caught:
        task.execute(
            {**context, "ti": ti, "dag_run": SimpleNamespace(conf={}), "outlet_events": events}
        )
    assert found_in(str(caught.value)) == []
    assert found_in(json.dumps(pushed) + repr(events)) == []
    assert found_in("".join(capfd.readouterr())) == []
    got = (tmp_path / "got").read_text()
    conf = {**CONF, "spark.shop.url": OVERRIDDEN}
    wanted = [f"{key}={value.replace('{{ params.region }}', 'EU')}" for key, value in conf.items()]
    wanted += [f"{key}={value}" for key, value in ENV.items()]
    assert [text for text in wanted if text not in got] == []
    assert all(str(SPARK[key]) in got for key in ("repositories", "jars", "files"))


@pytest.mark.parametrize("command", ["plan", "explain", "validate", "compile", "graph"])
@pytest.mark.parametrize("json_too", [False, True])
def test_commands_show_no_secret(
    path: Path, capsys: pytest.CaptureFixture[str], command: str, json_too: bool
) -> None:
    arguments = [command, str(path), *(["b"] if command == "explain" else [])]
    assert main([*arguments, *(["--json"] if json_too else [])]) == 0
    assert found_in("".join(capsys.readouterr())) == []
    for file in path.parent.glob("*.json"):
        assert found_in(file.read_text()) == []


WRONG: list[dict[str, Any]] = [
    {"spark": {"conf": [CONF]}},
    {"spark": {"conf": {"spark.shop.url": [CONF["spark.shop.url"]]}}},
    {"spark": {"env_vars": {"LAKE_TOKEN": [ENV["LAKE_TOKEN"]]}, "master": CONF["spark.shop.url"]}},
    {"retries": CONF["spark.shop.url"]},
    {"warehouse": f"s3a://key:{canary()}@lake/tables"},
    {"checkpoints": f"https://lake/c?sig={canary()}"},
    {"params": {"db": f"jdbc:postgresql://u:{canary()}@h/db"}},
    {"params": {"db_password": canary()}},
    {"params": {"db": {"default": f"x://u:{canary()}@h", "type": "integer"}}},
    {
        "dag_run": {
            "deadline": {
                "reference": "queued_at",
                "interval_seconds": 60,
                "callback": "alerts:late",
                "kwargs": {"token": canary()},
            }
        }
    },
    {"on_failure_callback": {"class": "nowhere:Alert", "kwargs": {"token": canary()}}},
    {"select": f"x://u:{canary()}@h"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
def test_errors_of_a_definition_show_no_secret(path: Path, wrong: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump({**DOCUMENT, **wrong}))
    with pytest.raises(DefinitionError) as caught:
        compile_definition(Definition.from_file(path))
    assert found_in(str(caught.value)) == []


@pytest.mark.parametrize("value", ["*{}", "!{}", "@{}", "{{{}", "[{}", "'{}", "&{} x", "%{}"])
def test_errors_of_yaml_show_no_secret(path: Path, value: str) -> None:
    text = f"dag_id: shop\nproject: project\nspark: {{conf: {{a.password: {value.format(canary())}"
    path.write_text(text)
    with pytest.raises(DefinitionError) as caught:
        Definition.from_file(path)
    assert found_in(str(caught.value)) == []


@pytest.mark.parametrize(
    "tags",
    [
        {"provider.path": f"s3a://key:{canary()}@lake/t"},
        {"provider_type": "jdbc", "provider.table": "t", "provider.url": f"db://u:{canary()}@h"},
        {"note": f"jdbc:oracle:thin:scott/{canary()}@h"},
        {"nested": {"deep": [{"password": canary()}]}},
        {"db_password": canary()},
        {"header": f"Authorization: Basic {_basic('me')}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("what", ["pipe", "entity"])
def test_tags_that_hold_a_secret_are_refused_and_not_shown(
    path: Path, tags: dict[str, Any], what: str
) -> None:
    on_pipe = tags if what == "pipe" else {}
    text = PIPES.replace('output_entity_id="b"', f'output_entity_id="b", tags={on_pipe!r}')
    if what == "entity":
        text += (
            "\nfrom kindling_airflow import DataEntities\n"
            f"DataEntities.entity('a', name='a', tags={tags!r})\n"
        )
    (path.parent / "project" / "pipes.py").write_text(text)
    with pytest.raises(DefinitionError) as caught:
        compile_definition(Definition.from_file(path))
    assert "tags are stored in the manifest" in str(caught.value)
    assert found_in(str(list(problems_of(caught.value)))) == []
