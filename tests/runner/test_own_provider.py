"""The provider of the page about own providers holds the contract, however it is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import DeclarationError, EntityError
from kindling_airflow.runner.providers.contract import RULES, Case
from kindling_airflow.runner.providers.interface import ProviderContext, Write
from kindling_airflow.runner.providers.lookup import provider_for, writable_provider_for
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "own_provider"
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-entity-provider.md"
BY_CLASS = {"provider_type": "shop_entities:OrcProvider"}


@pytest.fixture(autouse=True)
def on_the_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution of the page, as an installer leaves it."""
    project = (EXAMPLE / "pyproject.toml").read_text("utf-8")
    entry = re.search(r'^orc = "(.*)"$', project, re.MULTILINE)
    assert entry is not None
    metadata = tmp_path / "site" / "shop_entities-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-entities\nVersion: 1.0")
    (metadata / "entry_points.txt").write_text(
        f"[kindling_airflow.entity_providers]\norc = {entry[1]}\nbroken = no_such_module:Nothing\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_holds_the_contract(rule: Callable[[Case], None], spark: Any, tmp_path: Path) -> None:
    rule(Case(spark, str(tmp_path / "ware 'house' [1]"), BY_CLASS))


def test_of_two_drivers_that_publish_at_once_one_fails(spark: Any, tmp_path: Path) -> None:
    case = Case(spark, str(tmp_path), BY_CLASS)
    entity, one, two = case.entity(), Write("1" * 16, "one"), Write("2" * 16, "two")
    slow, fast = case.provider(entity), case.provider(entity)
    first, second = slow.stage(entity, spark.range(5), one), fast.stage(entity, spark.range(7), two)
    fast.publish(entity, second, two)
    slow._published = lambda entity: []  # type: ignore[attr-defined]
    with pytest.raises(EntityError, match="cannot move"):
        slow.publish(entity, first, one)
    assert case.numbers(entity) == list(range(7))


@pytest.mark.usefixtures("installed")
def test_a_pipe_writes_and_reads_it_by_its_short_name(project: Project) -> None:
    project.entity("kept", tags={"provider_type": "orc"}, schema="id BIGINT NOT NULL")
    project.pipe("kept", lambda: project.spark.range(3))
    project.pipe("out", lambda kept: kept, "kept")
    report = project.run("kept")
    assert (report.status, report.rows_written) == ("published", 3)
    assert report.extra["output"] == {"location": str(project.table("kept")), "format": "orc"}
    report = project.run("out")
    assert (report.rows_written, report.inputs[0].rows) == (3, None)


def test_the_page_shows_the_project_file() -> None:
    assert f"```toml\n{(EXAMPLE / 'pyproject.toml').read_text('utf-8')}```" in PAGE.read_text()


def refused(spark: Any, kind: str) -> str:
    case = Case(spark, "/w", {"provider_type": kind})
    with pytest.raises((EntityError, DeclarationError)) as raised:
        case.provider(case.entity())
    return str(raised.value)


@pytest.mark.usefixtures("installed")
def test_a_class_that_cannot_be_had_says_why(spark: Any) -> None:
    assert refused(spark, "no_such_module:Nothing") == (
        "entity 'contract_orders': provider_type 'no_such_module:Nothing' cannot be loaded: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
        "  Fix: repair or install the package that defines it on the driver."
    )
    assert "cannot be loaded: ModuleNotFoundError" in refused(spark, "broken")
    assert "cannot be loaded: AttributeError" in refused(spark, "shop_entities:Nothing")


def test_a_class_that_is_no_provider_says_so(spark: Any) -> None:
    assert refused(spark, "builtins:id") == (
        "entity 'contract_orders': provider_type 'builtins:id' is not an entity provider: "
        "<built-in function id>\n"
        "  Fix: implement the methods of "
        "kindling_airflow.runner.providers.interface.EntityProvider."
    )


def test_a_source_of_ones_own_needs_three_methods_and_cannot_be_written(spark: Any) -> None:
    case = Case(spark, "/w", {"provider_type": f"{__name__}:Source"})
    entity = case.entity()
    context = ProviderContext(spark, "/w")
    assert provider_for(entity, context).exists(entity)
    with pytest.raises(DeclarationError) as raised:
        writable_provider_for(entity, context)
    assert str(raised.value) == (
        f"entity 'contract_orders': {__name__}:Source entities are sources and cannot be written\n"
        "  Fix: let the pipe write a parquet entity (provider_type: parquet, the default)."
    )


class Source:
    def __init__(self, context: Any) -> None:
        pass

    def describe(self, entity: Any) -> Any: ...

    def exists(self, entity: Any) -> bool:
        return True

    def read(self, entity: Any) -> Any: ...
