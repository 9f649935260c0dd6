"""The error hierarchy: one root, data as attributes, every problem in one message."""

from __future__ import annotations

import inspect
import pickle

import pytest

from kindling_airflow import errors
from kindling_airflow.common.wording import did_you_mean, shortened
from kindling_airflow.errors import (
    DeclarationError,
    GraphCycleError,
    GraphValidationError,
    KindlingAirflowError,
    PlanValidationError,
    ProblemsError,
)


def test_every_error_has_the_one_root_and_is_exported() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert classes == set(errors.__all__) - {"did_you_mean", "problems_of", "shortened"}
    assert all(issubclass(getattr(errors, name), KindlingAirflowError) for name in classes)


def test_errors_of_the_document_are_value_errors() -> None:
    assert issubclass(GraphCycleError, GraphValidationError)
    assert issubclass(GraphValidationError, ValueError)
    assert issubclass(PlanValidationError, ValueError)


def test_one_problem_is_the_whole_message() -> None:
    assert str(DeclarationError(["this is wrong"])) == "this is wrong"


def test_several_problems_are_sorted_numbered_and_named_once() -> None:
    error = DeclarationError(["b is wrong\n  Fix: mend b", "a is wrong", "a is wrong"])
    assert error.problems == ("a is wrong", "b is wrong\n  Fix: mend b")
    assert str(error) == (
        "2 problems in the declarations:\n1. a is wrong\n2. b is wrong\n  Fix: mend b"
    )


def test_cycle_error_can_be_made_from_a_cycle_alone() -> None:
    error = GraphCycleError(["a", "b", "a"])
    assert error.cycle == ("a", "b", "a")
    assert str(error) == "Pipes form a cycle: 'a' -> 'b' -> 'a'"


@pytest.mark.parametrize(
    "error", [DeclarationError(["x", "y"]), GraphCycleError(["a", "b", "a"], ["text"])]
)
def test_errors_survive_pickling(error: ProblemsError) -> None:
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is type(error)
    assert str(restored) == str(error)
    assert vars(restored) == vars(error)


def test_what_became_of_expectations_survives_pickling() -> None:
    error = errors.ExpectationError("2 of 3 are broken", ["first", "second"])
    restored = pickle.loads(pickle.dumps(error))
    assert (str(restored), restored.reports) == ("2 of 3 are broken", ("first", "second"))


@pytest.mark.parametrize(
    ("unknown", "hint"),
    [
        ("slver.orders", " Did you mean 'silver.orders'?"),
        ("SILVER.ORDERS", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_did_you_mean_names_the_nearest_known_id_or_nothing(unknown: str, hint: str) -> None:
    assert did_you_mean(unknown, ["bronze.orders", "silver.orders"]) == hint


@pytest.mark.parametrize("unknown", ["layr3.table_1403", "layer3.tabel_1403", "layer3.table_14x03"])
def test_did_you_mean_finds_it_among_thousands(unknown: str) -> None:
    known = [f"layer{n % 7}.table_{n}" for n in range(3_000)]
    assert did_you_mean(unknown, known) == " Did you mean 'layer3.table_1403'?"
    assert did_you_mean("nothing like it", known) == ""
    assert did_you_mean("", known) == ""


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (0, []),
        (16, list("abcdefghijklmnop")),
        (17, [*"abcdefghij", "... 2 more ...", *"mnopq"]),
        (26, [*"abcdefghij", "... 11 more ...", *"vwxyz"]),
    ],
)
def test_long_list_is_shown_by_its_start_and_its_end(length: int, shown: list[str]) -> None:
    assert shortened("abcdefghijklmnopqrstuvwxyz"[:length]) == shown


def test_error_of_a_long_cycle_has_a_short_text_and_the_whole_cycle() -> None:
    cycle = [f"p{n}" for n in range(100_000)]
    error = GraphCycleError([*cycle, "p0"])
    assert error.cycle == (*cycle, "p0")
    assert str(error) == (
        "Pipes form a cycle: 'p0' -> 'p1' -> 'p2' -> 'p3' -> 'p4' -> 'p5' -> 'p6' -> 'p7' -> 'p8' "
        "-> 'p9' -> ... 99,986 more ... -> 'p99996' -> 'p99997' -> 'p99998' -> 'p99999' -> 'p0'"
    )


def test_numbers_in_problems_are_sorted_by_their_size() -> None:
    texts = ["x:10: late", "x:9: early", "x:009: early too", f"x:{'9' * 5000}: last", "a", ""]
    assert ProblemsError(texts).problems == (
        "",
        "a",
        "x:9: early",
        "x:009: early too",
        "x:10: late",
        f"x:{'9' * 5000}: last",
    )


def test_an_unusual_run_keeps_whether_a_retry_could_succeed() -> None:
    restored = pickle.loads(pickle.dumps(errors.UnusualRunError("no rows", is_permanent=True)))
    assert (str(restored), restored.is_permanent) == ("no rows", True)


def test_error_of_a_stream_survives_pickling() -> None:
    restored = pickle.loads(pickle.dumps(errors.StreamError("it broke", "a", {"a": "failed"})))
    assert (str(restored), restored.pipe_id, restored.result) == ("it broke", "a", {"a": "failed"})
