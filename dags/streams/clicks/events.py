"""Drops files of clicks, as web servers would: ``python -m clicks.events WAREHOUSE``.

The same numbers give the same clicks: file n holds the same ones in every run. A tenth of a file's
clicks come again in the next file, and one line of each is of no use.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

PAGES = ("/", "/search", "/cart", "/pay", "/help")
BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
SECONDS_PER_FILE = 20


def clicks_of(number: int, size: int) -> Iterator[dict[str, object]]:
    """Yield the clicks of one file, without those that come a second time.

    Args:
        number: of the file, from 0.
        size: how many clicks are in it.
    """
    drawn = random.Random(f"clicks {number}")  # noqa: S311 (no secrets, but the same each time)
    for n in range(size):
        at = BEGINNING + timedelta(seconds=SECONDS_PER_FILE * (number + n / size))
        yield {
            "id": number * size + n,
            "at": at.isoformat(timespec="milliseconds"),
            "visitor": f"v{drawn.randrange(500)}",
            "page": drawn.choice(PAGES),
            "status": drawn.choices((200, 404, 503), (95, 4, 1))[0],
            "milliseconds": int(drawn.lognormvariate(5, 1)),
        }


def lines_of(number: int, size: int) -> list[str]:
    """Return the lines of one file."""
    lines = [json.dumps(click) for click in clicks_of(number, size)]
    again = [json.dumps(click) for click in clicks_of(number - 1, size)] if number else []
    useless = json.dumps({"id": None, "page": "nowhere"})
    return [*lines, *again[::10], useless]


def drop(warehouse: Path, number: int, size: int) -> Path:
    """Put one file into ``warehouse/landing/clicks``; it appears whole or not at all."""
    folder = warehouse / "landing" / "clicks"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"clicks-{number:06}.json"
    draft = folder / f".{target.name}.tmp"
    draft.write_text("".join(f"{line}\n" for line in lines_of(number, size)))
    draft.replace(target)
    return target


def main() -> None:
    """Drop so many files, one after the other, behind those that are there."""
    parser = argparse.ArgumentParser(prog="clicks.events", description=__doc__)
    parser.add_argument("warehouse", type=Path)
    parser.add_argument("--files", type=int, default=30, help="how many; default: 30")
    parser.add_argument("--size", type=int, default=100, help="clicks in a file; default: 100")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between; default: 1")
    called = parser.parse_args()
    begun = len(list((called.warehouse / "landing" / "clicks").glob("clicks-*.json")))
    for number in range(begun, begun + called.files):
        print(drop(called.warehouse, number, called.size), flush=True)
        time.sleep(called.every)


if __name__ == "__main__":
    main()
