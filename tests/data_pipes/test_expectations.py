"""Declaring what a pipe promises about its output, and everything that can be wrong with it."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.data_pipes.expectations import (
    Expectation,
    accepted,
    in_range,
    not_null,
    read_expectations,
    row_count,
    satisfies,
    unique,
)
from kindling_airflow.errors import DeclarationError, SettingsError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.project_settings import SettingsLayer, differences_for

EVERY_KIND = (
    not_null("id", "day", on_violation="drop", tolerate=0.5),
    unique("id", "day", on_violation="warn", tolerate=3),
    accepted("status", {"open", "shipped"}, name="known states"),
    in_range("amount", 0, Decimal("9.99")),
    in_range("day", date(2024, 1, 1)),
    in_range("at", maximum=datetime(2024, 1, 1, tzinfo=timezone.utc)),
    row_count(1, 10, on_violation="warn"),
    satisfies("amount > 0\n  OR refunded", on_violation="drop"),
)


def declared(*expectations: Any, **more: Any) -> DataPipesRegistry:
    registry = DataPipesRegistry()
    registry.register_pipe("p", output_entity_id="out", expectations=expectations, **more)
    return registry


def refusal(*expectations: Any, **more: Any) -> str:
    with pytest.raises(DeclarationError) as refused:
        declared(*expectations, **more)
    return str(refused.value)


class TestWhatIsSaid:
    def test_names_come_from_the_check_and_what_it_is_about(self) -> None:
        assert [e.name for e in EVERY_KIND] == [
            "not_null(id, day)",
            "unique(id, day)",
            "known states",
            "in_range(amount)",
            "in_range(day)",
            "in_range(at)",
            "row_count",
            "satisfies(amount > 0 OR refunded)",
        ]
        assert satisfies("x" * 80).name == f"satisfies({'x' * 46}...)"
        assert len(satisfies("x" * 80).name) == 60

    def test_values_are_as_json_has_them(self) -> None:
        assert EVERY_KIND[2].values == ("open", "shipped")
        assert (EVERY_KIND[3].minimum, EVERY_KIND[3].maximum) == (0, "9.99")
        assert EVERY_KIND[4].minimum == "2024-01-01"
        assert EVERY_KIND[5].maximum == "2024-01-01T00:00:00+00:00"

    def test_everything_can_be_said_for_people(self) -> None:
        assert [e.promise() for e in EVERY_KIND] == [
            "id, day is not null (else drop; up to 50 % are tolerated)",
            "id, day is unique (else warn; up to 3 are tolerated)",
            "status is one of 'open', 'shipped' (else fail)",
            "amount is from 0 to 9.99 (else fail)",
            "day is at least 2024-01-01 (else fail)",
            "at is at most 2024-01-01T00:00:00+00:00 (else fail)",
            "the number of rows is from 1 to 10 (else warn)",
            "amount > 0\n  OR refunded (else drop)",
        ]

    def test_a_deployments_word_replaces_fail_and_warn_but_not_drop(self) -> None:
        assert not_null("id").promise("warn") == "id is not null (else warn)"
        assert row_count(1, on_violation="warn").promise("fail").endswith("(else fail)")
        assert not_null("id", on_violation="drop").promise("warn").endswith("(else drop)")

    def test_json_says_only_what_is_said(self) -> None:
        assert row_count(0).to_json() == {
            "check": "row_count",
            "name": "row_count",
            "on_violation": "fail",
            "minimum": 0,
        }

    def test_a_pipe_without_expectations_says_nothing_of_them(self) -> None:
        document = Manifest.from_registries(declared(), DataEntityRegistry()).to_json()
        assert "expectations" not in document["pipes"][0]


class TestOnTheWay:
    def test_manifest_and_plan_keep_expectations(self) -> None:
        manifest = Manifest.from_registries(declared(*EVERY_KIND), DataEntityRegistry())
        restored = Manifest.from_json(json.loads(manifest.dumps()))
        assert restored == manifest
        pipe = restored.get_pipe_definition("p")
        assert pipe is not None
        assert pipe.expectations == EVERY_KIND
        plan = ExecutionPlanGenerator(restored).generate_batch_plan()
        again = ExecutionPlan.from_json(json.loads(json.dumps(plan.to_json())))
        assert again == plan
        assert again.graph.nodes["p"].metadata == pipe

    def test_another_promise_is_another_plan(self) -> None:
        plans = [
            ExecutionPlanGenerator(declared(e)).generate_batch_plan().digest
            for e in (not_null("id"), not_null("id", on_violation="warn"))
        ]
        assert plans[0] != plans[1]

    def test_a_name_may_be_left_out_in_json(self) -> None:
        documents = [
            {"check": "unique", "columns": ["a", "b"]},
            {"check": "row_count", "minimum": 1},
        ]
        found, problems = read_expectations(documents)
        assert problems == []
        assert found == (unique("a", "b"), row_count(1))

    def test_the_same_declaration_twice_is_one_and_another_promise_is_not(self) -> None:
        registry = declared(not_null("id"))
        registry.register_pipe("p", output_entity_id="out", expectations=[not_null("id")])
        with pytest.raises(DeclarationError, match="is declared twice"):
            registry.register_pipe("p", output_entity_id="out", expectations=[unique("id")])

    def test_settings_of_a_deployment_leave_promises_as_they_are(self) -> None:
        base = Manifest.from_registries(declared(*EVERY_KIND), DataEntityRegistry())
        layer = SettingsLayer.from_document(
            {"pipes": {"p": {"tags": {"quality.on_violation": "warn"}}}}, "dev.yaml"
        )
        effective = base.with_settings([layer])
        pipe = effective.get_pipe_definition("p")
        assert pipe is not None
        assert pipe.expectations == EVERY_KIND
        assert differences_for(base, effective, ["p"]) == {
            "pipes": {"p": {"tags": {"quality.on_violation": "warn"}}}
        }

    def test_a_deployments_wrong_word_names_its_file(self) -> None:
        base = Manifest.from_registries(declared(), DataEntityRegistry())
        layer = SettingsLayer.from_document(
            {"pipes": {"p": {"tags": {"quality.on_violation": "drop"}}}}, "dev.yaml"
        )
        with pytest.raises(SettingsError) as refused:
            base.with_settings([layer])
        assert str(refused.value) == (
            "dev.yaml: pipe 'p': tag quality.on_violation must be fail or warn, not 'drop'"
        )


DROP: Any = "drop"
WRONG: list[tuple[Any, str]] = [
    (5, "is 5 where an expectation is expected\n  Fix: write it like not_null('id')."),
    (
        {"check": "notnull", "columns": ["id"]},
        (
            "unknown check 'notnull'. Did you mean 'not_null'?\n"
            "  Fix: use one of not_null, unique, accepted, in_range, row_count, satisfies."
        ),
    ),
    (
        {"name": "x"},
        (
            "unknown check None.\n"
            "  Fix: use one of not_null, unique, accepted, in_range, row_count, satisfies."
        ),
    ),
    (
        not_null("id", name=" x"),
        "name must be a non-empty string without surrounding spaces: ' x'",
    ),
    (
        not_null("id", on_violation="stop"),  # type: ignore[arg-type]
        "on_violation must be one of fail, warn, drop, not 'stop'",
    ),
    (
        unique("id", on_violation=DROP),
        (
            "unique cannot drop: which of two rows with one key is the right one, only the pipe "
            "can know\n  Fix: leave one row per key in the pipe, or use fail or warn."
        ),
    ),
    (
        row_count(1, on_violation=DROP),
        "row_count cannot drop: no single row is wrong\n  Fix: use fail or warn.",
    ),
    (
        not_null("id", tolerate=1.0),
        "tolerate must be a number of rows (0, 1, 2 ...) or a share below 1, not 1.0",
    ),
    (
        not_null("id", tolerate=-1),
        "tolerate must be a number of rows (0, 1, 2 ...) or a share below 1, not -1",
    ),
    (
        not_null("id", tolerate=True),
        "tolerate must be a number of rows (0, 1, 2 ...) or a share below 1, not True",
    ),
    (
        {"check": "row_count", "minimum": 1, "tolerate": 2},
        "row_count does not accept tolerate\n  Fix: widen its bounds.",
    ),
    (not_null(), "not_null needs a column"),
    (not_null(5), "columns[0] must be a string, not int: 5"),  # type: ignore[arg-type]
    (unique("a", "b", "a"), "columns has a column twice: a, b, a"),
    (
        {"check": "unique", "columns": "id"},
        "columns is the string 'id' where a list is expected\n  Fix: write ['id']",
    ),
    (
        {"check": "in_range", "columns": ["a", "b"], "minimum": 0},
        "in_range takes one column, not 2",
    ),
    ({"check": "satisfies", "predicate": "a", "columns": ["a"]}, "satisfies takes no columns"),
    (
        accepted("a", "open"),
        "values is the string 'open' where a list is expected\n  Fix: write ['open']",
    ),
    (accepted("a", []), "values must be a list of at least one value, not ()"),
    (accepted("a", 5), "values must be a list of at least one value, not 5"),  # type: ignore[arg-type]
    (
        accepted("a", ["x", None]),
        "values: null is accepted anyway\n  Fix: leave it out; see not_null.",
    ),
    (
        accepted("a", [b"x"]),
        "values: b'x' is not a number, text, date or datetime but bytes",
    ),
    (accepted("a", [float("nan")]), "values: nan is not a finite number"),
    (in_range("a"), "in_range needs a minimum or a maximum"),
    (in_range("a", True), "minimum True is not a number, text, date or datetime but bool"),
    (in_range("a", 0, float("inf")), "maximum inf is not a finite number"),
    (in_range("a", 2, 1), "minimum 2 is more than maximum 1"),
    (row_count(), "row_count needs at_least or at_most"),
    (row_count(-1), "at_least must be a number of rows, not -1"),
    (row_count(at_most=1.5), "at_most must be a number of rows, not 1.5"),  # type: ignore[arg-type]
    (row_count(2, 1), "at_least 2 is more than at_most 1"),
    (satisfies(" "), "predicate must be a SQL expression, not ' '"),
    (satisfies(5), "predicate must be a SQL expression, not 5"),  # type: ignore[arg-type]
]


class TestWhatIsWrong:
    @pytest.mark.parametrize(("expectation", "problem"), WRONG)
    def test_each_mistake_is_named(self, expectation: Any, problem: str) -> None:
        between = " " if problem.startswith("is 5") else ": "
        assert refusal(expectation) == f"pipe 'p': expectations[0]{between}{problem}"

    def test_bounds_that_are_texts_are_compared_by_spark_alone(self) -> None:
        declared(in_range("version", "9", "10"), in_range("amount", "9.5", name="too small"))

    def test_everything_is_reported_at_once(self) -> None:
        told = refusal(
            unique("id"),
            unique("id"),
            in_range("a"),
            accepted("b", [1, None, b""]),
            tags={"quality.on_violation": "stop", "quality.examples": 21},
        )
        assert told == (
            "6 problems in the declarations:\n"
            "1. pipe 'p': expectations[1]: the name 'unique(id)' is taken by expectations[0]\n"
            "  Fix: give one of them its own name.\n"
            "2. pipe 'p': expectations[2]: in_range needs a minimum or a maximum\n"
            "3. pipe 'p': expectations[3]: values: b'' is not a number, text, date or datetime but "
            "bytes\n"
            "4. pipe 'p': expectations[3]: values: null is accepted anyway\n"
            "  Fix: leave it out; see not_null.\n"
            "5. pipe 'p': tag quality.examples must be a number from 0 to 20, not 21\n"
            "6. pipe 'p': tag quality.on_violation must be fail or warn, not 'stop'"
        )

    @pytest.mark.parametrize("value", [None, "not_null", {"check": "unique"}, not_null("id")])
    def test_a_list_belongs_there(self, value: Any) -> None:
        with pytest.raises(DeclarationError) as refused:
            DataPipesRegistry().register_pipe("p", output_entity_id="out", expectations=value)
        assert str(refused.value) == (
            "pipe 'p': expectations must be a list of expectations, not "
            f"{type(value).__name__}: {value!r}"
        )


@given(
    st.dictionaries(
        st.sampled_from(list(Expectation.__dataclass_fields__)),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-2, 3),
            st.floats(),
            st.sampled_from(["not_null", "in_range", "drop", "id", ""]),
            st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=2)), max_size=2),
            st.dictionaries(st.text(max_size=1), st.none(), max_size=1),
        ),
    )
)
def test_whatever_a_document_holds_it_is_read_or_refused(document: dict[str, Any]) -> None:
    found, problems = read_expectations([document])
    assert len(found) == (not problems)
    if found:
        restored, none = read_expectations(json.loads(json.dumps([found[0].to_json()])))
        assert (restored, none) == (found, [])
