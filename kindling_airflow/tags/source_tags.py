"""What the tags of CSV and JSON sources may say about records that are not as they should be."""

from __future__ import annotations

from collections.abc import Iterator

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import did_you_mean

__all__ = ["MALFORMED_TAG", "keeps_aside", "source_problems"]

MALFORMED_TAG = "provider.malformed"

_HANDLINGS = ("fail", "aside")
_MODE = "provider.option.mode"
_MODES = ("FAILFAST", "PERMISSIVE")


def keeps_aside(entity: EntityMetadata) -> bool:
    """Return whether malformed records of a source are kept aside, rather than failing the run."""
    return entity.tags.get(MALFORMED_TAG) == "aside"


def source_problems(entity: EntityMetadata) -> list[str]:
    """Return what is wrong with the tags of a CSV or JSON source."""
    return [f"entity {entity.entityid!r}: {problem}" for problem in _problems(entity)]


def _problems(entity: EntityMetadata) -> Iterator[str]:
    handling = entity.tags.get(MALFORMED_TAG, _HANDLINGS[0])
    if handling not in _HANDLINGS:
        yield f"tag {MALFORMED_TAG} is {handling!r}\n  Fix: use one of {', '.join(_HANDLINGS)}."
    for tag, value in entity.tags.items():
        if tag.lower() != _MODE:
            continue
        mode = str(value).upper()
        if mode == "DROPMALFORMED":
            yield (
                f"tag {tag} is {value!r}, which loses malformed records without a trace\n"
                f"  Fix: keep them aside, where they are counted: {MALFORMED_TAG}: aside."
            )
        elif mode not in _MODES:
            yield (
                f"tag {tag} is {value!r}, which Spark would take for 'PERMISSIVE'."
                f"{did_you_mean(mode, _MODES)}\n  Fix: use one of {', '.join(_MODES)}."
            )
        elif handling == "aside":
            yield (
                f"tags {MALFORMED_TAG} and {tag} both specify what happens to malformed records\n"
                f"  Fix: take {tag} out."
            )
