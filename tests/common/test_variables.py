"""Variables of a shell in texts that no shell reads."""

from __future__ import annotations

import pytest

from kindling_airflow.common.variables import variable_problem
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.plan_checks import check_entities


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$HOME/lake", "$HOME"),
        ("/data/$USER/lake", "$USER"),
        ("s3a://${BUCKET}/lake", "${BUCKET}"),
        ("lake-${ENV}", "${ENV}"),
        ("/a.jar,$JARS", "$JARS"),
        ("~/lake", "~"),
        ("~", "~"),
        ("~anna/lake", "~anna"),
    ],
)
def test_a_variable_is_named(text: str, shown: str) -> None:
    assert variable_problem(text) == (
        f"{text!r} names {shown!r}, and shell variables are not expanded here"
    )


@pytest.mark.parametrize(
    "text", ["/lake", "s3a://lake/_$folder$", "a$b", "/x/~/y", "x~", "$", "/$1", 3, None, "{{ v }}"]
)
def test_other_texts_name_none(text: object) -> None:
    assert variable_problem(text) is None


def test_a_tilde_is_somebody_s_home_in_paths_alone() -> None:
    assert variable_problem("~x", is_path=False) is None


def test_the_places_of_entities_and_checkpoints_hold_none() -> None:
    fix = "  Fix: write the value; what differs between deployments belongs in a settings file."
    (problem,) = entity_tag_problems(EntityMetadata("a", tags={"provider.path": "${LAKE}/a"}))
    assert problem == (
        "entity 'a': tag provider.path: '${LAKE}/a' names '${LAKE}', and shell variables are not "
        f"expanded here\n{fix}"
    )
    pipes = DataPipesRegistry()
    tags = {"processing_mode": "streaming", "stream.checkpoint": "$HOME/c"}
    pipes.register_pipe("p", output_entity_id="o", tags=tags)
    with pytest.raises(DeclarationError) as raised:
        check_entities(pipes, DataEntityRegistry())
    assert str(raised.value) == (
        "pipe 'p': tag stream.checkpoint: '$HOME/c' names '$HOME', and shell variables are not "
        f"expanded here\n{fix}"
    )
