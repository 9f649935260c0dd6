"""Functions that tests call in child processes; each does something to its process."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any


def back(value: Any) -> Any:
    return value


def process() -> int:
    return os.getpid()


def modules() -> list[str]:
    return sorted(sys.modules)


def say(text: str, times: int = 1) -> str:
    for _ in range(times):
        print(text)
    return text


def hang() -> None:
    threading.Event().wait()


def leave(code: int) -> None:
    os._exit(code)


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    threading.Event().wait()


def leave_a_fork(code: int) -> int:
    if os.fork() == 0:
        threading.Event().wait()
    if code:
        os._exit(code)
    return 7


def raise_it(kind: str) -> None:
    raise {"KeyboardInterrupt": KeyboardInterrupt, "ValueError": ValueError}[kind]("on purpose")


def write_nonsense(besides: list[int]) -> None:
    """Answer like a child that has answered, but with what is no JSON."""
    for descriptor in set(range(3, 64)) - set(besides):
        try:
            os.write(descriptor, (3).to_bytes(8, "big") + b"no!")
        except OSError:
            continue
    os._exit(0)


def close_all() -> None:
    os.closerange(3, 256)
    time.sleep(60)
