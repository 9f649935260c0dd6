"""What is wrong with the entities of a plan, as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.plan_checks import check_entities, connections_of, memory_problems


def pipe(output: str, *inputs: str) -> PipeMetadata:
    pipes = DataPipesRegistry()
    pipes.register_pipe(f"make {output}", input_entity_ids=list(inputs), output_entity_id=output)
    found = pipes.get_pipe_definition(f"make {output}")
    assert found is not None
    return found


def entities(**tags: dict[str, Any]) -> DataEntityRegistry:
    registry = DataEntityRegistry()
    for name, said in tags.items():
        registry.register_entity(name, tags=said)
    return registry


def problems(pipes: list[PipeMetadata], registry: DataEntityRegistry) -> tuple[str, ...]:
    with pytest.raises(DeclarationError) as raised:
        check_entities(pipes, registry)
    return raised.value.problems


def test_a_sound_plan() -> None:
    registry = entities(
        raw={"provider_type": "csv"},
        db={"provider_type": "jdbc", "provider.connection": "c", "provider.table": "raw"},
        clean={"provider.path": "x/clean"},
        dirty={"provider.path": "/x/clean"},
    )
    check_entities([pipe("clean", "raw", "db"), pipe("dirty", "clean"), pipe("new")], registry)


def test_every_wrong_entity_that_a_pipe_touches_is_named_once() -> None:
    wrong = {"provider_type": "parkett"}
    registry = entities(a=wrong, b=wrong, c=wrong, not_touched=wrong)
    said = problems([pipe("b", "a"), pipe("c", "a", "b")], registry)
    assert [problem.split(":")[0] for problem in said] == ["entity 'a'", "entity 'b'", "entity 'c'"]


@pytest.mark.parametrize("kind", ["csv", "json", "jdbc"])
def test_a_source_cannot_be_written(kind: str) -> None:
    tags = {"provider_type": kind}
    if kind == "jdbc":
        tags |= {"provider.connection": "c", "provider.table": "t"}
    assert problems([pipe("out")], entities(out=tags)) == (
        (
            f"pipe 'make out' writes entity 'out', but {kind} entities are sources\n"
            "  Fix: let it write a parquet entity (provider_type: parquet, the default)."
        ),
    )


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ({"provider.path": "b"}, None, "folder 'b'"),
        ({"provider.path": "x//y"}, {"provider.path": "./x/y/"}, "folder './x/y/'"),
        ({"provider.path": "s3a://l/x"}, {"provider.path": "s3a://l/x/"}, "folder 's3a://l/x/'"),
        (
            {"provider_type": "table", "provider.table": "db.T"},
            {"provider_type": "table", "provider.table": ["DB", "t"]},
            "table 'DB.t'",
        ),
        ({"provider_type": "table", "provider.path": "b"}, None, "folder 'b'"),
        ({"provider_type": "delta", "provider.path": "b"}, None, "folder 'b'"),
        (
            {"provider_type": "iceberg", "provider.table": "lake.db.T"},
            {"provider_type": "iceberg", "provider.table": ["lake", "DB", "t"]},
            "table 'lake.DB.t'",
        ),
    ],
)
def test_two_outputs_in_one_place_would_overwrite_each_other(
    one: dict[str, Any], other: dict[str, Any] | None, place: str
) -> None:
    registry = entities(a=one, **({} if other is None else {"b": other}))
    assert problems([pipe("a"), pipe("b")], registry) == (
        (
            f"entities 'a' and 'b' are both written to the {place}\n"
            "  Fix: give one of them another provider.path or provider.table."
        ),
    )


def test_memory_does_not_reach_from_task_to_task() -> None:
    registry = entities(kept={"provider_type": "memory"}, stored={})
    remedy = (
        ", whose provider_type 'memory' is bound to one Spark session: every task has its own "
        "session, which ends with it\n"
        "  Fix: store the entity (provider_type: parquet, the default), or run the plan on one "
        "session with 'kindling-airflow run'."
    )
    pipes = [pipe("kept", "stored", "unheard"), pipe("out", "stored", "kept"), pipe("stored")]
    assert memory_problems(pipes, registry) == [
        f"pipe 'make kept' writes entity 'kept'{remedy}",
        f"pipe 'make out' reads entity 'kept'{remedy}",
    ]
    check_entities(pipes, registry)


def test_connections_are_those_of_inputs_and_output() -> None:
    registry = entities(
        a={"provider.connection": "shop"},
        b={"provider.connection": "crm"},
        c={"provider.connection": "shop"},
        d={"provider.connection": "elsewhere"},
    )
    assert connections_of(pipe("c", "a", "b", "unheard"), registry) == ("crm", "shop")
    assert connections_of(pipe("out"), registry) == ()
    assert connections_of(None, registry) == ()


@pytest.mark.parametrize("memory", [False, True])
def test_a_definition_is_checked_when_it_is_compiled(tmp_path: Path, memory: bool) -> None:
    from kindling_airflow.definitions.compile import compile_definition, plan_definition
    from kindling_airflow.definitions.definition import Definition
    from kindling_airflow.errors import DefinitionError

    tags = {"provider_type": "memory"} if memory else {"provider_typ": "x", "provider.pth": "x"}
    (tmp_path / "declared.py").write_text(
        "from kindling_airflow import DataEntities, DataPipes\n"
        f"DataEntities.entity(entityid='out', tags={tags!r})\n"
        "@DataPipes.pipe(pipeid='p', input_entity_ids=[], output_entity_id='out')\n"
        "def make():\n    ...\n"
    )
    file = tmp_path / "shop.kindling.yaml"
    file.write_text("dag_id: shop\nproject: {path: .}\n")
    definition = Definition.from_file(file)
    if memory:
        plan_definition(definition)  # which one session can run
    with pytest.raises(DefinitionError) as raised:
        compile_definition(definition)
    what = (
        "pipe 'p' writes entity 'out', whose provider_type 'memory'"
        if memory
        else ("entity 'out': provider_type 'parquet' has no tag 'provider.pth'")
    )
    assert what in str(raised.value)
