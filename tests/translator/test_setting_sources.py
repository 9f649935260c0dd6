"""Where each setting comes from; what is shown is what the layers make of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.setting_sources import (
    SettingSource,
    layers_of,
    setting_sources,
)
from kindling_airflow.translator.task_settings import merged

_VALUES = st.one_of(st.none(), st.integers(0, 9), st.sampled_from(["x", "y"]))
_CONF = st.one_of(st.none(), st.dictionaries(st.sampled_from("ab"), _VALUES, max_size=2))
_SPARK = st.one_of(
    st.none(),
    st.fixed_dictionaries({}, optional={"conf": _CONF, "env_vars": _CONF, "name": _VALUES}),
)
LAYERS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"retries": _VALUES, "spark": _SPARK, "arguments": _CONF, "queue": _VALUES}
    ),
    min_size=1,
    max_size=4,
)


def nested(found: tuple[SettingSource, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for setting in found:
        place = document
        for key in setting.key[:-1]:
            place = place.setdefault(key, {})
        place[setting.key[-1]] = setting.value
    return document


def without_empty(document: dict[str, Any]) -> dict[str, Any]:
    found = {k: without_empty(v) if isinstance(v, dict) else v for k, v in document.items()}
    return {key: value for key, value in found.items() if value not in (None, {})}


@given(LAYERS)
def test_what_is_shown_is_what_holds(layers: list[dict[str, Any]]) -> None:
    wanted: dict[str, Any] = {}
    for layer in layers:
        wanted = merged(wanted, layer)
    found = setting_sources([(str(n), layer) for n, layer in enumerate(layers)])
    assert without_empty(nested(found)) == without_empty(wanted)


@given(LAYERS)
def test_a_source_says_what_is_shown(layers: list[dict[str, Any]]) -> None:
    for setting in setting_sources([(str(n), layer) for n, layer in enumerate(layers)]):
        place: Any = layers[int(setting.source)]
        for key in setting.key:
            place = place[key]
        assert str(place) == str(setting.value)
        assert all(int(weaker) < int(setting.source) for weaker in setting.covers)


def test_layers_stand_from_the_weakest_to_the_strongest() -> None:
    options = TranslateOptions(
        dag_id="d",
        pool="p",
        settings={"retries": 1, "spark": {"conf": {"a": "1", "b.password": "hunter2"}}},
        overrides={
            "gold.x": {"retries": 4, "spark": {"conf": {"a": None, "url": "x://u:secret@h"}}},
            "**": {"retries": 2},
            "gold.*": {"queue": "q"},
            "silver.*": {"retries": 9},
        },
    )
    tags = {"retry.attempts": "3", "owner": "me", "layer": "gold"}
    layers = layers_of(options, "gold.x", tags, {"retries": 0})
    assert [source for source, _ in layers] == [
        *("default", "tag 'retry.attempts'", "tag 'owner'", "definition"),
        *("override '**'", "override 'gold.*'", "override 'gold.x'"),
    ]
    found = {setting.key: setting for setting in setting_sources(layers)}
    assert found[("retries",)].to_json() == {
        "key": ["retries"],
        "value": 4,
        "source": "override 'gold.x'",
        "covers": ["default", "tag 'retry.attempts'", "definition", "override '**'"],
    }
    assert found[("owner",)].source == "tag 'owner'"
    assert found[("pool",)].source == "default"
    assert ("spark", "conf", "a") not in found
    assert found[("spark", "conf", "b.password")].value == "***"
    assert found[("spark", "conf", "url")].value == "x://u:***@h"
