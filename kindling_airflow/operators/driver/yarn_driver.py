"""One driver on YARN: found by the tag that carries its attempt, followed to its end, killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException

from kindling_airflow.operators.driver.yarn import NoAnswerError, ResourceManager, YarnApplication

__all__ = ["YarnDriver", "yarn_tag"]

_POLL_SECONDS = 3.0
_SILENCE_SECONDS = 600.0  # a resource manager may fail over, or be restarted
_KILL_POLL_SECONDS = 0.4


def yarn_tag(attempt_key: str) -> str:
    """Return the tag of the application of an attempt."""
    return f"kindling-{attempt_key}"


class YarnDriver:
    """The application of one attempt.

    Args:
        manager: YARN.
        attempt_key: the attempt.
        log: the task's log.
        poll_seconds: how often YARN is asked at most.
        on_page: called once with the address of the application's own pages.
    """

    def __init__(
        self,
        manager: ResourceManager,
        attempt_key: str,
        log: Any,
        *,
        poll_seconds: float = 0.0,
        on_page: Callable[[str], None] = lambda _url: None,
    ) -> None:
        self.manager = manager
        self.attempt_key = attempt_key
        self.application_id = ""
        self.end: YarnApplication | None = None
        self._log = log
        self._poll_seconds = max(poll_seconds, _POLL_SECONDS)
        self._on_page = on_page
        self._is_cancelled = False

    def find(self) -> YarnApplication | None:
        """Return the application, or None where YARN has none of this attempt.

        Raises:
            NoAnswerError: YARN does not answer.
        """
        found = self.manager.tagged(yarn_tag(self.attempt_key))
        if found is not None:
            self.application_id = found.id
        return found

    def follow(self) -> YarnApplication:
        """Return the application when it has ended.

        Raises:
            AirflowException: YARN has not answered for ten minutes, or the driver was killed by
                this task and is not seen to have ended.
        """
        state, has_page, silent_since = "", False, None
        while True:
            try:
                found = self.manager.application(self.application_id)
            except NoAnswerError as error:
                now = time.monotonic()
                silent_since = silent_since or now
                if now - silent_since > _SILENCE_SECONDS:
                    raise AirflowException(
                        f"YARN has not reported the state of {self.application_id} for "
                        f"{_SILENCE_SECONDS:g} s: {error}"
                    ) from error
                if silent_since == now:
                    self._log.warning("YARN does not answer; it is asked again: %s", error)
            else:
                silent_since = None
                if found.state != state:
                    state = found.state
                    self._log.info("%s on YARN: %s", found.id, state)
                if found.tracking_url and state == "RUNNING" and not has_page:
                    has_page = True
                    self._on_page(found.tracking_url)
                if found.has_ended:
                    self.end = found
                    return found
            if self._is_cancelled:
                raise AirflowException(f"{self.application_id} is not followed any more")
            time.sleep(self._poll_seconds)

    def cancel(self) -> None:
        """Follow the driver no longer than to the next answer."""
        self._is_cancelled = True

    def kill(self, seconds: float) -> tuple[bool, str]:
        """Kill the application and wait for its end.

        Args:
            seconds: how long to wait.

        Returns:
            whether the driver is known to have ended or never to have begun; and how it stands.
        """
        self.cancel()
        deadline = time.monotonic() + seconds
        try:
            if not self.application_id and self.find() is None:
                return True, "YARN has no application of this attempt"
            state = self.manager.application(self.application_id)
            if not state.has_ended:
                self.manager.kill(self.application_id)
            while not state.has_ended:
                if time.monotonic() >= deadline:
                    return False, (
                        f"YARN was asked to kill {state.id} and still reports it as {state.state}"
                    )
                time.sleep(_KILL_POLL_SECONDS)
                state = self.manager.application(self.application_id)
        except NoAnswerError as error:
            what = self.application_id or "its application"
            return False, f"YARN could not be asked to kill {what}, or for its state: {error}"
        self.end = state
        return True, f"YARN reports {state.id} as {state.state}"
