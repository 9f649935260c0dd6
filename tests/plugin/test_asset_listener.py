"""An asset that Airflow holds as inactive is explained in the log of the task."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.sdk.definitions.asset import AssetUniqueKey

from kindling_airflow.plugin import KindlingPlugin, asset_listener

try:
    from airflow.sdk.exceptions import AirflowInactiveAssetInInletOrOutletException
except ImportError:  # it has moved between releases
    from airflow.exceptions import (  # type: ignore[assignment,no-redef]
        AirflowInactiveAssetInInletOrOutletException,
    )

KEY = AssetUniqueKey(name="lake/gold.x", uri="lake/gold.x")
ERROR = AirflowInactiveAssetInInletOrOutletException([KEY])


def logged(caplog: pytest.LogCaptureFixture, error: object, **task: object) -> str:
    instance = SimpleNamespace(task=SimpleNamespace(task_id="gold.x", **task))
    asset_listener.on_task_instance_failed("running", instance, error)
    return caplog.text


def test_the_reason_and_the_remedy_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    text = logged(caplog, ERROR, plan_digest="d")
    assert (
        "Task 'gold.x' was not started, because asset 'lake/gold.x' is inactive: another DAG "
        "declares an asset of the same name with another URI, or of the same URI with another "
        "name, and Airflow keeps only one of them active. Nothing was read or written.\n"
        "  Fix: declare it in the other DAG as Asset(name='lake/gold.x', uri='lake/gold.x'), or "
        "set another prefix, or false, in the definition's key 'assets'. Then clear this task."
    ) in text


def test_tasks_of_others_and_other_errors_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, ERROR) == ""
    assert logged(caplog, ValueError("x"), plan_digest="d") == ""
    assert logged(caplog, None, plan_digest="d") == ""
    asset_listener.on_task_instance_failed("running", SimpleNamespace(), ERROR)
    assert caplog.text == ""


def test_an_asset_without_a_name_is_shown_by_its_uri() -> None:
    assert "asset 'x://y' is inactive" in asset_listener.explanation(
        "t", [SimpleNamespace(uri="x://y")]
    )
    assert "asset of this task is inactive" in asset_listener.explanation("t", [])


def test_the_plugin_registers_it() -> None:
    assert asset_listener in KindlingPlugin.listeners
