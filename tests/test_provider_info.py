"""The provider's metadata: valid, true, and readable before Airflow itself is."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import distribution
from importlib.resources import files

import jsonschema
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
from packaging.version import Version

from kindling_airflow import __version__
from kindling_airflow.cli.main import main
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.plugin import KindlingPlugin
from kindling_airflow.provider_info import get_provider_info

NAME = "airflow-provider-kindling"


def test_it_fits_airflows_schema() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)
    unknown = get_provider_info().keys() - schema["properties"].keys()
    assert not unknown


def test_its_import_needs_no_airflow() -> None:
    """Airflow reads it while it configures itself."""
    program = (
        "import sys; sys.modules['airflow'] = None\n"
        "from kindling_airflow.provider_info import get_provider_info\n"
        "print(get_provider_info()['package-name'])\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('pyspark', 'networkx')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [NAME, "[]"], done.stderr


def test_each_call_returns_metadata_of_its_own() -> None:
    """Airflow changes what it gets."""
    get_provider_info()["config"].clear()
    assert get_provider_info()["config"]


def test_the_package_name_is_the_distributions() -> None:
    assert get_provider_info()["package-name"] == distribution(NAME).name == NAME


def test_the_versions_agree() -> None:
    assert distribution(NAME).version == __version__
    options = get_provider_info()["config"]["kindling"]["options"].values()
    assert all(Version(option["version_added"]) <= Version(__version__) for option in options)


def test_the_entry_points_lead_to_what_they_name() -> None:
    found = {(point.group, point.name): point for point in distribution(NAME).entry_points}
    assert found["apache_airflow_provider", "provider_info"].load() is get_provider_info
    assert found["airflow.plugins", "kindling"].load() is KindlingPlugin
    assert found["console_scripts", "kindling-airflow"].load() is main
    assert all(callable(point.load()) for point in found.values())


def test_airflow_lists_the_provider() -> None:
    provider = ProvidersManager().providers[NAME]
    assert provider.version == __version__
    assert provider.data["name"] == "Kindling"


def test_the_modules_it_names_exist() -> None:
    modules = [name for item in get_provider_info()["operators"] for name in item["python-modules"]]
    assert [import_module(name).__name__ for name in modules] == modules
    assert KindlingPipeOperator.__module__ in modules


def test_the_buttons_it_names_are_those_of_the_operator() -> None:
    named = sorted(get_provider_info()["extra-links"])
    links = KindlingPipeOperator.operator_extra_links
    assert named == sorted(f"{type(link).__module__}.{type(link).__name__}" for link in links)


def test_airflow_knows_the_settings_and_their_defaults() -> None:
    assert conf.get("kindling", "warehouse") == ""
