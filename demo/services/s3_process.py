"""The S3 server's process: moto behind a lock, one request after the other.

moto checks a precondition and then writes. Its own server does that in several threads, so that two
conditional requests may both pass. Here a request is read first, then answered as a whole while no
other is, as if each were atomic, which S3 guarantees.

Usage: ``python -m demo.services.s3_process PORT``
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterable
from typing import Any

__all__ = ["OneAtATime"]


class OneAtATime:
    """A WSGI application that hands one request at a time to another.

    Args:
        application: the other.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        source = environ["wsgi.input"]
        if environ.get("wsgi.input_terminated"):
            body = source.read()
            environ.setdefault("CONTENT_LENGTH", str(len(body)))
        else:
            body = source.read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            answer = self._application(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()


def _main(port: int) -> None:
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    class Handler(MotoRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections open

        def handle_expect_100(self) -> bool:
            """Leave the answer to werkzeug, which gives it as well: two would confuse clients."""
            return True

        def log_request(self, *_: Any) -> None:
            """Say nothing: a table is hundreds of requests."""

    served = OneAtATime(create_backend_app("s3"))
    run_simple("127.0.0.1", port, served, threaded=True, request_handler=Handler)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
