"""The streams of a session, started, watched and stopped by another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.runner.failures.failure import describe
from kindling_airflow.runner.session.stream import SessionStream

if TYPE_CHECKING:
    from kindling_airflow.runner.session.runner import SessionPipeRunner

_BEAT_SECONDS = 0.4


class SessionStreams:
    """Serves requests for streams, and reports the state of each until it has ended."""

    def __init__(
        self,
        runner: SessionPipeRunner,
        project_root: Path,
        send: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._runner = runner
        self._project_root = project_root
        self._send = send
        self._streams: dict[str, SessionStream] = {}
        self._telling = threading.Lock()  # what is older must not go out later

    def serve(self, message: Mapping[str, Any]) -> None:
        """Carry out the request of a message, however long it takes, and answer."""
        pipe_id, what = message["pipe_id"], message["do"]
        failed = None
        try:
            if what == "start":
                self._start(pipe_id)
            else:
                getattr(self._streams[pipe_id], what)()
        except (Exception, SystemExit) as error:
            failed = self._text(error)
        if pipe_id in self._streams:
            self._tell(pipe_id)
        self._send({"call": message["call"], "failed": failed})

    def _start(self, pipe_id: str) -> None:
        stream = self._streams[pipe_id] = self._runner.start(pipe_id)

        def beat() -> None:
            while stream.is_active():
                self._tell(pipe_id)
                time.sleep(_BEAT_SECONDS)
            self._tell(pipe_id)

        threading.Thread(target=beat, name=f"kindling-beat-{pipe_id}", daemon=True).start()

    def _tell(self, pipe_id: str) -> None:
        with self._telling:
            self._send({"stream": pipe_id, **self._state(self._streams[pipe_id])})

    def _state(self, stream: SessionStream) -> dict[str, Any]:
        """Return a stream's state; a failure to get it is reported as its error."""
        try:
            active = stream.is_active()  # first: what has ended has its error already
            error = stream.error()
            return {
                "active": active,
                "error": None if error is None else self._text(error),
                "ready": stream.is_ready(),
                "progress": dict(stream.progress()),
                "report": None if active else stream.report().to_json(),
            }
        except Exception as error:
            return {"active": False, "error": self._text(error), "ready": False}

    def _text(self, error: BaseException) -> str:
        failure = describe(error, self._project_root)
        place = failure.place and f"\n  at {failure.place}"
        return self._runner.hide(f"{failure.type}: {failure.message}{place}")
