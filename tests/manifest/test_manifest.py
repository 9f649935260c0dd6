"""Manifests: what is in them, that they come back from disk as they were, and what is refused."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.immutable import digest_of
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import ManifestError
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest import FunctionRef, Manifest
from tests.strategies import acyclic_pipes, json_tags, pipe_ids


def clean(bronze_orders: object) -> object:
    return bronze_orders


def manifest() -> Manifest:
    """Return a manifest in which every field says something."""
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    entities.register_entity(
        "bronze.orders",
        name="Orders",
        merge_columns=["id"],
        tags={"provider_type": "csv", "options": ["x", {"deep": None}]},
        schema="id BIGINT",
        partition_columns=["day"],
        cluster_columns=["region"],
    )
    pipes.register_pipe(
        "silver.orders",
        execute=clean,
        name="Clean orders",
        tags={"layer": "silver", "duration_hint": 1.5},
        input_entity_ids=["bronze.orders"],
        output_entity_id="silver.orders",
        output_type="parquet",
        use_watermark=True,
        driving_entity_ids=["bronze.orders"],
    )
    return Manifest.from_registries(
        pipes, entities, modules=["shop.silver"], sources={"shop/silver.py": "ab" * 32}
    )


DOCUMENT: dict[str, Any] = {
    "schema_version": 1,
    "digest": "sha256:2a4ae5e5",
    "modules": ["shop.silver"],
    "sources": {"shop/silver.py": "ab" * 32},
    "entities": [
        {
            "entityid": "bronze.orders",
            "name": "Orders",
            "merge_columns": ["id"],
            "tags": {"provider_type": "csv", "options": ["x", {"deep": None}]},
            "schema": "id BIGINT",
            "partition_columns": ["day"],
            "cluster_columns": ["region"],
        }
    ],
    "pipes": [
        {
            "pipeid": "silver.orders",
            "name": "Clean orders",
            "tags": {"layer": "silver", "duration_hint": 1.5},
            "input_entity_ids": ["bronze.orders"],
            "output_entity_id": "silver.orders",
            "output_type": "parquet",
            "use_watermark": True,
            "driving_entity_ids": ["bronze.orders"],
            "function": {"module": __name__, "qualname": "clean"},
        }
    ],
}


class TestContent:
    def test_document_names_everything_and_holds_no_code(self) -> None:
        document = manifest().to_json()
        assert document == {**DOCUMENT, "digest": manifest().digest}
        assert json.loads(manifest().dumps()) == document

    def test_manifest_is_a_source_of_pipes_without_their_functions(self) -> None:
        made = manifest()
        pipe = made.get_pipe_definition("silver.orders")
        assert pipe is not None
        assert pipe.execute is None
        assert made.functions == {"silver.orders": FunctionRef(__name__, "clean")}
        assert made.get_pipe_ids() == ["silver.orders"]
        assert made.get_pipe_definition("x") is None
        assert ExecutionPlanGenerator(made).generate_batch_plan().pipe_ids == ("silver.orders",)

    def test_manifest_does_not_share_the_registries_it_was_made_from(self) -> None:
        pipes, entities = DataPipesRegistry(), DataEntityRegistry()
        made = Manifest.from_registries(pipes, entities)
        pipes.register_pipe("p", output_entity_id="o")
        entities.register_entity("e")
        assert (len(made.pipes), len(made.entities)) == (0, 0)

    def test_equality_is_that_of_the_content(self) -> None:
        assert manifest() == manifest()
        assert hash(manifest()) == hash(manifest())
        assert manifest() != Manifest(manifest().pipes, manifest().entities)
        assert manifest() != DOCUMENT

    @pytest.mark.parametrize("other", [True, 1.0])
    def test_manifests_that_python_takes_for_equal_and_json_does_not_are_not_equal(
        self, other: object
    ) -> None:
        pipe = {"pipeid": "a", "output_entity_id": "b"}
        first, again, second = (
            Manifest.from_json({"schema_version": 1, "pipes": [{**pipe, "tags": {"x": value}}]})
            for value in (1, 1, other)
        )
        assert first == again
        assert first != second
        assert len({first, again, second}) == 2

    def test_digest_notices_every_field(self) -> None:
        digests = {digest_of(_content(DOCUMENT))}
        changes = list(_changes(_content(DOCUMENT)))
        assert len(changes) > 20
        for changed in changes:
            digests.add(Manifest.from_json({"schema_version": 1, **changed}).digest)
        assert len(digests) == len(changes) + 1

    def test_functions_that_cannot_be_found_by_name_are_all_refused(self) -> None:
        def local() -> None: ...

        pipes = DataPipesRegistry()
        pipes.register_pipe("a", execute=lambda: None, output_entity_id="a.out")
        pipes.register_pipe("b", execute=local, output_entity_id="b.out")
        pipes.register_pipe("c", execute=functools.partial(int), output_entity_id="c.out")
        pipes.register_pipe(
            "d", execute=clean, input_entity_ids=["bronze.orders"], output_entity_id="d"
        )
        with pytest.raises(ManifestError) as refused:
            Manifest.from_registries(pipes, DataEntityRegistry())
        here = "TestContent.test_functions_that_cannot_be_found_by_name_are_all_refused.<locals>"
        lines = ["3 problems in the manifest:"]
        for n, (pipe_id, shown) in enumerate(
            [("a", f"{here}.<lambda>"), ("b", f"{here}.local"), ("c", "int.<partial>")], 1
        ):
            what = "cannot be imported by name, and the manifest names no modules whose import"
            fix = "name the modules that declare it, or declare a function at the top level of a"
            lines.append(f"{n}. pipe {pipe_id!r}: its function {shown!r} {what} declares it")
            lines.append(f"  Fix: {fix} module.")
        assert str(refused.value) == "\n".join(lines)


def _content(document: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k not in ("schema_version", "digest")}


def _changes(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the content with one leaf after the other changed to another legal value."""
    for path in _leaves(content, ()):
        changed = copy.deepcopy(content)
        parent: Any = changed
        for step in path[:-1]:
            parent = parent[step]
        old = parent[path[-1]]
        parent[path[-1]] = {str: f"{old}x", bool: False, float: 2.5, type(None): 1}[type(old)]
        pipe = changed["pipes"][0]
        if pipe["driving_entity_ids"] == ["bronze.orders"]:  # must stay an input
            pipe["driving_entity_ids"] = pipe["input_entity_ids"]
        elif pipe["input_entity_ids"] == ["bronze.orders"]:
            pipe["driving_entity_ids"] = []
        yield changed


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    else:
        yield path
        return
    for key, child in children:
        yield from _leaves(child, (*path, key))


class TestFiles:
    def test_manifest_comes_back_from_disk_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "shop.manifest.json"
        manifest().write(path)
        restored = Manifest.read(path)
        assert restored == manifest()
        assert restored.dumps() == manifest().dumps() == path.read_text("utf-8")
        assert [p.name for p in tmp_path.iterdir()] == ["shop.manifest.json"]

    def test_written_file_is_ascii_and_ends_with_a_line_end(self, tmp_path: Path) -> None:
        pipes = DataPipesRegistry()
        pipes.register_pipe("größe", output_entity_id="m²")
        Manifest.from_registries(pipes, DataEntityRegistry()).write(tmp_path / "m.json")
        written = (tmp_path / "m.json").read_bytes()
        assert written.isascii()
        assert written.endswith(b"}\n")
        assert Manifest.read(tmp_path / "m.json").get_pipe_ids() == ["größe"]

    def test_older_file_stays_whole_when_the_new_one_cannot_take_its_place(
        self, tmp_path: Path
    ) -> None:
        blocked = tmp_path / "m.json"
        (blocked / "something inside").mkdir(parents=True)
        with pytest.raises(ManifestError) as refused:
            manifest().write(blocked)
        assert str(refused.value) == (f"cannot write the manifest '{blocked}': Is a directory")
        assert [p.name for p in tmp_path.iterdir()] == ["m.json"]

    def test_folder_that_does_not_exist_is_an_error_that_leaves_nothing(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "missing" / "m.json"
        with pytest.raises(ManifestError) as refused:
            manifest().write(path)
        assert str(refused.value) == (
            f"cannot write the manifest '{path}': No such file or directory"
        )
        assert list(tmp_path.iterdir()) == []

    def test_manifest_that_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        with pytest.raises(ManifestError) as refused:
            Manifest.read(path)
        assert str(refused.value) == (
            f"cannot read the manifest '{path}': No such file or directory"
        )

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "Expecting value: line 1 column 1 (char 0)"),
            (b'{"schema_version": 1', "Expecting ',' delimiter: line 1 column 21 (char 20)"),
            (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ],
        ids=["empty", "cut off", "no text"],
    )
    def test_file_that_is_no_json_is_named(self, tmp_path: Path, content: bytes, why: str) -> None:
        path = tmp_path / "m.json"
        path.write_bytes(content)
        with pytest.raises(ManifestError) as refused:
            Manifest.read(path)
        assert str(refused.value) == f"the manifest '{path}' is not a JSON document: {why}"

    def test_json_that_is_nested_too_deeply_is_no_crash(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        path.write_text("[" * 200_000 + "]" * 200_000)
        with pytest.raises(ManifestError) as refused:
            Manifest.read(path)
        assert str(refused.value) == (
            f"the manifest '{path}': lists and mappings are nested too deep; tags and metadata "
            "may be 100 deep\n  Fix: flatten it."
        )

    def test_problems_of_a_file_name_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        path.write_text('{"schema_version": 1, "pipes": [1, {}]}')
        with pytest.raises(ManifestError) as refused:
            Manifest.read(path)
        assert str(refused.value) == (
            "2 problems in the manifest:\n"
            f"1. '{path}': pipes[0] must be an object\n"
            f"2. '{path}': pipes[1]: pipeid must be a string, not None"
        )


def _refusal(document: object) -> str:
    with pytest.raises(ManifestError) as refused:
        Manifest.from_json(document)
    return str(refused.value)


class TestBadInput:
    @pytest.mark.parametrize(
        ("document", "name"), [([], "list"), (None, "NoneType"), ("{}", "str")]
    )
    def test_what_is_no_object(self, document: object, name: str) -> None:
        assert _refusal(document) == f"a manifest is a JSON object, not {name}"

    @pytest.mark.parametrize("version", [None, 0, 2, "1", 1.0, True])
    def test_unknown_schema_version(self, version: object) -> None:
        assert _refusal({**DOCUMENT, "schema_version": version}) == (
            f"manifest schema version {version!r} is unknown; this release reads version 1\n"
            "  Fix: compile the manifest again."
        )

    def test_changed_content_does_not_fit_the_digest(self) -> None:
        document = manifest().to_json()
        document["pipes"][0]["name"] = "changed"
        found = digest_of(_content(document))
        assert _refusal(document) == (
            f"the manifest's digest is {manifest().digest}, its content has {found}: "
            "it was edited by hand\n"
            "  Fix: compile the manifest again."
        )

    def test_manifest_written_by_hand_may_do_without_a_digest(self) -> None:
        assert Manifest.from_json({"schema_version": 1, **_content(DOCUMENT)}) == manifest()
        least = {"schema_version": 1, "pipes": [{"pipeid": "a", "output_entity_id": "b"}]}
        assert Manifest.from_json(least).get_pipe_ids() == ["a"]

    def test_fields_of_a_newer_release_are_ignored_but_covered_by_the_digest(self) -> None:
        content = _content(copy.deepcopy(DOCUMENT))
        content["new"] = {"x": 1}
        content["pipes"][0]["new"] = [1]
        content["entities"][0]["new"] = "x"
        document = {"schema_version": 1, "digest": digest_of(content), **content}
        assert Manifest.from_json(document) == manifest()
        content["new"]["x"] = 2
        assert "it was edited by hand" in _refusal(document)

    def test_content_that_json_cannot_express(self) -> None:
        document = {"schema_version": 1, **_content(DOCUMENT), "new": object()}
        assert _refusal(document) == (
            "the manifest contains values that JSON cannot express: "
            "Object of type object is not JSON serializable"
        )

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda d: d.pop("pipes"), "pipes is missing"),
            (lambda d: d.update(pipes={}), "pipes must be a list"),
            (lambda d: d.update(entities="x"), "entities must be a list"),
            (lambda d: d.update(entities=[None]), "entities[0] must be an object"),
            (lambda d: d.update(modules="shop"), "modules must be a list of module names"),
            (lambda d: d.update(modules=[1]), "modules must be a list of module names"),
            (lambda d: d.update(sources=[]), "sources must be an object from file to SHA-256"),
            (
                lambda d: d.update(sources={"f": 1}),
                "sources must be an object from file to SHA-256",
            ),
        ],
    )
    def test_wrong_field_of_the_document(
        self, change: Callable[[dict[str, Any]], object], problem: str
    ) -> None:
        document = copy.deepcopy(DOCUMENT)
        change(document)
        assert _refusal(document) == problem

    @pytest.mark.parametrize(
        ("field", "value", "problem"),
        [
            ("entityid", None, "entityid must be a string, not None"),
            ("entityid", ["x"], "entityid must be a string, not ['x']"),
            ("entityid", "", "entityid must be a non-empty string without surrounding spaces: ''"),
            ("name", 1, "entity 'bronze.orders': name must be a string, not int: 1"),
            (
                "merge_columns",
                "id",
                (
                    "entity 'bronze.orders': merge_columns is the string 'id' where a list is "
                    "expected"
                    "\n  Fix: write ['id']"
                ),
            ),
            (
                "partition_columns",
                None,
                (
                    "entity 'bronze.orders': partition_columns must be a list of ids, "
                    "not NoneType: None"
                ),
            ),
            (
                "cluster_columns",
                [1],
                "entity 'bronze.orders': cluster_columns[0] must be a string, not int: 1",
            ),
            ("tags", [], "entity 'bronze.orders': tags must be a mapping, not list: []"),
            ("schema", {}, "entity 'bronze.orders': schema must be a string, not dict: {}"),
        ],
    )
    def test_wrong_field_of_an_entity(self, field: str, value: object, problem: str) -> None:
        document = copy.deepcopy(DOCUMENT)
        document["entities"][0][field] = value
        assert _refusal(document) == f"entities[0]: {problem}"

    @pytest.mark.parametrize(
        ("field", "value", "problem"),
        [
            ("pipeid", 1, "pipeid must be a string, not 1"),
            ("pipeid", " x", "pipeid must be a non-empty string without surrounding spaces: ' x'"),
            ("name", [], "pipe 'silver.orders': name must be a string, not list: []"),
            ("tags", "t", "pipe 'silver.orders': tags must be a mapping, not str: 't'"),
            (
                "input_entity_ids",
                "bronze.orders",
                (
                    "pipe 'silver.orders': input_entity_ids is the string 'bronze.orders' "
                    "where a list is expected\n  Fix: write ['bronze.orders']"
                ),
            ),
            (
                "output_entity_id",
                None,
                "pipe 'silver.orders': output_entity_id must be a string, not NoneType: None",
            ),
            ("output_type", 1, "pipe 'silver.orders': output_type must be a string, not int: 1"),
            (
                "use_watermark",
                "false",
                "pipe 'silver.orders': use_watermark must be True or False, not 'false'",
            ),
            (
                "driving_entity_ids",
                ["x"],
                "pipe 'silver.orders': driving entity 'x' is not among its inputs",
            ),
            ("function", "shop.clean", "function must be an object with module and qualname"),
            ("function", {"module": "shop"}, "function must be an object with module and qualname"),
            (
                "function",
                {"module": "shop", "qualname": 1},
                "function must be an object with module and qualname",
            ),
        ],
    )
    def test_wrong_field_of_a_pipe(self, field: str, value: object, problem: str) -> None:
        document = copy.deepcopy(DOCUMENT)
        document["pipes"][0][field] = value
        assert _refusal(document) == f"pipes[0]: {problem}"

    def test_missing_output_of_a_pipe(self) -> None:
        document = {"schema_version": 1, "pipes": [{"pipeid": "a"}]}
        assert _refusal(document) == (
            "pipes[0]: pipe 'a': output_entity_id must be a non-empty string "
            "without surrounding spaces: ''"
        )

    def test_ids_that_are_taken(self) -> None:
        document = copy.deepcopy(DOCUMENT)
        document["pipes"] *= 2
        document["entities"] *= 2
        assert _refusal(document) == (
            "2 problems in the manifest:\n"
            "1. entities[1]: entityid 'bronze.orders' is taken by entities[0]\n"
            "2. pipes[1]: pipeid 'silver.orders' is taken by pipes[0]"
        )

    def test_all_problems_are_reported_at_once(self) -> None:
        document = {
            "schema_version": 1,
            "modules": None,
            "sources": None,
            "entities": [{}],
            "pipes": [{"pipeid": "a", "function": 1}],
        }
        assert _refusal(document) == (
            "5 problems in the manifest:\n"
            "1. entities[0]: entityid must be a string, not None\n"
            "2. modules must be a list of module names\n"
            "3. pipes[0]: function must be an object with module and qualname\n"
            "4. pipes[0]: pipe 'a': output_entity_id must be a non-empty string "
            "without surrounding spaces: ''\n"
            "5. sources must be an object from file to SHA-256"
        )


@given(acyclic_pipes(pipe_ids()), json_tags())
def test_any_manifest_survives_json(registry: DataPipesRegistry, tags: dict[str, Any]) -> None:
    entities = DataEntityRegistry()
    entities.register_entity("tagged", tags=tags)
    made = Manifest.from_registries(registry, entities)
    restored = Manifest.from_json(json.loads(made.dumps()))
    assert restored.dumps() == made.dumps()
    assert restored == made
    assert restored.digest == made.digest


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["pipeid", "entityid", "tags", "name", "function", "output_entity_id"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["pipes", "entities", "modules", "sources", "digest"]),
)
def test_nothing_but_a_manifest_error_ever_comes_out(value: Any, field: str) -> None:
    document = {"schema_version": 1, "pipes": [], field: value}
    with suppress(ManifestError):  # nothing else may come out
        made = Manifest.from_json(document)
        assert Manifest.from_json(json.loads(made.dumps())) == made
