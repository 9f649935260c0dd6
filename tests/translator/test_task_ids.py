"""Task ids: legal for Airflow, bounded, and never the same for two pipes."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kindling_airflow.translator import group_id, task_id
from tests.strategies import pipe_ids

# What Airflow allows in a key, and how long it may be.
LEGAL = re.compile(r"[A-Za-z0-9_.\-]+")
LONGEST = 250

# Every text, with the look-alikes of an escape far more often than chance would have them.
ids = pipe_ids() | st.text(st.characters(), min_size=1, max_size=6)


def read_back(text: str) -> str:
    """Undo the escape, by a rule of its own: ``_x<hex>_`` stands for one character."""
    return re.sub(r"_x([0-9a-f]+)_", lambda found: chr(int(found[1], 16)), text)


class TestReadable:
    @pytest.mark.parametrize(
        "usual", ["silver.orders", "daily-sales", "A_1", "__x", "_", "x2_", "9"]
    )
    def test_usual_id_stays_as_it_is(self, usual: str) -> None:
        assert task_id(usual) == usual.replace("_x", "_x5f_x")

    @pytest.mark.parametrize(
        ("pipe_id", "expected"),
        [
            ("my table", "my_x20_table"),
            ("a_x", "a_x5f_x"),
            ("a_x20_b", "a_x5f_x20_b"),
            ("a/b:c", "a_x2f_b_x3a_c"),
            ("größe", "gr_xf6__xdf_e"),
            ("x😀", "x_x1f600_"),
            ("line\n", "line_xa_"),
        ],
    )
    def test_other_characters_become_their_number(self, pipe_id: str, expected: str) -> None:
        assert task_id(pipe_id) == expected

    @given(ids)
    @example("_x5f_x")
    @example("__x_")
    @example("generation_1")
    @example("_x67_eneration_1")
    def test_id_can_be_read_back_unless_it_was_cut(self, pipe_id: str) -> None:
        said = task_id(pipe_id)
        assert read_back(said) == pipe_id or "-_x_" in said

    @given(st.text(min_size=1, max_size=20))
    def test_only_what_is_long_is_cut(self, pipe_id: str) -> None:
        assert read_back(task_id(pipe_id)) == pipe_id


class TestLegal:
    @given(ids)
    @example("\ud800")
    @example("x" * 201)
    @example("😀" * 200)
    def test_every_id_is_legal_for_airflow_and_leaves_room(self, pipe_id: str) -> None:
        assert LEGAL.fullmatch(task_id(pipe_id))
        assert len(task_id(pipe_id)) <= 200 < LONGEST

    def test_id_of_200_characters_stays_and_a_longer_one_gets_its_digest(self) -> None:
        assert task_id("x" * 200) == "x" * 200
        digest = hashlib.sha256(b"x" * 201).hexdigest()[:32]
        assert task_id("x" * 201) == "x" * 164 + "-_x_" + digest

    @given(ids, st.integers(0, 10**6))
    @example("generation_0", 0)
    @example("generation_7\n", 7)
    @example("generation_\u0667", 7)
    def test_no_task_is_called_like_a_group(self, pipe_id: str, number: int) -> None:
        assert task_id(pipe_id) != group_id(number)
        assert task_id(group_id(number)) == f"_x67_eneration_{number}"
        assert not re.fullmatch(r"generation_\d+", task_id(pipe_id))

    def test_only_whole_group_ids_are_out_of_bounds(self) -> None:
        for free in ("generation_", "generation_1a", "my_generation_1", "generation_-1"):
            assert task_id(free) == free


class TestInjective:
    @given(st.lists(ids, unique=True, min_size=2))
    def test_two_pipes_have_two_ids(self, pipes: list[str]) -> None:
        assert len({task_id(pipe_id) for pipe_id in pipes}) == len(pipes)

    @given(ids)
    @example("x" * 201)
    @example("é" * 60)
    @example("generation_3")
    def test_pipe_that_is_called_like_the_task_of_another_has_another_task(
        self, pipe_id: str
    ) -> None:
        names = {pipe_id}
        for _ in range(3):
            names |= {task_id(name) for name in names}
        assert len({task_id(name) for name in names}) == len(names)

    @given(st.text(alphabet="_x5f", min_size=190, max_size=260), st.text("_x2", max_size=3))
    def test_long_ids_that_differ_only_behind_the_cut_stay_apart(
        self, beginning: str, end: str
    ) -> None:
        names = {beginning, beginning + end, beginning + "_", beginning[:-1] + "-"}
        assert len({task_id(name) for name in names}) == len(names)


def test_group_is_called_after_the_number_of_its_generation() -> None:
    assert [group_id(number) for number in (0, 12)] == ["generation_0", "generation_12"]
