"""Words that look like tags of this package, and those that are one's own."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import pytest

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.data_pipes.expectations import EXAMPLES_TAG, ON_VIOLATION_TAG
from kindling_airflow.data_pipes.sql_inputs import CHECK_TAG
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags import names
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.plan_checks import check_entities
from kindling_airflow.tags.registry import REGISTRY, TASK_TAGS, tag_row
from kindling_airflow.tags.storage_types import STORAGE_TYPES
from kindling_airflow.tags.unknown_tags import unknown_tag_problems
from kindling_airflow.translator.task_settings import TAGS

PACKAGE = Path(__file__).parents[2] / "kindling_airflow"
TAGS_PAGE = PACKAGE.parent / "docs" / "tags.md"


def problem(kind: str, tag: str) -> str | None:
    found = list(unknown_tag_problems(kind, {tag: 1, "layer": "gold"}))  # type: ignore[arg-type]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("duration_hnt", "duration_hint"),
        ("retry.atempts", "retry.attempts"),
        ("retry_attempts", "retry.attempts"),
        ("retryAttempts", "retry.attempts"),
        ("Retry-Attempts", "retry.attempts"),
        ("processing_mod", "processing_mode"),
        ("Processing_Mode", "processing_mode"),
        ("quality.on_violations", "quality.on_violation"),
        ("stream.tigger", "stream.trigger"),
        ("strean.trigger", "stream.trigger"),
        ("onwer", "owner"),
        ("ownr", "owner"),
        ("pirority", "priority"),
        ("timeout_second", "timeout_seconds"),
        ("provider_typ", "provider_type"),  # of the entity
    ],
)
def test_a_misspelt_tag_of_a_pipe_is_refused_with_what_was_meant(tag: str, meant: str) -> None:
    assert problem("pipe", tag) == (
        f"unknown tag {tag!r}. Did you mean {meant!r}?\n"
        f"  Fix: correct it, or name it 'x.{tag}' if it is a custom tag."
    )


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("provider_typ", "provider_type"),
        ("provider_path", "provider.path"),
        ("interval_colum", "interval.column"),
        ("sizebytes", "size_bytes"),
        ("WRITE_MODES", "write_mode"),
    ],
)
def test_a_misspelt_tag_of_an_entity_is_refused_with_what_was_meant(tag: str, meant: str) -> None:
    assert f"Did you mean {meant!r}?" in (problem("entity", tag) or "")


@pytest.mark.parametrize("kind", ["pipe", "entity"])
@pytest.mark.parametrize(
    "tag",
    [
        *("layer", "layers", "tier", "domain", "source", "team.owner", "mode", "type", "format"),
        *("priority_class", "priorities", "owner", "owners", "priority", "data.quality", "pool"),
        *("internal.cost", "retention.days", "sla.minutes", "x.retry.atempts", "x.scd.type"),
        *("retro.fit", "sold.by", "path", "steam.x", "Größe", "", "."),
    ],
)
def test_tags_of_one_s_own_are_free(kind: str, tag: str) -> None:
    assert problem(kind, tag) is None


@pytest.mark.parametrize(
    ("tag", "known"),
    [
        ("quality.tier", "quality.on_violation, quality.examples"),
        ("retry.x", "retry.attempts, retry.interval_seconds"),
        ("RETRY.x", "retry.attempts, retry.interval_seconds"),
        ("sql.engine", "sql.check"),
    ],
)
def test_the_namespaces_of_the_package_are_its_own(tag: str, known: str) -> None:
    assert problem("pipe", tag) == (
        f"unknown tag {tag!r}. Known tags: {known}.\n"
        f"  Fix: correct it, or name it 'x.{tag}' if it is a custom tag."
    )


def test_options_of_readers_have_any_name_but_they_have_one() -> None:
    assert problem("pipe", "stream.option.maxFilesPerTrigger") is None
    assert "stream.option.NAME" in (problem("pipe", "stream.option.") or "")


def test_a_tag_on_the_wrong_side_has_no_effect() -> None:
    assert problem("pipe", "write_mode") == (
        "tag 'write_mode' is for entities and has no effect here\n"
        "  Fix: set it on the entity that the pipe reads or writes."
    )
    assert problem("pipe", "provider.option.sep") is not None
    assert problem("entity", "duration_hint") == (
        "tag 'duration_hint' is for pipes and has no effect here\n  Fix: set it on the pipe."
    )


@pytest.mark.parametrize("tag", ["scd.type", "SCD.Type", "scd_type", "scd"])
@pytest.mark.parametrize("kind", ["pipe", "entity"])
def test_a_framework_s_history_of_rows_is_refused_with_what_there_is(kind: str, tag: str) -> None:
    text = problem(kind, tag) or ""
    assert text.startswith(f"unknown tag {tag!r}, which has no effect\n  Fix: tables keep no")
    assert "write_mode: merge" in text
    assert ("at the entity that the pipe writes" in text) is (kind == "pipe")


@pytest.mark.parametrize("tag", ["write.mode", "write.partitions", "write-mode", "writeMode"])
def test_a_framework_s_way_of_writing_is_refused_with_ours(tag: str) -> None:
    assert "set write_mode: overwrite, overwrite_interval, append" in (problem("entity", tag) or "")


def test_words_of_other_places_are_refused_with_the_place() -> None:
    assert "set retry.attempts" in (problem("pipe", "retries") or "")
    assert "set timeout_seconds" in (problem("pipe", "execution_timeout") or "")
    assert "as an argument" in (problem("pipe", "use_watermark") or "")
    assert "as an argument" in (problem("entity", "merge_columns") or "")


def test_a_provider_of_one_s_own_may_read_any_tag() -> None:
    tags = {"provider_type": "shop.providers:Avro", "provider_ur": 1, "provider.anything": 2}
    assert entity_tag_problems(EntityMetadata("a", tags=tags)) == []
    assert list(unknown_tag_problems("entity", {"size_byte": 1}, custom_provider=True)) != []


def test_a_provider_s_unknown_tag_may_have_been_meant_for_another_one() -> None:
    found = entity_tag_problems(EntityMetadata("a", tags={"provider.typ": "csv"}))
    assert "\n".join(found) == (
        "entity 'a': provider_type 'parquet' has no tag 'provider.typ'. "
        "Did you mean 'provider_type'?\n"
        "  Fix: use one of provider.extra_columns, provider.grace_period, "
        "provider.path, provider.option.NAME."
    )


def test_all_wrong_words_of_a_plan_are_named_at_once() -> None:
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    for n in range(2):
        tags = {"duration_hnt": n, "layer": "gold", "retry.atempts": 1}
        pipes.register_pipe(f"p{n}", output_entity_id=f"e{n}", tags=tags)
        entities.register_entity(f"e{n}", tags={"provider_typ": "csv"})
    with pytest.raises(DeclarationError) as raised:
        check_entities(pipes, entities)
    assert [text.split(". ")[0] for text in raised.value.problems] == [
        *(f"entity 'e{n}': unknown tag 'provider_typ'" for n in range(2)),
        *(
            f"pipe 'p{n}': unknown tag {tag!r}"
            for n in range(2)
            for tag in ("duration_hnt", "retry.atempts")
        ),
    ]


def test_known_tags_have_nothing_wrong_with_them() -> None:
    for kind in ("entity", "pipe"):
        tags = {tag.name for tag in REGISTRY if tag.of == kind and not tag.name.endswith(".")}
        assert list(unknown_tag_problems(kind, dict.fromkeys(tags))) == []  # type: ignore[arg-type]


def test_a_hundred_thousand_pipes_cost_one_look_at_each_word() -> None:
    began = time.process_time()
    for n in range(100_000):
        assert (
            list(unknown_tag_problems("pipe", {"layer": n, "team.x": n, "duration_hint": n})) == []
        )
    assert time.process_time() - began < 5  # 0.2 s; a comparison for each would take minutes


def test_the_registry_holds_what_storage_types_and_tasks_read() -> None:
    names = {row.name for row in REGISTRY if row.of == "entity"}
    for kind, row in STORAGE_TYPES.items():
        assert set(row.tags) <= names
        for tag in row.tags:
            types = tag_row("entity", tag, kind).types
            assert not types or kind in types, (kind, tag)
    assert set(TASK_TAGS) == set(TAGS)


def test_each_tag_has_one_row_for_each_storage_type() -> None:
    keys = [(row.of, row.name, kind) for row in REGISTRY for kind in (row.types or ("",))]
    assert len(set(keys)) == len(keys)


def test_a_tag_s_name_is_written_once() -> None:
    """Modules import the names; only texts and examples in docstrings repeat them."""
    dotted = {row.name for row in REGISTRY if "." in row.name}
    homes = {"names.py", "expectations.py", "sql_inputs.py", "warm_up.py"}  # which declares a pipe
    again = [
        f"{path.relative_to(PACKAGE)}: {node.value}"
        for path in PACKAGE.rglob("*.py")
        if path.name not in homes
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in dotted
    ]
    assert again == []


def test_every_name_of_a_tag_has_a_row() -> None:
    known = {row.name for row in REGISTRY}
    constants = {value for key, value in vars(names).items() if key.endswith(("_TAG", "_TAGS"))}
    assert constants | {CHECK_TAG, ON_VIOLATION_TAG, EXAMPLES_TAG} == known


def test_the_page_documents_each_tag_of_the_table() -> None:
    page = TAGS_PAGE.read_text("utf-8") + (TAGS_PAGE.parent / "how-to" / "kafka.md").read_text(
        "utf-8"
    )
    documented = set(re.findall(r"`([\w.]+)`", page))
    assert {tag.text() for tag in REGISTRY} <= documented
