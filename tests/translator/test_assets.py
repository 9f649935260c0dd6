"""Assets: one identifier for name and URI; the same table is the same asset, another is another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.translator import (
    DagSpec,
    TranslateOptions,
    asset_identifier,
    asset_namespace,
    translate,
)
from tests.builders import plan
from tests.strategies import pipe_ids


def spec_of(drawing: str, assets: str | None) -> DagSpec:
    return translate(plan(drawing), TranslateOptions("shop", "p", assets=assets))


def assets_of(dag: DagSpec) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    for task in dag.tasks():
        yield task.pipe_id, task.inlets, task.outlets


def test_a_pipe_takes_in_what_it_reads_and_gives_out_what_it_writes() -> None:
    assert list(assets_of(spec_of("[raw] -> a -> b, a -> a", "lake"))) == [
        ("a", ("lake/raw", "lake/a.out"), ("lake/a.out",)),
        ("b", ("lake/a.out",), ("lake/b.out",)),
    ]


def test_without_a_namespace_there_are_none() -> None:
    assert list(assets_of(spec_of("a -> b", None))) == [("a", (), ()), ("b", (), ())]


@pytest.mark.parametrize(
    ("warehouse", "namespace"),
    [
        (None, "warehouse"),
        ("", "warehouse"),
        ("/", "warehouse"),
        ("/lake/tables/", "lake/tables"),
        ("tables", "tables"),
        ("s3a://lake/tables", "s3a://lake/tables"),
        ("abfss://c@acc.dfs.core.windows.net/x", "abfss://c@acc.dfs.core.windows.net/x"),
        ("/lake/{{ ds }}", "lake/%7B%7B%20ds%20%7D%7D"),
        ("s3a://lake/{{ ds }}?x#y", "s3a://lake/%7B%7B%20ds%20%7D%7D%3Fx%23y"),
        ("airflow://mine/x", "mine/x"),
        ("s3a://key:secret@lake/tables", "s3a://lake/tables"),
        ("größe", "gr%C3%B6%C3%9Fe"),
    ],
)
def test_the_namespace_is_the_warehouse(warehouse: str | None, namespace: str) -> None:
    assert asset_namespace(warehouse) == namespace


@given(pipe_ids(), pipe_ids())
def test_other_entities_have_other_identifiers(one: str, other: str) -> None:
    identifier = asset_identifier("lake")
    assert (identifier(one) == identifier(other)) == (one == other)


@given(st.text(), pipe_ids())
def test_every_identifier_is_plain_ascii_and_no_place_on_a_machine(
    warehouse: str, entity_id: str
) -> None:
    found = asset_identifier(asset_namespace(warehouse))(entity_id)
    assert found.isascii()
    assert found.isprintable()
    assert not found.startswith("/")
    assert not {" ", "?", "#"}.intersection(found)
