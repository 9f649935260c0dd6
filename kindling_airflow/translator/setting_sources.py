"""Where each setting of a pipe's task comes from: which layer set it last.

    default  <  tag  <  definition  <  overrides, from the widest pattern to the exact id

Settings that are merged key by key are reported key by key: ``spark.conf.spark.executor.memory``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.id_globs import Glob, glob_specificity
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.redaction import document_without_secrets
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.task_settings import TAGS, spark_property, tag_settings

_Path = tuple[str, ...]
_Layers = Sequence[tuple[str, Mapping[str, Any]]]
_MERGED: tuple[_Path, ...] = (
    *(("spark",), ("executor_config",), ("arguments",)),
    *(("spark", "conf"), ("spark", "env_vars")),
)
_PROPERTIES = _MERGED[-2:]


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One setting of a task.

    Attributes:
        key: the setting; of one that is merged key by key, the way to the key.
        value: what holds; secrets are hidden.
        source: what set it.
        covers: what set another value before, the weakest first.
    """

    key: _Path
    value: Any
    source: str
    covers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the setting as a JSON document."""
        return {
            "key": list(self.key),
            "value": self.value,
            "source": self.source,
            "covers": list(self.covers),
        }


def layers_of(
    options: TranslateOptions,
    pipe_id: str,
    tags: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the layers of settings of a pipe, the weakest first, each with its name.

    Args:
        options: the deployment's options.
        pipe_id: the pipe.
        tags: its tags.
        defaults: what everything else comes before.
    """
    own = {"pool": options.pool, "pool_slots": 1, **defaults}
    layers: list[tuple[str, Mapping[str, Any]]] = [("default", own)]
    layers += [
        (f"tag {tag!r}", {TAGS[tag]: tag_settings(tags)[TAGS[tag]]}) for tag in TAGS if tag in tags
    ]
    layers.append(("definition", options.settings))
    layers += [
        (f"override {pattern!r}", options.overrides[pattern])
        for pattern in sorted(options.overrides, key=glob_specificity)
        if Glob.parse(pattern).matcher()(pipe_id)
    ]
    return layers


def setting_sources(layers: _Layers) -> tuple[SettingSource, ...]:
    """Return the settings that layers make, sorted by their keys.

    Args:
        layers: the weakest first, each with its name; null takes away what weaker ones say.
    """
    values: dict[_Path, list[tuple[str, Any]]] = {}
    for source, layer in layers:
        for path, value in _flat(layer, ()):
            if value is None:
                for gone in [key for key in values if key[: len(path)] == path]:
                    del values[gone]
            else:
                shown = spark_property(value) if path[:2] in _PROPERTIES else thaw(value)
                values.setdefault(path, []).append((source, shown))
    return tuple(
        SettingSource(path, _shown(path, value), source, tuple([name for name, _ in covered]))
        for path, (*covered, (source, value)) in sorted(values.items())
    )


def _flat(layer: Mapping[str, Any], path: _Path) -> Iterator[tuple[_Path, Any]]:
    for key, value in layer.items():
        inner = (*path, key)
        if inner in _MERGED and isinstance(value, Mapping):
            yield from _flat(value, inner)
        else:
            yield inner, value


def _shown(path: _Path, value: Any) -> Any:
    return document_without_secrets({".".join(path): value})[".".join(path)]
