"""The child's side of :mod:`~kindling_airflow.common.child.calls`: call a function and answer.

What runs here is user code, which may print, hang, leave, or change anything of its process. So all
that is needed to answer is taken hold of before, and the process ends without tidying up.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_FATAL = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTERM", "SIGALRM", "SIGCHLD")
_parents: list[Any] = []
_ORPHANED_AFTER = 5.0  # seconds over the limit: then nothing is left that would end this process


def answer_of(function: str, arguments: Mapping[str, Any]) -> bytes:
    """Call a function and return a JSON document with what it returned or raised.

    Args:
        function: ``module:name``.
        arguments: its keyword arguments.
    """
    dumps, trace = json.dumps, traceback.format_exc
    try:
        module, _, name = function.partition(":")
        document = {"answer": getattr(import_module(module), name)(**arguments)}
        return dumps(document).encode()
    except BaseException as error:  # user code: anything may come out
        return dumps({"raised": type(error).__name__, "trace": trace()}).encode()


def run_and_exit(
    function: str,
    arguments: Mapping[str, Any],
    *,
    answer: int,
    output: int,
    trace: int,
    seconds: float | None,
) -> NoReturn:
    """Call a function in this process, which is a fresh child, and end the process.

    Args:
        function: as for :func:`answer_of`.
        arguments: as for :func:`answer_of`.
        answer: descriptor that gets the answer behind its length in eight bytes.
        output: descriptor that gets what the function prints.
        trace: descriptor that gets where the function is, shortly before its time is over.
        seconds: how long it may take.
    """
    write, leave, own, pid = os.write, os._exit, os.getpid, os.getpid()
    to_bytes = int.to_bytes
    try:
        _settle(output, trace, seconds)
        found = memoryview(answer_of(function, arguments))
        if own() != pid:  # the function has forked, and this is the copy
            leave(0)
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):
                stream.flush()
        write(answer, to_bytes(len(found), 8, "big"))
        while found:
            found = found[write(answer, found) :]
    finally:
        leave(0)


def _settle(output: int, trace: int, seconds: float | None) -> None:
    """Make a process of this child that shares nothing with its parent but the pipes."""
    with suppress(OSError):  # started as the leader of its session
        os.setsid()
    for name in _FATAL:  # handlers of the parent's: Airflow's own would swallow a crash
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.disable()
    gc.freeze()  # a walk over all that the parent has made would copy it
    for number in (_STDOUT, _STDERR):
        os.dup2(output, number)
    _close_terminal()
    # An object that is forgotten closes its descriptor, which is another stream's by now.
    _parents.extend([sys.stdin, sys.stdout, sys.stderr])
    _parents.extend([sys.__stdin__, sys.__stdout__, sys.__stderr__])
    nothing: Any = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdin = sys.__stdin__ = nothing  # type: ignore[misc]
    for name, number in (("stdout", _STDOUT), ("stderr", _STDERR)):
        raw = open(number, "wb", 0, closefd=False)  # noqa: SIM115 (lasts as the process)
        stream = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if seconds is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds + _ORPHANED_AFTER)
        faulthandler.dump_traceback_later(max(seconds * 0.8, seconds - 0.5), file=trace)


def _close_terminal() -> None:
    """Let nothing wait for input; a socket there is Airflow's own, for its variables and such."""
    import stat

    with suppress(OSError):
        if stat.S_ISSOCK(os.fstat(_STDIN).st_mode):
            return
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    if nothing != _STDIN:
        os.close(nothing)
