"""The Spark provider's hook, adapted: how a driver process starts, what it prints and how it ends.

The only module that overrides or reads what is private to :class:`SparkSubmitHook`, from the lowest
supported provider to the newest. What it adds to the provider's spark-submit process:

- It dies with the task's process, and inherits no standard input.
- What it prints goes through a :class:`DriverOutput`; no secret reaches the log.
- In client and local mode it runs on the task's own Python unless the deployment configures
  another, starts with the deployment's start-up profile, and has Airflow connections in its
  environment.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.operators.driver.connections import connection_variables
from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.operators.driver.hidden_values import masked
from kindling_airflow.operators.driver.start_options import submit_options

__all__ = ["DriverHook", "interpreter_defaults"]

_PR_SET_PDEATHSIG = 1


class DriverHook(SparkSubmitHook):
    """Submits one driver, in the place of the provider's hook that it is made of.

    Attributes:
        output: reads what the driver prints.
        watched: passes on the raw lines, so that a caller can observe when they arrive.
    """

    output: DriverOutput | None = None
    watched: Callable[[Iterable[Any]], Iterator[Any]] = staticmethod(iter)
    _variables: Mapping[str, str] = EMPTY

    @classmethod
    def adopt(cls, hook: SparkSubmitHook) -> DriverHook:
        """Return a hook in the state of the provider's, whose constructor varies by release."""
        adopted = cls.__new__(cls)
        vars(adopted).update(vars(hook))
        return adopted

    @property
    def process(self) -> subprocess.Popen[str] | None:
        """The process that submits; in client and local mode it is the driver."""
        process: subprocess.Popen[str] | None = self._submit_sp
        return process

    @property
    def runs_on_cluster(self) -> bool:
        """Whether the driver runs elsewhere, so that its output does not reach the task."""
        modes = (self._connection["deploy_mode"], self._conf.get("spark.submit.deployMode"))
        return "cluster" in modes

    @property
    def is_untracked_on_yarn(self) -> bool:
        """Whether the driver runs on YARN without the resource manager's API to follow it."""
        on_yarn = self._is_yarn and self._connection["deploy_mode"] == "cluster"
        return on_yarn and not getattr(self, "_yarn_track_via_rm_api", False)

    @property
    def log(self) -> Any:
        """The log without secrets; what the provider logs at level info is masked before."""
        return _MaskedLog(super().log)

    def set_arguments(self, arguments: Sequence[str]) -> None:
        """Set the arguments of the driver's application."""
        self._application_args = list(arguments)

    def hand_over(self, conn_ids: Sequence[str]) -> None:
        """Give the process Airflow connections, by its environment and by nothing else.

        The provider's ``env_vars`` become Spark settings on YARN and Kubernetes, visible on the
        command line, in the Spark UI and in its event log. In cluster deploy mode the driver is
        not a child of the task: nothing is looked up, and the deployment has to set the variables.

        Raises:
            AirflowFailException: connections are missing; names all of them.
        """
        if conn_ids and self._connection["deploy_mode"] != "cluster":
            self._variables = connection_variables(conn_ids)

    def submit(self, application: str = "", **kwargs: Any) -> str | None:
        """Start the process and return when it has ended."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        if sys.platform == "linux":
            kwargs.setdefault("preexec_fn", _die_with_parent())
        return super().submit(application, **kwargs)

    def end_submission(self) -> None:
        """Kill the process that submits."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def kill_untracked(self) -> None:
        """Kill a driver on YARN by the ``yarn`` command, or by the API where there is none."""
        try:
            self.on_kill()
        except OSError as error:
            self.log.warning("The command 'yarn' cannot be run: %s", error)
            if self._yarn_application_id:
                self._kill_yarn_application(self._yarn_application_id)

    def _mask_cmd(self, connection_cmd: str | list[str]) -> str:
        return masked(super()._mask_cmd(connection_cmd))

    def _process_spark_submit_log(self, itr: Iterator[Any]) -> None:
        lines, output = self.watched(itr), self.output
        try:
            super()._process_spark_submit_log(lines if output is None else output.lines(lines))
        finally:
            if output is not None and output.is_folding:  # what follows an interruption is unfolded
                self.log.info("::endgroup::")

    def _build_spark_submit_command(self, application: str) -> list[str]:
        command = super()._build_spark_submit_command(application)
        connection = self._connection
        if connection["deploy_mode"] == "cluster":
            return command
        # Set behind the provider's back: of the variables that it knows it makes Spark settings.
        given = {**os.environ, **(self._env_vars or {})}
        defaults = interpreter_defaults(given, connection["master"], connection["spark_binary"])
        options = submit_options(
            self._conf, {**given, **defaults}, connection["spark_binary"], self._properties_file
        )
        profile = {"SPARK_SUBMIT_OPTS": options} if options else {}
        self._env = {**defaults, **(self._env or {}), **profile, **self._variables}
        return command


class _MaskedLog:
    """A log that masks secrets in the arguments of all levels but info."""

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


def interpreter_defaults(
    environment: Mapping[str, str], master: str, spark_binary: str
) -> dict[str, str]:
    """Return the variables that let a driver run on this Python, where the deployment sets none.

    ``spark-submit`` of an installed pyspark is beside the interpreter, which need not be on the
    ``PATH`` of a service; and Spark would use the first ``python3`` there. Executors of a cluster
    have their own Python.
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
    """Return a function that ties a child to this process, even to its SIGKILL (Linux only).

    Otherwise the driver of a worker that died would write beside that of the retry.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after the fork it might deadlock

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return tie
