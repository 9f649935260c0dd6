"""Which settings of a pipe's task are its driver's, and those of the task of a session.

Needs no graph: a worker builds one task from a compiled manifest.
"""

from __future__ import annotations

from typing import Any

from kindling_airflow.common.immutable import EMPTY, FrozenDict
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.session_names import OWN_DRIVER
from kindling_airflow.translator.task_settings import TaskSettings

__all__ = ["driver_settings", "session_of", "session_settings"]

_WHERE = ("queue", "executor", "executor_config")
_RETRIES, _RETRY_SECONDS = 3, 5.0
_OF_THE_TASK = frozenset({"name"})  # of the Spark arguments: what the application is called
# Arguments of the Spark provider's operator, which 'arguments' takes as well as 'spark'.
_DRIVER_ARGUMENTS = frozenset(
    {
        *("archives", "deploy_mode", "driver_class_path", "driver_memory", "durable"),
        *("exclude_packages", "executor_cores", "executor_memory", "files", "jars", "keytab"),
        *("num_executors", "post_submit_commands", "principal", "properties_file", "proxy_user"),
        *("repositories", "spark_binary", "status_poll_interval", "total_executor_cores"),
        *("use_krb5ccache", "verbose", "yarn_queue"),
    }
)


def session_of(settings: TaskSettings, *, is_stream: bool = False) -> str:
    """Return the name of the session that a pipe shares; "" for its own driver."""
    name = settings.session or OWN_DRIVER
    return "" if is_stream or name == OWN_DRIVER else name


def driver_settings(own: TaskSettings) -> dict[str, Any]:
    """Return the settings of a pipe that its driver is started with, as one flat mapping."""
    found = {key: value for key in _WHERE if (value := getattr(own, key)) not in (None, EMPTY)}
    for name, value in own.spark.items():
        if name in ("conf", "env_vars"):
            found |= {f"spark.{name} {inner!r}": item for inner, item in value.items()}
        elif name not in _OF_THE_TASK:
            found[f"spark.{name}"] = value
    arguments = own.arguments.items()
    return found | {f"arguments.{k}": v for k, v in arguments if k in _DRIVER_ARGUMENTS}


def session_settings(like: TaskSettings, options: TranslateOptions) -> TaskSettings:
    """Return the settings of a session's task.

    Args:
        like: the settings of one of its pipes.
        options: the deployment's: the pool where it takes its slot, and the owner of all tasks.
    """
    spark = {name: value for name, value in like.spark.items() if name not in _OF_THE_TASK}
    arguments = {k: v for k, v in like.arguments.items() if k in _DRIVER_ARGUMENTS}
    return TaskSettings(
        pool=options.session_pool,
        queue=like.queue,
        executor=like.executor,
        owner=options.settings.get("owner"),
        retries=_RETRIES,
        retry_delay_seconds=_RETRY_SECONDS,
        spark=FrozenDict(spark),
        executor_config=like.executor_config,
        arguments=FrozenDict(arguments),
    )
