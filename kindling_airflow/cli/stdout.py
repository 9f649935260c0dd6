"""Reserves standard output for the command: other prints go to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

_STDOUT, _STDERR = 1, 2


@contextmanager
def printed_to_stderr() -> Iterator[None]:
    """Redirect what the block prints to standard error, so that ``--json`` stays one document.

    Redirects Python's output and the file descriptor, which subprocesses and C libraries write to;
    where there is no such descriptor, Python's output alone.
    """
    with redirect_stdout(sys.stderr), _descriptor_redirected():
        yield


@contextmanager
def _descriptor_redirected() -> Iterator[None]:
    _flush()  # the command's own output
    try:
        before = os.dup(_STDOUT)
    except OSError:  # the process was started without one
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(_STDERR, _STDOUT)
        yield
    finally:
        _flush()
        os.dup2(before, _STDOUT)
        os.close(before)


def _flush() -> None:
    if sys.__stdout__ is not None:
        sys.__stdout__.flush()
