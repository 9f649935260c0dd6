"""Strategies as objects, as classes, by name, and by the entry points of real distributions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import (
    BatchExecutionStrategy,
    ConfigBasedExecutionStrategy,
    ExecutionPlanGenerator,
    ExecutionStrategy,
    HybridExecutionStrategy,
    PriorityExecutionStrategy,
    StreamingExecutionStrategy,
    registry,
    strategy_by_name,
)
from kindling_airflow.translator import TranslateOptions, translate
from tests.builders import pipes, plan

BUILT_IN = {
    "batch": BatchExecutionStrategy,
    "streaming": StreamingExecutionStrategy,
    "config_based": ConfigBasedExecutionStrategy,
    "hybrid": HybridExecutionStrategy,
    "priority": PriorityExecutionStrategy,
}

NIGHTLY = """
from kindling_airflow import BatchExecutionStrategy

class Nightly(BatchExecutionStrategy):
    def get_strategy_name(self):
        return "nightly"

ready = Nightly()
word = "batch"

class Demanding(BatchExecutionStrategy):
    def __init__(self, needed):
        super().__init__()
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a distribution with a module and entry points."""

    def installed(name: str, module: str, code: str, **entries: str) -> None:
        folder = tmp_path / name
        metadata = folder / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{module}.py").write_text(code, "utf-8")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = ["[kindling_airflow.strategies]", *(f"{k} = {v}" for k, v in entries.items())]
        (metadata / "entry_points.txt").write_text("\n".join(lines), "utf-8")
        monkeypatch.syspath_prepend(folder)

    return installed


def _refusal(strategy: Any) -> GraphValidationError:
    with pytest.raises(GraphValidationError) as refused:
        plan("a", strategy)
    return refused.value


class TestBuiltIn:
    @pytest.mark.parametrize(("name", "strategy"), BUILT_IN.items())
    def test_strategy_is_found_by_the_name_that_its_plans_carry(
        self, name: str, strategy: type[ExecutionStrategy]
    ) -> None:
        found = strategy_by_name(name)
        assert type(found) is strategy
        assert found.get_strategy_name() == plan("a", name).strategy == name

    def test_hyphens_are_as_good_as_underscores(self) -> None:
        assert isinstance(strategy_by_name("config-based"), ConfigBasedExecutionStrategy)

    @pytest.mark.parametrize(("name", "strategy"), BUILT_IN.items())
    def test_name_class_and_object_give_equal_plans(
        self, name: str, strategy: type[ExecutionStrategy]
    ) -> None:
        generator = ExecutionPlanGenerator(pipes("a -> b"))
        by_name, by_class, by_object = (
            generator.generate_plan(["a", "b"], given) for given in (name, strategy, strategy())
        )
        assert by_name == by_class == by_object

    def test_unknown_strategy_is_refused_with_those_there_are(self) -> None:
        assert str(_refusal("btach")) == (
            "unknown strategy 'btach'. Did you mean 'batch'?\n"
            "  Fix: use one of 'batch', 'streaming', 'config_based', 'hybrid', 'priority'."
        )
        assert str(_refusal("")) == (
            "unknown strategy ''.\n"
            "  Fix: use one of 'batch', 'streaming', 'config_based', 'hybrid', 'priority'."
        )

    @pytest.mark.parametrize("given", [False, 5, dict, plan])
    def test_what_is_no_strategy_is_refused(self, given: object) -> None:
        assert str(_refusal(given)) == (
            f"strategy must be an ExecutionStrategy or a subclass of it, not {given!r}\n"
            "  Fix: subclass kindling_airflow.ExecutionStrategy."
        )

    def test_class_that_cannot_be_made_is_refused(self) -> None:
        class Demanding(BatchExecutionStrategy):
            def __init__(self, needed: str) -> None:
                super().__init__()

        refused = _refusal(Demanding)
        assert str(refused).splitlines()[1:] == [
            "  Fix: make it callable without arguments, or pass an object."
        ]
        assert "strategy: Demanding() failed: TypeError: " in str(refused)
        assert isinstance(refused.__cause__, TypeError)

    def test_abstract_class_is_refused(self) -> None:
        assert "ExecutionStrategy() failed: TypeError: Can't inst" in str(
            _refusal(ExecutionStrategy)
        )


class TestEntryPoints:
    def test_class_of_another_distribution_is_found_by_name(self, install: Install) -> None:
        install("shop", "shop_plans", NIGHTLY, nightly="shop_plans:Nightly")
        made: ExecutionPlan = plan("a -> b", "nightly")
        assert made.total_generations() == 2
        assert strategy_by_name("nightly").get_strategy_name() == "nightly"

    def test_object_of_another_distribution_is_found_by_name(self, install: Install) -> None:
        install("shop", "shop_objects", NIGHTLY, **{"my-own": "shop_objects:ready"})
        for name in ("my-own", "my_own"):
            assert strategy_by_name(name).get_strategy_name() == "nightly"

    def test_built_in_name_keeps_its_meaning(self, install: Install) -> None:
        install("shop", "shop_shadow", NIGHTLY, batch="shop_shadow:no_such_thing")
        assert type(strategy_by_name("batch")) is BatchExecutionStrategy

    def test_unknown_strategy_is_refused_with_those_of_other_distributions(
        self, install: Install
    ) -> None:
        install("shop", "shop_two", NIGHTLY, nightly="shop_two:Nightly", batch="shop_two:Nightly")
        install("mart", "mart_two", NIGHTLY, hourly="mart_two:Nightly")
        assert str(_refusal("nihgtly")) == (
            "unknown strategy 'nihgtly'. Did you mean 'nightly'?\n"
            "  Fix: use one of 'batch', 'streaming', 'config_based', 'hybrid', 'priority', "
            "'hourly', 'nightly'."
        )

    def test_module_that_is_not_there(self, install: Install) -> None:
        install("shop", "shop_gone", NIGHTLY, nightly="no_such_module:Nightly")
        refused = _refusal("nightly")
        assert str(refused) == (
            "strategy 'nightly' (no_such_module:Nightly) cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_module'\n"
            "  Fix: repair or reinstall the distribution that registers it."
        )
        assert isinstance(refused.__cause__, ModuleNotFoundError)

    @pytest.mark.parametrize("failure", ["1 / 0", "raise SystemExit(3)"])
    def test_module_that_fails_when_it_is_imported(self, install: Install, failure: str) -> None:
        module = f"shop_fails_{len(failure)}"
        install("shop", module, failure, nightly=f"{module}:Nightly")
        refused = _refusal("nightly")
        assert f"strategy 'nightly' ({module}:Nightly) cannot be imported: " in str(refused)
        assert isinstance(refused.__cause__, ZeroDivisionError | SystemExit)

    def test_name_that_the_module_does_not_have(self, install: Install) -> None:
        install("shop", "shop_lacks", NIGHTLY, nightly="shop_lacks:Weekly")
        assert str(_refusal("nightly")) == (
            "strategy 'nightly' (shop_lacks:Weekly) cannot be imported: "
            "AttributeError: module 'shop_lacks' has no attribute 'Weekly'\n"
            "  Fix: repair or reinstall the distribution that registers it."
        )

    def test_class_that_needs_arguments(self, install: Install) -> None:
        install("shop", "shop_needs", NIGHTLY, nightly="shop_needs:Demanding")
        assert "strategy 'nightly' (shop_needs:Demanding): Demanding() failed: TypeError: " in str(
            _refusal("nightly")
        )

    def test_entry_point_that_is_no_strategy(self, install: Install) -> None:
        install("shop", "shop_word", NIGHTLY, nightly="shop_word:word")
        assert str(_refusal("nightly")) == (
            "strategy 'nightly' (shop_word:word) must be an ExecutionStrategy or a subclass of it, "
            "not 'batch'\n"
            "  Fix: subclass kindling_airflow.ExecutionStrategy."
        )

    def test_name_that_two_distributions_mean_differently(self, install: Install) -> None:
        install("shop", "shop_twice", NIGHTLY, nightly="shop_twice:Nightly")
        install("mart", "mart_twice", NIGHTLY, nightly="mart_twice:Nightly")
        assert str(_refusal("nightly")) == (
            "strategy 'nightly' is registered more than once: mart_twice:Nightly, "
            "shop_twice:Nightly\n"
            "  Fix: uninstall one of the distributions, or pass the strategy as an object."
        )

    def test_name_that_two_distributions_mean_alike(self, install: Install) -> None:
        install("shop", "shop_alike", NIGHTLY, nightly="shop_alike:Nightly")
        install("mart", "mart_alike", "", nightly="shop_alike:Nightly")
        assert strategy_by_name("nightly").get_strategy_name() == "nightly"


class TestRows:
    def test_each_row_has_the_name_that_its_class_reports(self) -> None:
        for name, strategy in registry._BUILT_IN.items():
            assert strategy().get_strategy_name() == name

    def test_a_class_and_a_row_are_all_that_a_new_strategy_takes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Nightly(BatchExecutionStrategy):
            def get_strategy_name(self) -> str:
                return "batch"

        rows = {**registry._BUILT_IN, "nightly": Nightly}
        monkeypatch.setattr(registry, "_BUILT_IN", rows)
        assert isinstance(strategy_by_name("nightly"), Nightly)
        assert translate(plan("a -> b", "nightly"), OPTIONS).groups
        assert "'priority', 'nightly'." in str(_refusal("nightlies"))


OPTIONS = TranslateOptions(dag_id="shop", pool="shop")
TAGS = {"a": {"processing_mode": "streaming"}, "c": {"priority": 3}}


class TestTranslation:
    @pytest.mark.parametrize("name", ["streaming", "hybrid", "config_based"])
    def test_plans_with_streams_compile(self, name: str) -> None:
        made = plan("a -> b", name, tags=TAGS)
        spec = translate(made, OPTIONS)
        assert [tuple(t.pipe_id for t in g.tasks) for g in spec.groups] == [
            g.pipe_ids for g in made.generations
        ]
        assert spec.stop is not None
        assert spec.groups[0].gate is not None

    @pytest.mark.parametrize("name", ["batch", "priority", "config_based"])
    def test_forward_plans_compile(self, name: str) -> None:
        made = plan("b -> d, c", name, tags=TAGS)
        spec = translate(made, OPTIONS)
        assert [tuple(t.pipe_id for t in g.tasks) for g in spec.groups] == [
            g.pipe_ids for g in made.generations
        ]
        assert len(spec.groups) == (3 if name == "priority" else 2)
