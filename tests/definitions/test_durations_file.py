"""A definition takes priorities from the file that ``airflow kindling durations`` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.definitions.durations_file import read_durations
from kindling_airflow.errors import DefinitionError, SourceError
from tests.dag_factory.projects import compiled

FIX = "  Fix: write it with 'airflow kindling durations DAG_ID -o FILE'."


def weights(folder: Path, text: str) -> dict[str, int]:
    (folder / "durations.json").write_text(text)
    spec = compiled(folder, "a -> c, b -> c", durations="durations.json").spec
    return {task.pipe_id: task.priority_weight for task in spec.tasks()}


def test_the_longest_way_by_usual_durations_starts_first(tmp_path: Path) -> None:
    assert weights(tmp_path, '{"a": 1.2, "b": 40, "c": 3, "elsewhere": 9}') == {
        "a": 5,
        "b": 43,
        "c": 3,
    }


def test_pipes_that_the_file_does_not_name_keep_what_they_had(tmp_path: Path) -> None:
    assert weights(tmp_path, '{"b": 40}') == {"a": 2, "b": 41, "c": 1}


def test_a_file_that_is_not_there_is_a_problem_of_the_definition(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        compiled(tmp_path, "a -> b", durations="gone.json")
    place = str(tmp_path / "gone.json")
    assert f"durations: file not found: {place!r}\n{FIX}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1]", "must be a JSON object of pipe ids and seconds"),
        ("{", "invalid JSON: Expecting property name"),
        ('{"a": 0}', "pipe 'a': must be a positive number of seconds, not 0"),
        ('{"a": "1"}', "pipe 'a': must be a positive number of seconds, not '1'"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (file := tmp_path / "durations.json").write_text(text)
    with pytest.raises(SourceError) as caught:
        read_durations(file)
    assert f"durations: {file}: {problem}" in str(caught.value)
    assert str(caught.value).endswith(FIX)
