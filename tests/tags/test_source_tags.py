"""What CSV and JSON sources may say of records that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.storage_checks import keeps_aside


def problems(kind: str, tags: dict[str, Any]) -> list[str]:
    return entity_tag_problems(EntityMetadata("src", tags={"provider_type": kind, **tags}))


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"provider.malformed": "fail", "provider.option.mode": "failfast"},
        {"provider.malformed": "aside", "provider.option.header": "true"},
        {"provider.option.mode": "PERMISSIVE"},
        {"provider.malformed": "fail", "provider.option.Mode": "Permissive"},
    ],
)
def test_each_of_these_is_fine(kind: str, tags: dict[str, Any]) -> None:
    assert problems(kind, tags) == []


def test_records_are_kept_aside_where_the_entity_says_so() -> None:
    assert keeps_aside(EntityMetadata("src", tags={"provider.malformed": "aside"}))
    assert not keeps_aside(EntityMetadata("src", tags={"provider.malformed": "fail"}))
    assert not keeps_aside(EntityMetadata("src"))


def test_an_unknown_handling_is_refused() -> None:
    assert problems("csv", {"provider.malformed": "drop"}) == [
        "entity 'src': tag provider.malformed is 'drop'\n  Fix: use one of fail, aside."
    ]


def test_records_are_not_dropped_without_a_trace() -> None:
    assert problems("json", {"provider.option.Mode": "dropMalformed"}) == [
        (
            "entity 'src': tag provider.option.Mode is 'dropMalformed', which loses malformed "
            "records without a trace\n"
            "  Fix: keep them aside, where they are counted: provider.malformed: aside."
        )
    ]


def test_a_misspelt_mode_is_not_taken_for_permissive() -> None:
    assert problems("csv", {"provider.option.mode": "FAILFST"}) == [
        (
            "entity 'src': tag provider.option.mode is 'FAILFST', which Spark would take for "
            "'PERMISSIVE'. Did you mean 'FAILFAST'?\n  Fix: use one of FAILFAST, PERMISSIVE."
        )
    ]


def test_two_tags_for_one_thing_are_refused() -> None:
    tags = {"provider.malformed": "aside", "provider.option.mode": "FAILFAST"}
    assert problems("csv", tags) == [
        (
            "entity 'src': tags provider.malformed and provider.option.mode both specify what "
            "happens to malformed records\n  Fix: remove provider.option.mode."
        )
    ]


def test_other_types_have_no_such_tag() -> None:
    (text,) = problems("parquet", {"provider.malformed": "aside"})
    assert text.startswith("entity 'src': provider_type 'parquet' has no tag 'provider.malformed'")
