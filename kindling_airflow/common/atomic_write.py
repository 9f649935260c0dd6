"""Atomic writes: a file appears complete or not at all, and a failure leaves the old one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text as UTF-8 into a file; what is not a file, such as a pipe, is written directly.

    A link stays one: what it leads to is written.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
