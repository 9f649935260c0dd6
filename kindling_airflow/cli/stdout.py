"""Standard output is the command's own: what a project prints when it is imported is not on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

__all__ = ["printed_to_stderr"]

_STDOUT, _STDERR = 1, 2


@contextmanager
def printed_to_stderr() -> Iterator[None]:
    """Send to standard error what the block prints, so that ``--json`` stays one document.

    That holds for what Python prints, and for the file descriptor itself, which subprocesses and
    libraries of C write to. Where there is no such descriptor, it holds for Python alone.
    """
    with redirect_stdout(sys.stderr), _descriptor_redirected():
        yield


@contextmanager
def _descriptor_redirected() -> Iterator[None]:
    _flush()  # what the command has printed before is its own
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
