"""Defines how ``run`` treats each key of a definition, and which set keys it ignores.

A definition is written for a DAG. Keys that define what a run computes apply in one process as
well; keys that define when and where Airflow runs it do not apply. The run prints the keys that are
ignored although a user might expect them to apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.immutable import thaw

if TYPE_CHECKING:
    from kindling_airflow.definitions.definition import Definition


class Held(str, Enum):
    """How a key applies in one process."""

    OBEYED = "applies"
    """As in Airflow."""
    DIFFERENT = "applies with a difference"
    """The text describes the difference."""
    AIRFLOW = "Airflow only"
    """It defines when, where and for whom Airflow runs the tasks."""
    IGNORED = "ignored"
    """It has no effect; the command prints a note where it is set."""


_HERE = "Spark runs in this process's own session, on this machine"
_ONE_SESSION = "all pipes share one session, and one process"
_CALLED = "Airflow calls it, with the context of its run"
_ONLY_GIVEN = (
    "without `--interval`: `full` processes all data; `fail` and `run_after` reject the run, "
    "because only Airflow knows the schedule's last interval"
)
_FROM_HERE = (
    "a relative path starts from the working directory, as does the default; `--warehouse` "
    "overrides it"
)

KEYS: Mapping[str, tuple[Held, str]] = {
    **dict.fromkeys(("project.path", "project.modules"), (Held.OBEYED, "")),
    **dict.fromkeys(("strategy", "pipes", "settings"), (Held.OBEYED, "")),
    **dict.fromkeys(
        ("select", "exclude"), (Held.OBEYED, "`--select` and `--exclude` select among these pipes")
    ),
    "manifest": (Held.OBEYED, ""),
    "durations": (Held.AIRFLOW, "of priorities"),
    "package": (Held.DIFFERENT, "the code is taken from the project's folder, not from the zip"),
    "on_missing_interval": (Held.DIFFERENT, _ONLY_GIVEN),
    "timezone": (Held.DIFFERENT, "of an `--interval` without an offset"),
    "params": (Held.OBEYED, "`--param` overrides them; values are checked as by Airflow"),
    "lifetime": (Held.OBEYED, "`--for` and `--available-now` override it"),
    "duration": (Held.OBEYED, "`--for` overrides it"),
    "checkpoints": (
        Held.DIFFERENT,
        "a relative path starts from the working directory; `--checkpoints` overrides it",
    ),
    "catalog": (Held.OBEYED, "its connection is read from the environment"),
    "warehouse": (Held.DIFFERENT, _FROM_HERE),
    "on_error": (Held.OBEYED, "`--on-error` overrides it"),
    "barrier": (Held.DIFFERENT, "a generation always waits for the previous one"),
    "retries": (Held.OBEYED, "`--retries` overrides it; not for long-running streams"),
    "retry_delay_seconds": (Held.OBEYED, "default: 30"),
    "retry_exponential_backoff": (Held.DIFFERENT, "without the random part of Airflow's pauses"),
    "max_retry_delay_seconds": (Held.OBEYED, ""),
    "execution_timeout_seconds": (
        Held.OBEYED,
        "`--timeout` overrides it; not for long-running streams",
    ),
    "overrides": (Held.OBEYED, "as far as their keys apply; `spark` does not"),
    "overrides.spark": (Held.IGNORED, _ONE_SESSION),
    **dict.fromkeys(("overrides.pool", "overrides.priority"), (Held.AIRFLOW, "")),
    "spark.conf": (Held.OBEYED, "of the session; `--conf` overrides it; templates are ignored"),
    "spark.env_vars": (Held.OBEYED, "of the session's process; templates are ignored"),
    **dict.fromkeys(
        (
            *("spark.archives", "spark.driver_class_path", "spark.driver_memory"),
            *("spark.exclude_packages", "spark.files", "spark.jars", "spark.keytab"),
            *("spark.packages", "spark.principal", "spark.properties_file", "spark.py_files"),
            "spark.repositories",
        ),
        (Held.OBEYED, "templates are ignored"),
    ),
    **dict.fromkeys(
        (
            *("spark.conn_id", "spark.deploy_mode", "spark.durable", "spark.executor_cores"),
            *("spark.executor_memory", "spark.num_executors", "spark.spark_binary"),
            *("spark.status_poll_interval", "spark.total_executor_cores", "spark.verbose"),
            *("spark.track_driver_via_k8s_api", "spark.use_krb5ccache", "spark.yarn_queue"),
            *("spark.yarn_rm_auth", "spark.yarn_track_via_rm_api"),
        ),
        (Held.AIRFLOW, _HERE),
    ),
    "spark.name": (Held.AIRFLOW, "the session is named after the run"),
    **dict.fromkeys(
        ("spark.openlineage_inject_parent_job_info", "spark.openlineage_inject_transport_info"),
        (Held.AIRFLOW, "there is no task for lineage"),
    ),
    "spark.post_submit_commands": (Held.IGNORED, "nothing is submitted"),
    "spark.proxy_user": (Held.IGNORED, "the session runs as the user of the command"),
    "arguments": (Held.IGNORED, "they are arguments of Airflow's operator"),
    **dict.fromkeys(
        (
            *("on_execute_callback", "on_failure_callback", "on_retry_callback"),
            *("on_skipped_callback", "on_success_callback"),
            *("dag_run.on_failure_callback", "dag_run.on_success_callback", "dag_run.deadline"),
        ),
        (Held.IGNORED, _CALLED),
    ),
    "dag_run.timeout_seconds": (Held.IGNORED, "the time of a run is not limited"),
    "dag_run.max_consecutive_failed": (Held.AIRFLOW, ""),
    **dict.fromkeys(
        (
            *("dag_id", "dag_display_name", "description", "doc_md", "tags", "access_control"),
            *("is_paused_upon_creation", "owner", "group_by", "assets"),
        ),
        (Held.AIRFLOW, "of its pages"),
    ),
    **dict.fromkeys(
        ("schedule", "start_date", "catchup", "max_active_runs"), (Held.AIRFLOW, "of its scheduler")
    ),
    **dict.fromkeys(
        ("pool", "width", "pools", "pool_slots"),
        (Held.AIRFLOW, "`--workers` sets how many pipes run at once"),
    ),
    "memory_budget": (Held.OBEYED, "`--memory-budget` overrides it"),
    **dict.fromkeys(("session", "session_pool"), (Held.AIRFLOW, _ONE_SESSION)),
    **dict.fromkeys(("queue", "executor", "executor_config"), (Held.AIRFLOW, "of its executor")),
}
"""By key, those in a mapping with a dot: how it applies, and the difference."""


_TRIES = frozenset(
    {
        *("retries", "retry_delay_seconds", "retry_exponential_backoff"),
        *("max_retry_delay_seconds", "execution_timeout_seconds"),
    }
)


def kind_of(key: str) -> tuple[Held, str]:
    """Return how a key applies; keys of overrides apply as those of all pipes.

    Raises:
        KeyError: the key is not listed.
    """
    if key not in KEYS and key.startswith("overrides."):
        return KEYS[key.removeprefix("overrides.")]
    return KEYS[key]


def is_template(value: Any) -> bool:
    """Return whether a value is a Jinja template, which only Airflow renders."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def notes_on_keys(definition: Definition, *, has_long_streams: bool = False) -> list[str]:
    """Return the set keys that are ignored in one process, each with the reason.

    Args:
        definition: the definition.
        has_long_streams: whether streams run until they are stopped, and are not retried.
    """
    return [
        *_ignored(definition),
        *_templates(definition),
        *(_of_streams(definition) if has_long_streams else ()),
    ]


def _ignored(definition: Definition) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for key, shown in _set_keys(definition):
        held, reason = kind_of(key)
        if held is Held.IGNORED:
            by_reason.setdefault(reason, []).append(shown)
    for reason, keys in by_reason.items():
        yield f"{', '.join(keys)}: ignored in this run: {reason}"


def _of_streams(definition: Definition) -> Iterator[str]:
    found = [shown for key, shown in _set_keys(definition) if key.rpartition(".")[2] in _TRIES]
    if found:
        yield f"{', '.join(found)}: ignored for streams in this run: a failed stream ends it"


def _set_keys(definition: Definition) -> Iterator[tuple[str, str]]:
    """Yield the set keys that could be ignored, each with its text."""
    for key in definition.task:
        if key == "spark":
            yield from ((f"spark.{inner}", f"spark.{inner}") for inner in definition.spark)
        else:
            yield key, key
    yield from ((f"dag_run.{key}", f"dag_run.{key}") for key in definition.dag_run)
    for pattern, layer in definition.overrides.items():
        for key, value in layer.items():
            if value is None:
                continue
            if key == "spark" and isinstance(value, Mapping):
                inner = ", ".join(_leaves(thaw(value)))
                yield "overrides.spark", f"overrides {pattern!r}: {inner}"
            else:
                yield f"overrides.{key}", f"overrides {pattern!r}: {key}"


def _leaves(spark: Mapping[str, Any]) -> Iterator[str]:
    for key, value in spark.items():
        if isinstance(value, Mapping):
            yield from (f"spark.{key} {name!r}" for name in value)
        else:
            yield f"spark.{key}"


def _templates(definition: Definition) -> Iterator[str]:
    """Yield the session's settings that are ignored because only Airflow can render them."""
    found = []
    for key, value in definition.spark.items():
        if kind_of(f"spark.{key}")[0] is not Held.OBEYED:
            continue
        if isinstance(value, Mapping):
            found += [f"spark.{key} {n!r}" for n, inner in value.items() if is_template(inner)]
        elif is_template(value):
            found.append(f"spark.{key}")
    if found:
        verb = "is a template" if len(found) == 1 else "are templates"
        yield f"{', '.join(found)}: {verb}, which only Airflow can render: ignored in this run"
