"""Which settings hold for which pipe: tags < definition < overrides, the more specific one wins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.id_globs import glob_specificity, matches_glob
from kindling_airflow.errors import TranslationError
from kindling_airflow.translator import TaskSettings, TranslateOptions, translate
from kindling_airflow.translator.task_settings import merged, setting_problems
from tests.builders import plan

LAKE = "bronze.orders -> silver.orders -> gold.orders, bronze.items -> silver.eu.items"
IDS = ("bronze.orders", "silver.orders", "gold.orders", "bronze.items", "silver.eu.items")
Tags = dict[str, dict[str, Any]]


def settings_of(
    drawing: str = LAKE, tags: Tags | None = None, **options: Any
) -> dict[str, TaskSettings]:
    dag = translate(plan(drawing, tags=tags), TranslateOptions("shop", "main", **options))
    return {task.pipe_id: task.settings for task in dag.tasks()}


def said(name: str, drawing: str = LAKE, tags: Tags | None = None, **options: Any) -> Any:
    return {p: getattr(s, name) for p, s in settings_of(drawing, tags, **options).items()}


def refusal(drawing: str = LAKE, tags: Tags | None = None, **options: Any) -> str:
    with pytest.raises(TranslationError) as refused:
        settings_of(drawing, tags, **options)
    return str(refused.value)


class TestLayers:
    def test_what_nobody_says_is_left_to_airflow(self) -> None:
        assert settings_of("a") == {"a": TaskSettings(pool="main")}
        assert TaskSettings(pool="main").to_json() == {"pool": "main", "pool_slots": 1}

    def test_what_is_said_of_all_holds_for_all(self) -> None:
        assert set(said("retries", settings={"retries": 2}).values()) == {2}
        assert set(said("queue", settings={"queue": "night"}).values()) == {"night"}

    def test_tags_yield_to_the_definition_and_the_definition_to_an_override(self) -> None:
        tags = {"a": {"retry.attempts": 5}, "b": {"retry.attempts": 5}}
        assert said("retries", "a, b, c", tags) == {"a": 5, "b": 5, "c": None}
        assert said("retries", "a, b, c", tags, settings={"retries": 1}) == {"a": 1, "b": 1, "c": 1}
        over = {"b": {"retries": 7}}
        assert said("retries", "a, b, c", tags, overrides=over) == {"a": 5, "b": 7, "c": None}

    def test_exact_beats_star_beats_double_star_whatever_the_order(self) -> None:
        overrides = {
            "silver.orders": {"retries": 3},
            "**": {"retries": 1, "queue": "all"},
            "silver.*": {"retries": 2, "queue": "silver"},
        }
        for order in (overrides, dict(reversed(overrides.items()))):
            found = settings_of(overrides=order)
            assert [found[p].retries for p in IDS] == [1, 3, 1, 1, 1]
            assert [found[p].queue for p in IDS] == ["all", "silver", "all", "all", "all"]

    def test_null_takes_away_what_a_weaker_layer_says(self) -> None:
        tags = {"bronze.orders": {"timeout_seconds": 60}}
        name = "execution_timeout_seconds"
        assert said(name, tags=tags)["bronze.orders"] == 60
        over = {"bronze.*": {"execution_timeout_seconds": None}}
        assert said(name, tags=tags, overrides=over)["bronze.orders"] is None

    def test_slots_that_are_taken_away_are_one_again(self) -> None:
        found = said(
            "pool_slots", settings={"pool_slots": 2}, overrides={"gold.*": {"pool_slots": None}}
        )
        assert (found["gold.orders"], found["silver.orders"]) == (1, 2)

    def test_a_weight_may_take_the_place_of_the_critical_paths(self) -> None:
        options = TranslateOptions("shop", "main", overrides={"b": {"priority": 1000}})
        dag = translate(plan("a -> b"), options)
        assert [task.priority_weight for task in dag.tasks()] == [2, 1000]

    @given(
        st.lists(st.sampled_from(["**", "silver.**", "silver.*", "*.orders", *IDS]), unique=True)
    )
    def test_the_most_specific_pattern_that_matches_wins(self, patterns: list[str]) -> None:
        overrides = {pattern: {"queue": pattern} for pattern in patterns}
        for pipe_id, queue in said("queue", overrides=overrides).items():
            # Of equally specific ones the later wins, as among the files of settings.
            matching = [p for p in reversed(patterns) if matches_glob(p, pipe_id)]
            assert queue == max(matching, key=glob_specificity, default=None)


class TestMerging:
    def test_spark_is_merged_per_key_and_conf_per_property(self) -> None:
        found = settings_of(
            settings={"spark": {"conf": {"a": 1, "b": 2}, "driver_memory": "1g", "verbose": True}},
            overrides={
                "gold.*": {"spark": {"conf": {"b": True, "c": 0.5}, "driver_memory": "4g"}},
                "gold.orders": {"spark": {"conf": {"a": None}, "verbose": None}},
            },
        )
        assert found["gold.orders"].spark == {
            "conf": {"b": "true", "c": "0.5"},
            "driver_memory": "4g",
        }
        assert found["silver.orders"].spark == {
            "conf": {"a": "1", "b": "2"},
            "driver_memory": "1g",
            "verbose": True,
        }

    def test_environment_executor_config_and_arguments_are_merged_per_key(self) -> None:
        weak = {
            "spark": {"env_vars": {"A": "1", "B": "2"}},
            "executor_config": {"x": 1, "y": 1},
            "arguments": {"depends_on_past": True, "do_xcom_push": False},
        }
        strong = {
            "spark": {"env_vars": {"B": "3"}},
            "executor_config": {"y": 2},
            "arguments": {"depends_on_past": False},
        }
        assert merged(weak, strong) == {
            "spark": {"env_vars": {"A": "1", "B": "3"}},
            "executor_config": {"x": 1, "y": 2},
            "arguments": {"depends_on_past": False, "do_xcom_push": False},
        }

    def test_a_mapping_that_is_taken_away_as_a_whole_is_gone(self) -> None:
        assert merged({"spark": {"conf": {"a": 1}}}, {"spark": {"conf": None}}) == {"spark": {}}
        assert merged({"executor_config": {"a": 1}}, {"executor_config": None}) == {}

    def test_merging_changes_neither_layer(self) -> None:
        weak, strong = {"spark": {"conf": {"a": 1}}}, {"spark": {"conf": {"b": 2}}}
        merged(weak, strong)
        assert (weak, strong) == ({"spark": {"conf": {"a": 1}}}, {"spark": {"conf": {"b": 2}}})


class TestTags:
    def test_tags_of_a_pipe_are_settings_of_its_task(self) -> None:
        tags = {
            "a": {
                "retry.attempts": "3",
                "retry.interval_seconds": "1.5",
                "timeout_seconds": 600,
                "pool_slots": 2,
                "owner": "7",
            }
        }
        assert settings_of("a", tags) == {
            "a": TaskSettings(
                pool="main",
                pool_slots=2,
                owner="7",
                retries=3,
                retry_delay_seconds=1.5,
                execution_timeout_seconds=600,
            )
        }

    def test_every_wrong_tag_is_named_with_its_pipe(self) -> None:
        tags = {"a": {"retry.attempts": "often", "timeout_seconds": 0}, "b": {"pool_slots": 0}}
        assert refusal("a, b", tags) == (
            "3 problems in the translation of the plan:\n"
            "1. DAG 'shop': pipe 'a': tag retry.attempts must be a whole number of at least 0, not "
            "'often'\n"
            "2. DAG 'shop': pipe 'a': tag timeout_seconds must be a number of seconds above 0, at "
            "most a year, not 0\n"
            "3. DAG 'shop': pipe 'b': tag pool_slots must be a whole number of at least 1, not 0"
        )


class TestSharing:
    def test_pipes_that_are_alike_share_their_settings(self) -> None:
        found = settings_of(overrides={"gold.*": {"retries": 1}})
        assert found["bronze.orders"] is found["silver.orders"]
        assert found["gold.orders"] is not found["silver.orders"]

    def test_pipes_that_say_other_things_of_themselves_do_not(self) -> None:
        tags = {"a": {"owner": "x"}, "b": {"owner": "x"}, "c": {"owner": "y"}}
        found = settings_of("a, b, c", tags)
        assert found["a"] is found["b"]
        assert found["a"] != found["c"]


class TestPools:
    def test_pools_of_overrides_are_the_dags_as_well(self) -> None:
        options = TranslateOptions(
            "shop", "main", width=3, pools={"heavy": 8}, overrides={"a": {"pool": "heavy"}}
        )
        assert translate(plan("a, b"), options).pools == {"main": 3, "heavy": 8}

    def test_a_run_may_fill_all_of_its_pools_at_once(self) -> None:
        over = {"a": {"pool": "heavy"}, "b": {"pool": "default_pool"}}
        options = TranslateOptions("shop", "main", width=3, pools={"heavy": 8}, overrides=over)
        dag = translate(plan("a, b, c"), options)
        assert dag.pools == {"main": 3, "heavy": 8}
        assert dag.max_active_tasks() == 3 + 8 + 1
        assert translate(plan("a"), TranslateOptions("d", "p", width=3)).max_active_tasks() == 3

    def test_pool_that_nobody_is_in_is_none_of_the_dags(self) -> None:
        options = TranslateOptions("shop", "main", pools={"heavy": 8})
        assert translate(plan("a"), options).pools == {"main": 4}

    def test_slots_are_checked_against_the_pool_that_the_pipe_is_in(self) -> None:
        over = {"a": {"pool": "heavy", "pool_slots": 3}, "b": {"pool_slots": 5}}
        text = refusal("a, b, c", pools={"heavy": 2}, overrides=over)
        assert text == (
            "2 problems in the translation of the plan:\n"
            "1. DAG 'shop': pipe 'a' takes 3 slots, but pool 'heavy' has a width of 2: no such "
            "task could ever start\n"
            "  Fix: raise the width, or lower the slots per pipe.\n"
            "2. DAG 'shop': pipe 'b' takes 5 slots, but pool 'main' has a width of 4: no such "
            "task could ever start\n"
            "  Fix: raise the width, or lower the slots per pipe."
        )
        assert said("pool_slots", "a", pools={"heavy": 3}, overrides={"a": over["a"]}) == {"a": 3}

    def test_many_pipes_of_one_kind_are_one_problem(self) -> None:
        assert refusal("a, b, c", width=1, settings={"pool_slots": 2}) == (
            "DAG 'shop': pipe 'a' (and 2 more) takes 2 slots, but pool 'main' has a width of 1: "
            "no such task could ever start\n"
            "  Fix: raise the width, or lower the slots per pipe."
        )

    def test_pool_of_unknown_width_is_refused(self) -> None:
        assert refusal("a", overrides={"a": {"pool": "heavy"}}) == (
            "DAG 'shop': pool 'heavy' of pipe 'a' has no width\n"
            "  Fix: set its slots: 'pools: {heavy: 4}'."
        )

    def test_airflows_own_pool_needs_no_width(self) -> None:
        over = {"a": {"pool": "default_pool", "pool_slots": 100}}
        assert said("pool", "a", overrides=over) == {"a": "default_pool"}


class TestRefusals:
    def test_pattern_that_matches_nothing_names_the_nearest_pipe(self) -> None:
        over = {"slver.orders": {"retries": 1}, "raw.**": {"retries": 1}}
        assert refusal(overrides=over) == (
            "2 problems in the translation of the plan:\n"
            "1. DAG 'shop': overrides: 'raw.**' matches no pipe.\n"
            "  Fix: correct the pattern, or remove the override.\n"
            "2. DAG 'shop': overrides: 'slver.orders' matches no pipe. Did you mean "
            "'silver.orders'?\n"
            "  Fix: correct the pattern, or remove the override."
        )

    def test_unknown_and_wrong_settings(self) -> None:
        over = {"gold.*": {"retrys": 1, "queue": "", "spark": [], "on_failure_callback": ()}}
        assert refusal(overrides=over) == (
            "4 problems in the translation of the plan:\n"
            "1. DAG 'shop': overrides: 'gold.*': on_failure_callback must be a reference or a list "
            "of them, not []\n"
            "2. DAG 'shop': overrides: 'gold.*': queue must be text, not ''\n"
            "3. DAG 'shop': overrides: 'gold.*': spark must be a mapping with text as keys, not "
            "[]\n"
            "4. DAG 'shop': overrides: 'gold.*': unknown setting 'retrys'. Did you mean "
            "'retries'?"
        )

    def test_setting_that_is_like_none_shows_those_there_are(self) -> None:
        (problem,) = setting_problems({"zzz": 1})
        assert problem.startswith("unknown setting 'zzz'. Known settings: pool, pool_slots, queue,")

    @pytest.mark.parametrize(
        ("name", "said_why"),
        [
            ("task_id", "is set by the plan\n  Fix: remove it."),
            ("trigger_rule", "is set by the key 'on_error'\n  Fix: remove it."),
            ("priority_weight", "is set by the key 'priority'\n  Fix: remove it."),
            ("outlets", "is set by the key 'assets'\n  Fix: remove it."),
            ("queue", "has its own key\n  Fix: write 'queue: ...' beside 'arguments'."),
            (
                "execution_timeout",
                "has its own key\n  Fix: write 'execution_timeout_seconds: ...' beside 'arguments'.",  # noqa: E501
            ),
            ("conf", "is a Spark argument\n  Fix: write it under 'spark'."),
        ],
    )
    def test_arguments_that_have_another_home(self, name: str, said_why: str) -> None:
        assert list(setting_problems({"arguments": {name: 1}})) == [
            f"arguments: {name!r}: {said_why}"
        ]

    def test_any_other_argument_passes(self) -> None:
        assert list(setting_problems({"arguments": {"depends_on_past": True}})) == []

    @pytest.mark.parametrize("value", [-1, "2", float("nan"), 31_536_001])
    def test_factors_and_limits(self, value: Any) -> None:
        for key in ("execution_timeout_seconds", "max_retry_delay_seconds"):
            assert list(setting_problems({key: value})) == [
                f"{key} must be a number of seconds above 0, at most a year, not {value!r}"
            ]

    @pytest.mark.parametrize("value", [-1, "yes", float("inf")])
    def test_a_backoff_is_a_factor_or_a_switch(self, value: Any) -> None:
        what = "retry_exponential_backoff must be true, false or a factor of at least 0"
        found = list(setting_problems({"retry_exponential_backoff": value}))
        assert found == [f"{what}, not {value!r}"]
        assert list(setting_problems({"retry_exponential_backoff": True})) == []
        assert list(setting_problems({"retry_exponential_backoff": 1.5})) == []
