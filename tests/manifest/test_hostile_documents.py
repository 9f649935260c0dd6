"""Documents that are made to hurt: huge, deep, or both. They are refused or read, never a crash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import ManifestError, PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.manifest import Manifest

DEEP = 10_000
HUGE = 100 * 1024 * 1024


@pytest.fixture(autouse=True)
def usual_recursion_limit() -> Iterator[None]:
    """Python's own limit; it says what is too deep, and other tests may have left another one."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(limit)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"x": [value]}
    return value


TOO_DEEP = (
    "lists and mappings are nested too deep; tags and metadata may be 100 deep\n  Fix: flatten it."
)
TAGS_TOO_DEEP = (
    "pipes[0]: pipe 'a': tags['x'][0]['x'][0]['x'][0]['x'][...: lists and mappings are nested "
    "more than 100 deep\n"
    "  Fix: flatten it."
)


@pytest.mark.parametrize("opening", ["[", '{"x":'])
@pytest.mark.parametrize(
    "where", ["{}", '{{"schema_version": 1, "pipes": [{{"pipeid": "a", "tags": {}}}]}}']
)
def test_text_that_is_nested_without_end_is_no_manifest(
    tmp_path: Path, opening: str, where: str
) -> None:
    path = tmp_path / "deep.json"
    closing = {"[": "]", '{"x":': "}"}[opening]
    path.write_text(where.format(opening * DEEP + "1" + closing * DEEP))
    with pytest.raises(ManifestError) as refused:
        Manifest.read(path)
    assert str(refused.value) == f"the manifest {str(path)!r}: {TOO_DEEP}"


def _documents(field: str, depth: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a manifest and a plan of a pipe that has a field nested so deep."""
    pipe = {"pipeid": "a", "output_entity_id": "b", field: _nested(depth)}
    manifest = {"schema_version": 1, "pipes": [pipe]}
    generations = [{"number": 0, "pipe_ids": ["a"], "dependencies": []}]
    content = {"pipe_ids": ["a"], "generations": generations, "edges": [], "metadata": {}}
    return manifest, {**manifest, **content, "strategy": "batch"}


@pytest.mark.parametrize("depth", [900, DEEP])
@pytest.mark.parametrize(
    "field", ["tags", "function", "later", "name", "sql", "use_watermark", "output_entity_id"]
)
def test_document_that_is_nested_without_end_is_refused(field: str, depth: int) -> None:
    """But for a function that is none, of which a manifest says just that."""
    manifest, plan = _documents(field, depth)
    with pytest.raises(ManifestError) as no_manifest:
        Manifest.from_json(manifest)
    with pytest.raises(PlanValidationError) as no_plan:
        ExecutionPlan.from_json(plan)
    expected = {
        "tags": (TAGS_TOO_DEEP, TAGS_TOO_DEEP),
        "function": (
            "pipes[0]: function must be an object with module and qualname",
            f"the plan: {TOO_DEEP}",
        ),
    }
    usual = (f"the manifest: {TOO_DEEP}", f"the plan: {TOO_DEEP}")
    assert (str(no_manifest.value), str(no_plan.value)) == expected.get(field, usual)


@pytest.mark.parametrize("field", ["tags", "later"])
def test_document_that_is_nested_as_deep_as_may_be_is_read(field: str) -> None:
    manifest, plan = _documents(field, 50)  # of two levels each
    for read in (Manifest.from_json(manifest), ExecutionPlan.from_json(plan).graph):
        assert "a" in (read.get_pipe_ids() if isinstance(read, Manifest) else read.nodes)


def test_hundred_megabytes_in_one_value_are_read(tmp_path: Path) -> None:
    path = tmp_path / "wide.json"
    pipe = {"pipeid": "a", "output_entity_id": "b", "tags": {"x": "y" * HUGE}}
    path.write_text(json.dumps({"schema_version": 1, "pipes": [pipe]}))
    found = Manifest.read(path).get_pipe_definition("a")
    assert found is not None
    assert len(found.tags["x"]) == HUGE


@pytest.mark.system  # many seconds, and a gigabyte that a process of its own gives back
def test_hundred_megabytes_of_pipes_become_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    with path.open("w") as file:
        file.write('{"schema_version": 1, "pipes": [\n')
        count = 0
        while file.tell() < HUGE:
            pipe = {
                "pipeid": f"layer_{count % 7}.table_with_a_long_name_{count}",
                "input_entity_ids": [f"layer.entity_with_a_long_name_{count // 2}"],
                "output_entity_id": f"layer.entity_with_a_long_name_{count + 1}",
                "tags": {"layer": f"layer_{count % 7}", "owner": "somebody", "x": "y" * 100},
            }
            file.write(("" if count == 0 else ",\n") + json.dumps(pipe))
            count += 1
        file.write("]}")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from kindling_airflow.execution_strategy import ExecutionPlanGenerator\n"
        "from kindling_airflow.manifest import Manifest\n"
        "manifest = Manifest.read(Path(sys.argv[1]))\n"
        "print(ExecutionPlanGenerator(manifest).generate_batch_plan().total_pipes())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) == count
