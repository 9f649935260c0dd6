"""Files in memory, on which a driver dies, or is overtaken, at any step that a test chooses."""

from __future__ import annotations

from collections.abc import Callable

from kindling_airflow.errors import EntityError

__all__ = ["DyingFiles", "Killed"]


class Killed(BaseException):
    """The driver is gone, as by kill -9: nothing is caught, nothing is tidied up."""


class DyingFiles:
    """The file operations that publishing needs; folders are there while something is in them.

    Attributes:
        content: the files by their paths.
        steps: how many changes there have been. Deleting a folder is one for each file in it.
        dies_at: the step at which the driver dies; it leaves half of what it was writing.
        refuses_at: the step at which the file system fails.
        overtaken_at: the step before which ``other`` runs.
    """

    def __init__(self) -> None:
        self.content: dict[str, str] = {}
        self.steps = 0
        self.dies_at = self.refuses_at = self.overtaken_at = -1
        self.other: Callable[[], None] = lambda: None

    def calm(self) -> None:
        """Let everything go well from now on."""
        self.steps = 0
        self.dies_at = self.refuses_at = self.overtaken_at = -1

    def exists(self, path: str) -> bool:
        return path in self.content or any(p.startswith(f"{path}/") for p in self.content)

    def names(self, folder: str) -> list[str]:
        inside = (p[len(folder) + 1 :] for p in self.content if p.startswith(f"{folder}/"))
        return sorted({name.partition("/")[0] for name in inside})

    def files(self, folder: str) -> list[str]:
        return sorted(p[len(folder) + 1 :] for p in self.content if p.startswith(f"{folder}/"))

    def delete(self, path: str) -> None:
        for found in [p for p in self.content if p == path or p.startswith(f"{path}/")]:
            self._step()
            self.content.pop(found, None)

    def move(self, source: str, target: str) -> None:
        self._step()
        if self.exists(target) or not self.exists(source):
            raise EntityError(f"cannot move {source!r} to {target!r}")
        for found in [p for p in self.content if p == source or p.startswith(f"{source}/")]:
            self.content[target + found[len(source) :]] = self.content.pop(found)

    def read_text(self, path: str) -> str:
        return self.content[path]

    def write_text(self, path: str, text: str) -> None:
        try:
            self._step()
        except Killed:
            self.content[path] = text[: len(text) // 2]
            raise
        self.content[path] = text

    def _step(self) -> None:
        step, self.steps = self.steps, self.steps + 1
        if step == self.overtaken_at:
            self.other()
        if step == self.dies_at:
            raise Killed
        if step == self.refuses_at:
            raise EntityError("the disk is full")
