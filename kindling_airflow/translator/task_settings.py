"""The settings of one pipe's task: the keys, their checks, and how layers of them are merged.

    pipe's tags  <  definition  <  overrides, from the widest pattern to the exact id

A stronger layer replaces a key as a whole, but ``spark``, ``executor_config`` and ``arguments`` are
merged key by key, and so are ``conf`` and ``env_vars`` in ``spark``. Null takes away what a weaker
layer says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from kindling_airflow.common.immutable import EMPTY, FrozenDict, freeze, thaw
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.tags.names import (
    ATTEMPTS_TAG,
    OWNER_TAG,
    POOL_SLOTS_TAG,
    RETRY_INTERVAL_TAG,
    TIMEOUT_TAG,
)
from kindling_airflow.tags.registry import read_task_tags, tag_row
from kindling_airflow.tags.values import COUNT, LIMIT, TEXT, Value
from kindling_airflow.translator.session_names import SESSION

CALLBACKS = (
    *("on_execute_callback", "on_failure_callback", "on_retry_callback"),
    *("on_skipped_callback", "on_success_callback"),
)
TAGS = {
    ATTEMPTS_TAG: "retries",
    RETRY_INTERVAL_TAG: "retry_delay_seconds",
    TIMEOUT_TAG: "execution_timeout_seconds",
    POOL_SLOTS_TAG: "pool_slots",
    OWNER_TAG: "owner",
}
"""The tags of a pipe that are settings of its task, with the setting of each."""

STREAM_DEFAULTS = FrozenDict(
    retries=10,
    retry_delay_seconds=10,
    retry_exponential_backoff=True,
    max_retry_delay_seconds=300,
    # Spark logs each batch at INFO; the log of a task that runs for months would hold little else.
    spark=FrozenDict(conf=FrozenDict({"spark.log.level": "WARN"})),
)
"""The weakest settings of a stream that runs until it is stopped."""

_MERGED = ("spark", "executor_config", "arguments")
_MERGED_IN_SPARK = ("conf", "env_vars")


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What holds for a pipe's task; None where Airflow's own default does.

    Attributes:
        pool, pool_slots: where it takes how many slots.
        queue, executor: where it is run.
        owner: whose it is.
        retries, retry_delay_seconds: what happens when it fails.
        retry_exponential_backoff: whether (or by which factor) the pauses grow.
        max_retry_delay_seconds: how far they may grow.
        execution_timeout_seconds: how long one try may take.
        priority: its weight in place of the critical path's.
        session: ``pipe`` or None for its own driver, else the name of the session that it
            shares with other pipes of its run.
        spark: arguments of the Spark provider's operator.
        executor_config: what the executor is to know.
        arguments: further arguments of the operator.
        on_execute_callback, on_failure_callback, on_retry_callback, on_skipped_callback,
            on_success_callback: what is called then, as references that the DAG factory resolves.
    """

    pool: str
    pool_slots: int = 1
    queue: str | None = None
    executor: str | None = None
    owner: str | None = None
    retries: int | None = None
    retry_delay_seconds: float | None = None
    retry_exponential_backoff: bool | float | None = None
    max_retry_delay_seconds: float | None = None
    execution_timeout_seconds: float | None = None
    priority: int | None = None
    session: str | None = None
    spark: FrozenDict = EMPTY
    executor_config: FrozenDict = EMPTY
    arguments: FrozenDict = EMPTY
    on_execute_callback: Any = None
    on_failure_callback: Any = None
    on_retry_callback: Any = None
    on_skipped_callback: Any = None
    on_success_callback: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return what is set, as a JSON document."""
        values = {name: getattr(self, name) for name in _KEYS}
        return {name: thaw(v) for name, v in values.items() if v is not None and v != EMPTY}


_KEYS = tuple(item.name for item in fields(TaskSettings))
TASK_KEYS = tuple(key for key in _KEYS if key not in ("pool", "priority"))
"""The keys that can be set for all pipes at once."""


def merged(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Return two layers of settings as one.

    >>> merged({"retries": 1, "queue": "a"}, {"retries": 2, "queue": None})
    {'retries': 2}
    >>> merged({"spark": {"conf": {"a": 1, "b": 2}}}, {"spark": {"conf": {"a": True, "b": None}}})
    {'spark': {'conf': {'a': 'true'}}}
    """
    found = {**weaker, **stronger}
    for key in _MERGED:
        if found.get(key) is not None:
            below = weaker.get(key) or EMPTY
            found[key] = _merged_mapping(below, found[key], key == "spark")
    return {key: value for key, value in found.items() if value is not None}


def _merged_mapping(
    weaker: Mapping[str, Any], stronger: Mapping[str, Any], is_spark: bool
) -> dict[str, Any]:
    found = {**weaker, **stronger}
    for key in _MERGED_IN_SPARK if is_spark else ():
        if found.get(key) is not None:
            below: Mapping[str, Any] = weaker.get(key) or EMPTY
            both = {**below, **found[key]}
            found[key] = {name: spark_property(v) for name, v in both.items() if v is not None}
    return {key: value for key, value in found.items() if value is not None}


def spark_property(value: Any) -> str:
    """Return a Spark property as spark-submit takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def tag_settings(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a pipe's own tags make; numbers may be written as text."""
    return {TAGS[tag]: value for tag, value in read_task_tags(tags)[0].items()}


def setting_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a layer of settings, each text beginning with its key."""
    for key, value in settings.items():
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS) or f" Known settings: {', '.join(_KEYS)}."
            yield f"unknown setting {key!r}.{hint}"
            continue
        problems = [] if value is None else _CHECKS[key].problems(key, value)
        yield from problems
        if not problems and key == "arguments" and value:
            yield from (f"arguments: {name!r}: {text}" for name, text in argument_problems(value))


def argument_problems(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the arguments that have another home, each with where that is."""
    for name in arguments:
        key = f"{name}_seconds" if name in _SECONDS else name
        if name in _OWN_ARGUMENTS:
            yield name, f"is set by {_OWN_ARGUMENTS[name]}\n  Fix: remove it."
        elif key in _KEYS:
            yield name, f"has its own key\n  Fix: write '{key}: ...' beside 'arguments'."
        elif name in _SPARK:
            yield name, "is a Spark argument\n  Fix: write it under 'spark'."


_SECONDS = ("retry_delay", "max_retry_delay", "execution_timeout")
_SPARK = frozenset({"conf", "conn_id", "name", "env_vars", "packages", "py_files"})
_OWN_ARGUMENTS = {
    **dict.fromkeys(
        ("task_id", "dag", "task_group", "pipe_id", "settings", "plan_digest"), "the plan"
    ),
    **dict.fromkeys(("project_root", "modules"), "the key 'project'"),
    **dict.fromkeys(
        ("application", "application_args", "java_class"), "the package: it runs the pipe"
    ),
    **dict.fromkeys(("inlets", "outlets"), "the key 'assets'"),
    "trigger_rule": "the key 'on_error'",
    "weight_rule": "the package: priorities are absolute",
    "priority_weight": "the key 'priority'",
    "pool_width": "the keys 'width' and 'pools'",
    "warehouse": "the key 'warehouse'",
}


def _is_factor(value: Any) -> bool:
    return isinstance(value, bool) or (type(value) in (int, float) and 0 <= value < math.inf)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


_MAPPING = Value("a mapping with text as keys", {"type": "object"}, _is_mapping)
_CHECKS: Mapping[str, Value] = {
    **dict.fromkeys(("pool", "queue", "executor", "owner"), TEXT),
    **dict.fromkeys(("spark", "executor_config", "arguments"), _MAPPING),
    **dict.fromkeys(CALLBACKS, Value("a reference or a list of them", {}, bool)),
    **{setting: tag_row("pipe", tag).value for tag, setting in TAGS.items()},
    "priority": COUNT,
    "session": SESSION,
    "max_retry_delay_seconds": LIMIT,
    "retry_exponential_backoff": Value("true, false or a factor of at least 0", {}, _is_factor),
}


def frozen_settings(settings: Mapping[str, Any]) -> TaskSettings:
    """Return merged settings, of which ``pool`` must be one, as a value."""
    return TaskSettings(**freeze(dict(settings)))
