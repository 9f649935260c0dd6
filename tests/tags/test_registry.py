"""The registry of tags: its values, its defaults, and what follows from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kindling_airflow.common.durations import seconds_of
from kindling_airflow.tags.registry import REGISTRY, Tag, read_task_tags, tag_row, value_problems
from kindling_airflow.tags.stream_settings import STREAM_TAGS, StreamSettings
from kindling_airflow.tags.values import BOOLEAN, DURATION, FINITE, POSITIVE
from kindling_airflow.translator.task_settings import tag_settings
from tests.docs.pages import ROOT, generator


@pytest.mark.parametrize("row", REGISTRY, ids=lambda row: f"{row.of}-{row.name}-{row.types}")
def test_a_row_documents_its_tag(row: Tag) -> None:
    assert row.meaning.endswith(".")
    assert row.section in {"entities", "table", "iceberg", "jdbc", "files", "kafka"} | {
        *("pipes", "streams", "unusual")
    }
    default = row.default.strip("`")
    if row.value.choices and default in row.value.choices:
        assert row.value.problems("it", default) == []


def test_the_defaults_of_streams_are_those_of_the_registry() -> None:
    for tag in STREAM_TAGS:
        row = tag_row("pipe", tag)
        if row.value is DURATION:
            default = getattr(StreamSettings(), tag.removeprefix("stream."))
            assert default == seconds_of(row.default.strip("`"))


def test_a_tag_may_mean_something_else_for_another_storage_type() -> None:
    assert value_problems("entity", {"provider.malformed": "aside"}, ["provider.malformed"]) == []
    assert value_problems(
        "entity", {"provider.malformed": "aside"}, ["provider.malformed"], "kafka"
    ) == ["tag provider.malformed is 'aside'\n  Fix: use one of fail, drop, keep."]


@pytest.mark.parametrize(
    ("value", "given", "is_fine"),
    [
        (BOOLEAN, True, True),
        (BOOLEAN, "yes", False),
        (FINITE, float("nan"), False),
        (FINITE, True, False),
        (FINITE, -2, True),
        (POSITIVE, "2.5", True),
        (POSITIVE, 0, False),
    ],
)
def test_values(value: Any, given: Any, is_fine: bool) -> None:
    assert (value.problems("it", given) == []) is is_fine


def test_tags_of_a_task_are_read_once_for_every_way_to_run_it() -> None:
    tags = {"retry.attempts": "2", "retry.interval_seconds": "1.5", "timeout_seconds": None}
    assert read_task_tags(tags) == (
        {"retry.attempts": 2, "retry.interval_seconds": 1.5, "timeout_seconds": None},
        [],
    )
    assert tag_settings(tags) == {
        "retries": 2,
        "retry_delay_seconds": 1.5,
        "execution_timeout_seconds": None,
    }
    assert read_task_tags({"retry.attempts": "often", "timeout_seconds": 0})[1] == [
        "tag retry.attempts must be a whole number of at least 0, not 'often'",
        "tag timeout_seconds must be a number of seconds above 0, at most a year, not 0",
    ]


def test_the_schema_of_a_settings_file_is_up_to_date() -> None:
    path = ROOT / "kindling_airflow" / "tags" / "settings.schema.json"
    assert path.read_text("utf-8") == generator().settings_schema(), "run: python docs/generate.py"


def test_an_editor_completes_tags_in_a_settings_file() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(generator().settings_schema())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    good = {
        "pipes": {
            "gold.**": {"tags": {"retry.attempts": 2, "layer": "gold", "stream.trigger": None}}
        },
        "entities": {"raw": {"tags": {"provider_type": "shop:Own", "provider.option.sep": ";"}}},
    }
    assert list(validator.iter_errors(good)) == []
    for tags in ({"on_empty_input": "skp"}, {"stream.ready_timeout": "soon"}, {"priority": "high"}):
        assert list(validator.iter_errors({"pipes": {"a": {"tags": tags}}})) != []
