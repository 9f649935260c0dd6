"""The Spark provider's hook, adapted: how a driver process starts, what it prints and how it ends.

The only module that overrides or reads what is private to :class:`SparkSubmitHook`, from the lowest
supported provider to the newest. What it adds to the provider's spark-submit process:

- It dies with the task's process, and inherits no standard input.
- What it prints goes through a :class:`DriverOutput`; no secret reaches the log.
- In client and local mode it runs on the task's own Python unless the deployment configures
  another, starts with the deployment's start-up profile, and has Airflow connections in its
  environment.
- In cluster mode it ends when the cluster has the driver, where an API follows and kills that.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from airflow.providers.apache.spark.hooks import spark_submit as provider_hook
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.common.compat.sdk import AirflowNotFoundException, conf
from airflow.security.kerberos import renew_from_kt

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.operators.driver.connections import connection_variables
from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.operators.driver.hadoop_conf import (
    hadoop_properties,
    hadoop_user,
    resource_managers,
)
from kindling_airflow.operators.driver.hidden_values import masked
from kindling_airflow.operators.driver.start_options import submit_options
from kindling_airflow.operators.driver.yarn import addresses_in
from kindling_airflow.tags.storages import SHARED_DISK_PROPERTY

__all__ = ["DriverHook", "interpreter_defaults"]

_PR_SET_PDEATHSIG = 1
_MODE_PROPERTY = "spark.submit.deployMode"
_RESOURCE_MANAGER_EXTRA = "yarn_resourcemanager_webapp_address"
_SEEN_SECONDS = 2.5
_COMMAND_SECONDS = 4.0  # Airflow leaves a task about five before it kills it
_NOT_FOUND = 404
_SEEN_PAUSE = 0.4


class DriverHook(SparkSubmitHook):
    """Submits one driver, in the place of the provider's hook that it is made of.

    Attributes:
        output: reads what the driver prints.
        watched: passes on the raw lines, so that a caller can observe when they arrive.
        before_submission: called right before a driver is submitted.
        instead: takes the place of submitting; is given what submits.
    """

    output: DriverOutput | None = None
    watched: Callable[[Iterable[Any]], Iterator[Any]] = staticmethod(iter)
    before_submission: Callable[[], None] | None = None
    instead: Callable[[Callable[[], Any]], Any] | None = None
    _variables: Mapping[str, str] = EMPTY

    @classmethod
    def adopt(cls, hook: SparkSubmitHook) -> DriverHook:
        """Return a hook in the state of the provider's, whose constructor varies by release.

        A deploy mode that is set by Spark's property counts as if it were an argument.
        """
        adopted = cls.__new__(cls)
        vars(adopted).update(vars(hook))
        mode = adopted._conf.get(_MODE_PROPERTY)
        if mode and not adopted._connection["deploy_mode"]:
            adopted._conf = {k: v for k, v in adopted._conf.items() if k != _MODE_PROPERTY}
            adopted._connection = {**adopted._connection, "deploy_mode": mode}
            adopted._is_yarn_cluster_mode = adopted._is_yarn and mode == "cluster"
            adopted._should_track_driver_status = adopted._resolve_should_track_driver_status()
        return adopted

    @property
    def process(self) -> subprocess.Popen[str] | None:
        """The process that submits; in client and local mode it is the driver."""
        process: subprocess.Popen[str] | None = self._submit_sp
        return process

    @property
    def runs_on_cluster(self) -> bool:
        """Whether the driver runs elsewhere, so that its output does not reach the task."""
        return bool(self._connection["deploy_mode"] == "cluster")

    @property
    def is_on_yarn(self) -> bool:
        """Whether the cluster is YARN."""
        return bool(self._is_yarn)

    @property
    def is_untracked_on_yarn(self) -> bool:
        """Whether the driver runs on YARN without the resource manager's API to follow it."""
        return self.is_on_yarn and self.runs_on_cluster and self.instead is None

    @property
    def application_id(self) -> str:
        """The id of the application on YARN that was seen in the output of spark-submit, or ""."""
        return str(self._yarn_application_id or "")

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that the task sets for the process that submits."""
        return {key: str(value) for key, value in (self._env_vars or {}).items()}

    @property
    def hadoop_user(self) -> str:
        """Who Hadoop takes the task for where it does not authenticate."""
        return hadoop_user(self.variables)

    def resource_managers(self) -> list[str]:
        """Return the addresses of YARN's resource managers; none where none is known.

        The first that is set counts: the extra of the Spark connection, ``[kindling]
        yarn_resource_manager``, the Hadoop configuration of the worker.
        """
        extra: Mapping[str, Any] = {}
        with suppress(AirflowNotFoundException):
            extra = self.get_connection(self._conn_id).extra_dejson
        configured = extra.get(_RESOURCE_MANAGER_EXTRA) or conf.get(
            "kindling", "yarn_resource_manager", fallback=""
        )
        if configured:
            return addresses_in(str(configured))
        return resource_managers(hadoop_properties(self.variables))

    def yarn_auth(self) -> Any:
        """Return how requests to YARN authenticate; None where the cluster does not ask."""
        return getattr(self, "_resolved_yarn_rm_auth", None)

    def tag_application(self, tag: str) -> None:
        """Let the application on YARN carry a tag, run once, and be left when YARN has it."""
        tags = [str(self._conf.get("spark.yarn.tags") or ""), tag]
        self._conf = {
            "spark.yarn.maxAppAttempts": "1",  # a driver that is lost is Airflow's to retry
            **self._conf,
            "spark.yarn.tags": ",".join(filter(None, tags)),
            "spark.yarn.submit.waitAppCompletion": "false",
        }
        self._yarn_track_via_rm_api = False

    def follow_by_api(self) -> None:
        """Let the API of Kubernetes follow and kill the driver, where the provider can do that."""
        waits = str(self._conf.get("spark.kubernetes.submission.waitAppCompletion", "")).lower()
        if self._is_kubernetes and hasattr(self, "_track_driver_via_k8s_api") and waits != "true":
            namespace = self._connection["namespace"] or "default"  # Spark's own default
            self._connection = {**self._connection, "namespace": namespace}
            self._track_driver_via_k8s_api = True

    @property
    def log(self) -> Any:
        """The log without secrets; what the provider logs at level info is masked before."""
        return _MaskedLog(super().log)

    def share_disk(self) -> None:
        """Set that a local warehouse is one disk, which all machines mount."""
        self._conf = {SHARED_DISK_PROPERTY: "true", **self._conf}

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

    def give(self, variables: Mapping[str, str]) -> None:
        """Give the process further variables, by its environment and by nothing else."""
        self._variables = {**self._variables, **variables}

    def submit(self, application: str = "", **kwargs: Any) -> str | None:
        """Start the process and return when it has ended."""
        if self.instead is not None:
            self.instead(lambda: self._submit(application, **kwargs))
            return None
        return self._submit(application, **kwargs)

    def _submit(self, application: str, **kwargs: Any) -> str | None:
        if self.before_submission is not None:
            self.before_submission()
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        if sys.platform == "linux":
            kwargs.setdefault("preexec_fn", _die_with_parent())
        return super().submit(application, **kwargs)

    def end_submission(self) -> None:
        """Kill the process that submits."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def kill_untracked(self) -> tuple[bool, str]:
        """Kill a driver on YARN by the command ``yarn``; return whether that was seen, and how."""
        application = self.application_id
        self.end_submission()
        if not application:
            return False, "YARN had not reported its application yet"
        variables = {**os.environ, **self.variables}
        principal, keytab = self._connection["principal"], self._connection["keytab"]
        if principal and keytab:
            renew_from_kt(principal, keytab, exit_on_fail=False)
            variables["KRB5CCNAME"] = conf.get("kerberos", "ccache", fallback="")
        try:
            done = subprocess.run(
                ["yarn", "application", "-kill", application],  # noqa: S607 (of the PATH)
                env=variables,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return False, f"the command 'yarn' could not kill {application}: {error}"
        if done.returncode:
            return False, f"'yarn application -kill {application}' ended with {done.returncode}"
        return True, f"the command 'yarn' has killed {application}"

    def seen_end(self) -> tuple[bool, str]:
        """Return whether a driver that was killed is seen to have ended, and how it stands."""
        deadline = time.monotonic() + _SEEN_SECONDS
        while True:
            is_seen, how = self._pod_end() if self._is_kubernetes else self._standalone_end()
            if is_seen or time.monotonic() >= deadline:
                return is_seen, how
            time.sleep(_SEEN_PAUSE)

    def _pod_end(self) -> tuple[bool, str]:
        pod = self._kubernetes_driver_pod
        if not pod:
            return False, "Kubernetes had not reported the pod of its driver yet"
        try:
            client = vars(provider_hook)["kube_client"].get_kube_client()
            phase = client.read_namespaced_pod(pod, self._connection["namespace"]).status.phase
        except Exception as error:  # of a client that need not be installed
            if getattr(error, "status", None) == _NOT_FOUND:
                return True, f"Kubernetes has deleted pod {pod}"
            return False, f"Kubernetes does not report the state of pod {pod}: {error}"
        return phase in ("Succeeded", "Failed"), f"Kubernetes reports pod {pod} as {phase}"

    def _standalone_end(self) -> tuple[bool, str]:
        driver, base = self._driver_id, self._connection.get("rest_endpoint")
        if not driver or not base:
            return False, f"{driver or 'its driver'} was asked to end"
        try:
            url = f"{base}/v1/submissions/status/{driver}"
            state = str(requests.get(url, timeout=_SEEN_SECONDS).json().get("driverState"))
        except (requests.RequestException, ValueError) as error:
            return False, f"the master does not report the state of {driver}: {error}"
        has_ended = state in ("FINISHED", "KILLED", "FAILED", "ERROR")
        return has_ended, f"the master reports {driver} as {state}"

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
