"""Which pipes of a project become the DAG, and what the deployment's settings make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError
from tests.dag_factory.projects import document, imports_of, write_project


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop", "[raw] -> a -> b -> c, a -> d")
    return tmp_path


def define(base: Path, **keys: Any) -> Definition:
    return Definition.from_document(document(**keys), base=base, source="here")


def refusal(base: Path, **keys: Any) -> str:
    with pytest.raises(DefinitionError) as refused:
        compile_definition(define(base, **keys))
    return str(refused.value)


class TestSelection:
    @pytest.mark.parametrize(
        ("keys", "chosen"),
        [
            ({"select": "+b"}, ("a", "b")),
            ({"select": ["d", "c"]}, ("c", "d")),
            ({"exclude": "c d"}, ("a", "b")),
            ({"select": "a+", "exclude": ["d"]}, ("a", "b", "c")),
            ({"pipes": ["d", "a", "b"], "select": "a+"}, ("d", "a", "b")),
        ],
    )
    def test_only_what_is_selected_is_planned(
        self, base: Path, keys: dict[str, Any], chosen: tuple[str, ...]
    ) -> None:
        assert compile_definition(define(base, **keys)).plan.pipe_ids == chosen

    def test_what_selects_nothing_is_an_error_with_the_definitions_name(self, base: Path) -> None:
        text = refusal(base, select="bb", exclude="tag:x")
        assert text.startswith("2 problems in the definition:\n1. here: ")
        assert "'bb'" in text
        assert "'x'" in text


class TestSettings:
    def test_layers_lie_over_the_declarations_in_their_order(self, base: Path) -> None:
        own = "pipes: {'**': {tags: {layer: own, only: own}}}\n"
        (base / "shop" / "kindling.settings.yaml").write_text(own)
        (base / "one.yaml").write_text("pipes: {a: {tags: {layer: one, duration_hint: 7}}}\n")
        (base / "two.yaml").write_text("entities: {raw: {tags: {provider_type: csv}}}\n")
        compiled = compile_definition(define(base, settings=["one.yaml", "two.yaml"]))
        nodes = compiled.plan.graph.nodes
        assert nodes["a"].tags == {"layer": "one", "only": "own", "duration_hint": 7}
        assert nodes["b"].tags == {"layer": "own", "only": "own"}
        assert compiled.plan.graph.entity_tags == {"raw": {"provider_type": "csv"}}
        weights = {task.pipe_id: task.priority_weight for task in compiled.spec.tasks()}
        assert weights == {"a": 9, "b": 2, "c": 1, "d": 1}
        assert compiled.base.pipes.get_pipe_definition("a") != nodes["a"].metadata

    def test_driver_gets_what_differs_for_its_pipe(self, base: Path) -> None:
        (base / "one.yaml").write_text("entities: {a.out: {schema: 'id INT'}}\n")
        dag = build_dag(compile_definition(define(base, settings="one.yaml")))
        settings = {task_id: task._settings for task_id, task in dag.task_dict.items()}
        touching = {"entities": {"a.out": {"schema": "id INT"}}}
        assert settings == {"a": touching, "b": touching, "c": {}, "d": touching}

    def test_wrong_files_are_all_reported(self, base: Path) -> None:
        (base / "empty.yaml").write_text("")
        (base / "form.yaml").write_text("pipe: {}\npipes: {a: {x: 1}}\n")
        (base / "twice.yaml").write_text("pipes: {}\npipes: {}\n")
        names = ["empty.yaml", "form.yaml", "missing.yaml", "twice.yaml"]
        assert refusal(base, settings=names) == (
            "5 problems in the definition:\n"
            "1. here: empty.yaml: a file of settings is a mapping of keys, and this file is empty\n"
            "  Fix: start with 'pipes:' or 'entities:'.\n"
            "2. here: form.yaml: pipes: 'a': unknown setting 'x'. Known: name, tags, output_type, "
            "use_watermark, driving_entity_ids.\n"
            "3. here: form.yaml: unknown section 'pipe'. Did you mean 'pipes'?\n"
            "4. here: missing.yaml: cannot be read: No such file or directory\n"
            "  Fix: correct the path or its rights.\n"
            "5. here: twice.yaml:2: pipes: duplicate key, first set in line 1\n"
            "  Fix: keep one of them."
        )

    def test_setting_what_is_not_there_is_an_error(self, base: Path) -> None:
        (base / "one.yaml").write_text("pipes: {aa: {}}\n")
        assert refusal(base, settings="one.yaml") == (
            "here: one.yaml: 'aa' matches no pipe. Did you mean 'a'?\n"
            "  Fix: correct the pattern, or remove the entry."
        )

    def test_settings_do_not_make_a_manifest_stale(self, base: Path) -> None:
        definition = define(base)
        compiled = compile_definition(definition)
        compiled.base.write(base / "shop.json")
        (base / "one.yaml").write_text("pipes: {a: {tags: {x: 1}}}\n")
        imports = len(imports_of(base / "shop"))
        again = compile_definition(define(base, manifest="shop.json", settings="one.yaml"))
        assert again.plan.graph.nodes["a"].tags == {"x": 1}
        assert len(imports_of(base / "shop")) == imports
