"""Reports the progress of an execution: signals to their receivers, lines to the log."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from blinker import Signal

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor.results import ExecutionResult
from kindling_airflow.generation_executor.signals import (
    emit,
    execution_completed,
    execution_failed,
)


class Log:
    """A log of any make: its methods take one text, and may be missing.

    Args:
        provider: anything with ``get_logger(name)``; None for the standard library's logging.
        name: the logger's name.
    """

    def __init__(self, provider: Any, name: str) -> None:
        self._logger = logging.getLogger(name) if provider is None else provider.get_logger(name)

    def info(self, text: str) -> None:
        """Log what happens."""
        self._log("info", text)

    def warning(self, text: str) -> None:
        """Log what may need attention."""
        self._log("warning", text)

    def failure(self, text: str, error: BaseException | None = None) -> None:
        """Log an error with its traceback."""
        if error is not None:
            text = f"{text}\n{''.join(traceback.format_exception(error)).rstrip()}"
        self._log("error", text)

    def receiver_failed(self, signal: str, error: Exception) -> None:
        """Log that a receiver of a signal has raised."""
        self.failure(f"a receiver of {signal} failed; the execution continues", error)

    def _log(self, method: str, text: str) -> None:
        log = getattr(self._logger, method, None)
        if log is not None:  # the standard library formats the text only if arguments follow
            log(text)


class Events:
    """Sends the signals of one execution; receivers that raise are logged."""

    def __init__(self, sender: object, log: Log, run_id: str, plan: ExecutionPlan) -> None:
        self._sender = sender
        self._plan = plan
        self.log = log
        self.run_id = run_id

    def send(self, signal: Signal, **payload: Any) -> None:
        """Send a signal."""
        common = {"run_id": self.run_id, "plan": self._plan}
        emit(signal, self._sender, self.log.receiver_failed, **common, **payload)

    def send_of_pipe(self, signal: Signal, pipe_id: str, **payload: Any) -> None:
        """Send a signal of one pipe, with the number of its generation."""
        number = self._plan.find_pipe_generation(pipe_id)
        self.send(signal, pipe_id=pipe_id, generation_number=number, **payload)

    def send_end(self, result: ExecutionResult) -> None:
        """Send the signal that the execution has ended."""
        self.send(execution_completed if result.all_succeeded else execution_failed, result=result)
