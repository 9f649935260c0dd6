"""Declaring entities and pipes: what is kept, what is refused, and with which words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import date
from typing import Any

import pytest
from hypothesis import given

from kindling_airflow.common.immutable import FrozenDict, freeze
from kindling_airflow.data_entities import DataEntities, DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry, PipeMetadata, argument_name
from kindling_airflow.data_pipes.expectations import accepted
from kindling_airflow.errors import DeclarationError
from tests.strategies import pipe_ids

IN_QUOTES = "  Fix: put it in quotes."
AS_TEXT = "  Fix: write it as text, in quotes."


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"x": value}
    return value


def _refusal(declare: Callable[..., object], *args: Any, **declaration: Any) -> str:
    with pytest.raises(DeclarationError) as refused:
        declare(*args, **declaration)
    return str(refused.value)


class TestEntities:
    def test_only_the_id_is_indispensable(self) -> None:
        entity = DataEntities.entity("bronze.orders")
        assert entity == EntityMetadata("bronze.orders", name="bronze.orders")
        assert DataEntities.registry().get_entity_definition("bronze.orders") is entity

    def test_everything_said_is_kept_and_cannot_change(self) -> None:
        columns, tags = ["id"], {"provider_type": "csv", "more": ["x"]}
        entity = DataEntities.entity(
            entityid="orders",
            name="Orders",
            merge_columns=columns,
            tags=tags,
            schema="id BIGINT",
            partition_columns=["day"],
            cluster_columns=("region",),
        )
        columns.append("changed")
        tags["provider_type"] = "changed"
        assert entity.merge_columns == ("id",)
        assert entity.tags == {"provider_type": "csv", "more": ("x",)}
        assert (entity.partition_columns, entity.cluster_columns) == (("day",), ("region",))
        with pytest.raises(FrozenInstanceError):
            entity.name = "changed"  # type: ignore[misc]

    def test_undeclared_entity_is_a_plain_table(self) -> None:
        assert DataEntityRegistry().definition_or_default("x") == EntityMetadata("x", "x")
        assert DataEntityRegistry().get_entity_definition("x") is None

    def test_same_declaration_again_changes_nothing(self) -> None:
        registry = DataEntityRegistry()
        registry.register_entity("a", tags={"x": [1]})
        registry.register_entity("a", tags={"x": [1]})
        assert registry.get_entity_ids() == ["a"]
        assert len(registry) == 1

    def test_second_declaration_that_differs_is_refused(self) -> None:
        registry = DataEntityRegistry()
        registry.register_entity("a")
        assert _refusal(registry.register_entity, "a", name="other") == (
            "entity 'a' is declared twice, differently\n"
            "  Fix: keep one declaration, or give the second entity its own id."
        )

    def test_all_problems_are_reported_at_once(self) -> None:
        refusal = _refusal(
            DataEntities.entity,
            entityid=" a",
            name=1,
            merge_columns="id",
            partition_columns=None,
            cluster_columns=["x", 2, ""],
            tags=["t"],
            schema=["id BIGINT"],
        )
        assert refusal == (
            "8 problems in the declarations:\n"
            "1. entity ' a': cluster_columns[1] must be a string, not int: 2\n"
            "2. entity ' a': cluster_columns[2] must be a non-empty string without surrounding "
            "spaces: ''\n"
            "3. entity ' a': merge_columns is the string 'id' where a list is expected\n"
            "  Fix: write ['id']\n"
            "4. entity ' a': name must be a string, not int: 1\n"
            "5. entity ' a': partition_columns must be a list of ids, not NoneType: None\n"
            "6. entity ' a': schema must be a string, not list: ['id BIGINT']\n"
            "7. entity ' a': tags must be a mapping, not list: ['t']\n"
            "8. entityid must be a non-empty string without surrounding spaces: ' a'"
        )

    @pytest.mark.parametrize(
        ("tags", "why"),
        [
            ({1: "x"}, f": key 1 must be a string, not int\n{IN_QUOTES}"),
            ({"x": object}, f"['x'] is of type type, which JSON cannot express\n{AS_TEXT}"),
            ({"x": float("inf")}, f"['x'] is inf, which JSON cannot express\n{AS_TEXT}"),
        ],
        ids=["key", "type", "infinity"],
    )
    def test_tags_that_json_cannot_express_are_refused(
        self, tags: dict[Any, Any], why: str
    ) -> None:
        assert _refusal(DataEntities.entity, "a", tags=tags) == f"entity 'a': tags{why}"

    def test_everything_that_json_cannot_express_is_named_at_once_with_its_path(self) -> None:
        tags = {1: {2: "x"}, "1": [{"y": [date(2026, 1, 2)]}, {None: 0}], "s": {b"x"}}
        assert _refusal(DataPipes.pipe("a", output_entity_id="b", tags=tags), lambda: 0) == (
            "5 problems in the declarations:\n"
            f"1. pipe 'a': tags: key 1 must be a string, not int\n{IN_QUOTES}\n"
            f"2. pipe 'a': tags[1]: key 2 must be a string, not int\n{IN_QUOTES}\n"
            "3. pipe 'a': tags['1'][0]['y'][0] is of type date, which JSON cannot express\n"
            f"{AS_TEXT}\n"
            f"4. pipe 'a': tags['1'][1]: key None must be a string, not NoneType\n{IN_QUOTES}\n"
            "5. pipe 'a': tags['s'][...] is of type bytes, which JSON cannot express\n"
            f"{AS_TEXT}"
        )

    @pytest.mark.parametrize("depth", [101, 900, 5_000])
    def test_tags_may_be_a_hundred_deep_and_no_deeper(self, depth: int) -> None:
        assert DataEntities.entity("a", tags=_nested(100)).tags == freeze(_nested(100))
        assert _refusal(DataEntities.entity, "b", tags=_nested(depth)) == (
            "entity 'b': tags['x']['x']['x']['x']['x']['x']...: lists and mappings are nested "
            "more than 100 deep\n  Fix: flatten it."
        )

    def test_tags_that_hold_themselves_are_refused(self) -> None:
        tags: dict[str, Any] = {}
        tags["s"] = [tags, tags]
        assert _refusal(DataEntities.entity, "a", tags=tags) == (
            "entity 'a': tags['s'][1]['s'][1]['s'][1]['s'][...: lists and mappings are nested "
            "more than 100 deep\n  Fix: flatten it."
        )

    @pytest.mark.parametrize("other", [True, 1.0])
    def test_tag_that_is_another_to_json_alone_is_another_declaration(self, other: object) -> None:
        registry = DataEntityRegistry()
        registry.register_entity("a", tags={"x": [1]})
        registry.register_entity("a", tags={"x": (1,)})
        assert _refusal(registry.register_entity, "a", tags={"x": [other]}) == (
            "entity 'a' is declared twice, differently\n"
            "  Fix: keep one declaration, or give the second entity its own id."
        )

    def test_entity_that_is_made_by_hand_is_frozen_too(self) -> None:
        columns, tags = ["id"], {"x": [1]}
        made = EntityMetadata("a", merge_columns=columns, tags=tags)  # type: ignore[arg-type]
        columns.append("more")
        tags["x"].append(2)
        assert made == EntityMetadata("a", merge_columns=("id",), tags=FrozenDict(x=(1,)))
        assert isinstance(hash(made), int)

    def test_entity_that_is_made_by_hand_wrongly_is_refused(self) -> None:
        assert _refusal(EntityMetadata, "a", partition_columns="day", tags={1: 2}) == (
            "2 problems in the declarations:\n"
            "1. entity 'a': partition_columns is the string 'day' where a list is expected\n"
            "  Fix: write ['day']\n"
            f"2. entity 'a': tags: key 1 must be a string, not int\n{IN_QUOTES}"
        )


class TestPipes:
    def test_only_id_output_and_function_are_indispensable(self) -> None:
        @DataPipes.pipe("a", output_entity_id="a.out")
        def make() -> None: ...

        pipe = DataPipes.registry().get_pipe_definition("a")
        assert pipe == PipeMetadata("a", "a", make, output_entity_id="a.out")

    def test_decorated_function_is_returned_unchanged(self) -> None:
        def make() -> str:
            return "called"

        assert DataPipes.pipe("a", output_entity_id="a.out")(make) is make

    def test_everything_said_is_kept_and_cannot_change(self) -> None:
        inputs, tags = ["raw.a", "raw-b"], {"layer": "silver", "more": ["x"]}

        @DataPipes.pipe(
            pipeid="a",
            name="A",
            tags=tags,
            input_entity_ids=inputs,
            output_entity_id="a.out",
            output_type="parquet",
            use_watermark=True,
            driving_entity_ids=["raw-b"],
        )
        def make(raw_a: object, raw_b: object) -> None: ...

        inputs.append("changed")
        tags["layer"] = "changed"
        pipe = DataPipes.registry().get_pipe_definition("a")
        assert pipe == PipeMetadata(
            pipeid="a",
            name="A",
            execute=make,
            tags={"layer": "silver", "more": ("x",)},
            input_entity_ids=("raw.a", "raw-b"),
            output_entity_id="a.out",
            output_type="parquet",
            use_watermark=True,
            driving_entity_ids=("raw-b",),
        )

    def test_declarations_stand_in_their_order_and_can_be_taken_back(self) -> None:
        registry = DataPipesRegistry()
        for pipe_id in ("b", "a", "c"):
            registry.register_pipe(pipe_id, output_entity_id=f"{pipe_id}.out")
        registry.unregister_pipe("a")
        registry.unregister_pipe("unknown")
        assert registry.get_pipe_ids() == ["b", "c"]
        assert [pipe.pipeid for pipe in registry] == ["b", "c"]
        assert len(registry) == 2
        assert registry.get_pipe_definition("a") is None

    def test_all_problems_are_reported_at_once(self) -> None:
        refusal = _refusal(
            DataPipesRegistry().register_pipe,
            5,
            output_entity_id="",
            input_entity_ids="raw.a",
            name=1,
            tags="t",
            output_type=2,
            use_watermark="no",
            driving_entity_ids=[None],
        )
        assert refusal == (
            "8 problems in the declarations:\n"
            "1. pipe 5: driving_entity_ids[0] must be a string, not NoneType: None\n"
            "2. pipe 5: input_entity_ids is the string 'raw.a' where a list is expected\n"
            "  Fix: write ['raw.a']\n"
            "3. pipe 5: name must be a string, not int: 1\n"
            "4. pipe 5: output_entity_id must be a non-empty string without surrounding "
            "spaces: ''\n"
            "5. pipe 5: output_type must be a string, not int: 2\n"
            "6. pipe 5: tags must be a mapping, not str: 't'\n"
            "7. pipe 5: use_watermark must be True or False, not 'no'\n"
            "8. pipeid must be a string, not int: 5"
        )

    def test_inputs_that_cannot_come_in_together_are_refused(self) -> None:
        registry = DataPipesRegistry()
        assert _refusal(
            registry.register_pipe,
            "p",
            output_entity_id="o",
            input_entity_ids=["a.b", "a_b", "c", "c"],
        ) == (
            "2 problems in the declarations:\n"
            "1. pipe 'p': reads 'a.b' and 'a_b', both passed as argument 'a_b'\n"
            "  Fix: remove or rename one of the two inputs.\n"
            "2. pipe 'p': reads 'c' twice\n"
            "  Fix: remove or rename one of the two inputs."
        )

    def test_driving_entity_must_be_an_input(self) -> None:
        assert _refusal(
            DataPipesRegistry().register_pipe,
            "p",
            output_entity_id="o",
            input_entity_ids=["a"],
            driving_entity_ids=["a", "b"],
        ) == ("pipe 'p': driving entity 'b' is not among its inputs")


class TestFunctions:
    """A function takes exactly its inputs, by keyword."""

    def _declare(self, function: Any, *inputs: str) -> None:
        DataPipesRegistry().register_pipe(
            "p", execute=function, output_entity_id="o", input_entity_ids=inputs
        )

    def test_missing_and_superfluous_arguments_are_both_reported(self) -> None:
        def function(raw_b: object, other: object) -> None: ...

        assert _refusal(self._declare, function, "raw.a", "raw.b") == (
            "2 problems in the declarations:\n"
            "1. pipe 'p': its function requires an argument 'other', which is not one of its "
            "inputs\n"
            "  Fix: name the entity in input_entity_ids, or give the argument a default.\n"
            "2. pipe 'p': reads 'raw.a', but its function has no argument 'raw_a'\n"
            "  Fix: add 'raw_a' to the function's arguments."
        )

    def test_argument_that_only_goes_by_position_does_not_do(self) -> None:
        def function(raw_a: object, /) -> None: ...

        assert _refusal(self._declare, function, "raw.a") == (
            "pipe 'p': reads 'raw.a', but its function has no argument 'raw_a'\n"
            "  Fix: add 'raw_a' to the function's arguments."
        )

    def test_what_is_no_function_is_refused(self) -> None:
        assert _refusal(self._declare, "SELECT 1") == (
            "pipe 'p': execute must be a function, not str"
        )

    def test_keywords_defaults_and_the_run_context_are_fine(self) -> None:
        def anything(**inputs: object) -> None: ...

        def with_default(raw_a: object, *rest: object, limit: int = 5) -> None: ...

        def with_run(raw_a: object, run: object) -> None: ...

        self._declare(anything, "raw.a", "raw.b")
        self._declare(with_default, "raw.a")
        self._declare(with_run, "raw.a")

    def test_wrapped_function_counts_with_its_own_arguments(self) -> None:
        def inner(raw_a: object) -> None: ...

        @functools.wraps(inner)
        def outer(*args: object, **kwargs: object) -> None: ...

        self._declare(outer, "raw.a")
        assert "has no argument 'raw_b'" in _refusal(self._declare, outer, "raw.a", "raw.b")

    def test_callable_that_hides_its_arguments_is_left_to_the_call(self) -> None:
        class Opaque:
            __signature__ = "unknown"

            def __call__(self) -> None: ...

        self._declare(Opaque(), "raw.a")


class TestRepeatedDeclarations:
    def test_same_function_may_be_declared_again(self) -> None:
        def make() -> None: ...

        DataPipes.pipe("a", output_entity_id="a.out")(make)
        DataPipes.pipe("a", output_entity_id="a.out")(make)
        assert DataPipes.registry().get_pipe_ids() == ["a"]

    def test_same_function_with_another_declaration_is_refused(self) -> None:
        def make() -> None: ...

        line = make.__code__.co_firstlineno
        place = f"{make.__module__}.{make.__qualname__} (line {line})"
        DataPipes.pipe("a", output_entity_id="a.out")(make)
        assert _refusal(DataPipes.pipe("a", output_entity_id="other"), make) == (
            f"pipe 'a' is declared twice by {place}, differing in output_entity_id\n"
            "  Fix: keep one of the declarations, or give one of them its own id."
        )

    def test_pipe_without_its_function_has_no_place_but_what_differs(self) -> None:
        registry = DataPipesRegistry()
        registry.register_pipe("a", output_entity_id="a.out")
        assert _refusal(registry.register_pipe, "a", output_entity_id="b", tags={"x": 1}) == (
            "pipe 'a' is declared twice without a function, differing in tags, output_entity_id\n"
            "  Fix: keep one of the declarations, or give one of them its own id."
        )

    @pytest.mark.parametrize("other", [True, 1.0])
    def test_tag_that_is_another_to_json_alone_is_another_declaration(self, other: object) -> None:
        registry = DataPipesRegistry()
        registry.register_pipe("a", output_entity_id="b", tags={"x": 1})
        assert _refusal(registry.register_pipe, "a", output_entity_id="b", tags={"x": other}) == (
            "pipe 'a' is declared twice without a function, differing in tags\n"
            "  Fix: keep one of the declarations, or give one of them its own id."
        )

    @pytest.mark.parametrize("other", [True, 1.0])
    def test_expectation_of_another_value_is_another_declaration(self, other: Any) -> None:
        registry = DataPipesRegistry()
        for _ in range(2):
            registry.register_pipe("a", output_entity_id="b", expectations=[accepted("c", [1])])
        wanted = [accepted("c", [other])]
        refusal = _refusal(registry.register_pipe, "a", output_entity_id="b", expectations=wanted)
        assert refusal == (
            "pipe 'a' is declared twice without a function, differing in expectations\n"
            "  Fix: keep one of the declarations, or give one of them its own id."
        )

    def test_pipe_that_is_made_by_hand_is_frozen_too(self) -> None:
        inputs, tags = ["x"], {"t": [1]}
        made = PipeMetadata("a", "a", None, tags, inputs, "b", expectations=[])  # type: ignore[arg-type]
        inputs.append("more")
        tags["t"].append(2)
        assert made == PipeMetadata("a", "a", None, FrozenDict(t=(1,)), ("x",), "b")
        assert isinstance(hash(made), int)

    def test_pipe_that_is_made_by_hand_wrongly_is_refused(self) -> None:
        assert _refusal(PipeMetadata, "a", "a", None, {"x": {1: 2}}, "raw") == (
            "2 problems in the declarations:\n"
            "1. pipe 'a': input_entity_ids is the string 'raw' where a list is expected\n"
            "  Fix: write ['raw']\n"
            f"2. pipe 'a': tags['x']: key 1 must be a string, not int\n{IN_QUOTES}"
        )

    def test_copied_function_with_a_forgotten_id_is_refused_even_under_one_name(self) -> None:
        def make() -> str:
            return "first"

        first = make

        def make() -> str:  # type: ignore[no-redef]
            return "second"

        DataPipes.pipe("a", output_entity_id="a.out")(first)
        place = f"{make.__module__}.{make.__qualname__}"
        assert _refusal(DataPipes.pipe("a", output_entity_id="a.out"), make) == (
            f"pipe 'a' is declared twice: by {place} (line {first.__code__.co_firstlineno}) "
            f"and by {place} (line {make.__code__.co_firstlineno})\n"
            "  Fix: give one of them its own id."
        )
        kept = DataPipes.registry().get_pipe_definition("a")
        assert kept is not None
        assert kept.execute is first

    def test_callable_without_a_name_is_named_by_its_class(self) -> None:
        DataPipes.pipe("a", output_entity_id="a.out")(functools.partial(int))
        refusal = _refusal(DataPipes.pipe("a", output_entity_id="b.out"), functools.partial(int))
        assert "functools.partial" in refusal.splitlines()[0]


class TestRegistries:
    def test_declarations_go_where_they_are_sent_and_nowhere_else(self) -> None:
        pipes, entities = DataPipesRegistry(), DataEntityRegistry()
        with DataPipes.declaring_into(pipes), DataEntities.declaring_into(entities):
            DataPipes.pipe("a", output_entity_id="a.out")(lambda: None)
            DataEntities.entity("a.out")
        assert pipes.get_pipe_ids() == ["a"]
        assert entities.get_entity_ids() == ["a.out"]
        assert DataPipes.registry().get_pipe_ids() == []
        assert DataEntities.registry().get_entity_ids() == []

    def test_an_error_ends_the_redirection_too(self) -> None:
        with pytest.raises(KeyError), DataPipes.declaring_into(DataPipesRegistry()) as inner:
            raise KeyError
        assert DataPipes.registry() is not inner

    def test_reset_forgets_the_declarations_of_the_process(self) -> None:
        DataPipes.pipe("a", output_entity_id="a.out")(lambda: None)
        DataEntities.entity("a.out")
        DataPipes.reset()
        DataEntities.reset()
        assert len(DataPipes.registry()) == len(DataEntities.registry()) == 0


class TestArgumentNames:
    @pytest.mark.parametrize(
        ("entity_id", "argument"),
        [
            ("bronze.orders", "bronze_orders"),
            ("ref-data.2024", "ref_data_2024"),
            ("2024.orders", "_2024_orders"),
            ("class", "class_"),
            ("größe.m²", "größe_m2"),  # Python reads names in normal form
            ("a½", "a1_2"),
            ("€.rate", "__rate"),
            ("ﬁle", "file"),
            ("e\u0301tat", "état"),
            ("\u0301a", "_\u0301a"),  # a combining mark may not stand first
        ],
    )
    def test_characters_that_no_name_may_have_become_underscores(
        self, entity_id: str, argument: str
    ) -> None:
        assert argument_name(entity_id) == argument

    @given(pipe_ids())
    def test_argument_name_is_what_python_itself_makes_of_it_in_source_code(
        self, entity_id: str
    ) -> None:
        name = argument_name(entity_id)
        namespace: dict[str, Any] = {}
        exec(f"def function({name}): return {name}", namespace)
        assert namespace["function"](**{name: 1}) == 1
