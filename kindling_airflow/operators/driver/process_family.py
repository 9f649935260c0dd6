"""Kill a process of a driver and its descendants."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

__all__ = ["has_ended", "kill_family"]


def kill_family(process: psutil.Process) -> list[psutil.Process]:
    """Kill a process and its descendants as far as that is possible; return all of them."""
    import psutil

    family = [process]
    with suppress(psutil.Error):
        family += process.children(recursive=True)
    for member in family:
        with suppress(psutil.Error):
            member.kill()
    return family


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process does nothing any more; its parent need not have noticed."""
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE) or not process.is_running()
    except psutil.NoSuchProcess:
        return True
