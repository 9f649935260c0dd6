"""An attempt whose driver runs on a cluster: prepared, submitted or taken up, concluded, killed.

channel works -> earlier attempts: take up, accept, or revoke -> claim -> submit -> follow
                                                                     |
killed, timed out, marked, cleared: revoke the claim, kill the driver, say what was seen
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.report_channels import FolderChannel
from kindling_airflow.operators.driver.task_claims import EarlierAttempt, TaskClaims
from kindling_airflow.operators.driver.yarn import NoAnswerError
from kindling_airflow.operators.driver.yarn_driver import YarnDriver
from kindling_airflow.protocol.contracts import RunReport, RunRequest, TaskClaim, report_in_line

__all__ = ["ClusterRun", "NotSubmittedError"]

_REVOKE_SECONDS = 1.5
_KILL_SECONDS = 2.5  # Airflow leaves a task about five before it kills it


class NotSubmittedError(AirflowException):
    """No driver was submitted, because something that has to answer first does not."""


class ClusterRun:
    """One try's side of a driver on a cluster.

    Args:
        channel: where claims and reports are exchanged.
        claims: the claims of the task instance.
        request: this try; replaced by the request of an attempt that is taken up.
        max_tries: Airflow's number of tries.
        log: the task's log.
        takes_up: whether a driver of an earlier try is taken up.
        yarn: the driver on YARN; None where the provider follows the driver.
    """

    def __init__(
        self,
        channel: FolderChannel,
        claims: TaskClaims,
        request: RunRequest,
        *,
        max_tries: int,
        log: Any,
        takes_up: bool = True,
        yarn: YarnDriver | None = None,
    ) -> None:
        self.request = request
        self.yarn = yarn
        self._channel = channel
        self._claims = claims
        self._max_tries = max_tries
        self._log = log
        self._takes_up = takes_up
        self._accepted = ""  # what a driver of an earlier try has printed and reported
        self._is_left = False  # to a newer try, which has taken up the driver
        self._may_run = False  # a driver on YARN was submitted or taken up

    @staticmethod
    def prepared(
        request: RunRequest,
        channel: FolderChannel,
        claims: TaskClaims,
        lease: float,
        patience: float,
    ) -> RunRequest:
        """Return the request with what the driver needs in order to report and to be wanted."""
        claim = {"path": claims.path, "lease": lease, "patience": patience}
        return dataclasses.replace(
            request,
            report_path=channel.report_path(request.attempt_key),
            claim=FrozenDict(claim),
        )

    def run_on_yarn(self, submit: Callable[[], Any], found_id: Callable[[], str]) -> None:
        """Submit a driver, unless an earlier one still works or has done the work; follow it.

        Args:
            submit: starts the driver and returns when YARN has it.
            found_id: returns the application's id that was seen in the output of ``submit``.

        Raises:
            AirflowException: the driver did not end well.
            NotSubmittedError: the state of an earlier driver is not known.
        """
        yarn = self.yarn
        assert yarn is not None  # noqa: S101 (the caller's condition)
        is_taken_up = False
        for attempt in self._claims.earlier():
            if is_taken_up:
                self._claims.revoke(attempt.name)
            else:
                is_taken_up = self._take_up(attempt)
        if not is_taken_up:
            self.claim()
            self._may_run = True
            submit()
            yarn.application_id = yarn.application_id or found_id()
            if not yarn.application_id and yarn.find() is None:
                raise AirflowException("spark-submit ended, and YARN has no application of it")
        if self._accepted:
            return
        end = yarn.follow()
        if not end.has_succeeded:
            why = f": {end.diagnostics}" if end.diagnostics else ""
            raise AirflowException(
                f"{end.id} ended on YARN as {end.state}, {end.final_status}{why}"
            )

    def claim(self) -> None:
        """Write the claim of this try; those of earlier ones do not count any more."""
        for attempt in self._claims.earlier():
            self._claims.revoke(attempt.name)
        earlier = tuple(self._claims.others()) if self.request.stream else ()
        self._claims.write(
            TaskClaim(
                attempt_key=self.request.attempt_key,
                report_path=self.request.report_path,
                max_tries=self._max_tries,
                plan_digest=self.request.plan_digest,
                code_digest=self.request.code_digest,
                earlier=earlier,
            )
        )

    def follow_earlier(self, attempt_key: str) -> None:
        """Wait for the report of an earlier try's driver, which the provider has found at work."""
        if attempt_key == self.request.attempt_key:
            return
        for attempt in self._claims.earlier():
            if attempt.claim.attempt_key == attempt_key:
                self._claims.take_over(attempt)
        self._replace(attempt_key, self._channel.report_path(attempt_key))

    def output(self, *, is_killed: bool) -> str | None:
        """Return what the driver has printed, with its report; None where there is nothing.

        Raises:
            ReportError: the worker cannot read it.
        """
        if self._accepted:
            return self._accepted
        text = self._channel.fetch(self.request.attempt_key, *([1] if is_killed else []))
        yarn = self.yarn
        if text is None and yarn is not None and yarn.end is not None:
            text = yarn.manager.driver_output(yarn.end) or None
        return text

    @property
    def log_place(self) -> str:
        """Where the cluster keeps the whole log of the driver; "" where that is not known."""
        app = "" if self.yarn is None else self.yarn.application_id
        return f"on the cluster: yarn logs -applicationId {app}" if app else ""

    def conclude(self) -> None:
        """End the claim, the report, and a driver that is not known to have ended."""
        if self._is_left:
            return
        yarn = self.yarn
        try:
            self._is_left = not self._claims.end()
            if self._is_left:
                return
            if yarn is not None and self._may_run and yarn.end is None:
                self._log.warning("The driver is not wanted any more: %s", yarn.kill(5.0)[1])
            self._channel.forget(self.request.attempt_key)
        except Exception as error:  # whatever the storage raises; the lease lapses
            self._log.warning("The claim of the driver could not be deleted: %s", error)

    def leave(self) -> None:
        """Leave claim and report to the next try, which accepts them if it can read them."""
        self._claims.leave()

    def kill(self, end_driver: Callable[[], tuple[bool, str]] | None = None) -> str:
        """Revoke the claim and kill the driver; return what is known of it.

        Args:
            end_driver: kills a driver that the provider follows.
        """
        self._may_run = False  # it is dealt with here
        ended: list[bool] = []
        problem: list[str] = []

        def revoke() -> None:
            try:
                ended.append(self._claims.end())
            except Exception as error:  # whatever the storage raises
                problem.append(f"{type(error).__name__}: {error}".partition("\n")[0])

        thread = threading.Thread(target=revoke, name="kindling-revoke", daemon=True)
        thread.start()
        thread.join(_REVOKE_SECONDS)
        if ended and not ended[0]:
            self._is_left = True
            if self.yarn is not None:
                self.yarn.cancel()
            return "the task was ended; its driver was taken up by a newer try, and is left to it."
        is_seen, how = True, ""
        if end_driver is not None:
            is_seen, how = end_driver()
        elif self.yarn is not None:
            is_seen, how = self.yarn.kill(_KILL_SECONDS)
        if is_seen:
            return f"the task was killed, and its driver with it ({how})."
        thread.join(_REVOKE_SECONDS)
        if ended:
            claim = "Its claim is revoked: it does not publish."
        else:
            why = f" ({problem[0]})" if problem else ""
            claim = f"Its claim could not be revoked{why}; it lapses within a minute."
        return f"the task was killed. Whether its driver has ended is not known: {how}. {claim}"

    def _take_up(self, attempt: EarlierAttempt) -> bool:
        """Return whether an earlier attempt does the work of this try; else end it."""
        yarn = self.yarn
        assert yarn is not None  # noqa: S101 (the caller's condition)
        key, claim = attempt.claim.attempt_key, attempt.claim
        driver = YarnDriver(yarn.manager, key, self._log)
        is_retry = (
            self._takes_up
            and claim.max_tries == self._max_tries
            and claim.plan_digest == self.request.plan_digest
            and claim.code_digest == self.request.code_digest
        )
        try:
            found = driver.find()
            if is_retry and self._has_published(key):
                self._log.info(
                    "The driver of an earlier attempt (%s) finished its work while its task was "
                    "lost; its report counts.",
                    driver.application_id or key,
                )
                self._claims.take_over(attempt)
                self._replace(key, claim.report_path)
                return True
            if is_retry and found is not None and not found.has_ended:
                self._claims.take_over(attempt)
                yarn.attempt_key, yarn.application_id = key, found.id
                self._may_run = True
                self._replace(key, claim.report_path)
                self._log.info("Taking up %s, the driver of an earlier attempt.", found.id)
                return True
            self._claims.revoke(attempt.name)
            if found is not None and not found.has_ended:
                self._log.info("%s of an earlier attempt: %s", found.id, driver.kill(5.0)[1])
        except NoAnswerError as error:
            raise NotSubmittedError(
                "Nothing was submitted: YARN does not report the state of an earlier attempt's "
                f"driver: {error}\n"
                "  Fix: none needed if it answers at the next try."
            ) from error
        return False

    def _has_published(self, attempt_key: str) -> bool:
        text = self._channel.fetch(attempt_key, 1)
        for line in (text or "").splitlines()[::-1]:
            document = report_in_line(line)
            if document is None:
                continue
            try:
                report = RunReport.loads(document)
            except ReportError:
                return False
            if report.attempt_key == attempt_key and report.status != "failed":
                self._accepted = text or ""
            return bool(self._accepted)
        return False

    def _replace(self, attempt_key: str, report_path: str) -> None:
        self.request = dataclasses.replace(
            self.request, attempt_key=attempt_key, report_path=report_path
        )
