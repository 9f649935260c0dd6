"""The note of a run about a pool in which deferred tasks take no slot."""

from __future__ import annotations

from kindling_airflow.common.pool_notes import uncounted_text


def test_the_note_names_the_pool_and_the_remedy() -> None:
    assert uncounted_text("etl") == (
        "Pool 'etl' does not count deferred tasks, so pipes of shared sessions wait in their "
        "workers. Fix: tick 'Include Deferred' for it under Admin > Pools."
    )


def test_the_note_of_one_pool_is_not_in_that_of_another() -> None:
    assert uncounted_text("etl") not in uncounted_text("etl_2")
