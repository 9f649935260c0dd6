"""What a provider hands from staging to publishing."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Staged"]


@dataclass(frozen=True, slots=True)
class Staged:
    """A result that is written in full and not yet visible to any reader."""

    path: str
    rows: int
