"""How a driver process starts, speaks and ends; an adapter around the Spark provider's hook.

The provider's hook starts spark-submit and reads what it prints. Added here, in client and local
mode: the driver runs on the task's own Python, unless the deployment says otherwise; it inherits no
standard input; it dies with the task's process; it starts with the deployment's start-up profile;
and what it prints goes through a :class:`DriverOutput`. The command line is logged without secrets.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook

from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.operators.driver.hidden_values import masked
from kindling_airflow.operators.driver.start_options import submit_options

__all__ = ["adapt", "interpreter_defaults"]

_PR_SET_PDEATHSIG = 1


def adapt(hook: SparkSubmitHook, output: DriverOutput) -> SparkSubmitHook:
    """Return the hook with these changes made.

    Args:
        hook: the provider's hook, before it submits.
        output: reads what the driver prints.
    """
    read_log, submit = hook._process_spark_submit_log, hook.submit

    def submit_tied(application: str = "", **kwargs: Any) -> str | None:
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        if sys.platform == "linux":
            kwargs.setdefault("preexec_fn", _die_with_parent())
        return submit(application, **kwargs)

    def read_folded(lines: Iterator[Any]) -> None:
        try:
            read_log(output.lines(lines))
        finally:
            if output.is_folding:  # what comes after an interruption belongs to no fold
                hook.log.info("::endgroup::")

    mask_command = hook._mask_cmd
    if hook._connection["deploy_mode"] != "cluster":
        _start_on_this_machine(hook)
    hook._mask_cmd = lambda command: masked(mask_command(command))  # type: ignore[method-assign, assignment]
    hook._log = _MaskedLog(hook.log)
    hook._process_spark_submit_log = read_folded  # type: ignore[method-assign, assignment]
    hook.submit = submit_tied  # type: ignore[method-assign]
    return hook


class _MaskedLog:
    """The hook's log without secrets; what it logs at level info has been masked before."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._log, name)
        if name not in ("debug", "warning", "error", "exception"):
            return method
        return lambda *arguments, **more: method(
            *(item if isinstance(item, (int, float)) else masked(str(item)) for item in arguments),
            **more,
        )


def _start_on_this_machine(hook: SparkSubmitHook) -> None:
    """Give the process its variables. They are this machine's: none of them goes to a cluster."""
    build, connection = hook._build_spark_submit_command, hook._connection

    def build_with_variables(application: str) -> list[str]:
        command = build(application)
        said = {**os.environ, **(hook._env_vars or {})}
        defaults = interpreter_defaults(said, connection["master"], connection["spark_binary"])
        options = submit_options(
            hook._conf, {**said, **defaults}, connection["spark_binary"], hook._properties_file
        )
        own = {
            **defaults,
            **(hook._env or {}),
            **({"SPARK_SUBMIT_OPTS": options} if options else {}),
        }
        hook._env = own
        return command

    hook._build_spark_submit_command = build_with_variables  # type: ignore[method-assign]


def interpreter_defaults(
    environment: Mapping[str, str], master: str, spark_binary: str
) -> dict[str, str]:
    """Return the variables that let a driver run on this Python, where the deployment sets none.

    ``spark-submit`` of an installed pyspark lies beside the interpreter, which need not be on the
    ``PATH`` of a service; and Spark would take whatever ``python3`` comes first there. Executors of
    a cluster have a Python of their own, which stays as it is.
    """
    defaults = {}
    if "PYSPARK_PYTHON" not in environment and "PYSPARK_DRIVER_PYTHON" not in environment:
        defaults["PYSPARK_DRIVER_PYTHON"] = sys.executable
        if master.startswith("local"):
            defaults["PYSPARK_PYTHON"] = sys.executable
    beside = Path(sys.executable).parent
    path = environment.get("PATH", os.defpath)
    if shutil.which(spark_binary, path=path) is None and (beside / spark_binary).exists():
        defaults["PATH"] = os.pathsep.join((path, str(beside)))
    return defaults


def _die_with_parent() -> Callable[[], None]:
    """Return what lets a child be killed when this process dies, even by SIGKILL (Linux only).

    Without it the driver of a worker that died goes on and writes beside that of the retry.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after the fork it might deadlock

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return tie
