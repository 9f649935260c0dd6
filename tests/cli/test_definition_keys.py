"""What ``run`` makes of each key of a definition: each key is in a class, and what is left out is
named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.run.definition_keys import KEYS, Held, kind_of, notes_on_keys
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.schema_check import definition_schema, resolved
from tests.dag_factory.projects import document

_MAPPINGS = ("project", "spark", "dag_run")  # whose keys are ours; others are the user's words


def definition(folder: Path, **keys: Any) -> Definition:
    (folder / "shop").mkdir(exist_ok=True)
    return Definition.from_document(document(**keys), base=folder, source="here")


def keys_of_schema() -> set[str]:
    properties = definition_schema()["properties"]
    found = {key for key in properties if key not in _MAPPINGS}
    for key in _MAPPINGS:
        found |= {f"{key}.{inner}" for inner in resolved(properties[key])["properties"]}
    overrides = resolved(properties["overrides"]["additionalProperties"])["properties"]
    return found | {f"overrides.{inner}" for inner in overrides}


def test_every_key_of_a_definition_is_in_a_class() -> None:
    for key in keys_of_schema():
        assert isinstance(kind_of(key)[0], Held), key
    with pytest.raises(KeyError):
        kind_of("overrides.nothing")


def test_no_class_is_for_a_key_that_there_is_not() -> None:
    assert set(KEYS) <= keys_of_schema()


def test_a_difference_is_said_with_words() -> None:
    spoken = (Held.DIFFERENT, Held.IGNORED)
    assert [key for key, (held, text) in KEYS.items() if held in spoken and not text] == []


def test_what_could_be_ignored_is_where_the_notes_look() -> None:
    ignored = [key for key, (held, _) in KEYS.items() if held is Held.IGNORED]
    homes = ("arguments", "dag_run.", "on_", "overrides.", "spark.")
    assert [key for key in ignored if not key.startswith(homes)] == []


def test_keys_that_do_not_hold_are_named_where_they_are_set(tmp_path: Path) -> None:
    found = definition(
        tmp_path,
        schedule="@daily",
        start_date="2026-01-01",
        pool="p",
        retries=2,
        on_failure_callback="os:getcwd",
        arguments={"depends_on_past": True},
        dag_run={"timeout_seconds": 5, "on_failure_callback": "os:getcwd"},
        spark={"conn_id": "x", "proxy_user": "u", "conf": {"spark.a": 1}},
        overrides={
            "a": {"retries": 1, "arguments": None, "queue": "q"},
            "b.*": {"spark": {"conf": {"spark.x": 1}, "driver_memory": "1g"}, "pool_slots": 1},
        },
    )
    assert notes_on_keys(found) == [
        "spark.proxy_user: ignored in this run: the session runs as the user of the command",
        "arguments: ignored in this run: they are arguments of Airflow's operator",
        (
            "on_failure_callback, dag_run.on_failure_callback: ignored in this run: Airflow "
            "calls it, with the context of its run"
        ),
        "dag_run.timeout_seconds: ignored in this run: the time of a run is not limited",
        (
            "overrides 'b.*': spark.conf 'spark.x', spark.driver_memory: ignored in this run: all "
            "pipes share one session, and one process"
        ),
    ]
    assert notes_on_keys(found, has_long_streams=True)[-1] == (
        "retries, overrides 'a': retries: ignored for streams in this run: a failed stream ends it"
    )


def test_templates_are_left_out_and_named(tmp_path: Path) -> None:
    found = definition(
        tmp_path,
        spark={
            "conf": {"spark.key": "{{ conn.lake.password }}", "spark.x": "{x}"},
            "env_vars": {"DAY": "{{ ds }}", "A": "b"},
            "files": "{% if x %}a{% endif %}",
            "name": "{{ run_id }}",
        },
    )
    assert notes_on_keys(found) == [
        (
            "spark.conf 'spark.key', spark.env_vars 'DAY', spark.files: are templates, which "
            "only Airflow can render: ignored in this run"
        ),
    ]


def test_a_definition_of_which_everything_holds_has_no_notes(tmp_path: Path) -> None:
    found = definition(tmp_path, retries=2, spark={"conf": {"spark.x": "1"}})
    assert notes_on_keys(found, has_long_streams=False) == []
    assert notes_on_keys(definition(tmp_path), has_long_streams=True) == []
