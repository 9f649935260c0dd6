"""What one execution says: signals to whoever listens, lines to the log."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from blinker import Signal

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor.signals import emit


class Log:
    """A log of any make: its methods are called with one text, and those it lacks are not missed.

    Args:
        provider: anything with ``get_logger(name)``; None for the standard library's logging.
        name: the logger's name.
    """

    def __init__(self, provider: Any, name: str) -> None:
        self._logger = logging.getLogger(name) if provider is None else provider.get_logger(name)

    def info(self, text: str) -> None:
        """Say what happens."""
        self._say("info", text)

    def warning(self, text: str) -> None:
        """Say what somebody may want to look at."""
        self._say("warning", text)

    def failure(self, text: str, error: BaseException | None = None) -> None:
        """Say what went wrong, as an error, with its traceback."""
        if error is not None:
            text = f"{text}\n{''.join(traceback.format_exception(error)).rstrip()}"
        self._say("error", text)

    def _say(self, method: str, text: str) -> None:
        say = getattr(self._logger, method, None)
        if say is None:
            return
        # The standard library takes the text as a format only where arguments come with it.
        say(text)


class Events:
    """Sends the signals of one execution.

    Args:
        sender: whose signals they are.
        log: where receivers that fail are told.
        run_id: names the execution.
        plan: what is executed; like ``run_id``, part of every signal.
    """

    def __init__(self, sender: object, log: Log, run_id: str, plan: ExecutionPlan) -> None:
        self._sender = sender
        self._plan = plan
        self.log = log
        self.run_id = run_id

    def tell(self, signal: Signal, **payload: Any) -> None:
        """Send a signal; receivers that raise are logged."""
        common = {"run_id": self.run_id, "plan": self._plan}
        emit(signal, self._sender, self._receiver_failed, **common, **payload)

    def _receiver_failed(self, name: str, error: Exception) -> None:
        self.log.failure(f"a receiver of {name} failed; the execution continues", error)
